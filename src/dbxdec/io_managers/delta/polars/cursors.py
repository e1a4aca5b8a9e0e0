"""The position of a task in its sources, by the log of the Delta table it writes through Polars (see `progress`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.io_managers.delta import progress
from dbxdec.io_managers.delta.polars import once, table_log
from dbxdec.io_managers.delta.progress import Standing

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from dbxdec.io_managers.delta.polars.target import Target
    from dbxdec.io_managers.delta.progress import Consumer, Cursor, Search


def standing(target: Target, consumer: Consumer, *, counts: bool, anew: bool) -> Standing:
    """Return the newest position that counts, and what this run has written. Raises UnclearError if nobody can tell.

    With `counts` it says whether there are rows even where a position is known. With `anew` no position counts.
    """
    table = target.open()
    if table is None:
        return Standing()
    uri = target.context.uri
    commits = table_log.Log.of(table).back(0)
    found = progress.anew(table.version()) if anew else progress.search(commits, consumer, target.receipt.id, uri)
    cursor = found.cursor or _outlived(table, consumer, found, uri)
    return Standing(
        version=table.version(),
        epoch=max(found.epoch, cursor.epoch if cursor is not None else 0),
        cursor=cursor,
        done=once.done_before(table, target.receipt, own=True) or found.done,
        has_rows=(counts or cursor is None) and bool(table.file_uris()),
        is_shared=found.is_shared(consumer),
    )


def _outlived(table: DeltaTable, consumer: Consumer, found: Search, uri: str) -> Cursor | None:
    """Return the position that the newest checkpoint tells, of a log that has been cleaned up."""
    if found.is_whole:
        return None
    from dbxdec.io_managers.delta.polars import identifiers  # only for this

    log = identifiers.read(uri, table._storage_options)
    names = [one.name for one in log.identifiers if one.name.startswith(consumer.base)] if log is not None else []
    versions = {name: table.transaction_version(name) for name in names}
    known = {name: version for name, version in versions.items() if version is not None}
    return progress.of_identifiers(known, consumer, found, uri)


def refuse_taken(target: Target, table: DeltaTable) -> None:
    """Raise RunError if another run has committed what this one has read, or if the table has been restored since."""
    wanted = target.receipt.progress
    if wanted is None:
        return
    there = table.transaction_version(wanted.identifier)
    if there is not None and there >= wanted.number:
        raise progress.taken(wanted, target.context.uri, target.receipt.id.task)
    log = table_log.Log.of(table)
    for version in range(wanted.seen + 1, table.version() + 1):
        commit = log.commit(version)
        # Where the log has been cleaned up meanwhile, nobody can tell.
        if commit is None or commit.operation == "RESTORE":
            raise progress.restored(target.context.uri, version, target.receipt.id.task)
