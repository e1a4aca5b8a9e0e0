"""The DAG as frozen data, and its run order. No I/O, no third-party import; `checks` has the checks."""

from __future__ import annotations

import typing
from collections import defaultdict
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeAlias

from dbxdec.errors import Problem, SourceLocation, did_you_mean
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from dbxdec.model.changes import Changes
    from dbxdec.model.contracts import Contract
    from dbxdec.model.following import Follower
    from dbxdec.model.keys import Key
    from dbxdec.model.literals import Json
    from dbxdec.model.rundate import RunDate
    from dbxdec.model.trigger import Trigger
    from dbxdec.model.values import ValueType

RESULT = "result"
"""The name of the only output of a task."""
RETURN_VALUE = "return_value"
"""The key of the task value that carries a small result."""
RETURN_TEXT = "dbxdec_text"
"""The key of the string of a small result that conditions compare."""
RETURN_PARAMETER = "dbxdec_parameter"
"""The key of the string of a small result (None included) as a job parameter, for runs of other jobs."""
DATE_OF = "dbxdec_date_"
"""The prefix of the keys of job parameters' dates, which Python tasks set as task values for other kinds."""
RESULTS = frozenset({RETURN_VALUE, RETURN_TEXT, RETURN_PARAMETER})


MAX_CONCURRENCY = 100
"""The most iterations of a for-each task that the platform runs at once."""
Rows = typing.Literal["run", "table", "newest", "changed"]
"""The rows of a task's result that a reader gets.

"run": what the task returned in this run (of a merge, the table as it left it). "table": the whole table at the
version that the task wrote in this run. "newest": the table at its newest version, whoever wrote it. "changed": like
"run", but after a merge only the rows that it inserted or changed.
"""


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """The output that another task of the job stored, and which rows of it are read.

    With `changes` they are those of the newest version that the reader has not read yet.
    """

    task: str
    output: str = RESULT
    rows: Rows = "run"
    changes: Changes | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table that the job did not produce. It is read at its newest version; with `changes`, what is new there."""

    io: str
    target: str
    changes: Changes | None = None


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written by the author, as tagged JSON (`dbxdec.model.literals`).

    `given` is the original value, which only the build knows.
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
    """The item of the current iteration in a for-each task."""


Binding: TypeAlias = TaskOutput | TaskValue | Table | Literal | Parameter | Sequence | Mapped | Item


def flatten(binding: Binding) -> Iterator[Binding]:
    """Yield the bindings at the leaves of `binding`, in order."""
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
    """The items of a for-each task: a Literal list, or a Parameter or task's result that is a list.

    `type` is how the function takes an item that comes with the run; None where it says nothing.
    """

    items: Binding
    concurrency: Any = None
    type: ValueType | None = None

    @property
    def left_by(self) -> tuple[str, str] | None:
        """The task that leaves the list, and the key of its task value; None for a list of no task."""
        match self.items:
            case TaskOutput(task):
                return task, RETURN_VALUE
            case TaskValue(task, key):
                return task, key
        return None


@dataclass(frozen=True, slots=True)
class Output:
    """The place of one result: `target` through the IoManager class `io`, or a task value if `io` is None.

    `settings` are the manager's own (mode, partition columns, ...), for people and tools that read the manifest. With
    `per_item` each iteration of a for-each task has its own target, which the manager derives from `target`. With
    `partial` the table has more rows than one write stores, so a result and its table differ. `contract` is what the
    annotation says of a frame.
    """

    io: str | None = None
    target: str | None = None
    type: ValueType | None = None
    settings: Mapping[str, Json] = field(default_factory=dict)
    shared: bool = False
    per_item: bool = False
    partial: bool = False
    contract: Contract | None = None
    # Only the build knows it: whether the task may return None for it.
    may_be_none: bool = field(default=False, compare=False)

    @property
    def keyed(self) -> bool:
        """True if the table tells which keys of its job are there."""
        return self.settings.get("keyed") is not False

    @property
    def quarantine(self) -> str | None:
        """The place of the table that gets the rows which this one leaves out. It may hold `{job}` and `{task}`."""
        place = self.settings.get("quarantine")
        return place if isinstance(place, str) else None


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """A task that has to end first. `outcome` names a branch of a condition task."""

    task: str
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task: a Python function, or a task of the platform's own kinds with its fields in `settings`.

    `kind` is "python", "native", "condition" or "run_job"; `function` is None for all but the first. With `on_failure`
    the task is the job's failure handler, which ends with an error. `compares` is the type of the values that a
    condition compares for equality.
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
    """The docstring of the function, without its indentation; None if it has none."""
    spark_conf: Mapping[str, str | int | bool] = field(default_factory=dict)
    """Settings that the Spark session has while the task runs."""
    closes_over: Mapping[str, str] = field(default_factory=dict)
    """Digests of the plain values that the function takes along from the job's body, by name."""
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    """Contracts that its annotations name for frames, by their places in its arguments: `flights`, `parts[0]`."""
    # Only the build knows these: where the task was called and overridden, and which inputs may be None.
    called_at: SourceLocation | None = field(default=None, compare=False)
    overridden_at: SourceLocation | None = field(default=None, compare=False)
    optional: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def set_at(self) -> SourceLocation:
        """The line that set the task's settings last."""
        return self.overridden_at or self.source

    @property
    def runs_job(self) -> str:
        """The key of the job that a "run_job" task runs."""
        text: str = self.settings["run_job_task"]["job_id"]
        return text.removeprefix("${resources.jobs.").removesuffix(".id}")

    @property
    def leaves(self) -> Iterator[Binding]:
        """The bindings of all inputs, those inside lists and dicts one by one."""
        return (leaf for binding in self.inputs.values() for leaf in flatten(binding))

    @property
    def passes(self) -> Mapping[str, str]:
        """The parameters that a "run_job" task gives to the job that it runs, as they are written."""
        given: Mapping[str, str] = self.settings["run_job_task"].get("job_parameters", {})
        return given


