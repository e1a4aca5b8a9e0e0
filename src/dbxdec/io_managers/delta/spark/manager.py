"""Delta tables through Spark: DataFrames in, DataFrames out, classic and Connect alike."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from dbxdec.errors import RunError
from dbxdec.io_managers import columns, outcomes
from dbxdec.io_managers.contexts import InputContext, ItemWrite, OutputContext, WriteResult
from dbxdec.io_managers.delta import crossing, definition, expectation_problems, expectations
from dbxdec.io_managers.delta.manager import DeltaIoManager
from dbxdec.io_managers.delta.merge import DeltaMerge
from dbxdec.io_managers.delta.receipts import SAME, Left
from dbxdec.io_managers.delta.spark import (
    checkpoints,
    cursors,
    merge,
    reader,
    refusals,
    source_log,
    staging,
    store,
    stream,
    write,
)
from dbxdec.io_managers.delta.spark import definition as table_definition
from dbxdec.io_managers.delta.spark.log import SparkTable
from dbxdec.io_managers.delta.spark.reader import SparkResults
from dbxdec.io_managers.delta.sql import SPARK_SQL, Sql
from dbxdec.io_managers.running import current_receipt
from dbxdec.io_managers.spark_causes import told_of_query
from dbxdec.io_managers.spark_session import fail, is_merge, is_missing, require_reach, session
from dbxdec.model import places

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from dbxdec.errors import Problem
    from dbxdec.io_managers.contracts.structure import RuleOutcome
    from dbxdec.io_managers.delta.judging import Outcome
    from dbxdec.io_managers.delta.key_log import KeyLog
    from dbxdec.io_managers.delta.manager import Mode, SchemaPolicy
    from dbxdec.io_managers.delta.progress import Consumer, Head, Standing
    from dbxdec.io_managers.delta.spark.judging import Judge
    from dbxdec.model.secrets import Secret
    from dbxdec.model.values import ValueType
    from dbxdec.model.variables import BundleVariable

FRAME = "pyspark.DataFrame"
MERGE = "delta.DeltaMergeBuilder"
DELTA_MERGE = "dbxdec.DeltaMerge"
_MERGES = frozenset({MERGE, DELTA_MERGE})
# Every Delta that has these can write them (Delta protocol, "Valid Feature Names in Table Features").
_KNOWN_FEATURES = frozenset({"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns"})
_IDENTITY = "identityColumns"
# Options of Spark's writer that dbxdec sets itself, and what to write instead.
_OWN_OPTIONS = {
    "mergeSchema": '`schema="add-columns"`',
    "overwriteSchema": '`schema="replace"`',
    "partitionOverwriteMode": '`mode="overwrite"` with `partition_by=`',
    "replaceWhere": '`mode="overwrite"` with `replace=` or `partition_by=`',
    "txnAppId": "nothing: the commit carries the transaction of the task",
    "txnVersion": "nothing: the commit carries the transaction of the task",
    "userMetadata": "nothing: the commit carries the receipt of the task",
    "versionAsOf": "nothing: a reader gets the version that its run wrote",
}


class SparkDelta(DeltaIoManager):
    """The common part of managers of Delta tables through Spark, wherever a table lies."""

    reads: ClassVar[frozenset[str] | None] = crossing.SPARK | crossing.POLARS
    writes: ClassVar[frozenset[str] | None] = frozenset({FRAME, MERGE, DELTA_MERGE})
    table_options: ClassVar[tuple[str, ...]] = (
        "mode", "partition_by", "replace", "schema", "shared", "keyed", "read_options", "write_options",
        *definition.OPTIONS, *expectations.OPTIONS,
    )  # fmt: skip
    sql: ClassVar[Sql] = SPARK_SQL
    merges: ClassVar[frozenset[str]] = _MERGES
    engine_options: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "read_options": _OWN_OPTIONS,
        "write_options": _OWN_OPTIONS,
    }
    merges_by_settings: ClassVar[bool] = True
    one_name: ClassVar[Callable[[str], str]] = str.lower
    _named: ClassVar[bool] = False

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
        read_options: Mapping[str, str | BundleVariable | Secret] | None = None,
        write_options: Mapping[str, str | BundleVariable | Secret] | None = None,
    ) -> None:
        self.read_options = read_options
        self.write_options = write_options
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

    # Reading

    def read(self, context: InputContext | None = None) -> Any:
        """Return the table as a Spark DataFrame, or as a Polars frame if the parameter is annotated so.

        With a producer it is what that write returned, as stored, or the version that it made (`context.rows`);
        without, the newest version.

        Args:
            context: What is wanted. Called by hand without one, it reads the table that this manager is bound to.
        """
        context = context or InputContext(self.uri())
        if (other := crossing.to_polars(self, context, self._path)) is not None:
            return other.read(context)
        table = self._at(context.uri)
        changes, span = context.changes, context.span
        if changes is not None and span is not None:
            from dbxdec.io_managers.delta.spark.new_rows import NewRows  # few tasks need it

            return self._looked_up(context, lambda: NewRows(table, context, changes, span).frame())
        if context.producer is None:
            return self._looked_up(context, lambda: reader.newest(table, context))
        producer = context.producer
        return self._looked_up(context, lambda: SparkResults(table, context).of(producer))

    def read_items(self, context: InputContext, items: Sequence[ItemWrite], *, apart: bool) -> Any:
        if (other := crossing.to_polars(self, context, self._path)) is not None:
            return other.read_items(context, items, apart=apart)
        if any(item.uri != context.uri for item in items):  # each item has a table of its own
            return super().read_items(context, items, apart=apart)
        results = SparkResults(self._at(context.uri), context)
        return self._looked_up(context, lambda: results.of_items(items) if apart else results.of_all(items))

    def head(self, context: InputContext) -> Head | None:
        if (other := crossing.to_polars(self, context, self._path)) is not None:
            return other.head(context)
        table = self._at(context.uri)
        try:
            return source_log.head(table)
        except Exception as error:  # noqa: BLE001 - it is raised again
            if is_missing(error):
                return None
            fail(error, context.uri, "read")

    def standing(
        self, context: OutputContext, consumer: Consumer, *, counts: bool = False, anew: bool = False
    ) -> Standing:
        return cursors.standing(self._at(context.uri), consumer, context.receipt, counts=counts, anew=anew)

    def share(self, context: OutputContext, version: int) -> None:
        try:
            write.add_receipt(self._at(context.uri), context.receipt, Left("none"), **{SAME: version})
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(error, context.uri, "write")

    def empty(self, context: InputContext) -> Any:
        if (other := crossing.to_polars(self, context, self._path)) is not None:
            return other.empty(context)
        return self._looked_up(context, lambda: reader.newest(self._at(context.uri), context).limit(0))

    def _looked_up(self, context: InputContext, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Exception as error:
            if is_missing(error):
                raise outcomes.not_written(context) from error
            fail(error, context.uri, "read")

    def combine(self, values: list[Any], context: InputContext) -> Any:
        """Return all frames concatenated. A column that a frame lacks is null in its rows."""
        return reader.together(values)

    # Writing

    def condition_problems(self, parameters: Mapping[str, ValueType]) -> list[Problem]:
        """Return what can be told without Spark, whose start takes longer than a build."""
        from dbxdec.io_managers.delta.spark.fixed_conditions import problems

        return [*super().condition_problems(parameters), *problems(expectation_problems.sound(self))]

    def judge(self, context: OutputContext) -> Judge | None:
        """Return what judges the rows of a write; None for a table that expects nothing."""
        found = expectations.of(self, self.resolve)
        if not found:
            return None
        from dbxdec.io_managers.delta.spark import quarantining
        from dbxdec.io_managers.delta.spark.judging import Judge

        keep = None if self.quarantine is None else quarantining.into(self.quarantine, context)
        task = context.receipt.id.task
        return Judge(found, context.parameters, task, context.uri, keep, lambda: self._rows_there(context))

    def _rows_there(self, context: OutputContext) -> Any:
        """Return the rows of the target as they are now; None without a table."""
        table = self._at(context.uri)
        return None if table.detail() is None else table.frame()

    def outcomes_there(self, context: OutputContext) -> list[Outcome | RuleOutcome] | None:
        judge, rows = self.judge(context), self._rows_there(context)
        if judge is None or rows is None:
            return None
        return [*replace(judge, there=lambda: None).marked(rows, drops=False).outcomes()]

    def _refuse_quarantine(self, context: OutputContext) -> None:
        if self.quarantine is not None:
            from dbxdec.io_managers.delta.spark import quarantining

            quarantining.refuse(self.quarantine, context)

    def preflight(self, context: OutputContext) -> None:
        judge = self.judge(context)
        if judge is not None and context.returns == (MERGE,):
            judge.refuse_unseen("DeltaMergeBuilder")
        self._refuse_quarantine(context)
        table = self._at(context.uri)
        detail = table.detail()
        if detail is None:
            path = None if places.is_databricks() else self._path(context.uri)
            if path is not None:
                refusals.refuse_file(context.uri, path)
            return
        # Into a table with an identity column Delta appends no rows as a file without rows, in a commit.
        if not detail.features <= _KNOWN_FEATURES and _IDENTITY not in detail.features:
            write.check_writable(table)
        # A function without a return annotation may return a merge, which any mode executes.
        if context.returns is None or set(context.returns) & _MERGES:
            return
        if self.mode in ("error", "append"):
            done = store.already_done(table, context.receipt, streams=True)
            if done is None and self.mode == "error" and not write.is_shell(table, detail, context.receipt):
                raise outcomes.exists(context)
        if self.mode == "overwrite" and detail.properties.get("delta.appendOnly") == "true":
            raise RunError(
                f"the table {context.uri} is append-only (`delta.appendOnly`), but its task overwrites",
                hint='use mode="append", or unset the property',
            )
        if judge is not None and self.schema == "strict":
            judge.marked(table.frame())
        if self.mode in ("append", "overwrite"):
            columns.refuse_other_partitions(detail.partitions, self.partitions, context.uri)
            if wanted := self.definition():
                table_definition.refuse(wanted, detail, table.frame().schema, context.uri)

    def write(self, context: OutputContext, value: Any) -> WriteResult:
        """Store a DataFrame by the mode, execute a merge, or note that there was nothing to write."""
        refusals.refuse_value(context, value, manager=type(self).__name__)
        frame = value.source if isinstance(value, DeltaMerge) else value
        table = self._at(context.uri, getattr(frame, "_spark" if is_merge(value) else "sparkSession", None))
        began = time.time_ns() // 1_000_000
        judge = self.judge(context)
        if judge is not None:
            staging.remove_earlier(table, context.receipt)
        with told_of_query(context.receipt.id.task, context.uri):
            result = self._written(table, context, value, judge)
        if judge is not None and result.expectations:
            result = replace(result, expectations=judge.in_order(result.expectations))
        if context.receipt.id.key:
            self.settle(context, lambda older: write.note(table, before=began, has_older_keys=older))
        if context.receipt.progress is not None and (value is not None or table.detail() is not None):
            cursors.keep_positions(table, context.receipt, result)
        return result

    def _written(self, table: SparkTable, context: OutputContext, value: Any, judge: Judge | None) -> WriteResult:
        if value is None:
            return self._write_nothing(table, context)
        if is_merge(value):
            if judge is not None:
                judge.refuse_unseen("DeltaMergeBuilder")
            return merge.execute_builder(table, context, value)
        target = self._write_to(table, context, judge)
        source = value.source if isinstance(value, DeltaMerge) else value
        if target.partitions:
            target = replace(target, partitions=columns.named_as(target.partitions, source.columns))
        if stream.is_streaming(source):
            if judge is not None:
                judge.refuse_stream()
            return stream.append(target, value) if source is value else stream.merge(target, value)
        return target.store(value) if source is value else merge.execute(target, value)

    def delta_table(self, name: str | None = None) -> Any:
        """Return Delta's own handle of a table (`delta.tables.DeltaTable`), for what the task does itself.

        It is the table that counts where the task runs: in a local run a table of the catalog lies below a folder.

        Args:
            name: The table; by default the one that this manager is bound to.

        Raises:
            NotWrittenError: There is no such table.
            RunError: A bundle variable has no value, or the place needs a running task.

        Example:
            ```python
            from dbxdec import bundle_variable
            from dbxdec.io_managers import SparkTableIoManager

            gold = SparkTableIoManager(bundle_variable("catalog") + ".gold")


            def vacuum() -> None:
                gold.delta_table("orders").vacuum(168)
            ```
        """
        from delta.tables import DeltaTable

        context = InputContext(self.uri(name), "the table")
        table = self._at(context.uri)
        make = DeltaTable.forName if table.named else DeltaTable.forPath

        def found() -> Any:
            handle = make(table.spark, table.sql if table.named else table.uri)
            _ = handle.toDF().schema  # only this looks up a table over Connect
            return handle

        return self._looked_up(context, found)

    def commit_properties(self) -> dict[str, str]:
        """Return writer options for a write that the task does itself, so that a retry never repeats it.

        Use them once in a task: `frame.write.format("delta").options(**io.commit_properties())`. Outside of a run they
        are empty. A merge needs none: return it unexecuted.
        """
        receipt = current_receipt(self)
        if receipt is None:
            return {}
        own = {"txnAppId": receipt.id.own_transaction, "txnVersion": "1"}
        # How far the task has read is for the commit of its result.
        receipt = replace(receipt, progress=None)
        return {**write.write_options(receipt, Left("merge", own=True)), **own}

    def _write_nothing(self, table: SparkTable, context: OutputContext) -> WriteResult:
        note = f"nothing to write{expectations.UNJUDGED if expectations.of(self, self.resolve) else ''}"
        if table.detail() is not None:
            # A retry may find nothing left to do because an earlier attempt did the work: that work counts.
            if (done := store.already_done(table, context.receipt, streams=True)) is not None:
                return done
            if context.receipt.progress is not None:
                done = cursors.note(table, context.receipt, Left("none"), uuid.uuid4().hex)
                return done or WriteResult(note=note)
            write.add_receipt(table, context.receipt, Left("none"))
        return WriteResult(note=note)

    def _write_to(self, table: SparkTable, context: OutputContext, judge: Judge | None) -> store.FrameWrite:
        options = self.resolve(dict(self.write_options or {}))
        checkpoint = options.pop(checkpoints.OPTION, None)
        return store.FrameWrite(
            table=table,
            context=context,
            mode=self.mode,
            partitions=self.partitions,
            replace=self.slice_in(context),
            schema=self.schema,
            options=options,
            definition=self.definition(),
            checkpoint=checkpoint,
            shared=self.shared,
            judge=judge,
        )

    def reader_of_log(self, uri: str) -> tuple[DeltaIoManager, str]:
        path = self._path(uri)
        if path is None:
            raise RunError(f"only Spark can read the log of {uri}")
        return crossing.keys_at(), path

    def key_log(self, uri: str) -> KeyLog | None:
        """Return what the log says of keys. Spark is not started for it but on the platform."""
        path = self._path(uri)
        if path is not None:
            return crossing.keys_at().key_log(path)
        if not places.is_databricks():
            return super().key_log(uri)
        from dbxdec.io_managers.delta.spark import identifiers

        return identifiers.read(self._at(uri))

    def note_keys(self, uri: str, identifiers: Sequence[str]) -> None:
        path = self._path(uri)
        if path is None:
            super().note_keys(uri, identifiers)
        else:
            crossing.keys_at().note_keys(path, identifiers)

    def partition_keys(self, uri: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        path = self._path(uri)
        return super().partition_keys(uri) if path is None else crossing.keys_at().partition_keys(path)

    def _path(self, uri: str) -> str | None:
        """Return the path of a table on a file system of this machine; None if it is elsewhere."""
        if self._named:
            return places.table_here(uri)
        return None if places.is_remote(uri) else places.absolute(uri)

    def _at(self, uri: str, spark: Any = None) -> SparkTable:
        there = places.table_here(uri) if self._named else places.absolute(uri)
        options = self.resolve(dict(self.read_options or {}))
        spark = spark or session()
        require_reach(spark, there or uri, is_here=there not in (None, uri))
        return SparkTable(spark, there or uri, self._named and there is None, options)


class SparkDeltaIoManager(SparkDelta):
    """Stores Spark DataFrames as Delta tables below `base_path`.

    The default table of a task is named by its key. A returned `DeltaMerge` or `DeltaMergeBuilder` is executed,
    whatever the mode. The active session is used, or one is made. Frames of Spark Connect are taken too.

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
        cluster_by: The columns by which a table is clustered, up to four; `"auto"` lets the platform choose them.
            A table has clusters or partitions, never both.
        properties: The properties of a table, such as `{"delta.enableChangeDataFeed": True}`.
        comment: The comment of a table.
        columns: Rules of columns by their names, as `column(...)` makes them.
        constraints: SQL conditions that all rows meet, by their names, such as `{"positive": "amount > 0"}`.
        expect: What rows are expected to be, by name: SQL of Spark, or a function of the frame that gives a `Column`.
            Rows that are not are counted, and kept.
        expect_or_drop: The same for rows that are left out where they are not.
        expect_or_fail: The same for rows that fail the write where they are not; also `unique(...)`, `rows(...)` and
            `fraction(...)`.
        quarantine: A Delta table, with `mode="append"`, that gets the rows which `expect_or_drop` leaves out.
        read_options: Options of Spark's reader, strings, bundle variables and secrets; never in the manifest.
        write_options: Options of Spark's writer, strings, bundle variables and secrets; never in the manifest.

    Raises:
        DbxdecError: An option is wrong; all mistakes at once.

    Example:
        ```python
        from dbxdec import bundle_variable
        from dbxdec.io_managers import SparkDeltaIoManager

        lake = SparkDeltaIoManager(bundle_variable("lake_root"), mode="append")
        ```
    """
