"""`@task`: an ordinary function that is also a node of a DAG; called in a job's body it records itself."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from dbxdec.authoring import recording
from dbxdec.authoring.definitions import place_of, seen_by
from dbxdec.authoring.settings import plain
from dbxdec.errors import AuthoringError, Problem, shown
from dbxdec.io_managers.base import IoManager
from dbxdec.typehints import unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Unpack

    from databricks.bundles.jobs import RunIfParam

    from dbxdec.authoring.compute import Environment, JobCluster
    from dbxdec.authoring.keywords import TaskFields
    from dbxdec.authoring.proxies import TaskProxy

P = ParamSpec("P")
R = TypeVar("R")

# Fields that dbxdec fills itself, and what the author writes instead.
_OWN_FIELDS = {
    "task_key": "use `key=`",
    "job_cluster_key": "use `cluster=job_cluster(...)`",
    "environment_key": "use `environment=environment(...)`",
    "depends_on": "use `.after(...)` or `.override(depends_on=[...])` in the job's body",
    "python_wheel_task": "leave it out: dbxdec makes it of the function",
}


@dataclass(frozen=True)
class TaskOptions:
    """How a task runs; `settings` are the platform's own fields as plain data."""

    key: str | None = None
    io_manager: IoManager | None = None
    outputs: Mapping[str, IoManager] = field(default_factory=dict)
    cluster: JobCluster | None = None
    environment: Environment | None = None
    run_if: str | None = None
    depends_on: Any = ()  # a tuple, unless the author gave something else
    settings: Mapping[str, Any] = field(default_factory=dict)


class Task(Generic[P, R]):
    """A function decorated with `@task`. `.fn` is the function itself, exactly typed.

    Inside a job's body a call records a node of the DAG and gives a TaskProxy; anywhere else it calls the function.
    """

    def __init__(self, fn: Callable[P, R], options: TaskOptions, seen: Mapping[str, object]) -> None:
        self.fn = fn
        self.options = options
        self.seen = seen  # what `fn` saw as it was defined
        functools.update_wrapper(self, fn)

    if TYPE_CHECKING:
        __name__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> TaskProxy[R]:
        recorder = recording.current()
        if recorder is None:
            return self.fn(*args, **kwargs)  # type: ignore[return-value]
        proxy: TaskProxy[R] = recorder.record(self, args, kwargs)
        return proxy

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
        **fields: Unpack[TaskFields],
    ) -> Task[P, R]:
        """The same task with other settings; what is not given stays, and `depends_on` adds.

        Another place of the result, or another kind of compute, takes the place of what there was.
        """
        io_manager, outputs = _checked_stores(io_manager, outputs)
        before = self.options
        places = (io_manager, outputs or {}) if io_manager or outputs else (before.io_manager, before.outputs)
        compute = (cluster, environment) if cluster or environment else (before.cluster, before.environment)
        return Task(
            self.fn,
            replace(
                self.options,
                key=self.options.key if key is None else key,
                io_manager=places[0],
                outputs=places[1],
                cluster=compute[0],
                environment=compute[1],
                run_if=_run_if(run_if) or self.options.run_if,
                depends_on=_added(self.options.depends_on, depends_on),
                settings={**self.options.settings, **_settings(fields)},
            ),
            self.seen,
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
    **fields: Unpack[TaskFields],
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
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
    **fields: Any,
) -> Any:
    """Make a task of a function. Keywords are dbxdec's own and every field of a Databricks task.

    With `outputs={"good": io.table(...), "bad": io.table(...)}` the function returns a dict of the same keys, and the
    task's result has an element for each: `x["good"]`. Raises AuthoringError, with the line, for anything but a plain
    function and for fields that dbxdec fills itself.
    """
    io_manager, outputs = _checked_stores(io_manager, outputs)
    options = TaskOptions(
        key=key,
        io_manager=io_manager,
        outputs=dict(outputs),
        cluster=cluster,
        environment=environment,
        run_if=_run_if(run_if),
        settings=_settings(fields),
    )

    def decorate(fn: Callable[..., Any]) -> Task[..., Any]:
        _check_function(fn)
        made = Task(fn, options, seen_by(fn))
        if (recorder := recording.current()) is not None:
            recorder.define(made)
        return made

    return decorate if fn is None else decorate(fn)


