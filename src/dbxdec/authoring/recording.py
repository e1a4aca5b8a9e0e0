"""The recorder of the job body that is running, for tasks and proxies, and the author's current line."""

from __future__ import annotations

import functools
import sys
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import AuthoringError, SourceLocation
from dbxdec.model import mistakes

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping
    from types import CodeType, FrameType

    from dbxdec.errors import Problem
    from dbxdec.model import dag


class Recording(ABC):
    """A job body while it runs. A mistake is noted and the body continues."""

    job: str

    @abstractmethod
    def problem(self, message: str, hint: str | None = None, where: SourceLocation | None = None) -> None:
        """Note a mistake at `where`, by default the author's current line."""

    @abstractmethod
    def first(self, what: Hashable) -> bool:
        """Return whether this is the first call with `what`: one mistake may appear in several ways."""

    @abstractmethod
    def define(self, task: Any) -> None:
        """Note a task that is defined inside the body."""

    @abstractmethod
    def give(self, items: Any) -> None:
        """Note the items of `each(...)`, which a task is to get."""

    @abstractmethod
    def take(self, value: object) -> None:
        """Note that a task gets the items in `value`, or that a mistake in their use has been told."""

    @abstractmethod
    def record(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note a call of a task and return the proxy of its result."""


class Node(ABC):
    """A task of the DAG, as far as the proxy of its result needs it."""

    key: str
    recorder: Recording
    outputs: Mapping[str, dag.Output]
    each: dag.Each | None = None

    @property
    def is_mistaken(self) -> bool:
        """True if the outputs are unknown because of a mistake that has been noted."""
        return False

    def read(self) -> None:
        """Note that something reads the result of this task."""

    @abstractmethod
    def depend(self, other: object) -> None:
        """Order this task after the task of the proxy `other`. Anything else is noted as a mistake."""


_PATIENCE = 10

_current: Recording | None = None
_body: CodeType | None = None
# Of the code of a function, and not of a class (inspect.CO_NEWLOCALS).
_OF_FUNCTION = 2


def current() -> Recording | None:
    """Return the recorder of the job body that is running; None outside a job's body."""
    return _current


@contextmanager
def active(recorder: Recording, body: CodeType) -> Iterator[None]:
    """Record into `recorder`, mistakes included, for as long as the block lasts, in which the `body` runs."""
    global _body, _current

    def note(problem: Problem) -> None:
        where = problem.where
        recorder.problem(problem.message, problem.hint, where if isinstance(where, SourceLocation) else None)

    before, _current, _body = (_current, _body), recorder, body
    try:
        with mistakes.noted_by(note):
            yield
    finally:
        _current, _body = before


def caller() -> SourceLocation:
    """Return the innermost running line of the author: not dbxdec's own and, as far as is known, not a library's."""
    return SourceLocation.of_frame(_authors_frame())


def called_by_job() -> str | None:
    """Return the name of the author's function that the body of a job has called; None where the body itself runs."""
    frame: FrameType | None = sys._getframe(1)
    called = None
    while frame is not None and frame.f_code is not _body:
        code = frame.f_code
        is_function = code.co_flags & _OF_FUNCTION and not code.co_name.startswith(("<", "__"))
        if is_function and not is_own(frame.f_globals) and not _is_library(frame):
            called = code.co_name
        frame = frame.f_back
    return None if frame is None else called


def _authors_frame() -> FrameType:
    frame = sys._getframe(1)
    while frame.f_back is not None and is_own(frame.f_globals):
        frame = frame.f_back
    innermost, outer = frame, frame
    while (in_library := _is_library(outer)) and outer.f_back is not None:
        outer = outer.f_back
    return innermost if in_library or is_own(outer.f_globals) else outer


def refuse(problems: Iterable[Problem]) -> None:
    """Note mistakes, by default at the author's current line. Raise them if mistakes are not being noted."""
    if found := list(problems):
        where = caller()
        mistakes.refuse([replace(problem, where=problem.where or where) for problem in found], AuthoringError)


def is_first_misuse(value: object) -> bool:
    """Return whether `value` is misused for the first time on the author's current line."""
    where = caller()
    if _current is None:
        return True
    _current.first(("misused", where))
    return _current.first(("misused", id(value), where))


def take(value: object) -> None:
    """Note that nothing more is to be said of items of `each(...)` in `value`."""
    if _current is not None:
        _current.take(value)


def is_stuck() -> bool:
    """Return whether the author's current line has decided by values that don't exist often enough to be a loop.

    `while x:` would never end with the same answer each time.
    """
    recorder, where = _current, caller()
    return recorder is not None and not any(recorder.first(("decided", where, time)) for time in range(_PATIENCE))


@contextmanager
def collecting(problems: list[Problem]) -> Iterator[None]:
    """Note the mistakes of the block in `problems`, at the author's lines."""

    def note(problem: Problem) -> None:
        problems.append(replace(problem, where=problem.where or caller()))

    with mistakes.noted_by(note):
        yield


class together:  # noqa: N801 - used as `with recording.together():`
    """Collects the mistakes of the block and refuses them at its end, in one error if they are raised."""

    def __enter__(self) -> None:
        self._problems: list[Problem] = []
        self._before = mistakes.exchange(self._note)

    def _note(self, problem: Problem) -> None:
        self._problems.append(replace(problem, where=problem.where or caller()))

    def __exit__(self, *_: object) -> None:
        mistakes.exchange(self._before)
        if self._problems:
            refuse(self._problems)


def running_module() -> str | None:
    """Return the innermost module that is being imported, or None."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return None if frame is None else str(frame.f_globals.get("__name__"))


def _is_library(frame: FrameType) -> bool:
    """Return whether the code belongs to the standard library or an installed package other than dbxdec."""
    root = _root(frame.f_globals.get("__name__"))
    return root in sys.stdlib_module_names or ("site-packages" in frame.f_code.co_filename and root != "dbxdec")


def is_own(namespace: Mapping[str, Any]) -> bool:
    """Return whether a frame with these globals runs dbxdec's own code."""
    return _root(namespace.get("__name__")) == "dbxdec"


@functools.cache
def _root(module: str | None) -> str:
    return str(module).partition(".")[0]
