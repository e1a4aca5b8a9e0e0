"""Proxies of task results, with which the body of a job wires tasks, and references to other values of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dbxdec.authoring import recording
from dbxdec.authoring.references import Reference, Spoiled
from dbxdec.errors import Problem, did_you_mean, listed, shown
from dbxdec.model import dag
from dbxdec.model.mistakes import forgiving, itself
from dbxdec.platform import references

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbxdec.model.changes import Changes, Kind, OnRewrite, Starting

    # A type checker accepts a proxy wherever its value fits. The build checks the types of edges.
    class _ProxyBase(Any, Generic[R_co]):  # type: ignore[misc]
        pass

else:

    class _ProxyBase(Reference, Generic[R_co]):
        pass


class TaskReference(Reference):
    """A value of a task of the job. A task that uses it runs after that task."""

    def __init__(self, call: recording.Node) -> None:
        self._call = call

    def __rshift__(self, other: Any) -> Any:
        return _followed(self, other)


class TaskValueReference(TaskReference):
    """A task value that the task sets."""

    def __init__(self, call: recording.Node, key: str) -> None:
        super().__init__(call)
        self._key = key

    def describe(self) -> str:
        return f"the task value `{self._key}` of the task `{self._call.key}`"

    def text(self) -> str | None:
        return references.task_value(self._call.key, self._key) if references.can_refer_to(self._key) else None


class StateReference(TaskReference):
    """The result state of a task ("success", "failed", "excluded", ...), for native tasks and conditions."""

    def describe(self) -> str:
        return f"the state of the task `{self._call.key}`"

    def text(self) -> str:
        return references.result_state(self._call.key)


_ROWS = {
    "run": "",
    "table": "the whole table of ",
    "newest": "the newest version of ",
    "changed": "what this run wrote as ",
}


class OutputReference(TaskReference):
    """An output of a task, and which of its rows are read."""

    def __init__(self, call: recording.Node, output: str, rows: dag.Rows = "run") -> None:
        super().__init__(call)
        self._output = output
        self._rows = rows

    def describe(self) -> str:
        what = "the result" if self._output == dag.RESULT else f"the output `{self._output}`"
        return f"{_ROWS[self._rows]}{what} of the task `{self._call.key}`"

    @property
    def table(self) -> Any:
        """The whole table at the version that the task wrote in this run."""
        return TableReference(self._call, self._output, "table")

    @property
    def written(self) -> Any:
        """The rows that this run wrote. After a merge, the rows that it inserted or changed."""
        return OutputReference(self._call, self._output, "changed")

    @property
    def uri(self) -> Any:
        """The place where the output is stored."""
        return UriReference(self._call, self._output)

    @forgiving()
    def changes(
        self,
        kind: Kind = "rows",
        *,
        by: str | Sequence[str] | None = None,
        starting: Starting = "snapshot",
        on_rewrite: OnRewrite = "error",
        at_least_once: bool = False,
    ) -> Any:
        """The rows of the output's table that the reader has not read yet; see `TaskProxy.changes`."""
        from dbxdec.model.changes import asked  # few tasks need it

        if self._rows not in ("run", "table"):
            self._call.recorder.problem(
                f"`.changes()` is asked of {self.describe()}", "ask it of the task's result: `x.changes()`"
            )
        wanted = asked(kind=kind, by=by, starting=starting, on_rewrite=on_rewrite, at_least_once=at_least_once)
        return ChangesReference(self._call, self._output, wanted)


class TableReference(OutputReference):
    """The whole table of a result."""

    def __call__(self, *names: object, **_: object) -> Any:
        name = f'"{names[0]}"' if names and isinstance(names[0], str) else '"..."'
        self._call.recorder.problem(
            f"`.table` of {TaskProxy(self._call).describe()} is called, but it is the whole table that the task writes",
            f"write `x.table` without arguments; to read another table pass `io.table({name})`",
        )
        return self


