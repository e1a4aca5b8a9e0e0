"""Exactly once: the result of an earlier attempt of a write, and the result that a write reports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dbxdec.io_managers import outcomes
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.delta import receipts
from dbxdec.io_managers.delta.polars import table_log

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from dbxdec.io_managers.contexts import Receipt


def done_before(table: DeltaTable, receipt: Receipt, *, own: bool = False) -> WriteResult | None:
    """Return the result that an earlier attempt of the same write committed; None if no result counts.

    A result that a RESTORE undid does not count, although the table keeps the write's transaction identifier. With
    `own` a commit with the manager's `commit_properties()` counts: the write is a merge made with them.

    Raises RunError if nobody can tell what a RESTORE undid, and if another build, or a run with other parameters, made
    the result: dropping the new result would
    silently lose it, and adding it would double the rows.
    """
    # The identifier of an iteration with a key has the number of items, which may be another one in a resumed run.
    may_differ = receipt.id.key and receipt.id.items and receipt.attempt > 1
    if table_log.attempt_of(table, receipt.id, own=own) is None and not may_differ:
        return None
    log = table_log.Log.of(table)
    trail = log.find([receipt.id])
    found = trail.found.get(receipt.id)
    if found is not None and not found.ends_it:
        found = None  # from an attempt before the one that committed
    if found is not None and (own or not found.left.own):
        done = outcomes.already(
            found.receipt, receipt, table_log.shown(table), found.version, is_newest=found.last == log.newest
        )
        return replace(done, expectations=found.expectations)
    if found is None and trail.unclear is not None:
        raise receipts.unclear(trail.unclear, table_log.shown(table), receipt.id.task)
    if trail.undone or found is not None or may_differ:
        return None
    return outcomes.already_without_receipt()


def result_of(table: DeltaTable | None, receipt: Receipt, *, after: int) -> WriteResult:
    """Return the result of the write that was just committed; `after` is the version that it was committed to."""
    if table is None:
        return WriteResult()
    found = table_log.committed_by(table, receipt, after=after)
    if found is None:
        return WriteResult()
    return WriteResult(found.version, found.metrics.get("num_added_rows"), expectations=found.expectations)
