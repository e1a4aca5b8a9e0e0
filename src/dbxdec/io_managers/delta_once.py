"""Exactly once: what an earlier attempt of a write has left in a Delta table, and what a write reports of itself."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from dbxdec.io_managers import delta_log, outcomes
from dbxdec.io_managers.base import WriteResult

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from dbxdec.io_managers.base import Receipt

# How often a commit is tried that others get in the way of.
ATTEMPTS = 12
_MAX_PAUSE_S = 3


def pause(attempt: int) -> None:
    """Wait before the next try: longer each time up to a bound, and by chance, so that writers part."""
    time.sleep(random.uniform(0, min(_MAX_PAUSE_S, 0.05 * 2**attempt)))  # noqa: S311


def done_before(table: DeltaTable, receipt: Receipt, *, own: bool = False) -> WriteResult | None:
    """What an earlier attempt of this same write has committed, None where there is none.

    With `own` a commit with the manager's `commit_properties()` counts: the write is a merge made with them. Raises
    RunError where it was done by another build or with other parameters: dropping the new result would lose it in
    silence, and adding it would double the rows.
    """
    if not delta_log.committed(table, receipt.id, own=own):
        return None
    found = delta_log.find_receipt(table, receipt.id)
    if found is None:  # the log has been cleaned since; the transaction identifier remains
        return WriteResult(note="written by an earlier attempt")
    return outcomes.already(found.receipt, receipt, str(table.table_uri), found.version)


def result_of(table: DeltaTable | None, receipt: Receipt, *, after: int) -> WriteResult:
    """What the write that has just been committed did; `after` is the version that it was committed to.

    Nearly always the next version is its own.
    """
    if table is None:
        return WriteResult()
    found = delta_log.receipt_at(table, receipt.id, after + 1) or delta_log.find_receipt(table, receipt.id)
    return WriteResult(found.version, found.metrics.get("num_added_rows")) if found else WriteResult()
