"""The contract of an IoManager: how it stores results and reads them back, and what it is told for each of both."""

from __future__ import annotations

import copy
import logging
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from dbxdec.errors import DbxdecError, NotWrittenError, Problem, RunError, did_you_mean, listed
from dbxdec.io_managers import names, options, outcomes
from dbxdec.io_managers.running import running_receipt
from dbxdec.model import places
from dbxdec.model.mistakes import forgiving, giving
from dbxdec.model.secrets import Secret
from dbxdec.model.variables import BundleVariable, names_in, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from dbxdec.io_managers.contexts import InputContext, ItemWrite, OutputContext, WriteResult
    from dbxdec.model.changes import Changes, Kind, OnRewrite, Starting
    from dbxdec.model.values import ValueType

log = logging.getLogger("dbxdec")

_PUBLIC = "dbxdec.io_managers"


class TableChanges:
    """The rows of a table that are new to the task which gets them as an argument."""

    def __init__(self, table: IoManager, changes: Changes) -> None:
        self.table, self.wanted = table, changes

    def __repr__(self) -> str:
        return self.wanted.text(repr(self.table))


def _mistaken(manager: IoManager, *_: object, **options: Any) -> IoManager:
    known = {option: value for option, value in options.items() if option in manager.table_options}
    found = Mistaken()
    found._meant = manager._with(None, known)
    return found


