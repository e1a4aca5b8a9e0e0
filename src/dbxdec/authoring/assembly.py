"""Assembles the frozen DAG of a job from the calls that its body recorded."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.authoring import contracting, expecting, new_rows, recording
from dbxdec.authoring.captured import captured
from dbxdec.authoring.compute import Environment, JobCluster
from dbxdec.authoring.definitions import doc_of, place_of
from dbxdec.authoring.nodes import Call, Recorder, Step
from dbxdec.authoring.surroundings import Surroundings
from dbxdec.errors import AuthoringError, Problem, shown
from dbxdec.model import dag, kinds, signatures
from dbxdec.model.values import ANY, ValueType
from dbxdec.model.variables import names_in
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dbxdec.authoring.tasks import Task
    from dbxdec.errors import SourceLocation
    from dbxdec.io_managers.base import IoManager


@dataclass(frozen=True)
class Handled:
    """A failure handler after which the run counts as a success."""

    task: Task[[], Any]


def handled(task: Task[[], Any]) -> Handled:
    """Let a run succeed, "with failures", when its failure handler has succeeded: `@job(on_failure=handled(task))`.

    Without it a run in which a task has failed is a failed run.

    Args:
        task: A task without arguments.

    Returns:
        What `on_failure=` takes.

    Raises:
        AuthoringError: `task` is not a task.

    Example:
        ```python
        from dbxdec import handled, job, task


        @task
        def load() -> None: ...


        @task
        def tidy() -> None: ...


        @job(on_failure=handled(tidy))
        def daily() -> None:
            load()
        ```
    """
    from dbxdec.authoring.tasks import Task

    if not isinstance(task, Task):
        raise AuthoringError(
            Problem(
                f"`handled` got {shown(task)}, which is not a task",
                recording.caller(),
                "pass a function with `@task` that takes no arguments",
            )
        )
    return Handled(task)


@dataclass(frozen=True)
class JobOptions:
    """The options of a job. `settings` are the platform's own fields as plain data."""

    key: str | None = None
    cluster: JobCluster | None = None
    environment: Environment | None = None
    io_manager: IoManager | None = None
    on_failure: Task[[], Any] | Handled | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def assemble(
    function: Callable[..., Any],
    options: JobOptions,
    recorder: Recorder,
    parameters: Sequence[dag.JobParameter],
    module: str,
) -> dag.Job:
    """Return the DAG. Two clusters or environments with the same key are noted on the recorder."""
    nodes = list(recorder.calls.values())
    own = [node.task.options if isinstance(node, Call) else node for node in nodes]
    variables = _Variables(_compared(nodes))
    if any(parameter.key is not None for parameter in parameters):
        variables.add_waiting(node for node in nodes if isinstance(node, Call))
    surroundings = Surroundings()
    for node in nodes:
        if isinstance(node, Call):
            recorder.problems += [p for p in surroundings.of(node.task.fn)[1] if p not in recorder.problems]
    where = place_of(function)
    tasks = tuple(
        _task(node, options, variables, surroundings) if isinstance(node, Call) else _step(node, options)
        for node in nodes
    )
    known = {parameter.name: parameter.type for parameter in parameters}
    types = {name: known.get(name, ValueType(ANY)) for name in signatures.signature(function).parameters}
    for node, task in zip(nodes, tasks, strict=True):
        if isinstance(node, Call):
            new_rows.check(node, task, parameters)
            expecting.check(node, types)
    parameters = [*parameters, *new_rows.parameters(recorder, tasks, where)]
    return dag.Job(
        key=recorder.job,
        module=module,
        function=reference(function),
        source=where,
        tasks=tasks,
        parameters=tuple(parameters),
        clusters=_by_key(recorder, "cluster", where, (options.cluster, *(each.cluster for each in own))),
        environments=_by_key(
            recorder, "environment", where, (options.environment, *(each.environment for each in own))
        ),
        settings=options.settings,
        allows_failures=isinstance(options.on_failure, Handled),
        doc=doc_of(function),
    )


def reference(function: Callable[..., Any]) -> str:
    """Return "module:Qualified.Name" of a function."""
    return f"{function.__module__}:{function.__qualname__}"


def _compared(nodes: Iterable[Call | Step]) -> set[str]:
    """Return the bundle variables that conditions compare as strings. Python tasks check them, like parameters."""
    return {
        name
        for node in nodes
        if isinstance(node, Step) and node.compares is not None and node.compares.kind != "str"
        for name in names_in(dict(node.settings))
    }


