"""The run that a task is part of: `params` and `context()`."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.model import dag
from dbxdec.model.mistakes import forgiving
from dbxdec.records import dataclass
from dbxdec.runtime import threads

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGGER = "dbxdec.task"
_OF_MAPPINGS = frozenset({"get", "items", "keys", "values"})


class _NoParameterError(RunError, KeyError):
    """Raised for a parameter that the job doesn't have; a KeyError, as mappings raise."""

    def __str__(self) -> str:
        return Exception.__str__(self)


@dataclass(frozen=True, slots=True)
class RunContext:
    """One attempt of a task.

    Attributes:
        package: The distribution that the task is from.
        build_id: The build of the wheel: a sha256 in hex.
        workspace: The workspace's id; `local` in a local run.
        job: The job's key.
        task: The task's key.
        run_id: The run's id: the same in each retry and repair.
        attempt: The number of this try of the task, from 1.
        started: When the run was triggered, in UTC.
        parameters: The run's typed job parameters.
        iteration: The number, from 0, of the item that a task with `each(...)` runs for; None in others.
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
        """The date in UTC on which the run was triggered: the same in each retry and repair."""
        return self.started.date()

    @property
    def logger(self) -> logging.Logger:
        """A logger whose name ends in the task's key."""
        return logging.getLogger(f"{LOGGER}.{self.task}")


_current: RunContext | None = None


@contextmanager
def entered(run: RunContext) -> Iterator[None]:
    """Make `run` the run of `context()` and `params` for the duration of the block."""
    global _current
    before, _current = _current, run
    try:
        with threads.of_task(run.task):
            yield
    finally:
        _current = before


def in_run() -> bool:
    """Return whether a task is running in this process. Raises RunError in a thread whose task has ended."""
    threads.check()
    return _current is not None


@forgiving()
def context() -> RunContext:
    """Return the run that this code is part of.

    Returns:
        The run's ids, attempt, parameters and logger, as a `RunContext`.

    Raises:
        RunError: It is asked outside of a run, or in a thread whose task has ended.

    Example:
        ```python
        from dbxdec import context, task


        @task
        def load() -> None:
            run = context()
            run.logger.info("attempt %d of run %s", run.attempt, run.run_id)
        ```
    """
    if not in_run() or _current is None:
        raise RunError(
            "context() was called outside a run",
            hint="call it inside a task; a test passes what the function needs as an argument",
        )
    return _current


class Params(Mapping[str, Any]):
    """The run's typed job parameters: `params.day`, `params["day"]`, otherwise a mapping.

    Raises:
        RunError: It is read outside of a run, or the job has no such parameter (which is a `KeyError` too).

    Example:
        ```python
        from dbxdec import params, task


        @task
        def report() -> None:
            print(params.day, dict(params))
        ```
    """

    def __getattribute__(self, name: str) -> Any:
        if name in _OF_MAPPINGS and _current is not None and name in _current.parameters:
            raise RunError(
                f"params.{name} is a method of mappings, but the job `{_current.job}` has a parameter of that name",
                hint=f"write params[{name!r}] for the parameter",
            )
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    @forgiving()
    def __getitem__(self, name: str) -> Any:
        known = self._known(f"params.{name} was")
        if name not in known:
            raise _NoParameterError(dag.no_parameter(context().job, str(name), known))
        return known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known("params were"))

    def __len__(self) -> int:
        return len(self._known("params were"))

    __hash__ = object.__hash__

    def _known(self, what: str) -> Mapping[str, Any]:
        if not in_run() or _current is None:
            raise RunError(
                f"{what} read outside a run",
                hint="job parameters have values only while a task runs; in a test pass the value as an argument",
            )
        return _current.parameters

    def __repr__(self) -> str:
        return f"params({dict(_current.parameters)!r})" if _current else "params(outside a run)"


params = Params()
