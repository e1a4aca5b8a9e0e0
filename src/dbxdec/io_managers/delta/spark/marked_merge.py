"""Merges exactly once in sessions that accept no settings of a transaction, as on serverless compute.

A MERGE takes no options of a writer, and a receipt in a later commit proves nothing: the process may die between both.
So the source gets a constant column whose name is the receipt, and the condition asks for it. The history of the table
shows the condition of each MERGE, and with it the receipt in the merge's own commit.

Spark then doesn't drop the merge of a second attempt by itself. Each attempt but the first looks for a receipt, sets a
property of the table as a fence, and looks again: a merge of an earlier attempt that is still under way ends with a
conflict, since the table's metadata has changed (Delta protocol, "Change Metadata"), and an attempt that finds the
fence of a later one stops. An attempt that reads the table's properties before the fence, and its rows behind it, gets
past both.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.delta.receipts import Left, marking
from dbxdec.io_managers.delta.spark import cursors, messages, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbxdec.io_managers.contexts import Receipt
    from dbxdec.io_managers.delta.spark.log import Detail, SparkTable

FENCE = "dbxdec.fence"
"""The table property with the write and the attempt of the newest merge that was tried again."""


def refuse_fenced(table: SparkTable, detail: Detail | None, receipt: Receipt) -> None:
    """Raise RunError if a later attempt of the same write has taken over."""
    transaction, _, attempt = (detail.properties.get(FENCE, "") if detail is not None else "").rpartition(" ")
    if transaction == receipt.id.transaction and attempt.isdecimal() and int(attempt) > receipt.attempt:
        raise RunError(
            f"attempt {attempt} of the task `{receipt.id.task}` has taken over its merge into {table.uri}, so attempt "
            f"{receipt.attempt} stops",
            hint="nothing is lost: the later attempt merges the rows",
        )


def execute(table: SparkTable, receipt: Receipt, run: Callable[[str], object], *, again: bool) -> WriteResult:
    """Run a merge unless an earlier attempt has; `run` takes the name of the column that marks it.

    `again` says that the process has tried before, and lost against another writer.
    """
    if receipt.attempt > 1 or again or receipt.progress is not None:
        if (done := _done_before(table, receipt)) is not None:
            return _with_key(table, receipt, done)
        if receipt.attempt > 1:
            write.set_property(table, FENCE, f"{receipt.id.transaction} {receipt.attempt}")
            if (done := _done_before(table, receipt)) is not None:
                return _with_key(table, receipt, done)
    mark, left = uuid.uuid4().hex, Left("merge")
    began = time.time_ns() // 1_000_000
    run(marking(receipt.to_metadata(**left.facts(), write=mark)))
    found = table.find(receipt.id, since=began).found.get(receipt.id)
    if found is None:  # Delta makes no commit of a merge that changes nothing
        if receipt.progress is not None:
            return cursors.note(table, receipt, left, mark) or WriteResult(None, 0, "merged: nothing to change")
        write.add_receipt(table, receipt, left, write=mark)
        return WriteResult(None, 0, "merged: nothing to change")
    cursors.keep_number(table, receipt)
    result = WriteResult(found.version, messages.affected(found), messages.merged(found))
    return _with_key(table, receipt, result)


def _with_key(table: SparkTable, receipt: Receipt, done: WriteResult) -> WriteResult:
    """Commit the key of the merge as well: its receipt tells it only for as long as the log has it."""
    if receipt.id.key:
        write.add_key(table, receipt)
    return done


def _done_before(table: SparkTable, receipt: Receipt) -> WriteResult | None:
    if receipt.progress is not None:
        # The mark tells how far the task has read, but takes no number: two runs at once may both merge.
        return cursors.committed(table, receipt)
    trail = table.find(receipt.id)
    found = trail.found.get(receipt.id)
    if found is None or found.left.kind == "none":
        return None
    return messages.already(found, receipt, table.uri, is_newest=found.last == trail.newest)
