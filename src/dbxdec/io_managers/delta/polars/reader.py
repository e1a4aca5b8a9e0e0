"""The rows of a Delta table that tasks of this run wrote, for a reader through Polars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.io_managers import polars_frames
from dbxdec.io_managers.delta.polars import column_values, scan, table_log
from dbxdec.io_managers.delta.reader import Results
from dbxdec.io_managers.polars_frames import named
from dbxdec.model.changes import FEED_PROPERTY

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import polars as pl
    from deltalake import DeltaTable

    from dbxdec.io_managers.contexts import InputContext, WriteId
    from dbxdec.io_managers.delta.receipts import Found, Trail
    from dbxdec.io_managers.delta.slices import Slice


class PolarsResults(Results["pl.LazyFrame"]):
    """The results of a run's tasks in one table, as LazyFrames; `table` is a handle of the newest version."""

    def __init__(self, table: DeltaTable, context: InputContext) -> None:
        super().__init__(context)
        self._table = table
        self._log = table_log.Log.of(table)
        self._handles = {table.version(): table}

    def trail(self, writes: Sequence[WriteId]) -> Trail:
        trail = self._log.find(writes, since=self.context.started)
        self.reaches_start = self._log.reaches_start
        return trail

    def is_committed(self, write: WriteId) -> bool:
        return table_log.attempt_of(self._table, write, own=True) is not None

    def partitions(self) -> Sequence[str]:
        return self._table.metadata().partition_columns

    def added(self, found: Found) -> set[str]:
        return {action["add"]["path"] for action in self._log.actions(found.version, "add")}

    def removed(self, found: Found) -> set[str]:
        return {action["remove"]["path"] for action in self._log.actions(found.version, "remove")}

    def at(self, found: Found) -> pl.LazyFrame:
        return scan.scan(self._at(found.version))

    def _at(self, version: int) -> DeltaTable:
        if version not in self._handles:
            older = table_log.at_version(self._table, version, self.context.uri)
            # Only files that a later version dropped can be gone. Polars would report that in the task's own query.
            dropped = set(older.file_uris()) - set(self._table.file_uris())
            table_log.refuse_gone(self._table, sorted(dropped), self.context.uri, version)
            self._handles[version] = older
        return self._handles[version]

    def slice(self, found: Found, slice_: Slice) -> pl.LazyFrame:
        table = self._at(found.version)
        partitions, schema = table.metadata().partition_columns, scan.schema_of(table)
        values = column_values.typed(slice_, schema)
        if set(slice_.columns) <= set(partitions):
            files = scan.files_of_partitions(table, values)
            return scan.scan_files(table, schema, set(files["path"].to_list()))
        return scan.scan(table).filter(column_values.inside(values, partitions))

    def files(self, results: Sequence[Found]) -> pl.LazyFrame:
        adds: dict[str, dict[str, Any]] = {}
        for found in results:
            removed = self.removed(found)
            added = (action["add"] for action in self._log.actions(found.version, "add"))
            adds |= {add["path"]: add for add in added if add["path"] not in removed}
        first, newest = min(found.version for found in results), max(found.version for found in results)
        self._refuse_gone(adds, above=first, version=newest)
        # Reading the log again costs more than the rest, and the version nearly always has the newest columns.
        changed = self._log.has(("metaData",), above=newest)
        table = table_log.at_version(self._table, newest, self.context.uri) if changed else self._table
        return scan.scan_added(table, scan.schema_of(table), adds.values())

    def _refuse_gone(self, paths: Collection[str], *, above: int, version: int) -> None:
        """Raise RunError if a file is gone; only files that a later commit dropped can be."""
        versions = range(above + 1, self._log.newest + 1)
        dropped = {action["remove"]["path"] for later in versions for action in self._log.actions(later, "remove")}
        files = [scan.place_of(self._table, path) for path in sorted(dropped & set(paths))]
        table_log.refuse_gone(self._table, files, self.context.uri, version)

    def changes(self, found: Found) -> pl.LazyFrame:
        """Return the rows of the table's change data feed (Delta protocol, "Change Data Files").

        delta-rs' own reader of the feed does not find files of partitions whose values are encoded in their paths.
        """
        import polars as pl

        table = self._at(found.version)
        if (table.metadata().configuration or {}).get(FEED_PROPERTY) != "true":
            raise self.no_feed(found)
        changes = [action["cdc"] for action in self._log.actions(found.version, "cdc")]
        if not changes:
            return self.files([found])  # only inserted rows
        places = [scan.place_of(table, change["path"]) for change in changes]
        table_log.refuse_gone(table, places, self.context.uri, found.version)
        schema = scan.schema_of(table)
        kinds = pl.Schema({**schema, "_change_type": pl.String()})
        rows = scan.scan_added(table, kinds, changes)
        return rows.filter(pl.col("_change_type").is_in(["insert", "update_postimage"])).select(map(named, schema))

    def cleared(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.clear()

    def together(self, frames: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
        return polars_frames.together(frames)