class ChangesReference(OutputReference):
    """The rows of a result's table that are new to the task which reads them."""

    def __init__(self, call: recording.Node, output: str, changes: Changes) -> None:
        super().__init__(call, output, "newest")
        self._changes = changes

    def describe(self) -> str:
        return f"the new rows of {OutputReference(self._call, self._output).describe()}"


class UriReference(TaskReference):
    """The place where a task's result is stored."""

    def __init__(self, call: recording.Node, output: str = dag.RESULT) -> None:
        super().__init__(call)
        self._output = output

    def describe(self) -> str:
        return f"the place of the result of the task `{self._call.key}`"

    def text(self) -> str | None:
        output = self._call.outputs.get(self._output)
        return output.target if output and not output.per_item else None


class BranchReference(TaskReference):
    """One branch of a condition, for `depends_on`."""

    def __init__(self, call: recording.Node, outcome: str) -> None:
        super().__init__(call)
        self._outcome = outcome

    def describe(self) -> str:
        return f"the branch {self._outcome} of the condition `{self._call.key}`"


class TaskProxy(_ProxyBase[R_co]):
    """The result that a task will have: what a call of a task returns in a job's body.

    Pass it to other tasks, also inside lists, tuples and dicts. It has no value before the job runs: an `if`, a loop, a
    comparison or an f-string over it is a mistake that the build reports.

    Example:
        ```python
        from dbxdec import job, task


        @task
        def extract(n: int) -> list[int]: ...


        @task
        def load(numbers: list[int]) -> None: ...


        @task
        def clean() -> None: ...


        @job
        def daily(n: int = 3) -> None:
            numbers = extract(n)  # a TaskProxy: nothing runs
            load(numbers) >> clean()  # order without data
        ```
    """

    def __init__(self, call: recording.Node) -> None:
        self._call = call

    def describe(self) -> str:
        return f"the result of the task `{self._call.key}`"

    def text(self) -> str | None:
        self._call.read()
        output = self._call.outputs.get(dag.RESULT)
        small = output is not None and output.type is not None
        return TaskValueReference(self._call, dag.RETURN_VALUE).text() if small else None

    def __getitem__(self, name: object) -> Any:
        """The output `name` of a task with `outputs=`: `x["good"]`."""
        outputs = self._call.outputs
        if self._call.is_mistaken:
            return Spoiled(self)
        if not outputs or dag.RESULT in outputs:
            return super().__getitem__(name)
        if not isinstance(name, str) or name not in outputs:
            hint = did_you_mean(str(name), outputs) or f"its outputs are {', '.join(outputs)}"
            self._call.recorder.problem(f"the task `{self._call.key}` has no output {name!r}", hint)
            name = next(iter(outputs))
        return OutputReference(self._call, name)

    def _unpack_hint(self) -> str:
        named = [f'x["{name}"]' for name in self._call.outputs if name != dag.RESULT]
        return f"its outputs are {listed(named)}" if named else super()._unpack_hint()

    @forgiving()
    def value(self, key: str) -> Any:
        """The task value that the task sets with `set_task_value(key, ...)`, as an argument of other tasks.

        Args:
            key: The name under which the task sets it.
        """
        if not isinstance(key, str) or not key:
            self._call.recorder.problem(
                f"{shown(key)} can't be the key of a task value of `{self._call.key}`",
                'use a string, as in `set_task_value`: `x.value("rows")`',
            )
            key = str(key)
        if self._call.each is not None:
            self._call.recorder.problem(
                f"the task `{self._call.key}` runs for each of many items, so its task values can't be read",
                "the platform does not keep task values per iteration: store a table with an IoManager",
            )
        return TaskValueReference(self._call, key)

    @property
    def state(self) -> Any:
        """The state in which the task ended, for the fields of a native task and for a condition.

        It is one of `success`, `failed`, `excluded`, `canceled`, `evicted`, `timedout`, `upstream_failed`,
        `upstream_canceled` and `upstream_evicted`.
        """
        return StateReference(self._call)

    @property
    def table(self) -> Any:
        """The whole table at the version that the task wrote in this run; `x` itself is only what it returned."""
        return TableReference(self._call, dag.RESULT, "table")

    @property
    def written(self) -> Any:
        """The rows that this run wrote, as `x` itself; of a merge, which has none, those inserted or changed.

        These are known where the table keeps a change data feed; deleted rows are not among them.
        """
        return OutputReference(self._call, dag.RESULT, "changed")

    @forgiving()
    def changes(
        self,
        kind: Kind = "rows",
        *,
        by: str | Sequence[str] | None = None,
        starting: Starting = "snapshot",
        on_rewrite: OnRewrite = "error",
        at_least_once: bool = False,
    ) -> Any:
        """The rows of the task's table that the reader has not read yet, whoever wrote them, exactly once.

        The reader runs after the task, and gets what is new until then. See `IoManager.changes` for the parameters.

        Args:
            kind: `"rows"`, `"latest"` or `"feed"`.
            by: The key columns, for `"latest"`.
            starting: What the first run gets: `"snapshot"` or `"latest"`.
            on_rewrite: What becomes of commits that delete, update or replace rows: `"error"` or `"skip"`.
            at_least_once: Allow a merge on serverless compute through Spark, which may repeat rows.
        """
        whole = OutputReference(self._call, dag.RESULT)
        return whole.changes(kind, by=by, starting=starting, on_rewrite=on_rewrite, at_least_once=at_least_once)

    @property
    def uri(self) -> Any:
        """The place of the task's result, for code and native tasks that open it themselves."""
        return UriReference(self._call)

    @forgiving(itself)
    def after(self, *others: TaskProxy[Any]) -> TaskProxy[R_co]:
        """Run this task after `others` without reading their results, and return this proxy.

        Args:
            *others: Results of tasks, or branches of a condition (`c.true`, `c.false`).
        """
        for other in others:
            self._call.depend(other)
        return self

    def __rshift__(self, other: Any) -> Any:
        return _followed(self, other)

    def __rrshift__(self, other: Any) -> TaskProxy[R_co]:
        return self.after(*(other if isinstance(other, list | tuple) else (other,)))


