"""Jobs: the body of a function with `@job` wires tasks. It runs when the DAG is built, never at import."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, overload

from dbxdec.authoring import recording
from dbxdec.authoring.assembly import Handled, JobOptions, assemble
from dbxdec.authoring.calls import record_call
from dbxdec.authoring.compute import Environment, JobCluster
from dbxdec.authoring.dates import with_dates
from dbxdec.authoring.definitions import place_of, rebound, seen_by
from dbxdec.authoring.identity import tested_for_none
from dbxdec.authoring.nodes import Call, Recorder
from dbxdec.authoring.parameters import declared_of, parameters_of
from dbxdec.authoring.references import ParameterProxy, Spoiled
from dbxdec.authoring.settings import given_fields
from dbxdec.authoring.steps import run_job
from dbxdec.authoring.tasks import Task, has_stores
from dbxdec.errors import AuthoringError, DbxdecError, Problem, SourceLocation, shown
from dbxdec.io_managers.base import IoManager, Mistaken
from dbxdec.model import dag, signatures
from dbxdec.model.comparisons import compared_parameters
from dbxdec.model.mistakes import forgiving, is_defining, spoiled
from dbxdec.model.typehints import unwrapped
from dbxdec.model.variables import JOINING, BundleVariable
from dbxdec.records import dataclass
from dbxdec.support.pauses import without_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Unpack

    from dbxdec.authoring.keywords import JobFields
    from dbxdec.authoring.proxies import TaskProxy

P = ParamSpec("P")

# Fields that dbxdec fills itself, and what the author writes instead.
_OWN_FIELDS = {
    "tasks": "call tasks in the job's body",
    "parameters": "give the job's function parameters: `def daily(day: dt.date)`",
    "job_clusters": "use `cluster=job_cluster(...)`",
    "environments": "use `environment=environment(...)`",
}
_KEYWORDS = ("key", "cluster", "environment", "io_manager", "on_failure")
_KINDS: dict[type, str] = {
    IoManager: "io_manager",
    JobCluster: "cluster",
    Environment: "environment",
    Task: "on_failure",
}

_HANDLES: Literal["AT_LEAST_ONE_FAILED"] = "AT_LEAST_ONE_FAILED"
"""The `run_if` of a failure handler, over all tasks of its job."""

_registry: list[Job[...]] = []


@dataclass(frozen=True)
class BuiltJob:
    """A job's DAG with the live objects behind it. `problems` has every mistake found in its body."""

    dag: dag.Job
    tasks: Mapping[str, Task[..., Any]]
    managers: Mapping[tuple[str, str], IoManager]
    """The IoManager of each output that has one, by the task's key and the output's name."""
    tables: Mapping[str, IoManager]
    """The tables given as inputs, by target."""
    jobs: Mapping[str, Job[...]]
    """The jobs that this job runs, by key."""
    problems: tuple[Problem, ...] = ()


