"""Notes in a table's log of what has taken keys away: see `epochs`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dbxdec.io_managers.delta import epochs
from dbxdec.io_managers.delta.polars import table_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbxdec.io_managers.delta.polars.target import Target


def note(target: Target, version: int | None, *, before: int, has_older_keys: Callable[[], bool]) -> None:
    """Note the events before the write with a key that is the commit `version`; the write began at `before`.

    Without `version` it is one of the newest commits.
    """
    from deltalake.exceptions import CommitFailedError

    if version is None:
        table = target.open()
        if table is None:
            return
        version = table.version()
    log = table_log.Log(table_log.root_of(target.context.uri), version, target.storage_options)
    commits = epochs.needed(log.back(0, table_log.FEW))
    for name in epochs.notes_of(commits, before=before, has_older_keys=has_older_keys):
        with suppress(CommitFailedError):  # another writer has just noted it
            if (table := target.open()) is not None:
                table_log.note(table, name)
