"""What a task may ask about the run it is part of: `params` and `context()`."""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError, did_you_mean
from dbxdec.mistakes import forgiving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOGGER = "dbxdec.task"


@dataclass(frozen=True, slots=True)
class RunContext:
    """This start of this task. `attempt` counts from 1; `started` is the run's start, in UTC.

    `iteration` is the number, from 0, of the item that a task with each(...) runs for; None in others.
    """

    package: str
    build_id: str
    workspace: str
    job: str
    task: str
    run_id: str
    attempt: int
    started: dt.datetime
    parameters: Mapping[str, Any]
    iteration: int | None = None

    @property
    def run_date(self) -> dt.date:
        """The date, in UTC, on which the run was started: the same in each retry and repair."""
        return self.started.date()

    @property
    def logger(self) -> logging.Logger:
        """A logger whose name ends in the task's key."""
        return logging.getLogger(f"{LOGGER}.{self.task}")


_current: RunContext | None = None


@contextmanager
def entered(run: RunContext) -> Iterator[None]:
    """Make `run` what `context()` and `params` answer from, for as long as the block lasts."""
    global _current
    before, _current = _current, run
    try:
        yield
    finally:
        _current = before


def in_run() -> bool:
    """Whether a task is running in this process."""
    return _current is not None


@forgiving()
def context() -> RunContext:
    """The run that this code is part of. Raises RunError outside a run."""
    if _current is None:
        raise RunError(
            "context() was asked outside a run",
            hint="call it inside a task; a test passes what the function needs as an argument",
        )
    return _current


class Params:
    """The run's typed job parameters, as attributes or items: `params.day`, `params["day"]`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    @forgiving()
    def __getitem__(self, name: str) -> Any:
        if _current is None:
            raise RunError(
                f"params.{name} was read outside a run",
                hint="job parameters have values only while a task runs; in a test pass the value as an argument",
            )
        known = _current.parameters
        if name not in known:
            raise RunError(
                f"the job `{_current.job}` has no parameter `{name}`",
                hint=did_you_mean(name, known) or f"its parameters are {', '.join(known) or 'none'}",
            )
        return known[name]

    def __repr__(self) -> str:
        return f"params({dict(_current.parameters)!r})" if _current else "params(outside a run)"


params = Params()
