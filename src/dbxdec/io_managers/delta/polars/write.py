"""The write of a Polars frame to a Delta table by its mode: an append exactly once, an overwrite each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.io_managers import outcomes
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.delta.patience import Patience
from dbxdec.io_managers.delta.polars import cursors, definition, features, once, storage, table_log
from dbxdec.io_managers.delta.polars.rows import Rows
from dbxdec.io_managers.delta.polars.storage import refusals
from dbxdec.io_managers.delta.receipts import Left

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable

    from dbxdec.io_managers.delta.polars.target import Target


def write_frame(target: Target, frame: pl.DataFrame | pl.LazyFrame) -> WriteResult:
    """Store `frame` by the mode. Raises RunError, with nothing written, if it can't be stored."""
    outcomes.refuse_as_new(target.context, target.mode)
    from deltalake.exceptions import CommitFailedError, DeltaError

    if target.partitions:
        target = target.spelled(frame.collect_schema())
    with Rows(target, frame) as rows:
        patience = Patience()
        while True:
            table = target.open()
            try:
                if (written := _write_once(target, rows, table)) is not None:
                    return written
                continue
            except CommitFailedError as error:
                # Rows that are only added may be written again, whatever another writer did in between. So may those
                # of a table that another writer made first, by the rule of the mode for existing tables.
                if (table is not None and target.mode != "append") or not _lasts(patience, target):
                    raise outcomes.conflict(target.context, storage.said(error)) from error
            except DeltaError:
                # Another writer made the table in between.
                if table is not None or not _lasts(patience, target):
                    raise


def _lasts(patience: Patience, target: Target) -> bool:
    """Return whether to try again on a table that another writer has made or changed."""
    now = target.open()
    return now is not None and patience.lasts(now.version())


def write_nothing(target: Target) -> WriteResult:
    """Note in the table, if it exists, that the task had nothing to write."""
    table = target.open()
    if table is not None:
        # A retry may find nothing left to do because an earlier attempt did the work: that work counts.
        if (done := once.done_before(table, target.receipt)) is not None:
            return done
        cursors.refuse_taken(target, table)
        with refusals(target.context.uri, "write"):
            table_log.add_receipt(table, target.receipt, Left("none"))
    return WriteResult(note=f"nothing to write{target.unjudged}")


def _write_once(target: Target, rows: Rows, table: DeltaTable | None) -> WriteResult | None:
    """Try once, on the table as it is now. Raises the engine's error on a conflict with another writer.

    Returns None if the table had to get columns first and must be opened again.
    """
    if table is None:
        rows.fit(None)
        if not target.definition:
            return rows.create()
        rows.judge()
        table = rows.make()
    shell = target.mode in ("ignore", "error") and target.is_shell(table)
    if target.mode == "ignore" and not shell:
        return _keep(target, table)
    if target.mode in ("error", "append"):
        if (done := once.done_before(table, target.receipt)) is not None:
            return done
        if target.mode == "error" and not shell:
            raise outcomes.exists(target.context)
        cursors.refuse_taken(target, table)
    target.check_partitions(table)
    if target.definition:
        definition.adjust(target, table)
    if target.mode == "overwrite":
        features.refuse_paths(table, target.context.uri)
    rows.fit(table)
    if rows.grow(table):
        return None
    if target.slice is not None:
        return rows.replace_slice(table)
    if target.mode == "overwrite" and target.partitions:
        return rows.replace_partitions(table)
    return rows.overwrite(table) if target.mode == "overwrite" else rows.append(table)


def _keep(target: Target, table: DeltaTable) -> WriteResult:
    """Leave the rows alone, and note in the log that the task has run: its readers get the table as it is now."""
    note = 'kept the existing data (mode="ignore")'
    note += target.unjudged
    if (done := once.done_before(table, target.receipt)) is not None:
        return done
    try:
        with refusals(target.context.uri, "write"):
            table_log.add_receipt(table, target.receipt, Left("kept"))
    except RunError as error:
        return WriteResult(table.version(), note=f"{note}; no receipt can be left for readers: {error}")
    return WriteResult(table.version(), note=note)