def changes_of(task: Task) -> dict[str, tuple[TaskOutput | Table, Changes]]:
    """Return the parameters of `task` that get the new rows of a table, with that table."""
    return {
        name: (binding, binding.changes)
        for name, binding in task.inputs.items()
        if isinstance(binding, TaskOutput | Table) and binding.changes is not None
    }


def places_of(task: Task) -> list[tuple[str | None, str]]:
    """Return the IoManager class and the place of each table that `task` writes, or reads without a producer."""
    written = [(output.io, output.target) for output in task.outputs.values() if output.target is not None]
    written += [(output.io, output.quarantine) for output in task.outputs.values() if output.quarantine is not None]
    read = [leaf for leaf in task.leaves if isinstance(leaf, Table)]
    return list(dict.fromkeys([*written, *((table.io, table.target) for table in read)]))


@dataclass(frozen=True, slots=True)
class JobParameter:
    """A typed job parameter. `default` is its string on the platform, None if the author gave no default.

    With `run_date`, or a `key` that is a period, the default is the moment at which the run was triggered; these turn
    it into a date.
    """

    name: str
    type: ValueType
    default: str | None = None
    run_date: RunDate | None = None
    key: Key | None = None

    @property
    def follows(self) -> Follower | None:
        """The rule that makes the default of the moment when the run was triggered; None for a constant."""
        return self.run_date or (self.key if self.key is not None and self.key.is_period else None)

    def is_key(self, value: Any) -> bool:
        """Return whether a value is one of those that there should be; True for a parameter that is no key."""
        if self.key is None:
            return True
        return self.key.has(value) if self.key.is_period else self.key_text(value) in self.key.values

    def key_text(self, value: Any) -> str:
        """Return the string of a value that is a key: equal values have equal ones."""
        if self.key is not None and self.key.is_period:
            return self.key.text(value)
        text = self.type.to_text(value)
        if self.key is None or text in self.key.values or self.type.kind not in ("decimal", "datetime"):
            return text
        # 1.1 is 1.10, and a moment is the same one in any zone.
        return next((one for one in self.key.values if self.type.from_text(one) == value), text)

    def value(self, text: str, trigger: Trigger | None = None, *, names: bool = False) -> Any:
        """Return the value of `text` in a run with this `trigger`, with `names` as `ValueType.from_text` does.

        Raises ValueError with what was expected.
        """
        if self.follows is not None and trigger is not None and text == trigger.text:
            return self.follows.at(trigger.moment)
        if self.type.kind in ("date", "datetime") and text.startswith("<"):
            from dbxdec.model.following import passed_on

            found, text = passed_on(text)
            if found is not None:
                return found
        value = self.type.from_text(text, names=names)
        return self.key.as_given(value) if self.key is not None and self.key.is_period else value