def _followed(first: Any, other: Any) -> Any:
    """Order `other`, a proxy or a list of proxies, after `first`, and return it."""
    for follower in other if isinstance(other, list | tuple) else (other,):
        if isinstance(follower, TaskProxy):
            follower.after(first)
        elif not isinstance(follower, Spoiled):
            problem = f"`>>` orders task results; {follower!r:.60} is not one"
            first._call.recorder.problem(problem, "write `a(...) >> b(...)`")
    return other


class Latest(Reference):
    """The newest version of a table that a task or another program writes."""

    def __init__(self, what: object) -> None:
        self._what = what

    def describe(self) -> str:
        return f"latest({shown(self._what)})"

    def changes(self, *_: object, **__: object) -> Any:
        """Note that what is new is asked of the result itself."""
        recording.refuse([Problem(f"`.changes()` is asked of {self.describe()}", hint="write `x.changes()`")])
        return Spoiled(self)


@forgiving()
def latest(what: T) -> T:
    """Read the newest version of a task's table, whoever wrote it, instead of what this run wrote.

    The reader still runs after the task. A table given as an argument, `io.table("t")`, is read at its newest version
    without this.

    Args:
        what: The result of a task that stores a table.

    Returns:
        What a task's argument takes.

    Raises:
        AuthoringError: `what` is neither a result with a table nor a table.

    Example:
        ```python
        import polars as pl
        from dbxdec import bundle_variable, job, latest, task
        from dbxdec.io_managers import PolarsDeltaIoManager

        lake = PolarsDeltaIoManager(bundle_variable("lake_root"), mode="append")


        @task(io_manager=lake)
        def orders() -> pl.DataFrame: ...


        @task
        def count(orders: pl.DataFrame) -> int: ...


        @job
        def daily() -> None:
            count(latest(orders()))  # rows of all runs, also of one that appends meanwhile
        ```
    """
    return Latest(what)  # type: ignore[return-value]