class Job(Generic[P]):
    """A function decorated with `@job`: its parameters are the job's parameters, its body wires tasks.

    In the body of another job a call is a task that runs this one, with its parameters checked. Elsewhere a call is a
    mistake: `dbxdec run` and `dbxdec.testing.run_job` run a job.

    Attributes:
        fn: The function itself.
        key: The job's key.

    Example:
        ```python
        from dbxdec import job, task


        @job
        def hello(name: str = "world") -> None:
            @task
            def greet(name: str) -> str:
                return f"Hello, {name}!"

            greet(name)


        assert hello.tasks["greet"].fn("Ada") == "Hello, Ada!"
        ```
    """

    def __init__(self, fn: Callable[P, Any], options: JobOptions) -> None:
        self.fn = fn
        self.options = options
        self.key = fn.__name__ if options.key is None else options.key
        self.defined_in = recording.running_module() or fn.__module__
        """The module whose import defines the job; a function that makes jobs may be another module's."""
        self._seen = seen_by(fn)
        self._is_running = False
        self._compared: Mapping[str, bool] | None = None
        functools.update_wrapper(self, fn)
        _registry.append(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> TaskProxy[None]:
        """In the body of another job: a task that runs this one, with these parameters."""
        recorder = recording.current()
        if isinstance(recorder, Recorder):
            recorder.jobs[self.key] = self
            return run_job(recorder, self.key, declared_of(self.fn), self.compared, args, dict(kwargs))
        message = f"the job `{self.key}` is called, but a job is not a function to call"
        hint = f"run it with `dbxdec run {self.key}`; its tasks can be called: `{self.key}.tasks[...].fn(...)`"
        if is_defining():
            message = f"the job `{self.key}` is called when its module is imported"
            hint = f"remove the call: run it with `dbxdec run {self.key}`, or call it in the body of another job"
        recording.refuse([Problem(message, hint=hint)])
        return spoiled()  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<job {self.key}>"

    @functools.cached_property
    def tasks(self) -> Mapping[str, Task[..., Any]]:
        """The job's tasks by key, nested ones too.

        Raises:
            AuthoringError: The job's body has mistakes, or has not ended.
        """
        if self._is_running:
            raise AuthoringError(
                f"the body of the job `{self.key}` asks for the job's own tasks, which are known when it has ended",
                hint="use the functions with `@task` themselves, by their names",
            )
        built = self.build()
        if built.problems:
            raise AuthoringError(built.problems)
        return built.tasks

    def compared(self) -> Mapping[str, bool]:
        """Return the parameters that conditions compare, as `comparisons.compared_parameters`. This runs the body."""
        if self._compared is None:
            self._compared = {}  # for jobs that run each other, which is refused elsewhere
            built = self.build()
            self._compared = compared_parameters(
                built.dag, lambda key: built.jobs[key].compared() if key in built.jobs else {}
            )
        return self._compared

    def build(self, module: str | None = None) -> BuiltJob:
        """Run the job's body once and give its DAG. `module` is the one whose import defines the job."""
        parameters, problems = parameters_of(self.fn)
        known = {parameter.name: parameter for parameter in parameters}
        recorder = Recorder(self.key, known, record_call, self.options.io_manager)
        recorder.problems += problems
        recorder.problems += [
            Problem(
                f"the job `{self.key}` uses `{name}`, which the loop that defines the job changes later",
                place_of(self.fn),
                f"define the job in a function that takes `{name}`, and call it for each value",
            )
            for name in rebound(self.fn, self._seen)
        ]
        recorder.problems += [
            Problem(
                f"the job parameter `{name}` is compared with None by `is`; it has a value only when the job runs",
                replace(place_of(self.fn), line=line or place_of(self.fn).line),
                "decide inside a task that receives it, or branch with `condition(...)`",
            )
            for name, line in tested_for_none(self.fn.__code__, known)
        ]
        args, kwargs = _proxies(self.fn, recorder)
        with recording.active(recorder, unwrapped(self.fn).__code__), without_collection():
            before, self._is_running = self._is_running, True
            try:
                self.fn(*args, **kwargs)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the body is the author's code
                recorder.problems += _body_failed(self.key, self.fn, error)
            else:
                recorder.check_definitions()
                recorder.check_items()
                self._record_failure_handler(recorder)
            finally:
                self._is_running = before
        calls = recorder.calls
        made = assemble(self.fn, self.options, recorder, parameters, module or self.fn.__module__)
        return BuiltJob(
            dag=with_dates(made, recorder),
            tasks={key: call.task for key, call in calls.items() if isinstance(call, Call)},
            managers={
                (key, output): manager for key, call in calls.items() for output, manager in call.managers.items()
            },
            tables=recorder.tables,
            jobs=recorder.jobs,
            problems=tuple(recorder.problems),
        )

    def _record_failure_handler(self, recorder: Recorder) -> None:
        """Record the `on_failure` task downstream of all other tasks. It runs if at least one of them has failed.

        It is the only leaf, the task from which the platform takes the status of the run. So it ends with an error,
        unless it is `handled(...)`.
        """
        handler = self.options.on_failure
        if handler is None:
            return
        where, known, before = place_of(self.fn), len(recorder.problems), list(recorder.calls)
        task = handler.task if isinstance(handler, Handled) else handler
        if (own := task.options.run_if) not in (None, _HANDLES):
            recorder.problem(
                f'the task `{task.fn.__name__}` runs where the job fails, so its run_if="{own}" would have no effect',
                "leave it out; a task that runs whatever happens is called in the job's body, after the others: "
                "`done.after(...)`",
            )
        proxy: Any = task.override(run_if=_HANDLES)()
        proxy._call.where = where
        proxy._call.on_failure = not isinstance(handler, Handled)
        for key in before:
            proxy._call.wait_for(key)
        recorder.problems[known:] = [Problem(p.message, where, p.hint) for p in recorder.problems[known:]]


def _proxies(function: Callable[..., Any], recorder: Recorder) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments for the body. `*args` and `**kwargs`, which a job can't have, get nothing."""
    args, kwargs = [], {}
    for name, parameter in signatures.signature(function).parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            args.append(ParameterProxy(recorder, name))
        elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            kwargs[name] = ParameterProxy(recorder, name)
    return args, kwargs


def registered() -> list[Job[...]]:
    """Return the jobs defined so far in this process, in order of definition."""
    return list(_registry)


def forget(some: Iterable[Job[...]] | None = None) -> None:
    """Forget the jobs defined so far, or `some` of them, because their modules will be imported again."""
    gone = None if some is None else {id(job) for job in some}
    _registry[:] = [job for job in _registry if gone is not None and id(job) not in gone]


def _body_failed(job: str, function: Callable[..., Any], error: BaseException) -> list[Problem]:
    """Return the author's exception as a problem at the author's line. dbxdec's own errors keep their messages."""
    import traceback

    package = function.__module__.partition(".")[0]
    frames = [
        SourceLocation(frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__", "").partition(".")[0] == package
    ]
    where = frames[-1] if frames else None
    if isinstance(error, DbxdecError):
        # A place in a library that the body called isn't the author's.
        return [Problem(p.message, where or p.where, p.hint) for p in error.problems]
    if isinstance(error, SystemExit):
        given = "" if error.code is None else repr(error.code)
        message = f"the body of the job `{job}` ended the interpreter: sys.exit({given})"
        return [Problem(message, where, "the body only wires tasks; it runs when the wheel is built")]
    text = "".join(traceback.format_exception_only(error)).strip()
    return [
        Problem(
            f"the body of the job `{job}` raised {text}",
            where,
            _of_values(text) or "the body only wires tasks; it runs when the wheel is built",
        )
    ]


def _of_values(text: str) -> str | None:
    """Return the hint if Python itself refused a placeholder for a value of the run or the bundle; else None."""
    if BundleVariable.__name__ in text:
        return JOINING
    # By the name of its class, as in Python's errors, or by its repr.
    named = {"ParameterProxy": "a job parameter", "TaskProxy": "a task's result", "Reference": "a value of the run"}
    what = next((what for name, what in named.items() if name in text), None)
    if what is None and re.search(r"<(the (job parameter|result of the task|task value) `)", text):
        what = "this value"
    return what and f"{what} has a value only when the job runs: do this inside a task that receives it"


@overload
def job(fn: Callable[P, Any], /) -> Job[P]: ...
@overload
def job(
    *,
    key: str | None = None,
    cluster: JobCluster | None = None,
    environment: Environment | None = None,
    io_manager: IoManager | None = None,
    on_failure: Task[[], Any] | Handled | None = None,
    **fields: Unpack[JobFields],
) -> Callable[[Callable[P, Any]], Job[P]]: ...
@forgiving()
def job(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    key: str | None = None,
    cluster: JobCluster | None = None,
    environment: Environment | None = None,
    io_manager: Any = None,
    on_failure: Any = None,
    **fields: Any,
) -> Any:
    """Make a job of a function: `@job` or `@job(...)`.

    The function's parameters are the job's: `str`, `int`, `float`, `bool`, a date, a datetime, a `Decimal`, an `Enum`,
    a `Literal[...]`, lists and dicts of them, each also with `| None`. One without a default needs a value in each run.
    The body runs when the DAG is built, never at import.

    Args:
        fn: The function, where `@job` stands without parentheses.
        key: The job's key in the bundle: letters, digits, `_` and `-`, not starting with a digit. The default is the
            function's name.
        cluster: The job cluster of all tasks that name no compute. A job with neither cluster nor environment is
            serverless.
        environment: The environment of all tasks that name no compute: serverless, or on `cluster` if that is given
            too.
        io_manager: The IoManager of all tasks that name none and return neither None nor a small result.
        on_failure: A task without arguments that runs when any other task has failed. The run stays a failed one,
            unless the task is wrapped in `handled(...)`.
        **fields: Fields of a Databricks job, as the Jobs API spells them, such as `schedule`, `tags`, `queue`,
            `max_concurrent_runs`, `timeout_seconds` and `email_notifications`.

    Raises:
        AuthoringError: The decorated object is not a plain function, a field is unknown, or dbxdec fills it itself. In
            a build the mistake is collected, with its line, and the rest is checked too.

    Example:
        ```python
        import datetime as dt

        from dbxdec import job, run_date, task


        @job(
            schedule={"quartz_cron_expression": "0 0 6 * * ?", "timezone_id": "UTC"},
            tags={"team": "sales"},
        )
        def daily(day: dt.date = run_date(offset_days=-1)) -> None:
            @task
            def report(day: dt.date) -> None: ...

            report(day)
        ```
    """
    with recording.together():
        recording.refuse(_unfit(key, cluster, environment, io_manager, on_failure))
        settings = given_fields("job", fields, filled=_OWN_FIELDS, own=_KEYWORDS, kinds=_KINDS)
    if io_manager is None and has_stores(fields):
        io_manager = Mistaken()
    options = JobOptions(
        key if isinstance(key, str) and key else None,
        cluster if isinstance(cluster, JobCluster) else None,
        environment if isinstance(environment, Environment) else None,
        io_manager if isinstance(io_manager, IoManager) else None if io_manager is None else Mistaken(),
        on_failure if isinstance(on_failure, Task | Handled) else None,
        settings,
    )
    where = recording.caller()

    def decorate(fn: Callable[..., Any]) -> Any:
        if getattr(fn, "__code__", None) is None:
            recording.refuse([_unfit_function(fn, where)])
            return fn if isinstance(fn, Job) else spoiled()
        if fn.__code__.co_flags & (0x20 | 0x80 | 0x200):  # as in `@task`
            message = (
                f"the job `{fn.__name__}` is a generator or `async def`, whose body does not run when it is called"
            )
            hint = "write a plain `def` without `yield`: the body only wires tasks"
            recording.refuse([Problem(message, place_of(fn), hint)])
            return spoiled()
        return Job(fn, options)

    return decorate if fn is None else decorate(fn)


def _unfit_function(fn: Any, where: SourceLocation) -> Problem:
    """Return why what is below `@job` can't be a job."""
    if isinstance(fn, Job):
        return Problem(f"`{fn.fn.__name__}` is a job already", where, "write `@job` once")
    if isinstance(fn, Task):
        return Problem(
            f"`{fn.__name__}` is a task, so it can't be a job, too",
            where,
            f"remove `@job`, and call the task in the body of a job: `{fn.__name__}(...)`",
        )
    hint = f"name a job with `@job(key={fn!r})`" if isinstance(fn, str) else "put it above a `def`"
    return Problem(f"@job takes a function, but got {shown(fn)}", where, hint)


def _unfit(key: Any, cluster: Any, environment: Any, io_manager: Any, on_failure: Any) -> Iterator[Problem]:
    """Yield the problems of the keywords of a job that are dbxdec's own."""
    if key is not None and not (isinstance(key, str) and key):
        yield Problem(f"{shown(key)} can't be the key of a job", hint="use a string of letters, digits, `_` and `-`")
    for value, kind, name in ((cluster, JobCluster, "job_cluster"), (environment, Environment, "environment")):
        if value is not None and not isinstance(value, kind | Spoiled):
            field, article = name.removeprefix("job_"), "an" if kind is Environment else "a"
            yield Problem(
                f"`{field}` is {shown(value)}, not {article} {name}", hint=f"write `{field}={name}(key, ...)`"
            )
    if on_failure is not None and not isinstance(on_failure, Task | Handled | Spoiled):
        yield Problem(
            f"`on_failure` is {shown(on_failure)}, which is not a task",
            hint="pass a function with `@task` that takes no arguments, or `handled(...)` of one",
        )
    if io_manager is not None and not isinstance(io_manager, IoManager | Spoiled):
        yield Problem(
            f"`io_manager` is {shown(io_manager)}, not an IoManager",
            hint="pass an IoManager, such as PolarsDeltaIoManager(...)",
        )
