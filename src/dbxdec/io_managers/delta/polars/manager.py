"""Delta tables through Polars and delta-rs: DataFrames and LazyFrames in, DataFrames and LazyFrames out."""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from dbxdec.errors import NotWrittenError, Problem, RunError
from dbxdec.io_managers import frames, outcomes, polars_frames, requirements
from dbxdec.io_managers.contexts import InputContext, ItemWrite, OutputContext, WriteResult
from dbxdec.io_managers.delta import crossing, definition, expectation_problems, expectations
from dbxdec.io_managers.delta.manager import DeltaIoManager, Mode, SchemaPolicy
from dbxdec.io_managers.delta.merge import DeltaMerge
from dbxdec.io_managers.delta.polars import (
    cursors,
    expressions,
    features,
    notes,
    once,
    scan,
    storage,
    table_log,
    write_options,
)
from dbxdec.io_managers.delta.polars import definition as table_definition
from dbxdec.io_managers.delta.polars.reader import PolarsResults
from dbxdec.io_managers.delta.polars.target import Target
from dbxdec.io_managers.delta.polars.write import write_frame, write_nothing
from dbxdec.io_managers.delta.progress import Head
from dbxdec.io_managers.delta.receipts import SAME, Left
from dbxdec.io_managers.delta.sql import POLARS_SQL, Sql
from dbxdec.io_managers.frames import conversions
from dbxdec.io_managers.running import current_receipt
from dbxdec.model import places
from dbxdec.model.variables import names_in

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import polars as pl
    from deltalake import CommitProperties, DeltaTable

    from dbxdec.io_managers.contracts.structure import RuleOutcome
    from dbxdec.io_managers.delta.judging import Outcome
    from dbxdec.io_managers.delta.key_log import KeyLog
    from dbxdec.io_managers.delta.polars.judging import Judge
    from dbxdec.io_managers.delta.polars.new_rows import NewRows
    from dbxdec.io_managers.delta.progress import Consumer, Standing
    from dbxdec.model.secrets import Secret
    from dbxdec.model.values import ValueType
    from dbxdec.model.variables import BundleVariable

_THROUGH_SPARK = "store the table through Spark (`SparkDeltaIoManager`)"
_MERGES = frozenset({"deltalake.TableMerger", "dbxdec.DeltaMerge"})


