"""The job body that is running: what it has called so far, and every mistake found in it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dbxdec import dag
from dbxdec.errors import Problem, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.authoring.tasks import Task
    from dbxdec.io_managers.base import IoManager


@dataclass
class Call:
    """One task of the job being built: a task function, called with these inputs under this key."""

    recorder: Recorder
    task: Task[..., Any]
    key: str
    where: SourceLocation
    inputs: Mapping[str, dag.Binding] = field(default_factory=dict)
    outputs: Mapping[str, dag.Output] = field(default_factory=dict)
    manager: IoManager | None = None
    depends_on: list[dag.Dependency] = field(default_factory=list)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def wait_for(self, task: str) -> None:
        """Order this call behind `task`; said twice is said once."""
        dependency = dag.Dependency(task)
        if dependency not in self.depends_on:
            self.depends_on.append(dependency)


@dataclass
class Recorder:
    """Collects calls and problems while one job body runs; a wrong call is noted and the body goes on."""

    job: str
    parameters: Mapping[str, dag.JobParameter]
    default_manager: IoManager | None = None
    calls: dict[str, Call] = field(default_factory=dict)
    tables: dict[str, IoManager] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _defined: list[tuple[Task[..., Any], dict[str, object]]] = field(default_factory=list)
    _called: set[int] = field(default_factory=set)

    def problem(self, message: str, hint: str | None = None, where: SourceLocation | None = None) -> None:
        """Note a mistake at `where`, by default the author's line that is running."""
        self.problems.append(Problem(message, where or caller(), hint))

    def define(self, task: Task[..., Any]) -> None:
        """Note a task defined inside the body, with what it closes over at this moment."""
        self._defined.append((task, closure_of(task.fn)))

    def called(self, task: Task[..., Any]) -> None:
        """Note that `task`, or an override of it, is used."""
        self._called.add(id(task.fn))

    def check_definitions(self) -> None:
        """Nested tasks that nobody calls, and closures that would see something else when the job runs."""
        from dbxdec.authoring.references import Reference

        for task, at_definition in self._defined:
            where = SourceLocation.of_code(task.fn.__code__)
            if id(task.fn) not in self._called:
                self.problem(
                    f"the task `{task.__name__}` is defined in the job `{self.job}` but never called",
                    "call it in the job's body, or remove it",
                    where,
                )
            for name, value in closure_of(task.fn).items():
                if isinstance(value, Reference):
                    self.problem(
                        f"the task `{task.__name__}` closes over `{name}`, {value.describe()}, which has no value when "
                        "the task is defined",
                        f"make `{name}` a parameter of the task and pass it in the call",
                        where,
                    )
                elif name in at_definition and at_definition[name] is not value:
                    self.problem(
                        f"the task `{task.__name__}` closes over `{name}`, which the job's body changes later",
                        f"make `{name}` a parameter of the task and pass it in the call",
                        where,
                    )


_current: Recorder | None = None


def current() -> Recorder | None:
    """The recorder of the job body that is running, None outside one."""
    return _current


@contextmanager
def active(recorder: Recorder) -> Iterator[None]:
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


def closure_of(function: Any) -> dict[str, object]:
    """What `function` closes over, by name; names not assigned yet are left out."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found
