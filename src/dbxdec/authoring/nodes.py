"""The nodes of a DAG while a job's body runs, and the recorder that collects them and their mistakes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.authoring import recording
from dbxdec.authoring.definitions import closure_of, closures_of, defaults_of, place_of, rebound
from dbxdec.authoring.proxies import BranchReference, OutputReference, TaskProxy
from dbxdec.authoring.references import Reference, Spoiled, told
from dbxdec.authoring.tasks import Task
from dbxdec.errors import Problem, SourceLocation, shown
from dbxdec.io_managers.base import Mistaken
from dbxdec.model import dag
from dbxdec.model.mistakes import is_of_mistake
from dbxdec.model.typehints import unwrapped
from dbxdec.model.values import ANY, ValueType
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.authoring.compute import Environment, JobCluster
    from dbxdec.io_managers.base import IoManager


@dataclass(kw_only=True)
class _Ordered(recording.Node):
    """A node of the DAG that is being recorded."""

    recorder: Recorder
    key: str
    where: SourceLocation
    outputs: Mapping[str, dag.Output] = field(default_factory=dict)
    managers: Mapping[str, IoManager] = field(default_factory=dict)
    depends_on: list[dag.Dependency] = field(default_factory=list)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def wait_for(self, task: str, outcome: str | None = None) -> None:
        """Order this node after `task`, or after one of its branches. Repeating a dependency has no effect."""
        dependency = dag.Dependency(task, outcome)
        if dependency not in self.depends_on:
            self.depends_on.append(dependency)

    def depend_on_all(self, others: object) -> None:
        """Order this node after each of `others`, the value of a `depends_on`."""
        if isinstance(others, list | tuple | set | frozenset):
            for other in others:
                self.depend(other)
        elif not isinstance(others, Spoiled):
            what = told(others)
            self.recorder.problem(
                f"`depends_on` is {what}, not a list",
                "pass a list of task results, which calls of tasks return: `depends_on=[x]`",
            )

    def depend(self, other: object) -> None:
        recorder = self.recorder
        if isinstance(other, Spoiled) or is_of_mistake(other):
            return
        if isinstance(other, Task):
            recorder.problem(f"`{other.__name__}` is a task, not its result", f"call it: `{other.__name__}(...)`")
        elif not isinstance(other, TaskProxy | OutputReference | BranchReference):
            recorder.problem(f"a task can't run after {shown(other)}", "pass task results, which calls of tasks return")
        elif other._call.recorder is not recording.current():
            recorder.problem(
                f"{other.describe()} belongs to the job `{other._call.recorder.job}`",
                "tasks of different jobs can't be ordered: call the task in this job, or read its table",
            )
        elif other._call is self:
            recorder.problem(f"the task `{self.key}` can't run after itself", "name the task that it has to wait for")
        else:
            self.wait_for(other._call.key, other._outcome if isinstance(other, BranchReference) else None)


@dataclass(kw_only=True)
class Call(_Ordered):
    """A task function, called with these inputs under this key."""

    task: Task[..., Any]
    inputs: Mapping[str, dag.Binding] = field(default_factory=dict)
    optional: list[str] = field(default_factory=list)
    """The inputs that may be None."""
    each: dag.Each | None = None
    on_failure: bool = False
    """True if this is the job's failure handler, which ends with an error to fail the run."""
    nothing: str = ""
    """The reason why there is no result to read; empty if there is one, or if a mistake has been noted."""
    unsaid: bool = False
    """True if the task does not say what it returns."""

    def read(self) -> None:
        """Note that the result is read. If the task does not say what it returns, the result is a task value."""
        if self.unsaid and self.each is None:
            self.outputs, self.nothing, self.unsaid = {dag.RESULT: dag.Output(type=ValueType(ANY))}, "", False

    unfit: bool = False
    """True if the result can't be stored, which has been noted."""

    @property
    def is_mistaken(self) -> bool:
        return self.unfit or any(isinstance(manager, Mistaken) for manager in self.managers.values())


@dataclass(kw_only=True)
class Step(_Ordered):
    """A non-Python task. It has no function and reads nothing."""

    kind: str
    run_if: str | None = None
    compares: ValueType | None = None
    cluster: JobCluster | None = None
    environment: Environment | None = None


