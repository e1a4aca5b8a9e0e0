"""Decides how a Spark frame is written to a Delta table: its mode, exactly once, tries after a conflict."""

from __future__ import annotations

import time
import uuid
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers import columns, outcomes, spark_frames
from dbxdec.io_managers.base import log
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.delta import receipts
from dbxdec.io_managers.delta.expectations import UNJUDGED
from dbxdec.io_managers.delta.patience import ATTEMPTS, pause
from dbxdec.io_managers.delta.receipts import Left, Trail
from dbxdec.io_managers.delta.slices import Slice
from dbxdec.io_managers.delta.spark import computed, cursors, definition, messages, predicates, schemas, write
from dbxdec.io_managers.delta.spark.judged_rows import JudgedRows
from dbxdec.io_managers.delta.spark.log import SparkTable
from dbxdec.io_managers.spark_session import condition, fail, first_line, is_conflict
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.io_managers.contexts import OutputContext, Receipt
    from dbxdec.io_managers.delta.definition import Definition
    from dbxdec.io_managers.delta.spark.judging import Judge
    from dbxdec.io_managers.delta.spark.log import Detail

_SCHEMA_OPTIONS: dict[str, dict[str, str]] = {
    "strict": {},
    "add-columns": {"mergeSchema": "true"},
    "replace": {"overwriteSchema": "true"},
}


