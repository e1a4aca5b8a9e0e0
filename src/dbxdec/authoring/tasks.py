"""Tasks: a function with `@task` is an ordinary function and a node of a DAG. In a job's body, calls are recorded."""

from __future__ import annotations

import functools
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from dbxdec.authoring import recording
from dbxdec.authoring.compute import Environment, JobCluster
from dbxdec.authoring.definitions import place_of, seen_by
from dbxdec.authoring.references import told
from dbxdec.authoring.settings import given_fields, run_if_of
from dbxdec.authoring.sparkconf import checked
from dbxdec.errors import Problem, SourceLocation, shown
from dbxdec.io_managers.base import IoManager, Mistaken
from dbxdec.model.mistakes import forgiving, is_defining, spoiled
from dbxdec.model.typehints import given_by_runs, unwrapped
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Unpack

    from databricks.bundles.jobs import RunIfParam

    from dbxdec.authoring.keywords import TaskFields
    from dbxdec.authoring.proxies import TaskProxy
    from dbxdec.authoring.sparkconf import Setting

P = ParamSpec("P")
R = TypeVar("R")

# Fields that dbxdec fills itself, and what the author writes instead.
_OWN_FIELDS = {
    "task_key": "use `key=`",
    "job_cluster_key": "use `cluster=job_cluster(...)`",
    "environment_key": "use `environment=environment(...)`",
    "depends_on": "use `.after(...)` or `.override(depends_on=[...])` in the job's body",
    "python_wheel_task": "leave it out: dbxdec creates it from the function",
}
_KEYWORDS = ("key", "io_manager", "outputs", "cluster", "environment", "run_if", "spark_conf")
_KINDS: dict[type, str] = {IoManager: "io_manager", JobCluster: "cluster", Environment: "environment"}


@dataclass(frozen=True)
class TaskOptions:
    """The options of a task. `settings` are the platform's own fields as plain data."""

    key: str | None = None
    io_manager: IoManager | None = None
    outputs: Mapping[str, IoManager] = field(default_factory=dict)
    cluster: JobCluster | None = None
    environment: Environment | None = None
    run_if: str | None = None
    depends_on: Any = ()  # a tuple, unless the author gave something else
    settings: Mapping[str, Any] = field(default_factory=dict)
    spark_conf: Mapping[str, str | int | bool] = field(default_factory=dict)


def _overridden(task: Task[..., Any], *args: Any, **given: Any) -> Any:
    """Override with the keywords of a wrong call. A positional argument most likely is the key."""
    return task.override(**({"key": args[0]} if args else {}) | given)


