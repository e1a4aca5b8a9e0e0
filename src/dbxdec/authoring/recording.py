"""Which job body is running, as tasks and proxies see it: what they tell it, and where the author's code stands."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbxdec.errors import SourceLocation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec import dag


class Recording(ABC):
    """A job body while it runs; a mistake is noted and the body goes on."""

    job: str

    @abstractmethod
    def problem(self, message: str, hint: str | None = None, where: SourceLocation | None = None) -> None:
        """Note a mistake at `where`, by default the author's line that is running."""

    @abstractmethod
    def define(self, task: Any) -> None:
        """Note a task that is defined inside the body."""

    @abstractmethod
    def record(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note a call of a task; gives the proxy of its result."""


class Node(ABC):
    """A task of the DAG, as the proxy of its result knows it."""

    key: str
    recorder: Recording
    outputs: Mapping[str, dag.Output]
    each: dag.Each | None = None

    @abstractmethod
    def depend(self, other: object) -> None:
        """Order this task behind the one whose proxy `other` is; anything else is noted as a mistake."""


_current: Recording | None = None


def current() -> Recording | None:
    """The recorder of the job body that is running, None outside one."""
    return _current


@contextmanager
def active(recorder: Recording) -> Iterator[None]:
    """Record into `recorder` for as long as the block lasts."""
    global _current
    before, _current = _current, recorder
    try:
        yield
    finally:
        _current = before


def caller() -> SourceLocation:
    """The innermost running line that is not dbxdec's own: the author's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_own(frame.f_globals):
        frame = frame.f_back
    return SourceLocation.of_frame(frame)


def is_own(namespace: Mapping[str, Any]) -> bool:
    """Whether a frame with these globals runs dbxdec's own code."""
    return str(namespace.get("__name__", "")).partition(".")[0] == "dbxdec"
