"""The DAG as frozen data, and the checks that need nothing but it: no I/O, no third-party import."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from dbxdec.errors import Problem, SourceLocation, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dbxdec.literals import Json
    from dbxdec.rundate import RunDate
    from dbxdec.values import ValueType

RESULT = "result"
"""The name of a task's output when it has only one."""
RETURN_VALUE = "return_value"
"""The key of the task value as which a small result travels."""


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """What another task of the job stored."""

    task: str
    output: str = RESULT


@dataclass(frozen=True, slots=True)
class Table:
    """A table that the job did not produce: read at its newest version."""

    io: str
    target: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written by the author, as tagged JSON (`dbxdec.literals`)."""

    value: Json


@dataclass(frozen=True, slots=True)
class Parameter:
    """A job parameter, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class TaskValue:
    """A task value that another task of the job has set."""

    task: str
    key: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list or tuple that holds at least one binding other than a literal."""

    items: tuple[Binding, ...]
    kind: str = "list"


@dataclass(frozen=True, slots=True)
class Mapped:
    """A dict that holds at least one binding other than a literal, in the author's order."""

    items: tuple[tuple[str, Binding], ...]


Binding: TypeAlias = TaskOutput | TaskValue | Table | Literal | Parameter | Sequence | Mapped


def flatten(binding: Binding) -> Iterator[Binding]:
    """The bindings at the leaves of `binding`, in order."""
    if isinstance(binding, Sequence):
        for item in binding.items:
            yield from flatten(item)
    elif isinstance(binding, Mapped):
        for _, item in binding.items:
            yield from flatten(item)
    else:
        yield binding


@dataclass(frozen=True, slots=True)
class Output:
    """Where one result goes: to `target` through the IoManager class `io`, or, without one, to a task value.

    `settings` are the manager's own (mode, partition columns, ...), for people and tools that read the manifest.
    """

    io: str | None = None
    target: str | None = None
    type: ValueType | None = None
    settings: Mapping[str, Json] = field(default_factory=dict)
    shared: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """`task` has to end first; `outcome` names a branch of a condition task."""

    task: str
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    key: str
    function: str
    source: SourceLocation
    inputs: Mapping[str, Binding]
    outputs: Mapping[str, Output]
    depends_on: tuple[Dependency, ...] = ()
    run_if: str | None = None
    variables: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "python"
    called_at: SourceLocation | None = None


@dataclass(frozen=True, slots=True)
class JobParameter:
    """A typed parameter; `default` is its text on the platform, None where the author gave no default.

    With `run_date` the default is the run's start, of which this makes the date.
    """

    name: str
    type: ValueType
    default: str | None = None
    run_date: RunDate | None = None

    def value(self, text: str) -> Any:
        """The value that `text` carries. Raises ValueError with what was expected."""
        date = self.run_date.from_text(text) if self.run_date else None
        return self.type.from_text(text) if date is None else date


@dataclass(frozen=True, slots=True)
class Job:
    key: str
    module: str
    function: str
    source: SourceLocation
    tasks: tuple[Task, ...]
    parameters: tuple[JobParameter, ...] = ()
    clusters: Mapping[str, Any] = field(default_factory=dict)
    environments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def variables(self) -> tuple[str, ...]:
        """The bundle variables that any task of the job needs at run time."""
        return tuple(sorted({name for task in self.tasks for name in task.variables}))

    def task(self, key: str) -> Task:
        """The task `key`; raises KeyError."""
        for task in self.tasks:
            if task.key == key:
                return task
        raise KeyError(key)


def run_order(job: Job) -> list[Task]:
    """The job's tasks, each after all that it depends on, otherwise in the author's order.

    Tasks on a cycle, and those behind one, are left out: `cycles` names them.
    """
    waiting = {task.key: {d.task for d in task.depends_on} for task in job.tasks}
    followers: dict[str, list[str]] = defaultdict(list)
    for task in job.tasks:
        for key in waiting[task.key]:
            followers[key].append(task.key)
    by_key = {task.key: task for task in job.tasks}
    position = {task.key: i for i, task in enumerate(job.tasks)}
    import heapq

    ready = [position[key] for key, blockers in waiting.items() if not blockers]
    heapq.heapify(ready)
    order = []
    while ready:
        task = job.tasks[heapq.heappop(ready)]
        order.append(task)
        for key in followers[task.key]:
            waiting[key].discard(task.key)
            if not waiting[key]:
                heapq.heappush(ready, position[by_key[key].key])
    return order


def check(jobs: Iterable[Job]) -> list[Problem]:
    """What is wrong with the jobs of one project: duplicate keys, cycles, two writers of one target."""
    jobs = list(jobs)
    problems = _duplicate_jobs(jobs)
    for job in jobs:
        problems += _cycles(job)
    return problems + _two_writers(jobs)


def _duplicate_jobs(jobs: list[Job]) -> list[Problem]:
    first: dict[str, Job] = {}
    problems = []
    for job in jobs:
        before = first.setdefault(job.key, job)
        if before is not job:
            problems.append(
                Problem(
                    f"the job `{job.key}` is already defined at {before.source}",
                    job.source,
                    "give one of them another name, or `@job(key=...)`",
                )
            )
    return problems


def _cycles(job: Job) -> list[Problem]:
    """One problem for each group of tasks that wait for each other, with the way round."""
    left = {task.key: task for task in job.tasks}
    for task in run_order(job):
        del left[task.key]
    problems = []
    while left:
        path = _walk_cycle(left)
        if not path:
            break
        first = left[path[0]]
        way = " -> ".join([*path, path[0]])
        problems.append(
            Problem(
                f"tasks of the job `{job.key}` wait for each other: {way}",
                first.called_at or first.source,
                "remove one of these dependencies: a task can't run before and after another",
            )
        )
        for key in path:
            del left[key]
    return problems


def _walk_cycle(left: Mapping[str, Task]) -> list[str]:
    """Follow dependencies inside `left` until a task comes up again; the way round, in running order."""
    for start in left:
        path: list[str] = []
        key: str | None = start
        while key is not None and key not in path:
            path.append(key)
            key = next((d.task for d in left[key].depends_on if d.task in left), None)
        if key is not None:
            circle = path[path.index(key) :][::-1]
            first = circle.index(next(task for task in left if task in circle))  # the author's order
            return circle[first:] + circle[:first]
    return []


def _two_writers(jobs: Iterable[Job]) -> list[Problem]:
    writers: dict[str, list[tuple[Job, Task, Output]]] = defaultdict(list)
    for job in jobs:
        for task in job.tasks:
            for output in task.outputs.values():
                if output.target is not None:
                    writers[output.target.rstrip("/")].append((job, task, output))
    problems = []
    for target, entries in writers.items():
        if len(entries) < 2 or all(output.shared for _, _, output in entries):
            continue
        names = listed([f"{job.key}.{task.key}" for job, task, _ in entries])
        _, task, _ = entries[-1]
        problems.append(
            Problem(
                f"{names} write the same target {target}",
                task.called_at or task.source,
                "give one of them another table (`io.table(...)`), another key (`.override(key=...)`) or put `{job}` "
                "into base_path; if both are meant to write it, say `io.table(..., shared=True)`",
            )
        )
    return problems
