"""The DAG as frozen data, and the checks that need nothing but it: no I/O, no third-party import."""

from __future__ import annotations

import typing
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from dbxdec.errors import Problem, SourceLocation, did_you_mean
from dbxdec.model.rundate import passed_on

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from dbxdec.model.literals import Json
    from dbxdec.model.rundate import RunDate, Trigger
    from dbxdec.model.values import ValueType

RESULT = "result"
"""The name of a task's output when it has only one."""
RETURN_VALUE = "return_value"
"""The key of the task value as which a small result travels."""
RETURN_TEXT = "dbxdec_text"
"""The key of the one string of a small result, by which conditions compare it."""
RETURN_PARAMETER = "dbxdec_parameter"
"""The key of the string of a small result as a job parameter, None too, for the runs of other jobs."""
DATE_OF = "dbxdec_date_"
"""With a job parameter's name, the key of its date, which a function leaves for the platform's own tasks."""
RESULTS = frozenset({RETURN_VALUE, RETURN_TEXT, RETURN_PARAMETER})


Rows = typing.Literal["run", "table", "newest", "changed"]
"""Which rows of a task's result a reader gets.

"run": what the task returned in this run (of a merge, the table as it left it). "table": the whole table at the
version that the task wrote in this run. "newest": the table at its newest version, whoever wrote it. "changed": as
"run", but of a merge only the rows that it inserted or changed.
"""


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """What another task of the job stored: its output, and which rows of it."""

    task: str
    output: str = RESULT
    rows: Rows = "run"


@dataclass(frozen=True, slots=True)
class Table:
    """A table that the job did not produce: read at its newest version."""

    io: str
    target: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written by the author, as tagged JSON (`dbxdec.model.literals`).

    Only the build knows what was `given`.
    """

    value: Json
    given: Any = field(default=None, compare=False, repr=False)


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


@dataclass(frozen=True, slots=True)
class Item:
    """The item of the iteration, in a task that runs for each of many."""


Binding: TypeAlias = TaskOutput | TaskValue | Table | Literal | Parameter | Sequence | Mapped | Item


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
class Each:
    """A task that runs once for each of `items`: a Literal list, or the Parameter or task's result that is one."""

    items: Binding
    concurrency: Any = None