@dataclass()
class Recorder(recording.Recording):
    """Collects calls and problems while a job's body runs. A wrong call is noted and the body continues."""

    job: str
    parameters: Mapping[str, dag.JobParameter]
    on_call: Callable[[Recorder, Task[..., Any], tuple[Any, ...], dict[str, Any]], Call]
    default_manager: IoManager | None = None
    calls: dict[str, Call | Step] = field(default_factory=dict)
    tables: dict[str, IoManager] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    wants_dates: dict[str, set[str]] = field(default_factory=dict)
    """The job parameters whose dates non-Python tasks use, by the task's key."""
    _defined: list[tuple[Task[..., Any], dict[str, object]]] = field(default_factory=list)
    _called: dict[int, Task[..., Any]] = field(default_factory=dict)
    _given: dict[int, tuple[Reference, SourceLocation]] = field(default_factory=dict)
    _said: set[object] = field(default_factory=set)

    def problem(self, message: str, hint: str | None = None, where: SourceLocation | None = None) -> None:
        self.problems.append(Problem(message, where or recording.caller(), hint))

    def first(self, what: Hashable) -> bool:
        """Return whether this is the first call with `what`: one mistake may appear in several places."""
        is_first = what not in self._said
        self._said.add(what)
        return is_first

    def __contains__(self, what: Hashable) -> bool:
        return what in self._said

    def usable(self, key: object) -> str:
        """Return `key`. If it is not a string, note that and return a substitute."""
        if isinstance(key, str) and key:
            return key
        self.problem(
            f"{shown(key)} can't be the key of a task", "use a string of 1 to 100 letters, digits, `_` and `-`"
        )
        return f"_mistake_{len(self.problems)}"

    def add(self, node: Call | Step, hint: str) -> None:
        """Add `node` to the DAG. A second node with its key is noted with `hint`."""
        before = self.calls.setdefault(node.key, node)
        if before is not node:
            self.problem(f"the job `{self.job}` already has a task `{node.key}`, called at {before.where}", hint)

    def define(self, task: Task[..., Any]) -> None:
        # The values that it closes over may have changed when the body has ended.
        self._defined.append((task, closure_of(task.fn)))

    def give(self, items: Reference) -> None:
        self._given[id(items)] = (items, recording.caller())

    def take(self, value: object) -> None:
        if not self._given:
            return
        self._given.pop(id(value), None)
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
            self.take(one)

    def record(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> TaskProxy[Any]:
        self.take((args, kwargs))
        return TaskProxy(self.on_call(self, task, args, kwargs))

    def called(self, task: Task[..., Any]) -> None:
        """Note that `task`, or an override of it, is called."""
        self._called[id(task.fn)] = task

    def check_items(self) -> None:
        """Note items of `each(...)` that no task gets."""
        for _, where in self._given.values():
            self.problem("no task gets each(...)", "pass it to a task as an argument: `ingest(each(names))`", where)

    def check_definitions(self) -> None:
        """Note nested tasks that are never called, and closures that would see other values when the job runs."""
        nested = {id(task.fn) for task, _ in self._defined}
        for task in (task for key, task in self._called.items() if key not in nested):
            for name in rebound(task.fn, task.seen):
                self.problem(
                    f"the task `{task.__name__}` uses `{name}`, which the loop that defines the task changes later",
                    f"make `{name}` a parameter of the task and pass it in the call",
                    place_of(task.fn),
                )
        for task, at_definition in self._defined:
            if id(task.fn) not in self._called:
                self.problem(
                    f"the task `{task.__name__}` is defined in the job `{self.job}` but never called",
                    "call it in the job's body, or remove it",
                    place_of(task.fn),
                )
            for name, value in defaults_of(unwrapped(task.fn)).items():
                if isinstance(value, Reference):
                    self.problem(
                        f"the default of the parameter `{name}` of the task `{task.__name__}` is {value.describe()}, "
                        "which has no value when the task is defined",
                        f"pass it in the call: `{task.__name__}({name}=...)`",
                        place_of(task.fn),
                    )
            for name, value in closures_of(task.fn):
                if isinstance(value, Reference):
                    self.problem(
                        f"the task `{task.__name__}` closes over `{name}`, {value.describe()}, which has no value when "
                        "the task is defined",
                        f"make `{name}` a parameter of the task and pass it in the call",
                        place_of(task.fn),
                    )
            for name, value in closure_of(task.fn).items():
                if name in at_definition and at_definition[name] is not value and not isinstance(value, Reference):
                    self.problem(
                        f"the task `{task.__name__}` closes over `{name}`, which the job's body changes later",
                        f"make `{name}` a parameter of the task and pass it in the call",
                        place_of(task.fn),
                    )
