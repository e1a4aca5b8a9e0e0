"""Streams that tasks return: run to the end of what is there, each row exactly once.

Delta's sink commits a batch with the id of the query, which the checkpoint keeps, and the number of the batch. So a
batch that was stored and then not recorded in the checkpoint is dropped when it comes again. Each commit also carries
the receipt of the task's write, with the version of the table before the first of them: a reader of this run gets the
rows of all of them, whichever attempt has stored them (see `receipts`).
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers import columns, spark_frames
from dbxdec.io_managers.base import log
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.delta import receipts
from dbxdec.io_managers.delta.patience import ATTEMPTS, pause
from dbxdec.io_managers.delta.receipts import Left
from dbxdec.io_managers.delta.spark import (
    batches,
    checkpoints,
    equal_keys,
    marked_merge,
    messages,
    schemas,
    store,
    write,
)
from dbxdec.io_managers.delta.spark import merge as merging
from dbxdec.io_managers.delta.spark.stream_errors import Failure
from dbxdec.io_managers.spark_session import is_connect, settings
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbxdec.io_managers.delta.merge import DeltaMerge
    from dbxdec.io_managers.delta.receipts import Found
    from dbxdec.io_managers.delta.spark.log import Detail
    from dbxdec.io_managers.delta.spark.store import FrameWrite

_STOPS_OTHERS = "spark.sql.streaming.stopActiveRunOnRestart"
_SHORTEST_S, _LONGEST_S = 0.02, 0.5
"""The shortest and the longest sleep before the next look at a stream."""


def is_streaming(frame: Any) -> bool:
    """Return whether a frame is of a stream."""
    return getattr(frame, "isStreaming", False) is True


def append(target: FrameWrite, frame: Any) -> WriteResult:
    """Run the stream of `frame`, which adds its rows to the table. Raises RunError if something prevents it."""
    if target.mode != "append":
        raise RunError(
            f'the task `{target.task}` returned a stream, but its IoManager has mode="{target.mode}"',
            hint='a stream only adds rows: use mode="append", or return a DeltaMerge of the stream',
        )
    table, receipt = target.table, target.context.receipt
    _refuse_position(target)
    detail = table.detail()
    if detail is None:
        checkpoints.refuse_used(table, receipt.id, target.checkpoint)
        schemas.check_storable(frame.schema, target.partitions, task=target.task)
        target.create_empty(without_rows(frame))
        detail = table.detail()
    assert detail is not None  # noqa: S101 - it has just been made
    if (done := store.already_done(table, receipt, streams=True)) is not None:
        return done
    columns.refuse_other_partitions(detail.partitions, target.partitions, table.uri)
    detail = target.adjust(detail)
    frame = spark_frames.refuse_lost(target.fitted(frame, detail), detail.partitions)
    run = Run.of(target, detail, "files")
    sink = {**target.options, **write.write_options(receipt, run.left)}
    if target.schema == "add-columns":
        sink["mergeSchema"] = "true"

    def start(name: str) -> Any:
        writer = frame.writeStream.format("delta").outputMode("append").queryName(name).options(**sink)
        writer = writer.option(checkpoints.OPTION, run.checkpoint).trigger(availableNow=True)
        return writer.toTable(table.sql) if table.named else writer.start(table.uri)

    found = run.to_the_end(start)
    rows = sum(part.metrics.get("numOutputRows") or 0 for part in found.parts)
    return WriteResult(found.version, rows, f"stream: {_counted(found, receipt.attempt)}")


def merge(target: FrameWrite, wanted: DeltaMerge) -> WriteResult:
    """Run the stream that `wanted` merges, batch by batch. Raises RunError if something prevents it."""
    table, receipt = target.table, target.context.receipt
    _refuse_position(target)
    if (there := table.detail()) is None:
        checkpoints.refuse_used(table, receipt.id, target.checkpoint)
    else:
        if (done := store.already_done(table, receipt, streams=True)) is not None:
            return done
        columns.refuse_other_partitions(there.partitions, target.partitions, table.uri)
    wanted = merging.fitted(target, wanted)
    merging.prepare(target, replace(wanted, source=without_rows(wanted.source)))
    detail = table.detail()
    assert detail is not None  # noqa: S101 - it has just been made
    run = Run.of(target, detail, "merge")
    metadata = receipt.to_metadata(**run.left.facts(), batch=batches.BATCH)
    values = {write.USER_METADATA: metadata, write.TXN_APP_ID: batches.STREAM, write.TXN_VERSION: batches.NUMBER}
    with settings(table.spark, dict.fromkeys(values, "0")) as taken:
        mark = "" if taken else receipts.marking(metadata)
    if mark and receipt.attempt > 1:
        write.set_property(table, marked_merge.FENCE, f"{receipt.id.transaction} {receipt.attempt}")

    def start(name: str) -> Any:
        started: Future[str] = Future()
        function = batches.merging(
            statement=merging.statement(table, wanted, batches.VIEW, mark),
            mark=mark,
            table=table.sql,
            checks=equal_keys.checks(wanted.source.columns, wanted.keys),
            settings={} if mark else values,
            fence=(marked_merge.FENCE, receipt.id.transaction, receipt.attempt),
            query=batches.named(name) if is_connect(table.spark) else lambda _: started.result(),
        )
        writer = wanted.source.writeStream.queryName(name).option(checkpoints.OPTION, run.checkpoint)
        query = writer.trigger(availableNow=True).foreachBatch(function).start()
        started.set_result(str(query.id))
        return query

    found = run.to_the_end(start)
    note = f"{messages.merged(found)}; stream: {_counted(found, receipt.attempt)}"
    return WriteResult(found.version, messages.affected(found), note)


def _refuse_position(target: FrameWrite) -> None:
    """Raise RunError for a task that reads what is new: it would note all of it as read with the first batch."""
    if target.context.receipt.progress is not None:
        raise RunError(
            f"the task `{target.task}` reads what is new in a table (`.changes()`), and returned a stream, which keeps "
            "what it has read itself",
            hint="return a frame, or let a task of its own run the stream",
        )


def without_rows(frame: Any) -> Any:
    """Return a frame that is no stream, with the columns of `frame` and no rows."""
    return frame.sparkSession.createDataFrame([], frame.schema)


def _counted(found: Found, attempt: int) -> str:
    """Return how many batches were stored, in words."""
    batches = [part for part in found.parts if part.operation != "WRITE"]
    if not batches:
        return "nothing new"
    earlier = sum(part.receipt.attempt != attempt for part in batches)
    words = f"{len(batches):,} batch{'es' if len(batches) > 1 else ''}"
    return f"{words}, {earlier:,} of them by earlier attempts" if earlier else words


@dataclass(frozen=True)
class Run:
    """One attempt to run a stream to its end."""

    target: FrameWrite
    checkpoint: str
    left: Left
    note: checkpoints.Note

    @classmethod
    def of(cls, target: FrameWrite, detail: Detail, kind: Any) -> Run:
        """Return the run of a stream into a table that is there; `kind` is that of its results."""
        table, receipt = target.table, target.context.receipt
        checkpoint = checkpoints.place(table, detail, receipt.id, target.checkpoint)
        if not target.shared:
            checkpoints.refuse_renamed(table.spark, checkpoint, receipt.id)
        note = checkpoints.refuse_other(table, checkpoint, receipt.id.task)
        return cls(target, checkpoint, Left(kind, after=_before(target)), note)

    def to_the_end(self, start: Callable[[str], Any]) -> Found:
        """Run the stream that `start` starts under a name, and return its commits.

        A stream that lost against another writer of the table goes on from its checkpoint.
        """
        table, task = self.target.table, self.target.task
        began = time.time_ns() // 1_000_000
        with checkpoints.held(table.spark, self.checkpoint, task) as alone:
            for attempt in range(ATTEMPTS):
                query = None
                note = replace(self.note, stream=self._name())
                try:
                    # A server outlives its client, so there Spark has to end an older stream: the note tells that one.
                    is_noted = is_connect(table.spark) and note.leave(table.spark, self.checkpoint)
                    query = self._started(start, note.stream)
                    _await(query)
                    if is_noted and checkpoints.Note.of(table.spark, self.checkpoint) != note:
                        raise checkpoints.refused(self.checkpoint, task)
                    break
                except DbxdecError:
                    raise
                except Exception as error:
                    failure = Failure.of(error, query)
                    # A process that was killed may have left a JVM that is still ending.
                    again = failure.is_conflict or failure.has_not_begun
                    again = again or (failure.has_other_writer and alone and not failure.is_at_work)
                    if not again or attempt == ATTEMPTS - 1:
                        if failure.has_other_writer:
                            raise checkpoints.refused(self.checkpoint, task) from error
                        if failure.is_conflict:
                            raise messages.conflict(self.target.context, error) from error
                        raise failure.told(table.uri, task) from error
                pause(attempt)
        return self._ended(began)

    def _name(self) -> str:
        receipt = self.target.context.receipt
        return f"{receipt.id.transaction} {receipt.attempt} {uuid.uuid4().hex}"

    def _started(self, start: Callable[[str], Any], name: str) -> Any:
        """Return the query, started. By itself Spark would end another one with this checkpoint, in silence."""
        spark = self.target.table.spark
        if is_connect(spark):
            return start(name)
        with settings(spark, {_STOPS_OTHERS: "false"}):
            try:
                return start(name)
            except Exception as error:
                if not Failure.of(error).is_at_work or not self._stop_earlier():
                    raise
                return start(name)

    def _stop_earlier(self) -> bool:
        """Stop a query that an earlier attempt of this write left in this JVM; return whether there was one."""
        receipt = self.target.context.receipt
        stopped = False
        with suppress(Exception):  # another Spark may have other classes
            active = self.target.table.spark._jsparkSession.sharedState().activeStreamingQueries()
            for query in [active.get(one) for one in active.keySet()]:
                whose, _, rest = str(query.name()).rpartition(" ")[0].rpartition(" ")
                if whose == receipt.id.transaction and rest.isdecimal() and int(rest) < receipt.attempt:
                    log.info("attempt %s of the task has left its stream running, which is stopped", rest)
                    query.stop()
                    stopped = True
        return stopped

    def _ended(self, began: int) -> Found:
        """Return the commits of the stream. One that had nothing to store leaves its receipt alone."""
        table, receipt = self.target.table, self.target.context.receipt
        since = began if receipt.attempt <= 1 else 0
        found = table.find(receipt.id, since=since).found.get(receipt.id)
        if found is None or found.left.after is None:
            write.add_receipt(table, receipt, self.left)
            found = table.find(receipt.id, since=since).found[receipt.id]
        elif receipt.id.key:
            write.add_key(table, receipt)
        return found


def _before(target: FrameWrite) -> int:
    """Return the version of the table before the first commit of this write, by whichever attempt."""
    table, receipt = target.table, target.context.receipt
    if receipt.attempt <= 1:
        return table.version()
    trail = table.find(receipt.id)
    found = trail.found.get(receipt.id)
    if found is None or found.left.after is None:
        return trail.newest
    if (found.receipt.build, found.receipt.parameters) != (receipt.build, receipt.parameters):
        log.warning(
            "the stream of the task `%s` goes on with another build or other parameters than those of attempt %d, "
            "whose batches stay as they are",
            receipt.id.task,
            found.receipt.attempt,
        )
    return found.left.after


def _await(query: Any) -> None:
    """Wait for the end of a query, and stop it if that is interrupted. Raises what it failed of.

    It sleeps in Python: PySpark loses an interrupt that finds it waiting for the JVM.
    """
    wait = _SHORTEST_S
    try:
        while query.isActive:
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_S)
        query.awaitTermination()
    except BaseException:
        with suppress(Exception):  # it has ended
            query.stop()
        raise