@dataclass(frozen=True)
class FrameWrite:
    """One write of a frame: its target, and the resolved options of its manager."""

    table: SparkTable
    context: OutputContext
    mode: str
    partitions: tuple[str, ...]
    replace: Mapping[str, Any] | None
    schema: str
    options: Mapping[str, str]
    definition: Definition
    checkpoint: str | None = None
    """The place that the author wants for the checkpoint of a stream."""
    shared: bool = False
    """True if other tasks write the table too."""
    judge: Judge | None = None

    @property
    def unjudged(self) -> str:
        """The end of the note of a write that stores no rows: nothing was expected of it."""
        return "" if self.judge is None else UNJUDGED

    def stating(self, receipt: Receipt) -> FrameWrite:
        """Return the write with another receipt."""
        return replace(self, context=replace(self.context, receipt=receipt))

    @property
    def task(self) -> str:
        return self.context.receipt.id.task

    def store(self, frame: Any) -> WriteResult:
        """Store `frame`. Raises RunError if the table, the frame or another writer prevents it."""
        outcomes.refuse_as_new(self.context, self.mode)
        with JudgedRows(self.judge, self.table, self.context.receipt) as rows:
            result = self._tried(frame, rows)
        if self.judge is not None and outcomes.is_earlier(result) and not result.expectations:
            log.warning(
                "nobody knows how the expectations of %s came out: the attempt that stored the rows did not note it",
                self.table.uri,
            )
        return result

    def _tried(self, frame: Any, rows: JudgedRows) -> WriteResult:
        for attempt in range(ATTEMPTS):
            detail = self.table.detail()
            try:
                return self._once(frame, detail, rows)
            except Exception as error:
                if isinstance(error, DbxdecError):
                    raise
                if not is_conflict(error):
                    self._fail(error)
                # Rows that are only added may be written again, whatever another writer did in between. So may those
                # of a table that another writer made first, by the rule of the mode for existing tables.
                if (detail is not None and self.mode != "append") or attempt == ATTEMPTS - 1:
                    raise messages.conflict(self.context, error) from error
            pause(attempt)
        raise AssertionError("unreachable")

    def _once(self, frame: Any, detail: Detail | None, rows: JudgedRows, *, undone: Trail | None = None) -> WriteResult:
        """Try once, on the table as it is now. Raises the engine's error on a conflict with another writer.

        `undone` is what the log says of the write where it is known that a RESTORE has undone it.
        """
        given, receipt, table = frame, self.context.receipt, self.table
        if detail is None:
            schemas.check_storable(frame.schema, self.partitions, task=self.task)
            frame = rows.before_table(frame)
        if detail is None and (self.replace is not None or self.definition):
            # Only an existing table refuses rows outside of the part that is replaced, and has all that is wanted.
            self.create_empty(frame)
            detail = table.detail()
        if detail is not None:
            shell = write.is_shell(table, detail, receipt)
            if self.mode == "ignore" and not shell:
                return self._keep()
            if self.mode in ("error", "append"):
                if (done := already_done(table, receipt)) is not None:
                    return done
                if self.mode == "error" and not shell:
                    raise outcomes.exists(self.context)
            columns.refuse_other_partitions(detail.partitions, self.partitions, self.context.uri)
            frame = self._judged(frame, detail, rows)
            detail = self.adjust(detail)
            frame = self.fitted(frame, detail)
        else:
            # Of a table of the catalog that it makes, Spark tells nothing that it has observed.
            frame = rows.of(frame, once=not table.named)
        receipt = rows.stating(receipt)
        frame = spark_frames.refuse_lost(frame, self.partitions if detail is None else detail.partitions)
        # Distinguishes this write from another one of the same attempt.
        mark = uuid.uuid4().hex
        left = self._left(detail)
        proof = write.write_options(receipt, left, once=self._transaction(detail, undone), write=mark)
        began = time.time_ns() // 1_000_000
        if detail is None:
            self._create(frame, {**self.options, **proof})
        else:
            self._change(frame, detail, {**self.options, **proof, **_SCHEMA_OPTIONS[self.schema]})
        found = table.find(receipt.id, since=began).found.get(receipt.id)
        if found is not None and found.facts.get("write") == mark:
            return rows.told(WriteResult(found.version, found.metrics.get("numOutputRows")), mark)
        if self.mode == "overwrite":  # with nothing to add or remove, Delta makes no commit
            write.add_receipt(table, receipt, left, write=mark)
            found = table.find(receipt.id, since=began).found.get(receipt.id)
            return rows.told(WriteResult(found.version if found else None, 0), mark)
        # Spark dropped the rows, since this write was committed before.
        if receipt.progress is not None:
            return cursors.dropped(table, receipt)
        trail = Trail(found={receipt.id: found}) if found is not None else table.find(receipt.id)
        found = trail.found.get(receipt.id)
        if found is not None:
            return messages.already(found, receipt, table.uri)
        if self.mode == "ignore":
            return self._keep()
        if undone is None and receipt.id in trail.undone:
            return self._once(given, table.detail(), rows, undone=trail)
        return outcomes.already_without_receipt()

    def _judged(self, frame: Any, detail: Detail, rows: JudgedRows) -> Any:
        """Return the rows of `frame` that the table expects, once it is clear that the frame fits."""
        if self.judge is None:
            return frame
        self.fitted(frame, detail)
        whole, part = self.mode == "overwrite", bool(self.partitions) and self.replace is None
        # Spark tells nothing of what it observes where it makes the table anew, and some writes run the query twice.
        anew = whole and self.table.named and (self.schema == "replace" or bool(detail.clustering))
        twice = whole and part and not write.is_one_pass(self.table, frame, self.partitions)
        return rows.of(schemas.fitted(frame, self.table.frame().schema), once=not anew and not twice)

    def adjust(self, detail: Detail) -> Detail:
        """Give an existing table what it lacks of what is wanted; return its details then."""
        if not self.definition:
            return detail
        grows = self.schema == "add-columns"
        return definition.adjust(self.table, self.definition, detail, task=self.task, grows=grows)

    def fitted(self, frame: Any, detail: Detail) -> Any:
        """Return `frame` as the table takes it. Raises RunError if it does not fit."""
        schema = self.table.frame().schema
        filled = {} if self.schema == "replace" else computed.left_out(self.table, detail, schema, frame.schema)
        frame = computed.with_values(schemas.fitted(frame, schema), schema, filled)
        # The table's own partitions: `partition_by` may be left out for an existing table.
        parts = [name for name in detail.partitions if filled.get(name.lower(), "") is not None]
        schemas.check_storable(frame.schema, [name for name in self.partitions if name in parts], task=self.task)
        there = [field for field in schema if filled.get(field.name.lower(), "") is not None]
        schemas.check(frame.schema, there, policy=self.schema, uri=self.table.uri)
        spark_frames.check_partitions(frame.schema, parts, task=self.task)
        return computed.with_comments(frame, schema) if self.schema == "replace" else frame

    def _left(self, detail: Detail | None) -> Left:
        """Return the result that the write leaves.

        If another writer may make the table first, only files identify the rows.
        """
        if detail is not None and self.replace is not None:
            return Left("slice", Slice.of_values(self._slice(self.replace), detail.partitions))
        whole = self.mode == "overwrite" and not self.partitions
        return Left("whole") if whole and (detail is not None or not self.table.named) else Left("files")

    def _slice(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return columns.spelled_as(values, self.table.frame().columns)

    def _transaction(self, detail: Detail | None, undone: Trail | None) -> int | None:
        """Return the version of the write's transaction; None for a write that may be repeated."""
        receipt = self.context.receipt
        if self.mode == "overwrite":
            return write.rising_transaction(self.table, receipt) if receipt.id.key else None
        if undone is not None:
            return write.next_transaction(undone, receipt)
        if detail is None or receipt.attempt <= 1:
            return 1
        return write.next_transaction(self.table.find(receipt.id), receipt)

    def _keep(self) -> WriteResult:
        """Leave the rows alone, and note in the log that the task has run: its readers get the table as it is now."""
        if (done := already_done(self.table, self.context.receipt)) is not None:
            return done
        note = f'kept the existing data (mode="ignore"){self.unjudged}'
        try:
            write.add_receipt(self.table, self.context.receipt, Left("kept"))
        except Exception as error:  # noqa: BLE001 - whatever the reason, there is nothing to write
            note += f"; no receipt can be left for readers: {first_line(error)}"
        return WriteResult(note=note)

    def create_empty(self, frame: Any) -> None:
        """Make the table with the columns of `frame`, unless another writer does."""
        try:
            if self.definition:
                receipt = self.context.receipt
                definition.create(self.table, self.definition, frame, self.partitions, self.options, receipt)
            else:
                write.create(self.table, frame.limit(0), "ignore", self.partitions, self.options)
        except Exception as error:
            if not is_conflict(error) or self.table.detail() is None:
                raise

    def _create(self, frame: Any, options: Mapping[str, str]) -> None:
        if self.mode == "overwrite" and self.partitions:
            # If another writer makes the table meanwhile, it keeps the partitions that are not in the data.
            options = {**options, "partitionOverwriteMode": "dynamic"}
        try:
            write.create(self.table, frame, self.mode, self.partitions, options)
        except Exception as error:
            orphan = write.orphaned(self.table, error)
            found = orphan.find(self.context.receipt.id).found.get(self.context.receipt.id) if orphan else None
            if found is None:
                raise
            # An earlier attempt was killed between the commit and the entry in the catalog. With its transaction
            # identifier an overwrite makes the entry without writing rows.
            messages.already(found, self.context.receipt, self.table.uri)
            proof = write.write_options(self.context.receipt, found.left, once=1)
            write.create(self.table, frame, "overwrite", self.partitions, {**options, **proof})

    def _change(self, frame: Any, detail: Detail, options: Mapping[str, str]) -> None:
        if self.mode != "overwrite":
            write.append(self.table, frame, options)
        elif self.replace is not None:
            kinds = {field.name: field.dataType.simpleString() for field in self.table.frame().schema}
            slice_ = self._slice(self.replace)
            if unknown := [name for name in slice_ if name not in kinds]:
                raise RunError(
                    f"`replace` of the task `{self.task}` names {unknown}, but {self.table.uri} has no such column",
                    hint=f"its columns are {', '.join(kinds)}",
                )
            where = predicates.slice_predicate(slice_, kinds, detail.partitions)
            write.overwrite_where(self.table, frame, where, options, clustered=bool(detail.clustering))
        elif self.partitions:
            write.overwrite_partitions(self.table, frame, self.partitions, options)
        else:
            replaced = self.schema == "replace" and detail.clustering
            kept = definition.clustering_kept(self.table, detail, frame.columns) if replaced else nullcontext()
            with kept:
                write.overwrite(self.table, frame, detail, options)

    def _fail(self, error: Exception) -> NoReturn:
        if self.judge is not None and (broken := self.judge.broken_by(error)) is not None:
            raise broken from error
        if condition(error).startswith("DELTA_REPLACE_WHERE_MISMATCH"):
            part = dict(self.replace) if self.replace is not None else f"the partitions of {list(self.partitions)}"
            raise RunError(
                f"the task `{self.task}` returned rows outside of the part of {self.table.uri} that it replaces, "
                f"{part}",
                hint="filter the result, or replace another part; store a query first if it gives other rows each time "
                "it runs",
            ) from error
        fail(error, self.table.uri, "write")


def already_done(table: SparkTable, receipt: Receipt, *, streams: bool = False) -> WriteResult | None:
    """Return the result that an earlier attempt of the same write committed; None if no result counts.

    The batches of a stream are no result by which another attempt is done: with `streams` it may go on, else RunError.

    A first attempt has no earlier one, and Spark checks the transaction identifier itself in any case. A result that a
    RESTORE undid does not count. Raises RunError if nobody can tell what it undid, and if another build, or a run with
    other parameters, made the result; and if another run has taken what this one has read that is new.
    """
    if receipt.progress is not None:
        return cursors.committed(table, receipt)
    if receipt.attempt <= 1:
        return None
    trail = table.find(receipt.id)
    found = trail.found.get(receipt.id)
    if found is None and trail.unclear is not None:
        raise receipts.unclear(trail.unclear, table.uri, receipt.id.task)
    # Neither a commit of the task's own code nor a note that the table was left alone is a result.
    if found is None or found.left.own or not found.ends_it:
        return None
    if found.left.after is not None:
        if streams:
            return None
        raise RunError(
            f"attempt {found.receipt.attempt} of the task `{receipt.id.task}` returned a stream, whose batches are in "
            f"{table.uri}, and this one something else",
            hint="return a stream in each attempt, or start a new run",
        )
    return messages.already(found, receipt, table.uri, is_newest=found.last == trail.newest)