@dataclass(frozen=True, slots=True)
class Output:
    """Where one result goes: to `target` through the IoManager class `io`, or, without one, to a task value.

    `settings` are the manager's own (mode, partition columns, ...), for people and tools that read the manifest. With
    `per_item` each iteration of a for-each task has a target of its own, which the manager derives from `target`. With
    `partial` the table holds more than what one write stores, so a result and its table differ.
    """

    io: str | None = None
    target: str | None = None
    type: ValueType | None = None
    settings: Mapping[str, Json] = field(default_factory=dict)
    shared: bool = False
    per_item: bool = False
    partial: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """`task` has to end first; `outcome` names a branch of a condition task."""

    task: str
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task: of the kind "python" it is a function, else a task of the platform's own with its fields in `settings`.

    Kinds are "python", "native", "condition" and "run_job"; `function` is None for all but the first. With `on_failure`
    it is the job's failure handler, which ends with an error. `compares` is the type of what a condition compares for
    equality.
    """

    key: str
    function: str | None
    source: SourceLocation
    inputs: Mapping[str, Binding]
    outputs: Mapping[str, Output]
    depends_on: tuple[Dependency, ...] = ()
    run_if: str | None = None
    variables: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "python"
    each: Each | None = None
    on_failure: bool = False
    compares: ValueType | None = None
    doc: str | None = None
    """The docstring of the function, without its indentation; None where there is none."""
    # What only the build knows and needs: where the task was called, where it was overridden, and which inputs may be
    # None.
    called_at: SourceLocation | None = field(default=None, compare=False)
    overridden_at: SourceLocation | None = field(default=None, compare=False)
    optional: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def set_at(self) -> SourceLocation:
        """The line that gave the task its settings last."""
        return self.overridden_at or self.source

    @property
    def runs_job(self) -> str:
        """The key of the job that a task of the kind "run_job" runs."""
        text: str = self.settings["run_job_task"]["job_id"]
        return text.removeprefix("${resources.jobs.").removesuffix(".id}")


def places_of(task: Task) -> list[tuple[str | None, str]]:
    """The IoManager class and the place of each table that `task` writes, or reads without a producer."""
    written = [(output.io, output.target) for output in task.outputs.values() if output.target is not None]
    read = [leaf for binding in task.inputs.values() for leaf in flatten(binding) if isinstance(leaf, Table)]
    return list(dict.fromkeys([*written, *((table.io, table.target) for table in read)]))


@dataclass(frozen=True, slots=True)
class JobParameter:
    """A typed parameter; `default` is its text on the platform, None where the author gave no default.

    With `run_date` the default is the moment at which the run was triggered, of which this makes the date.
    """

    name: str
    type: ValueType
    default: str | None = None
    run_date: RunDate | None = None

    def value(self, text: str, trigger: Trigger | None = None) -> Any:
        """The value that `text` carries, in a run with this `trigger`. Raises ValueError with what was expected."""
        if self.run_date is not None and trigger is not None and text == trigger.text:
            return self.run_date.at(trigger.moment)
        if self.type.kind == "date":
            found, text = passed_on(text)
            if found is not None:
                return found
        return self.type.from_text(text)


@dataclass(frozen=True, slots=True)
class Job:
    """A job: its tasks in the order of their calls, and what they run on."""

    key: str
    module: str
    function: str
    source: SourceLocation
    tasks: tuple[Task, ...]
    parameters: tuple[JobParameter, ...] = ()
    clusters: Mapping[str, Any] = field(default_factory=dict)
    environments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    doc: str | None = None
    """The docstring of the function, without its indentation; None where there is none."""
    # What only the build needs: whether the author has said that a run with failures may be a success.
    allows_failures: bool = field(default=False, compare=False)

    @property
    def variables(self) -> tuple[str, ...]:
        """The bundle variables that any task of the job needs at run time."""
        return tuple(sorted({name for task in self.tasks for name in task.variables}))

    def reads(self, key: str, output: str) -> bool:
        """Return whether a task of the job reads what the task `key` stores in this run as its output `output`."""
        return any(
            isinstance(leaf, TaskOutput) and (leaf.task, leaf.output) == (key, output) and leaf.rows != "newest"
            for task in self.tasks
            for binding in task.inputs.values()
            for leaf in flatten(binding)
        )

    def task(self, key: str) -> Task:
        """The task `key`; raises KeyError."""
        for task in self.tasks:
            if task.key == key:
                return task
        raise KeyError(key)


def no_parameter(job: str, name: str, known: Collection[str], also: Iterable[str] = ()) -> Problem:
    """Return the problem of a job that has no parameter `name`; `also` are other names that may have been meant."""
    hint = did_you_mean(name, [*known, *also]) or f"its parameters are {', '.join(known) or 'none'}"
    return Problem(f"the job `{job}` has no parameter `{name}`", hint=hint)


def summary(doc: str | None) -> str | None:
    """Return the first paragraph of a docstring as one line; None where there is none."""
    return " ".join(doc.split("\n\n", 1)[0].split()) if doc else None


def run_order(job: Job) -> list[Task]:
    """The job's tasks, each after all that it depends on, otherwise in the author's order.

    Tasks on a cycle, and those behind one, are left out: `cycles` names them.
    """
    waiting = {task.key: {d.task for d in task.depends_on} for task in job.tasks}
    followers: dict[str, list[str]] = defaultdict(list)
    for task in job.tasks:
        for key in waiting[task.key]:
            followers[key].append(task.key)
    position = {task.key: i for i, task in enumerate(job.tasks)}
    import heapq

    ready = [position[key] for key, blockers in waiting.items() if not blockers]  # in order, and so a heap
    order = []
    while ready:
        task = job.tasks[heapq.heappop(ready)]
        order.append(task)
        for key in followers[task.key]:
            waiting[key].discard(task.key)
            if not waiting[key]:
                heapq.heappush(ready, position[key])
    return order