class _Variables:
    """The bundle variables of IoManagers. Each manager is searched once: most jobs have one for all their tasks."""

    def __init__(self, of_all: set[str]) -> None:
        self.of_all = of_all
        self.waiting: defaultdict[str, set[str]] = defaultdict(set)
        """By task, those of the tables in which it notes a key where it leaves no items for them."""
        self._known: dict[int, set[str]] = {}

    def add_waiting(self, calls: Iterable[Call]) -> None:
        for call in calls:
            if call.each is not None and (left := call.each.left_by) is not None:
                keyed = [manager for name, manager in call.managers.items() if call.outputs[name].keyed]
                self.waiting[left[0]].update(*map(self.of, keyed))

    def of(self, manager: IoManager) -> set[str]:
        found = self._known.get(id(manager))
        if found is None:
            found = self._known[id(manager)] = manager.variables()
        return found


def _task(call: Call, options: JobOptions, variables: _Variables, surroundings: Surroundings) -> dag.Task:
    fn = call.task.fn
    names = variables.of_all | variables.waiting[call.key] | set(surroundings.of(fn)[0])
    for manager in call.managers.values():
        names |= variables.of(manager)
    items = [] if call.each is None else [call.each.items]
    for leaf in (leaf for binding in call.inputs.values() for leaf in dag.flatten(binding)):
        if isinstance(leaf, dag.TaskOutput):
            producer = call.recorder.calls[leaf.task]
            if leaf.output in producer.managers:
                names |= variables.of(producer.managers[leaf.output])
            # A reader counts the iterations, and may read their results by item.
            items += [producer.each.items] if producer.each is not None else []
        elif isinstance(leaf, dag.Table):
            names |= variables.of(call.recorder.tables[leaf.target])
        elif isinstance(leaf, dag.Literal):
            names |= names_in(leaf.value)
    names |= names_in([item.value for item in items if isinstance(item, dag.Literal)])
    names |= names_in(list(call.task.options.spark_conf.values()))
    return dag.Task(
        key=call.key,
        function=reference(fn),
        source=place_of(fn),
        inputs=call.inputs,
        outputs=call.outputs,
        depends_on=tuple(call.depends_on),
        run_if=call.task.options.run_if,
        variables=tuple(sorted(names)),
        settings=_with_compute(call.settings, options, True, True),
        called_at=call.where,
        overridden_at=call.task.overridden_at,
        each=call.each,
        on_failure=call.on_failure,
        doc=doc_of(fn),
        optional=frozenset(call.optional),
        spark_conf=call.task.options.spark_conf,
        closes_over=captured(fn),
        contracts=contracting.of_inputs(fn, call.inputs),
    )


def _step(step: Step, options: JobOptions) -> dag.Task:
    return dag.Task(
        key=step.key,
        kind=step.kind,
        function=None,
        source=step.where,
        inputs={},
        outputs={},
        depends_on=tuple(step.depends_on),
        run_if=step.run_if,
        compares=step.compares,
        settings=_native_settings(step.settings, options),
        called_at=step.where,
    )


def _native_settings(settings: Mapping[str, Any], options: JobOptions) -> dict[str, Any]:
    """Return `settings` with compute. A for-each task has none itself, so its compute goes to the inner task."""
    match settings.get("for_each_task"):
        case {"task": dict(inner)}:
            given = kinds.compute_of_its_own(settings)
            outer = {name: value for name, value in settings.items() if name not in given}
            inner = inner if kinds.compute_of_its_own(inner) else inner | given
            return {**outer, "for_each_task": {**settings["for_each_task"], "task": _native_settings(inner, options)}}
    return _with_compute(settings, options, kinds.runs_on_clusters(settings), kinds.runs_in_environments(settings))


def _with_compute(
    settings: Mapping[str, Any], options: JobOptions, on_clusters: bool, in_environments: bool
) -> dict[str, Any]:
    """Return `settings`, with the job's cluster or environment if the task has no compute of its own and takes it."""
    own = dict(settings)
    if not kinds.compute_of_its_own(own):
        if options.cluster is not None and on_clusters:
            own["job_cluster_key"] = options.cluster.key
        if options.environment is not None and in_environments:
            own["environment_key"] = options.environment.key
    return own


def _by_key(recorder: Recorder, kind: str, where: SourceLocation, values: Iterable[Any]) -> dict[str, Any]:
    """Return the clusters or environments in use, by key. Two different ones with the same key are noted."""
    found: dict[str, Any] = {}
    for value in values:
        if not isinstance(value, JobCluster | Environment):
            continue
        fields = value.new_cluster if isinstance(value, JobCluster) else value.spec
        if found.setdefault(value.key, dict(fields)) != fields:
            recorder.problem(
                f"two different {kind}s of the job `{recorder.job}` have the key `{value.key}`",
                f'give one of them another key: `{"job_" if kind == "cluster" else ""}{kind}("...", ...)`',
                where,
            )
    return found