class PolarsDeltaIoManager(DeltaIoManager):
    """Stores Polars frames as Delta tables below `base_path`, through Polars and delta-rs.

    The default table of a task is named by its key. A returned `DeltaMerge` or `TableMerger` is executed, whatever the
    mode. A parameter gets a `pl.LazyFrame`, or the frame that it is annotated as: a `pl.DataFrame`, one of Spark, or
    one of pyarrow, pandas, DuckDB or narwhals, which a task may return, too.

    Args:
        base_path: Where the tables are: a path or URL, a `pathlib.Path` or a bundle variable. It may hold `{job}` and
            `{task}`.
        mode: What a write does with a table that exists. `"error"`: refuse, before the function is called.
            `"overwrite"`: replace the table; with `partition_by=`, only the partitions that are in the data; with
            `replace=`, that slice. `"append"`: add the rows, exactly once. `"ignore"`: keep the table.
        partition_by: The partition columns of the table.
        replace: The slice that a write with `mode="overwrite"` replaces, also if the result is empty: values by column,
            such as `{"day": day}`. A value is a literal or a parameter of the job.
        schema: What becomes of other columns or types. `"strict"`: an error that names them. `"add-columns"`: new
            columns, and new fields of structs, are added. `"replace"`: the table gets the new schema; only with
            `mode="overwrite"` of whole tables.
        shared: Whether several tasks may write the table. Without it that is a build error.
        keyed: Whether the table tells which keys of its job are there. False for tables between two steps, whose rows
            nobody reads later.
        cluster_by: Clustering, which is only for tables through Spark: a build error here.
        properties: The properties of a table, such as `{"delta.enableChangeDataFeed": True}`.
        comment: The comment of a table.
        columns: Rules of columns by their names, as `column(...)` makes them.
        constraints: SQL conditions that all rows meet, by their names, such as `{"positive": "amount > 0"}`.
        expect: What rows are expected to be, by name: SQL of Polars, or a function of the frame that gives a `pl.Expr`.
            Rows that are not are counted, and kept.
        expect_or_drop: The same for rows that are left out where they are not.
        expect_or_fail: The same for rows that fail the write where they are not; also `unique(...)`, `rows(...)` and
            `fraction(...)`.
        quarantine: A Delta table, with `mode="append"`, that gets the rows which `expect_or_drop` leaves out.
        storage_options: Options of the storage for delta-rs; strings, bundle variables and secrets. They are never in
            the manifest, and no local run uses them.
        delta_write_options: Further arguments of `deltalake.write_deltalake`.

    Raises:
        DbxdecError: An option is wrong; all mistakes at once.

    Example:
        ```python
        from dbxdec import bundle_variable
        from dbxdec.io_managers import PolarsDeltaIoManager

        lake = PolarsDeltaIoManager(bundle_variable("lake_root"), mode="append")
        delays = lake.table("gold/delays", mode="overwrite", partition_by="day")
        ```
    """

    reads: ClassVar[frozenset[str] | None] = crossing.POLARS | crossing.SPARK | frames.KINDS
    writes: ClassVar[frozenset[str] | None] = crossing.POLARS | frames.KINDS | _MERGES
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = frames.NEEDS
    merges: ClassVar[frozenset[str]] = _MERGES
    sql: ClassVar[Sql] = POLARS_SQL
    checks_contracts: ClassVar[bool] = True
    engine_options: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "storage_options": {},
        "delta_write_options": write_options.OWN,
    }
    untexted: ClassVar[frozenset[str]] = frozenset({"delta_write_options"})
    table_options: ClassVar[tuple[str, ...]] = (
        "mode",
        "partition_by",
        "replace",
        "schema",
        "shared",
        "keyed",
        "delta_write_options",
        *definition.OPTIONS,
        *expectations.OPTIONS,
    )
    engine_lacks: ClassVar[Mapping[str, str]] = {
        "cluster_by": f"delta-rs can't write clustered tables: {_THROUGH_SPARK}",
        "identity": f"delta-rs can't number rows: {_THROUGH_SPARK}",
        "default": f"delta-rs has no defaults: set the value in the task, or {_THROUGH_SPARK}",
        "delta.columnMapping.mode": f"delta-rs can't read tables with column mapping: {_THROUGH_SPARK}",
        "delta.enableInCommitTimestamps": f"delta-rs makes no such table: {_THROUGH_SPARK}",
        "delta.enableRowTracking": f"delta-rs makes no such table: {_THROUGH_SPARK}",
        "delta.enableTypeWidening": f"delta-rs makes no such table: {_THROUGH_SPARK}",
    }

    def __init__(
        self,
        base_path: str | os.PathLike[str] | BundleVariable,
        *,
        mode: Mode = "error",
        partition_by: str | Sequence[str] | None = None,
        replace: Mapping[str, Any] | None = None,
        schema: SchemaPolicy = "strict",
        shared: bool = False,
        keyed: bool = True,
        cluster_by: str | Sequence[str] | None = None,
        properties: Mapping[str, str | float | BundleVariable] | None = None,
        comment: str | BundleVariable | None = None,
        columns: Mapping[str, Any] | None = None,
        constraints: Mapping[str, str] | None = None,
        expect: Mapping[str, Any] | None = None,
        expect_or_drop: Mapping[str, Any] | None = None,
        expect_or_fail: Mapping[str, Any] | None = None,
        quarantine: Any = None,
        storage_options: Mapping[str, str | BundleVariable | Secret] | None = None,
        delta_write_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.storage_options = storage_options
        self.delta_write_options = delta_write_options
        super().__init__(
            base_path,
            mode=mode,
            partition_by=partition_by,
            replace=replace,
            schema=schema,
            shared=shared,
            keyed=keyed,
            cluster_by=cluster_by,
            properties=properties,
            comment=comment,
            columns=columns,
            constraints=constraints,
            expect=expect,
            expect_or_drop=expect_or_drop,
            expect_or_fail=expect_or_fail,
            quarantine=quarantine,
        )

    def combine(self, values: list[Any], context: InputContext) -> Any:
        """All frames, one below the other; a column that some lack is null there."""
        return conversions.given(polars_frames.together(values), context)

    def setup(self) -> None:
        requirements.require("polars", "polars", "deltalake")

    def condition_problems(self, parameters: Mapping[str, ValueType]) -> list[Problem]:
        found = super().condition_problems(parameters)
        conditions = [(name, text) for name, text in expectation_problems.sound(self) if isinstance(text, str)]
        if not conditions or find_spec("polars") is None:
            return found
        from dbxdec.io_managers.delta.polars.judging import parsed

        for name, condition in conditions:
            if names_in(condition):
                continue  # a bundle variable has no value yet
            try:
                parsed(condition, self.sql.filled(condition, dict.fromkeys(self.sql.holes(condition)), _hole))
            except RunError as error:
                found += [replace(one, message=f'the expectation "{name}": {one.message}') for one in error.problems]
        return found

    # Reading

    def read(self, context: InputContext | None = None) -> Any:
        """Return the table as a LazyFrame, or as another frame if the parameter is annotated so (`docs/frames.md`).

        With a producer it is what that write returned, as stored, or the version that it made (`context.rows`);
        without, the newest version.

        Args:
            context: What is wanted. Called by hand without one, it reads the table that this manager is bound to.
        """
        context = context or InputContext(self.uri())
        if (other := crossing.to_spark(context)) is not None:
            return other.read(context)
        if context.changes is not None and context.span is not None:
            return self._as_asked(self._new_rows(context).frame(), context.span.until, context)
        table = self._table_of(context)
        if context.producer is None:
            context.tell(version=table.version())
            return self._as_asked(scan.scan(table), table.version(), context)
        return self._as_asked(PolarsResults(table, context).of(context.producer), table.version(), context)

    def read_items(self, context: InputContext, items: Sequence[ItemWrite], *, apart: bool) -> Any:
        if (other := crossing.to_spark(context)) is not None:
            return other.read_items(context, items, apart=apart)
        if any(item.uri != context.uri for item in items):  # each item has a table of its own
            return conversions.of_items(super().read_items, context, items, apart=apart)
        table = self._table_of(context)
        results = PolarsResults(table, context)
        if not apart:
            return self._as_asked(results.of_all(items), table.version(), context)
        found = results.of_items(items)
        version = table.version()
        return [one if isinstance(one, NotWrittenError) else self._as_asked(one, version, context) for one in found]

    def head(self, context: InputContext) -> Head | None:
        if (other := crossing.to_spark(context)) is not None:
            return other.head(context)
        from dbxdec.io_managers.delta.polars import outline

        found = outline.of_log(context.uri, self._storage_options())
        if found is None:
            try:
                found = outline.Outline.of_table(self._table_of(context))
            except NotWrittenError:
                return None
        return Head(found.id, found.version, found, found.log.stamps)

    def standing(
        self, context: OutputContext, consumer: Consumer, *, counts: bool = False, anew: bool = False
    ) -> Standing:
        return cursors.standing(self._target(context), consumer, counts=counts, anew=anew)

    def share(self, context: OutputContext, version: int) -> None:
        with storage.refusals(context.uri, "write"):
            table = self._table_of(InputContext(context.uri, "the table"))
            table_log.add_receipt(table, context.receipt, Left("none"), **{SAME: version})

    def behind(self, context: InputContext) -> dict[str, int]:
        return self._new_rows(context).behind()

    def _new_rows(self, context: InputContext) -> NewRows:
        from dbxdec.io_managers.delta.polars.new_rows import NewRows, Wanted  # few tasks need it
        from dbxdec.io_managers.delta.polars.outline import Outline

        assert context.changes is not None  # noqa: S101 - the caller gives both
        assert context.span is not None  # noqa: S101
        wanted = Wanted(context, context.changes, context.span)
        opened = context.span.opened
        if not isinstance(opened, Outline):
            opened = Outline.of_table(self._table_of(context))
        return NewRows(opened, wanted, lambda: self._table_of(context))

    def empty(self, context: InputContext) -> Any:
        if (other := crossing.to_spark(context)) is not None:
            return other.empty(context)
        table = self._table_of(context)
        return self._as_asked(scan.scan(table).clear(), table.version(), context)

    def _table_of(self, context: InputContext) -> DeltaTable:
        table = table_log.open_table(context.uri, self._storage_options())
        if table is None:
            raise outcomes.not_written(context)
        features.refuse_read(table, context.uri)
        return table

    def _as_asked(self, frame: pl.LazyFrame, version: int, context: InputContext) -> Any:
        return conversions.given(frame, context, lambda: storage.reading(context.uri, version))

    # Writing

    def preflight(self, context: OutputContext) -> None:
        import polars as pl

        from dbxdec.io_managers.delta.polars import merge

        target = self._target(context)
        self._refuse_quarantine(context)
        frames.require(context.returns or ())
        if context.returns == ("deltalake.TableMerger",):
            merge.refuse_unseen(target)
        table = target.open()
        wanted = target.definition.constraints
        if table is None:
            expressions.refuse_constraints(wanted, None, context.uri)
            return
        # A function without a return annotation may return a merge, which any mode executes.
        merges = context.returns is None or not _MERGES.isdisjoint(context.returns)
        if merges or self.mode != "ignore":
            features.refuse_write(table, context.uri, mode="merge" if merges else self.mode)
            schema = pl.Schema(table.schema())
            expressions.refuse_generated(table_definition.computed(table), schema, context.uri)
            kept = {name: one for name, one in expressions.of_table(table).items() if name not in wanted}
            expressions.refuse_constraints(kept, schema, context.uri, there=True)
            expressions.refuse_constraints(wanted, schema if self.schema == "strict" else None, context.uri)
        if merges:
            return
        if self.mode == "error" and once.done_before(table, context.receipt) is None and not target.is_shell(table):
            raise outcomes.exists(context)
        if self.mode == "append":
            once.done_before(table, context.receipt)
        if self.mode == "overwrite":
            features.refuse_paths(table, context.uri)
        if target.judge is not None and self.schema == "strict":
            target.judge.for_schema(pl.Schema(table.schema()))
        if self.mode in ("append", "overwrite"):
            table_definition.refuse(target.definition, table, context.uri)
            target.check_partitions(table)
            target.check_slice(table)

    def write(self, context: OutputContext, value: Any) -> WriteResult:
        """Store a DataFrame or LazyFrame by the mode, execute a merge, note that there was nothing to write."""
        target, began = self._target(context), time.time_ns() // 1_000_000
        result = self._written(target, value)
        if target.judge is not None and result.expectations:
            result = replace(result, expectations=target.judge.in_order(result.expectations))
        if context.receipt.id.key:
            version = result.version
            self.settle(context, lambda older: notes.note(target, version, before=began, has_older_keys=older))
        return result

    def _written(self, target: Target, value: Any) -> WriteResult:
        import polars as pl
        from deltalake.table import TableMerger

        from dbxdec.io_managers.delta.polars import merge

        value = conversions.taken(value, f"what the task `{target.receipt.id.task}` returned")
        if value is None:
            return write_nothing(target)
        if isinstance(value, TableMerger):
            return merge.execute_merger(target, value)
        if isinstance(value, DeltaMerge):
            return merge.execute(target, value)
        if not isinstance(value, pl.DataFrame | pl.LazyFrame):
            wanted = "a pl.DataFrame, a pl.LazyFrame, another frame, a DeltaMerge or a TableMerger"
            raise outcomes.unstorable(self, value, task=target.receipt.id.task, wanted=wanted)
        return write_frame(target, value)

    def delta_table(self, name: str | None = None) -> DeltaTable:
        """Return delta-rs' own handle of a table, for what the task does itself, such as a merge that it returns.

        It is the table that counts where the task runs, with the storage options of this manager.

        Args:
            name: The table; by default the one that this manager is bound to.

        Raises:
            NotWrittenError: There is no such table.
            RunError: A bundle variable has no value, or the place needs a running task.

        Example:
            ```python
            from dbxdec import bundle_variable
            from dbxdec.io_managers import PolarsDeltaIoManager

            lake = PolarsDeltaIoManager(bundle_variable("lake_root"))


            def version() -> int:
                return lake.delta_table("gold/orders").version()
            ```
        """
        return self._table_of(InputContext(self.uri(name), "the table"))

    def commit_properties(self) -> CommitProperties:
        """Return commit properties for a `TableMerger` that the task returns, so that a retry never repeats it.

        Give them where the merge is made: `table.merge(..., commit_properties=io.commit_properties())`. They put the
        receipt into a commit that the task makes itself as well, and two attempts that make it at once conflict; but
        delta-rs commits again in a retry. Outside of a run they are empty.
        """
        from deltalake import CommitProperties

        receipt = current_receipt(self)
        return CommitProperties() if receipt is None else table_log.commit_properties(receipt, Left("merge", own=True))

    def _target(self, context: OutputContext) -> Target:
        write_options.refuse_unknown(self.delta_write_options)
        return Target(
            context=context,
            mode=self.mode,
            schema=self.schema,
            partitions=self.partitions,
            slice=self.slice_in(context),
            storage_options=self._storage_options(),
            write_options=self.resolve(dict(self.delta_write_options or {})),
            definition=self.definition(),
            judge=self.judge(context),
        )

    def judge(self, context: OutputContext) -> Judge | None:
        """Return what judges the rows of a write; None for a table that expects nothing, of a task without contract."""
        found = expectations.of(self, self.resolve)
        if not found and context.contract is None:
            return None
        from dbxdec.io_managers.delta.polars import quarantining
        from dbxdec.io_managers.delta.polars.judging import Judge

        keep = None if self.quarantine is None else quarantining.into(self.quarantine, context)
        task = context.receipt.id.task
        there = lambda: self._rows_there(context)  # noqa: E731
        return Judge(found, context.parameters, task, context.uri, keep, there, context.contract)

    def _refuse_quarantine(self, context: OutputContext) -> None:
        if self.quarantine is not None:
            from dbxdec.io_managers.delta.polars import quarantining

            quarantining.refuse(self.quarantine, context)

    def outcomes_there(self, context: OutputContext) -> list[Outcome | RuleOutcome] | None:
        judge, rows = self.judge(context), self._rows_there(context)
        if judge is None or rows is None:
            return None
        found = replace(judge, there=lambda: None).for_schema(rows.collect_schema()).outcomes(rows, rows)
        if context.contract is None:
            return [*found]
        from dbxdec.io_managers.contracts import frames as contracts  # few tasks have any
        from dbxdec.io_managers.delta.polars.schemas import stored

        return [*found, *contracts.outcomes_there(rows, context.contract, uri=context.uri, stored=stored)]

    def _rows_there(self, context: OutputContext) -> pl.LazyFrame | None:
        """Return the rows of the target as they are now; None without a table."""
        table = table_log.open_table(context.uri, self._storage_options())
        if table is None:
            return None
        features.refuse_read(table, context.uri)  # files that are read by their names would have other columns
        return scan.scan(table)

    def key_log(self, uri: str) -> KeyLog | None:
        from dbxdec.io_managers.delta.polars import identifiers

        return identifiers.read(uri, self._storage_options())

    def _storage_options(self) -> dict[str, str] | None:
        if places.is_local_run():
            return None  # the options are for the remote storage
        return self.resolve(dict(self.storage_options)) if self.storage_options is not None else None

    def note_keys(self, uri: str, identifiers: Sequence[str]) -> None:
        with storage.refusals(uri, "write"):
            table_log.note(self._table_of(InputContext(uri, "the table")), *identifiers)

    def partition_keys(self, uri: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        table = self._table_of(InputContext(uri, "the table"))
        columns = tuple(table.metadata().partition_columns)
        with storage.refusals(uri, "read"):
            found = {tuple(str(part[name]) for name in columns) for part in (table.partitions() if columns else ())}
        return columns, sorted(found)


def _hole(name: str, _: object) -> str:
    """Return the name of a column that stands for a job parameter."""
    return f'"{name}"'