def _run_if(value: Any) -> str | None:
    return None if value is None else str(plain(value, "run_if"))


def _added(before: Any, more: Any) -> Any:
    """Both together; what is no list stays as it is, for the call to refuse."""
    return (*before, *more) if isinstance(more, list | tuple) and isinstance(before, tuple) else more


def _check_function(fn: Any) -> None:
    code = getattr(fn, "__code__", None)
    if code is None:
        what, hint = shown(fn), "put `@task` on top of a `def`"
        if isinstance(fn, functools.partial):
            what, hint = f"a partial of {shown(fn.func)}", "write a `def` that calls it"
        elif hasattr(fn, "__wrapped__"):
            what = f"a `{type(fn).__name__}`, which a decorator has made of {shown(fn)}"
            hint = "keep only decorators that give back a function, below `@task`"
        raise AuthoringError(Problem(f"@task is for functions; this is {what}", recording.caller(), hint))
    written = unwrapped(fn)
    owner = written.__qualname__.rpartition(".")[0]
    if owner and not owner.endswith("<locals>") and written.__code__.co_varnames[:1] in (("self",), ("cls",)):
        raise AuthoringError(
            Problem(
                f"the task `{written.__qualname__}` is a method: nothing gives it `{written.__code__.co_varnames[0]}`",
                place_of(fn),
                "write a function, or leave that parameter out and put `@staticmethod` on top of `@task`",
            )
        )
    # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR (inspect's constants, without its import).
    if code.co_flags & (0x20 | 0x80 | 0x200):
        what, instead = (
            ("a generator", "return the result instead of yielding it")
            if code.co_flags & 0x20
            else ("an `async def`", "write a `def` that runs the async code with `asyncio.run(...)`")
        )
        raise AuthoringError(
            Problem(f"the task `{code.co_name}` is {what}, whose call returns no result", place_of(fn), instead)
        )


def _checked_stores(io_manager: Any, outputs: Any) -> tuple[IoManager | None, Mapping[str, IoManager]]:
    """`io_manager` and `outputs`, without what is none; mistakes are noted in a job's body, elsewhere raised."""
    if outputs is None and (io_manager is None or isinstance(io_manager, IoManager)):
        return io_manager, {}
    where, problems = recording.caller(), []
    if outputs is not None and not isinstance(outputs, dict):
        problems.append(Problem(f"`outputs` is {shown(outputs)}", where, "give a dict of IoManagers by name"))
        outputs = {}
    given = {"io_manager": io_manager} if io_manager is not None else {}
    given |= {f"outputs[{name!r}]": manager for name, manager in (outputs or {}).items()}
    problems += [
        Problem(
            f"`{name}` is {shown(value)}, not an IoManager",
            where,
            "give an IoManager, such as PolarsDeltaIoManager(...)",
        )
        for name, value in given.items()
        if not isinstance(value, IoManager)
    ]
    if io_manager is not None and outputs:
        problems.append(Problem("a task has `io_manager` and `outputs`", where, "name all its outputs in `outputs`"))
    _note(problems)
    kept = {name: manager for name, manager in (outputs or {}).items() if isinstance(manager, IoManager)}
    return (io_manager if isinstance(io_manager, IoManager) else None), kept


def _settings(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields` as plain data, without wrong ones; mistakes are noted in a job's body, elsewhere raised."""
    if not fields:
        return {}
    where, problems, settings = recording.caller(), [], {}
    for name, value in fields.items():
        if name in _OWN_FIELDS:
            problems.append(Problem(f"the field `{name}` of a task is filled by dbxdec", where, _OWN_FIELDS[name]))
            continue
        try:
            settings[name] = plain(value, name)
        except AuthoringError as error:
            problems += [Problem(p.message, p.where or where, p.hint) for p in error.problems]
    _note(problems)
    return settings


def _note(problems: list[Problem]) -> None:
    recorder = recording.current()
    if problems and recorder is None:
        raise AuthoringError(problems)
    for problem in problems:
        assert recorder is not None  # noqa: S101 - narrowed above
        recorder.problem(problem.message, problem.hint, problem.where if not isinstance(problem.where, str) else None)