@dataclass(frozen=True, slots=True)
class Job:
    """A job: its tasks in the order of their calls, its parameters and its compute."""

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
    """The docstring of the function, without its indentation; None if it has none."""
    # Only the build needs this: the author has said that a run with failures may be a success.
    allows_failures: bool = field(default=False, compare=False)

    @property
    def variables(self) -> tuple[str, ...]:
        """The bundle variables that the tasks of the job need at run time."""
        return tuple(sorted({name for task in self.tasks for name in task.variables}))

    @property
    def key_parameters(self) -> tuple[JobParameter, ...]:
        """The parameters that say which slice of the data a run is for."""
        return tuple(parameter for parameter in self.parameters if parameter.key is not None)

    def reads(self, key: str, output: str) -> bool:
        """Return whether a task of the job reads the output `output` that the task `key` stores in this run."""
        return any(
            isinstance(leaf, TaskOutput) and (leaf.task, leaf.output) == (key, output) and leaf.rows != "newest"
            for task in self.tasks
            for leaf in task.leaves
        )

    def task(self, key: str) -> Task:
        """Return the task `key`. Raises KeyError if it does not exist."""
        for task in self.tasks:
            if task.key == key:
                return task
        raise KeyError(key)


def no_parameter(job: str, name: str, known: Collection[str], also: Iterable[str] = ()) -> Problem:
    """Return the problem of a job that has no parameter `name`; `also` are other names that may have been meant."""
    hint = did_you_mean(name, [*known, *also]) or parameters_hint(known)
    return Problem(f"the job `{job}` has no parameter `{name}`", hint=hint)


def parameters_hint(known: Collection[str]) -> str:
    """Return a hint with the parameters that a job has."""
    return f"its parameters are {', '.join(known)}" if known else "it has no parameters"


def summary(doc: str | None) -> str | None:
    """Return the first paragraph of a docstring as one line; None if there is no docstring."""
    return " ".join(doc.split("\n\n", 1)[0].split()) if doc else None


def run_order(job: Job) -> list[Task]:
    """Return the job's tasks, each after its upstream tasks, otherwise in the author's order.

    Tasks on a cycle, and tasks downstream of one, are left out; `checks.check` reports cycles.
    """
    waiting = {task.key: {d.task for d in task.depends_on} for task in job.tasks}
    followers: dict[str, list[str]] = defaultdict(list)
    for task in job.tasks:
        for key in waiting[task.key]:
            followers[key].append(task.key)
    position = {task.key: i for i, task in enumerate(job.tasks)}
    import heapq

    ready = [position[key] for key, blockers in waiting.items() if not blockers]  # sorted, so it is a heap
    order = []
    while ready:
        task = job.tasks[heapq.heappop(ready)]
        order.append(task)
        for key in followers[task.key]:
            waiting[key].discard(task.key)
            if not waiting[key]:
                heapq.heappush(ready, position[key])
    return order


def partial_reads(job: Job) -> list[tuple[Task, str, TaskOutput]]:
    """Return the arguments, by task and parameter, that are the rows of one run of a table that may have more."""
    tasks = {task.key: task for task in job.tasks}
    return [
        (task, name, leaf)
        for task in job.tasks
        for name, binding in task.inputs.items()
        for leaf in flatten(binding)
        if isinstance(leaf, TaskOutput)
        and leaf.rows == "run"
        and leaf.output in tasks[leaf.task].outputs
        and tasks[leaf.task].outputs[leaf.output].partial
    ]