class Task(Generic[P, R]):
    """A function decorated with `@task`.

    In a job's body a call records a node of the DAG and returns a `TaskProxy`. Inside a task or a test a call is the
    plain function's. At import a call is a mistake.

    Attributes:
        fn: The function itself, exactly typed.

    Example:
        ```python
        from dbxdec import task


        @task
        def double(n: int) -> int:
            return 2 * n


        assert double.fn(3) == 6
        ```
    """

    def __init__(
        self,
        fn: Callable[P, R],
        options: TaskOptions,
        seen: Mapping[str, object],
        overridden_at: SourceLocation | None = None,
    ) -> None:
        self.fn = fn
        self.options = options
        self.seen = seen  # the values that `fn` saw at its definition
        self.overridden_at = overridden_at
        functools.update_wrapper(self, fn)

    if TYPE_CHECKING:
        __name__: str

    @functools.cached_property
    def given(self) -> Mapping[str, str]:
        """The parameters that a run gives a session or connection, with its type; a call does not."""
        return given_by_runs(self.fn)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> TaskProxy[R]:
        recorder = recording.current()
        if recorder is None and is_defining():
            message = f"the task `{self.__name__}` is called when its module is imported, by every build and every task"
            hint = (
                f"call it in the body of a job (`on_failure={self.__name__}` takes it without a call); in a test "
                f"`{self.__name__}.fn(...)` runs the function"
            )
            recording.refuse([Problem(message, hint=hint)])
            return spoiled()  # type: ignore[no-any-return]
        if recorder is None:
            return self.fn(*args, **kwargs)  # type: ignore[return-value]
        proxy: TaskProxy[R] = recorder.record(self, args, kwargs)
        return proxy

    @forgiving(_overridden)
    def override(
        self,
        *,
        key: str | None = None,
        io_manager: IoManager | None = None,
        outputs: Mapping[str, IoManager] | None = None,
        cluster: JobCluster | None = None,
        environment: Environment | None = None,
        depends_on: Iterable[TaskProxy[Any]] = (),
        run_if: RunIfParam | None = None,
        spark_conf: Mapping[str, Setting] | None = None,
        **fields: Unpack[TaskFields],
    ) -> Task[P, R]:
        """Return the same task with other settings. What is not given stays.

        Args:
            key: The key of this call in the job. Two calls of one task in a job need two keys.
            io_manager: Where the result goes, instead of what the task had.
            outputs: The named results, instead of what the task had.
            cluster: The job cluster, instead of any cluster and environment that the task had.
            environment: The environment, instead of any cluster and environment that the task had.
            depends_on: Results of tasks, or branches of conditions, that this call waits for besides its inputs. They
                add to what is there.
            run_if: When to run, from the states of the upstream tasks: `"ALL_SUCCESS"`, `"ALL_DONE"`,
                `"AT_LEAST_ONE_SUCCESS"`, `"NONE_FAILED"`, `"AT_LEAST_ONE_FAILED"` or `"ALL_FAILED"`.
            spark_conf: Settings of the Spark session, instead of what the task had.
            **fields: Fields of a Databricks task, as the Jobs API spells them.

        Raises:
            AuthoringError: A field is unknown or one that dbxdec fills itself, or a value has the wrong type.

        Example:
            ```python
            from dbxdec import job, task


            @task
            def ping(host: str) -> bool: ...


            @job
            def watch() -> None:
                first = ping("a")
                ping.override(key="ping_b", max_retries=3, depends_on=[first])("b")
            ```
        """
        with recording.together():
            io_manager, outputs = _checked_stores(io_manager, outputs)
            run_condition = run_if_of(run_if)
            conf = checked(spark_conf)
            settings = _settings(fields, ("depends_on",))
        before = self.options
        if not (io_manager or outputs or before.io_manager or before.outputs) and has_stores(fields):
            io_manager = Mistaken()
        places = (io_manager, outputs or {}) if io_manager or outputs else (before.io_manager, before.outputs)
        own = cluster is not None or environment is not None
        compute = (cluster, environment) if own else (before.cluster, before.environment)
        return Task(
            self.fn,
            replace(
                self.options,
                key=self.options.key if key is None else key,
                io_manager=places[0],
                outputs=places[1],
                cluster=compute[0],
                environment=compute[1],
                run_if=run_condition or self.options.run_if,
                depends_on=_added(self.options.depends_on, depends_on),
                settings={**self.options.settings, **settings},
                spark_conf=self.options.spark_conf if conf is None else conf,
            ),
            self.seen,
            recording.caller(),
        )

    def __repr__(self) -> str:
        return f"<task {self.fn.__module__}.{self.fn.__qualname__}>"


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    key: str | None = None,
    io_manager: IoManager | None = None,
    outputs: Mapping[str, IoManager] | None = None,
    cluster: JobCluster | None = None,
    environment: Environment | None = None,
    run_if: RunIfParam | None = None,
    spark_conf: Mapping[str, Setting] | None = None,
    **fields: Unpack[TaskFields],
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
@forgiving()
def task(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    key: str | None = None,
    io_manager: IoManager | None = None,
    outputs: Mapping[str, IoManager] | None = None,
    cluster: JobCluster | None = None,
    environment: Environment | None = None,
    run_if: Any = None,
    spark_conf: Any = None,
    **fields: Any,
) -> Any:
    """Make a task of a function: `@task` or `@task(...)`.

    A parameter annotated as `pyspark.sql.SparkSession` is given the session; a call in a job's body leaves it out.

    A task without an IoManager passes a small result on as a task value: a `str`, `int`, `float`, `bool`, date,
    datetime, `Decimal`, `Enum`, or lists and dicts of them, up to 48 KiB as JSON.

    Args:
        fn: The function, where `@task` stands without parentheses.
        key: The task's key: 1 to 100 letters, digits, `_` and `-`. The default is the function's name.
        io_manager: Where the result is stored, and how it is read back.
        outputs: Several results by name: `{"good": io.table("good"), "bad": io.table("bad")}`. The function returns a
            dict of the same keys, and `x["good"]` is one of its results in a job's body.
        cluster: A job cluster for this task; the default is the job's compute.
        environment: An environment for this task, serverless unless `cluster` is given too; the default is the job's
            compute.
        run_if: When to run, from the states of the upstream tasks: `"ALL_SUCCESS"` (the platform's default),
            `"ALL_DONE"`, `"AT_LEAST_ONE_SUCCESS"`, `"NONE_FAILED"`, `"AT_LEAST_ONE_FAILED"` or `"ALL_FAILED"`.
        spark_conf: Settings of the Spark session, set before the task reads and put back after it has stored:
            `{"spark.sql.shuffle.partitions": 8}`. A value is a `str`, `int`, `bool` or bundle variable.
        **fields: Fields of a Databricks task, as the Jobs API spells them, such as `max_retries` (a number),
            `timeout_seconds`, `min_retry_interval_millis`, `libraries` and `email_notifications`.

    Raises:
        AuthoringError: The decorated object is not a plain function, a field is unknown, or dbxdec fills it itself. In
            a build the mistake is collected, with its line, and the rest is checked too.

    Example:
        ```python
        import polars as pl
        from dbxdec import bundle_variable, task
        from dbxdec.io_managers import PolarsDeltaIoManager

        lake = PolarsDeltaIoManager(bundle_variable("lake_root"), mode="overwrite")


        @task(io_manager=lake.table("bronze/orders"), max_retries=2, timeout_seconds=600)
        def orders(country: str) -> pl.DataFrame: ...
        ```
    """
    with recording.together():
        io_manager, outputs = _checked_stores(io_manager, outputs)
        run_condition = run_if_of(run_if)
        conf = checked(spark_conf)
        settings = _settings(fields)
    if io_manager is None and not outputs and has_stores(fields):
        io_manager = Mistaken()
    options = TaskOptions(
        key=key,
        io_manager=io_manager,
        outputs=dict(outputs),
        cluster=cluster,
        environment=environment,
        run_if=run_condition,
        settings=settings,
        spark_conf=conf or {},
    )

    def decorate(fn: Callable[..., Any]) -> Task[..., Any]:
        if (problem := _unfit(fn)) is not None:
            recording.refuse([problem])
            return fn if isinstance(fn, Task) else spoiled()
        made = Task(fn, options, seen_by(fn))
        if (recorder := recording.current()) is not None:
            recorder.define(made)
        return made

    return decorate if fn is None else decorate(fn)


