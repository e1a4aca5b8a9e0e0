"""`@job`: a function whose body wires tasks; it runs when the DAG is built, never at import."""

from __future__ import annotations

import functools
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, overload

from dbxdec import dag
from dbxdec.authoring import recording
from dbxdec.authoring.calls import record_call
from dbxdec.authoring.compute import Environment, JobCluster
from dbxdec.authoring.nodes import Call, Recorder
from dbxdec.authoring.parameters import parameters_of
from dbxdec.authoring.references import ParameterProxy
from dbxdec.authoring.settings import plain
from dbxdec.errors import AuthoringError, DbxdecError, Problem, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Unpack

    from databricks.bundles.jobs import JobDict

    from dbxdec.authoring.tasks import Task
    from dbxdec.io_managers.base import IoManager

P = ParamSpec("P")

# Fields that dbxdec fills itself, and what the author writes instead.
_OWN_FIELDS = {
    "tasks": "calls of tasks in the job's body",
    "parameters": "parameters of the job's function",
    "job_clusters": "`cluster=job_cluster(...)`",
    "environments": "`environment=environment(...)`",
}

_registry: list[Job[...]] = []


@dataclass(frozen=True)
class BuiltJob:
    """A job's DAG with the live objects behind it; `problems` holds every mistake found in its body."""

    dag: dag.Job
    tasks: Mapping[str, Task[..., Any]]
    managers: Mapping[str, IoManager]
    """The IoManager of each task that has one, by task key."""
    tables: Mapping[str, IoManager]
    """The tables given as inputs, by target."""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class JobOptions:
    """How a job runs; `settings` are the platform's own fields as plain data."""

    key: str | None = None
    cluster: JobCluster | None = None
    environment: Environment | None = None
    io_manager: IoManager | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