class IoManager(ABC):
    """The base class of everything that stores what tasks return and reads it back.

    A subclass implements `read` and `write`. Its constructor does no I/O, since it also runs at build time, where the
    libraries that it uses may be absent. Its arguments may hold bundle variables and secrets: `resolve` returns their
    values in a run.

    Attributes:
        base_path: The folder below which the tables are; None for a manager without paths. It may hold `{job}` and
            `{task}`.
        shared: Whether several tasks may write one target.

    Example:
        ```python
        import hashlib
        from pathlib import Path

        from dbxdec import InputContext, IoManager, NotWrittenError, OutputContext


        class TextIoManager(IoManager):
            # Each write has a file of its own, which a retry replaces in one step and no other run reads.
            reads = writes = frozenset({"str"})

            def __init__(self, base_path: str) -> None:
                self.base_path = base_path

            def read(self, context: InputContext) -> str:
                if context.producer is None:
                    raise NotWrittenError(f"{context.uri} keeps what a run has written for that run alone")
                try:
                    return self.file(context.uri, context.producer.transaction).read_text()
                except FileNotFoundError:
                    raise NotWrittenError(f"{context.uri} has nothing for `{context.parameter}`") from None

            def write(self, context: OutputContext, value: str) -> None:
                file = self.file(context.uri, context.receipt.id.transaction)
                file.parent.mkdir(parents=True, exist_ok=True)
                partial = file.with_suffix(f".{context.receipt.attempt}")
                partial.write_text(value)
                partial.replace(file)

            def file(self, uri: str, write: str) -> Path:
                return Path(uri, f"{hashlib.sha256(write.encode()).hexdigest()}.txt")
        ```
    """

    base_path: str | BundleVariable | None = None
    shared: bool = False
    reads: ClassVar[frozenset[str] | None] = None
    """Annotations that `read` can satisfy, as "polars.LazyFrame"; None for any."""
    writes: ClassVar[frozenset[str] | None] = None
    """Types that `write` takes; None for any."""
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The libraries that annotations need which are not the manager's own, by their types."""
    merges: ClassVar[frozenset[str]] = frozenset()
    """The types in `writes` that are merges into a table, without rows of their own."""
    reads_changes: ClassVar[bool] = False
    """True if it can tell which rows of a table are new to a task (`table(...).changes()`)."""
    checks_contracts: ClassVar[bool] = False
    """True if `write` compares values with `OutputContext.contract` itself, when they are stored but not committed."""
    merges_by_settings: ClassVar[bool] = False
    """True if a merge carries its receipt by settings of a session, which serverless compute does not accept."""
    reads_table: ClassVar[bool] = False
    """True if `read` distinguishes the whole table from what one write stored (`InputContext.rows`)."""
    table_options: ClassVar[tuple[str, ...]] = ("shared",)
    """The attributes that `table(name, ...)` may set."""
    _table: str | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = forgiving(Mistaken.take_the_place_of)(cls.__init__)  # type: ignore[method-assign]
        if "read" in vars(cls):
            cls.read = forgiving()(cls.read)  # type: ignore[method-assign]

    def __repr__(self) -> str:
        # Show no other attributes: options for an engine may hold secrets.
        shown = [repr(str(self.base_path))] if self.base_path is not None else []
        shown += [f"{name}={getattr(self, name)!r}" for name in ("mode",) if hasattr(self, name)]
        shown += [f"table={self._table!r}"] if self._table is not None else []
        return f"{type(self).__name__}({', '.join(shown)})"

    @abstractmethod
    def read(self, context: InputContext) -> Any:
        """Return what `context.producer` stored at `context.uri`; without a producer the newest.

        Args:
            context: What is wanted.

        Raises:
            NotWrittenError: It is certain that the producer stored nothing, or that there is nothing at all. A
                parameter annotated `| None` is None then.
        """

    @abstractmethod
    def write(self, context: OutputContext, value: Any) -> WriteResult | None:
        """Store `value` at `context.uri`.

        Args:
            context: Where to, and who writes.
            value: What the task returned; None if its annotation allows that.

        Returns:
            What became of it, for the log; None if there is nothing to say.
        """

    def setup(self) -> None:
        """Prepare the task's process: called once, before anything else; for credentials, sessions and the like."""

    def preflight(self, context: OutputContext) -> None:
        """Refuse a write that can only fail: called before the task's function runs.

        Args:
            context: Where to, and who writes.
        """

    def joins(self, returns: tuple[str, ...] | None) -> bool:
        """Return whether the iterations of a for-each task may write one target, each its own part of it.

        `returns` is as in OutputContext. Where they may not, each iteration has a target of its own, `item_target`.
        """
        return False

    def is_partial(self, returns: tuple[str, ...] | None) -> bool:
        """Return whether a table may hold more than what one write stores. `returns` is as in OutputContext."""
        return False

    def item_target(self, target: str, item: str) -> str:
        """Return the target of one iteration of a for-each task, where iterations have targets of their own.

        `item` names the item in letters, digits and `_`. The folder's name keeps it out of a table that lies at
        `target`: Delta's VACUUM and Spark's readers leave alone what begins with an underscore.
        """
        return f"{target}/_items/{item}"

    def read_items(
        self, context: InputContext, items: Sequence[ItemWrite], *, apart: bool
    ) -> Any | list[Any | NotWrittenError]:
        """Return what the iterations of a for-each task stored: one value of all that stored something.

        `context.producer` is the task's write, whatever the item. With `apart` it is a list with the value of each
        item, or the error of one that stored nothing. Without, raises NotWrittenError where none stored anything, and
        RunError where some did, but not all that had to (`ItemWrite.required`).
        """
        found: list[Any] = []
        for item in items:
            try:
                found.append(self.read(replace(context, uri=item.uri, producer=item.id)))
            except NotWrittenError as error:
                found.append(error)
        if apart:
            return found
        values = [one for one in found if not isinstance(one, NotWrittenError)]
        if not values:
            raise found[0]
        missing = [item for item, one in zip(items, found, strict=True) if isinstance(one, NotWrittenError)]
        outcomes.refuse_missing(context, missing)
        return self.combine(values, context)

    def empty(self, context: InputContext) -> Any:
        """Return an empty value with the columns of what is at `context.uri`.

        It is what a reader of a for-each task without items gets. Raises NotWrittenError where nothing is there, and
        in managers that know no empty values.
        """
        raise NotWrittenError(
            f"no iteration has stored anything at {context.uri}, but the parameter `{context.parameter}` needs it",
            hint=f"annotate the parameter `{context.parameter}` with `| None` if there may be no items",
        )

    @property
    def combines(self) -> bool:
        """True if it implements `combine`."""
        return type(self).combine is not IoManager.combine

    def combine(self, values: list[Any], context: InputContext) -> Any:
        """One value of those of all iterations of a for-each task, in their order, for a reader that asks for one.

        Raises RunError where the manager can't: it then reads `list[...]` or `dict[..., ...]`.
        """
        raise RunError(
            f"{type(self).__name__} can't combine the results of the iterations at {context.uri}",
            hint=f"annotate the parameter `{context.parameter}` as `list[...]` or `dict[..., ...]`, or implement "
            "`combine`",
        )

    def settings(self) -> dict[str, Any]:
        """Return what a reader of the manifest should know about how this manager writes. JSON only, no secrets."""
        return {}

    @forgiving(_mistaken)
    def table(self, name: str | BundleVariable, **options: Any) -> Table:
        """Return this manager bound to the table `name`, with other options where given.

        Use it as `io_manager=`, or pass it to a task as an input: such a read takes the newest version.

        Args:
            name: A path below `base_path`, such as `"gold/orders"`. It may hold bundle variables.
            **options: Options of the constructor that a table may have of its own.

        Raises:
            DbxdecError: The name is not one, or the manager does not have an option; all mistakes at once.
        """
        problems = [
            Problem(
                f"{type(self).__name__}.table() has no option `{option}`",
                hint=did_you_mean(option, self.table_options) or f"options are {', '.join(self.table_options)}",
            )
            for option in options
            if option not in self.table_options
        ]
        if not isinstance(name, str | BundleVariable) or str(name) == "":
            problems.append(
                Problem(
                    f"the name of a table is {_shown(name)}",
                    hint="give a string such as 'gold/orders': a table is the same in every run, and a parameter can "
                    "only change a partition of it (`partition_by=`) or a slice (`replace=`)",
                )
            )
        else:
            problems += self.name_problems(str(name))
        if problems:
            raise DbxdecError(problems)
        bound = self._with(str(name), options)
        bound.check_options()
        return bound  # type: ignore[return-value]

    def _with(self, table: str | None, options: Mapping[str, Any]) -> Self:
        """Return a copy for a table with other options, which are not checked."""
        bound = copy.copy(self)
        bound._table = table
        for option, value in options.items():
            setattr(bound, option, value)
        return bound

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
        """Return what a task reads of this table that it has not read yet: exactly once, whatever fails.

        How far the task has read is kept in the commits of the table that it writes, a Delta table that it appends to
        or merges into.

        Args:
            kind: `"rows"`: the rows that were added. `"latest"`: the last change of each key, with `_change_type`:
                `insert`, `update_postimage` or `delete`. `"feed"`: every change, with `_change_type`,
                `_commit_version` and `_commit_timestamp`.
            by: The key columns, for `"latest"`. Null is a value like any other, which a merge does not match.
            starting: What the first run gets. `"snapshot"`: all rows. `"latest"`: none of those that are there.
            on_rewrite: What becomes of commits that delete, update or replace rows, where the table has no change data
                feed. `"error"`: an error that names them. `"skip"`: they are left out, whole.
            at_least_once: Allow a merge on serverless compute through Spark, which may repeat rows.

        Returns:
            What a task's argument takes.

        Raises:
            DbxdecError: An argument is wrong; all mistakes at once.

        Example:
            ```python
            import polars as pl
            from dbxdec import bundle_variable, job, task
            from dbxdec.io_managers import PolarsDeltaIoManager

            lake = PolarsDeltaIoManager(bundle_variable("lake_root"), mode="append")


            @task(io_manager=lake)
            def clean(orders: pl.LazyFrame) -> pl.LazyFrame:
                return orders.filter(pl.col("amount") > 0)


            @job
            def hourly() -> None:
                clean(lake.table("bronze/orders").changes())
            ```
        """
        from dbxdec.model.changes import asked  # few tasks need it

        wanted = asked(kind=kind, by=by, starting=starting, on_rewrite=on_rewrite, at_least_once=at_least_once)
        if not self.reads_changes:
            raise DbxdecError(
                f"{type(self).__name__} can't tell which rows of a table are new",
                hint="read a Delta table (PolarsDeltaIoManager, SparkDeltaIoManager)",
            )
        if not self.is_table:
            raise DbxdecError(
                "`.changes()` is asked of an IoManager, not of a table",
                hint='name a table: `io.table("...").changes()`',
            )
        return TableChanges(self, wanted)

    def condition_problems(self, parameters: Mapping[str, ValueType]) -> list[Problem]:
        """Return what is wrong with conditions among its options, for a job with these parameters."""
        return []

    def name_problems(self, name: str) -> list[Problem]:
        """Return what is wrong with the name of a table: one below `base_path` must not lead out of it.

        It is called when the table is named, and again in a run, with the values of bundle variables in the name.
        """
        return names.of_path(name) if self.base_path is not None else []

    def check_name(self) -> None:
        """Raise RunError where the name of the table, or an empty variable, leads elsewhere in this run."""
        if empty := self._empty_variables():
            raise RunError(
                f"`base_path` begins with the empty value of {listed(empty)}",
                hint="tables would be in the root folder of the machine: give the bundle variable a value",
            )
        if self._table is not None and (problems := self.name_problems(self.resolve(self._table))):
            raise RunError(problems)

    def _empty_variables(self) -> list[str]:
        """Return the bundle variables with which `base_path` begins, if they are empty in this run."""
        path = self.base_path.template if isinstance(self.base_path, BundleVariable) else str(self.base_path or "")
        start = path.partition("/")[0]
        try:
            return sorted(names_in(start)) if start and not self.resolve(start).strip() else []
        except RunError:  # a variable without a value is an error where the place is needed
            return []

    def check_options(self) -> None:
        """Raise DbxdecError where options are wrong or contradict each other; called whenever they are set."""
        if problems := list(options.of_switch("shared", self.shared)):
            raise DbxdecError(problems)

    @property
    def is_table(self) -> bool:
        """True if this manager is bound to one table."""
        return self._table is not None

    def template(self, job: str, task: str) -> str | None:
        """Return the place of the task's result, with bundle variables unresolved; None for a manager without paths."""
        if self.base_path is None:
            return None
        root = str(self.base_path).replace("{job}", job).replace("{task}", task)
        return self.place_of(root, self._table or task)

    def place_of(self, root: str, name: str) -> str:
        """Return where a table of this name lies below `root`."""
        return f"{root.rstrip('/')}/{name.strip('/')}"

    @forgiving(giving("unknown"))
    def uri(self, name: str | None = None) -> str:
        """Return the place of a table, for code inside a task that opens it itself.

        Args:
            name: The table; by default the one that this manager is bound to.

        Raises:
            RunError: A bundle variable has no value, or the place needs a running task.
        """
        receipt = running_receipt()
        job, task = (receipt.id.job, receipt.id.task) if receipt is not None else ("{job}", "{task}")
        bound = self if name is None else self.table(name)
        bound.check_name()
        if bound._table is None and receipt is None:
            raise RunError(
                "the location of a task's result is known only while the task runs",
                hint="name the table: `io.table('name').read()`, `io.uri('name')`",
            )
        template = bound.template(job, task)
        if template is None or "{job}" in template or "{task}" in template:
            raise RunError(f"{type(self).__name__} can't resolve the location of {name!r} outside a task: {template}")
        return places.resolved(template)

    _uri = uri

    def variables(self) -> set[str]:
        """The bundle variables that its arguments refer to."""
        # `base_path` may be an attribute of the class.
        return names_in(list(vars(self).values())) | names_in(self.base_path)

    @staticmethod
    def resolve(value: Any) -> Any:
        """Return a copy of `value` with bundle variables and secrets replaced by their values.

        Args:
            value: A string, a bundle variable, a secret, or lists, tuples and dicts of them.
        """
        if isinstance(value, Secret):
            return value.value()
        if isinstance(value, str | BundleVariable):
            return resolve(value)
        if isinstance(value, list | tuple):
            return type(value)(map(IoManager.resolve, value))
        if isinstance(value, dict):
            return {key: IoManager.resolve(item) for key, item in value.items()}
        return value