def _added(before: Any, more: Any) -> Any:
    """Return both together. A value that is not a list stays as it is; the call refuses it."""
    return (*before, *more) if isinstance(more, list | tuple) and isinstance(before, tuple) else more


def _unfit(fn: Any) -> Problem | None:
    """Return why `fn` can't be a task; None if it can."""
    code = getattr(fn, "__code__", None)
    if code is None:
        what, hint = shown(fn), "put `@task` above a `def`"
        if isinstance(fn, str):
            hint = f"name a task with `@task(key={fn!r})`"
        elif isinstance(fn, functools.partial):
            what, hint = f"a partial of {shown(fn.func)}", "write a `def` that calls it"
        elif isinstance(fn, Task):
            return Problem(f"`{fn.__name__}` is a task already", recording.caller(), "write `@task` once")
        elif hasattr(fn, "__wrapped__"):
            what = f"a `{type(fn).__name__}`, which a decorator made from {shown(fn)}"
            hint = "below `@task`, use only decorators that return a function"
        return Problem(f"@task takes a function, but got {what}", recording.caller(), hint)
    written = unwrapped(fn)
    owner = written.__qualname__.rpartition(".")[0]
    if owner and not owner.endswith("<locals>") and written.__code__.co_varnames[:1] in (("self",), ("cls",)):
        return Problem(
            f"the task `{written.__qualname__}` is a method: nothing passes it `{written.__code__.co_varnames[0]}`",
            place_of(fn),
            "write a function, or remove that parameter and put `@staticmethod` above `@task`",
        )
    # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR (inspect's constants, without its import).
    if code.co_flags & (0x20 | 0x80 | 0x200):
        what, instead = (
            ("a generator", "return the result instead of yielding it")
            if code.co_flags & 0x20
            else ("an `async def`", "write a `def` that runs the async code with `asyncio.run(...)`")
        )
        return Problem(f"the task `{code.co_name}` is {what}, whose call returns no result", place_of(fn), instead)
    return None


def _checked_stores(io_manager: Any, outputs: Any) -> tuple[IoManager | None, Mapping[str, IoManager]]:
    """Return `io_manager` and `outputs`, checked. Mistakes are refused."""
    if outputs is None and (io_manager is None or isinstance(io_manager, IoManager)):
        return io_manager, {}
    problems = []
    if outputs is not None and not isinstance(outputs, dict):
        problems.append(Problem(f"`outputs` is {told(outputs)}", hint="pass a dict of IoManagers by name"))
        outputs, io_manager = {}, io_manager or Mistaken()
    if io_manager is not None and outputs:
        problems.append(Problem("a task has both `io_manager` and `outputs`", hint="name all its outputs in `outputs`"))
    names = [name for name in outputs or {} if not isinstance(name, str)]
    problems += [Problem(f"`outputs` has the key {shown(name)}", hint="name outputs by strings") for name in names]

    def usable(name: str, value: Any) -> IoManager:
        if isinstance(value, IoManager):
            return value
        hint = "pass an IoManager, such as PolarsDeltaIoManager(...)"
        problems.append(Problem(f"`{name}` is {told(value)}, not an IoManager", hint=hint))
        return Mistaken()

    single = None if io_manager is None or outputs else usable("io_manager", io_manager)
    named = {str(name): usable(f"outputs[{name!r}]", value) for name, value in (outputs or {}).items()}
    recording.refuse(problems)
    return single, named


def has_stores(fields: Mapping[str, Any]) -> bool:
    """Return whether the place of the result stands in a field that there is not, such as `io_manger=`: one mistake."""
    values = [one for value in fields.values() for one in (value.values() if isinstance(value, dict) else (value,))]
    return any(isinstance(one, IoManager) for one in values)


def _settings(fields: Mapping[str, Any], more: tuple[str, ...] = ()) -> dict[str, Any]:
    if not fields:
        return {}
    filled = {name: instead for name, instead in _OWN_FIELDS.items() if name not in more}
    return given_fields("task", fields, filled=filled, own=(*_KEYWORDS, *more), kinds=_KINDS)