class Job(Generic[P]):
    """A function decorated with `@job`. Its parameters are the job's parameters; its body wires tasks."""

    def __init__(self, fn: Callable[P, Any], options: JobOptions) -> None:
        self.fn = fn
        self.options = options
        self.key = options.key or fn.__name__
        functools.update_wrapper(self, fn)
        _registry.append(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> NoReturn:
        raise AuthoringError(
            Problem(
                f"the job `{self.key}` is called, and a job is not a function to call",
                recording.caller(),
                f"run it with `dbxdec run {self.key}`; its tasks can be called: `{self.key}.tasks[...].fn(...)`",
            )
        )

    def __repr__(self) -> str:
        return f"<job {self.key}>"

    @functools.cached_property
    def tasks(self) -> Mapping[str, Task[..., Any]]:
        """The job's tasks by key, nested ones too. Raises AuthoringError where the job's body is wrong."""
        built = self.build()
        if built.problems:
            raise AuthoringError(built.problems)
        return built.tasks

    def build(self, module: str | None = None) -> BuiltJob:
        """Run the job's body once and give its DAG. `module` is the one whose import defines the job."""
        parameters, problems = parameters_of(self.fn)
        known = {parameter.name: parameter for parameter in parameters}
        recorder = Recorder(self.key, known, record_call, self.options.io_manager)
        recorder.problems += problems
        names = self.fn.__code__.co_varnames[: self.fn.__code__.co_argcount + self.fn.__code__.co_kwonlyargcount]
        with recording.active(recorder):
            try:
                self.fn(**{name: ParameterProxy(recorder, name) for name in names})  # type: ignore[arg-type, call-arg]
            except Exception as error:  # noqa: BLE001 - the body is the author's code
                recorder.problems += _body_failed(self.key, error)
            else:
                recorder.check_definitions()
        calls = recorder.calls
        return BuiltJob(
            dag=self._dag(module or self.fn.__module__, recorder, parameters),
            tasks={key: call.task for key, call in calls.items()},
            managers={key: call.manager for key, call in calls.items() if call.manager is not None},
            tables=recorder.tables,
            problems=tuple(recorder.problems),
        )

    def _dag(self, module: str, recorder: Recorder, parameters: list[dag.JobParameter]) -> dag.Job:
        calls = recorder.calls.values()
        return dag.Job(
            key=self.key,
            module=module,
            function=_reference(self.fn),
            source=SourceLocation.of_code(self.fn.__code__),
            tasks=tuple(self._task(call) for call in calls),
            parameters=tuple(parameters),
            clusters=_by_key(recorder, "cluster", (self.options.cluster, *(c.task.options.cluster for c in calls))),
            environments=_by_key(
                recorder, "environment", (self.options.environment, *(c.task.options.environment for c in calls))
            ),
            settings=self.options.settings,
        )

    def _task(self, call: Call) -> dag.Task:
        fn = call.task.fn
        managers = [call.manager] if call.manager is not None else []
        for binding in call.inputs.values():
            for leaf in dag.flatten(binding):
                if isinstance(leaf, dag.TaskOutput) and (manager := call.recorder.calls[leaf.task].manager):
                    managers.append(manager)
                elif isinstance(leaf, dag.Table):
                    managers.append(call.recorder.tables[leaf.target])
        names = {name for manager in managers for name in manager.variables()}
        return dag.Task(
            key=call.key,
            function=_reference(fn),
            source=SourceLocation.of_code(fn.__code__),
            inputs=call.inputs,
            outputs=call.outputs,
            depends_on=tuple(call.depends_on),
            run_if=call.task.options.run_if,
            variables=tuple(sorted(names | _literal_variables(call.inputs.values()))),
            settings=self._with_compute(call.settings),
            called_at=call.where,
        )

    def _with_compute(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """`settings`, with the job's cluster or environment where the task has no compute of its own."""
        chosen = {"job_cluster_key", "environment_key", "existing_cluster_id", "new_cluster"} & settings.keys()
        own = dict(settings)
        if not chosen and self.options.cluster is not None:
            own["job_cluster_key"] = self.options.cluster.key
        elif not chosen and self.options.environment is not None:
            own["environment_key"] = self.options.environment.key
        return own


def registered() -> list[Job[...]]:
    """The jobs defined so far in this process, in order of their definition."""
    return list(_registry)


def _literal_variables(bindings: Iterable[dag.Binding]) -> set[str]:
    from dbxdec.variables import names_in

    leaves = [leaf for binding in bindings for leaf in dag.flatten(binding)]
    return names_in([leaf.value for leaf in leaves if isinstance(leaf, dag.Literal)])


def _by_key(recorder: Recorder, kind: str, values: Iterable[Any]) -> dict[str, Any]:
    """The clusters or environments in use, by key; two different ones under one key are noted."""
    found: dict[str, Any] = {}
    for value in values:
        if not isinstance(value, JobCluster | Environment):
            continue
        fields = value.new_cluster if isinstance(value, JobCluster) else value.spec
        if found.setdefault(value.key, dict(fields)) != fields:
            recorder.problem(f"two different {kind}s of the job `{recorder.job}` have the key `{value.key}`")
    return found


def _reference(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{function.__qualname__}"


def _body_failed(job: str, error: Exception) -> list[Problem]:
    """The author's exception as a problem at the author's line; ours keep what they say."""
    frames = [
        SourceLocation.of_frame(frame).__class__(frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not recording.is_own(frame.f_globals)
    ]
    where = frames[-1] if frames else None
    if isinstance(error, DbxdecError):
        return [Problem(p.message, p.where or where, p.hint) for p in error.problems]
    text = "".join(traceback.format_exception_only(error)).strip()
    return [Problem(f"the body of the job `{job}` raised {text}", where, "the body only wires tasks; it runs at build")]


@overload
def job(fn: Callable[P, Any], /) -> Job[P]: ...
@overload
def job(
    *,
    key: str | None = None,
    cluster: JobCluster | None = None,
    environment: Environment | None = None,
    io_manager: IoManager | None = None,
    **fields: Unpack[JobDict],
) -> Callable[[Callable[P, Any]], Job[P]]: ...
def job(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    key: str | None = None,
    cluster: JobCluster | None = None,
    environment: Environment | None = None,
    io_manager: IoManager | None = None,
    **fields: Any,
) -> Any:
    """Make a job of a function. Keywords are dbxdec's own and every field of a Databricks job as the API spells it.

    Raises AuthoringError, with the line, for anything but a plain function and for fields that dbxdec fills itself.
    """
    where = recording.caller()
    problems = [
        Problem(f"the field `{name}` of a job is filled by dbxdec", where, f"write {instead}")
        for name, instead in _OWN_FIELDS.items()
        if name in fields
    ]
    for value, kind, name in ((cluster, JobCluster, "job_cluster"), (environment, Environment, "environment")):
        if value is not None and not isinstance(value, kind):
            problems.append(Problem(f"{value!r:.60} is not a {name}", where, f"use `{name}(key, ...)`"))
    if cluster is not None and environment is not None:
        problems.append(
            Problem(
                "a job has a cluster and an environment", where, "a job's default is classic or serverless: remove one"
            )
        )
    if problems:
        raise AuthoringError(problems)
    options = JobOptions(key, cluster, environment, io_manager, plain(dict(fields)))

    def decorate(fn: Callable[..., Any]) -> Job[...]:
        if getattr(fn, "__code__", None) is None:
            raise AuthoringError(
                Problem(f"@job is for functions; this is {fn!r:.60}", where, "put it on top of a `def`")
            )
        return Job(fn, options)

    return decorate if fn is None else decorate(fn)