if TYPE_CHECKING:
    # To a type checker a table fits wherever its content would fit. The build checks the types of edges.
    class Table(IoManager, Any):  # type: ignore[misc]
        def read(self, context: InputContext = ...) -> Any:
            """By hand, in a notebook or a test, without a context."""


class Mistaken(IoManager):
    """An IoManager whose constructor failed with a mistake that is already noted. Using it reports nothing further."""

    reads_changes = reads_table = True
    _table = "unknown"
    _meant: IoManager | None = None
    """The manager with the wrong options. It may lack some."""

    @staticmethod
    def take_the_place_of(manager: IoManager, *_: object, **__: object) -> None:
        """Turn a manager whose `__init__` failed into a Mistaken."""
        with suppress(TypeError):  # the class has slots
            meant = copy.copy(manager)
            manager.__class__ = Mistaken
            vars(manager).clear()
            vars(manager)["_meant"] = meant

    def table(self, *_: object, **options: Any) -> Any:
        return self if self._meant is None else _mistaken(self._meant, **options)

    def condition_problems(self, parameters: Mapping[str, ValueType]) -> list[Problem]:
        with suppress(Exception):  # the wrong options may be those that it needs
            return [] if self._meant is None else self._meant.condition_problems(parameters)
        return []

    def variables(self) -> set[str]:
        return set()

    def template(self, job: str, task: str) -> str | None:
        return f"unknown/{job}/{task}"

    def joins(self, returns: tuple[str, ...] | None) -> bool:
        return True

    def combine(self, values: list[Any], context: InputContext) -> Any:
        raise NotImplementedError

    read = write = combine  # type: ignore[assignment]


def _shown(value: Any) -> str:
    return str(value.describe()) if getattr(type(value), "is_job_parameter", False) else f"{value!r:.60}"


def io_reference(manager: IoManager) -> str:
    """Return the name of a manager's class in the manifest.

    dbxdec's own have the package that users import them from.
    """
    kind = type(manager)
    module = _PUBLIC if kind.__module__.startswith(f"{_PUBLIC}.") else kind.__module__
    return f"{module}:{kind.__qualname__}"
