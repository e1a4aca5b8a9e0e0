"""Commits of files to the log of a Delta table, which add rows or replace existing ones.

All but `grow` are only for tables for which delta-rs' own writer would do nothing more (`is_plain`): no constraints, no
generated columns, no feature that concerns rows.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dbxdec.io_managers.delta.polars import scan, schemas
from dbxdec.io_managers.delta.polars.storage import refusals
from dbxdec.io_managers.delta.strings import value_text
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from deltalake import CommitProperties, DeltaTable
    from deltalake.transaction import AddAction, RemoveAction

    from dbxdec.io_managers.delta.polars.direct.parquet_files import DataFile

_LEGACY_WRITER = 2
_FEATURE_WRITER = 7
_FEATURES = frozenset({"appendOnly", "invariants", "timestampNtz"})
# These set how long logs and files are kept, and do not affect what is written.
_PROPERTIES = frozenset(
    {
        "delta.checkpointInterval",
        "delta.deletedFileRetentionDuration",
        "delta.enableExpiredLogCleanup",
        "delta.logRetentionDuration",
    }
)
# Columns with a rule: not null, an expression, an identity, a mapping. A comment is not a rule.
_RULE = re.compile(r'"(nullable|containsNull|valueContainsNull)":false|"metadata":\{(?!"comment":"[^"\\]*"\}|\})')


def is_plain(table: DeltaTable) -> bool:
    """Return whether `table` consists of nothing but rows, files and partitions."""
    protocol = table.protocol()
    if protocol.min_writer_version > _LEGACY_WRITER:
        features = {*(protocol.writer_features or ()), *(protocol.reader_features or ())}
        if protocol.min_writer_version != _FEATURE_WRITER or not features <= _FEATURES:
            return False
    if not _PROPERTIES.issuperset(table.metadata().configuration or {}):
        return False
    return _RULE.search(table.schema().to_json()) is None


def create(
    uri: str,
    schema: Mapping[str, pl.DataType],
    files: Sequence[DataFile],
    partitions: Sequence[str],
    storage_options: dict[str, str] | None,
    properties: CommitProperties,
) -> None:
    """Make the table at `uri` with these rows. Raises DeltaError if it exists."""
    import polars as pl
    from deltalake import Schema
    from deltalake.transaction import create_table_with_add_actions

    create_table_with_add_actions(
        uri,
        Schema.from_arrow(pl.Schema(schema)),
        [file.added(partitions) for file in files],
        "error",
        list(partitions),
        storage_options=storage_options,
        commit_properties=properties,
    )


def append(table: DeltaTable, files: Sequence[DataFile], properties: CommitProperties) -> None:
    """Add the rows to `table`. Raises CommitFailedError if it has changed so that they no longer fit."""
    partitions = table.metadata().partition_columns
    adds: list[AddAction | RemoveAction] = [file.added(partitions) for file in files]
    table.create_write_transaction(adds, "append", table.schema(), partitions, commit_properties=properties)


def overwrite(table: DeltaTable, files: Sequence[DataFile], properties: CommitProperties) -> None:
    """Replace all rows of `table`, as this handle knows it."""
    partitions = table.metadata().partition_columns
    adds: list[AddAction | RemoveAction] = [file.added(partitions) for file in files]
    table.create_write_transaction(adds, "overwrite", table.schema(), partitions, commit_properties=properties)


def grow(table: DeltaTable, columns: Mapping[str, pl.DataType], *, uri: str) -> None:
    """Give `table` new columns, or new fields of existing structs; `columns` contains nothing else.

    Raises CommitFailedError if the table has changed meanwhile, unless it got the same columns.
    """
    import polars as pl
    from deltalake import Schema
    from deltalake.exceptions import CommitFailedError

    try:
        with refusals(uri, "write"):
            table.alter.add_columns(Schema.from_arrow(pl.Schema(columns)).fields)
    except CommitFailedError:
        table.update_incremental()
        if _lacks(table, columns):
            raise
    assert not _lacks(table, columns)  # noqa: S101 - otherwise the caller would try for ever


def _lacks(table: DeltaTable, columns: Mapping[str, pl.DataType]) -> bool:
    import polars as pl

    return bool(schemas.added(columns, pl.Schema(table.schema())))


@dataclass(frozen=True)
class Replacement:
    """Rows in place of the partitions of `table` that `values` names, a frame of some of its partition columns."""

    table: DeltaTable
    values: pl.DataFrame

    def commit(self, files: Sequence[DataFile], properties: CommitProperties) -> None:
        """Try once.

        Raises CommitFailedError if another writer has committed meanwhile, if `properties` ask for that.
        """
        partitions = self.table.metadata().partition_columns
        actions: list[AddAction | RemoveAction] = [
            *(file.added(partitions) for file in files),
            *self._removed(partitions),
        ]
        # delta-rs accepts removals only in this mode.
        self.table.create_write_transaction(
            actions, "append", self.table.schema(), partitions, commit_properties=properties
        )

    def is_untouched(self) -> bool:
        """Move `table` to its newest version.

        Return whether these partitions and the table's definition are unchanged.
        """
        before = self._state()
        self.table.update_incremental()
        return bool(self._state() == before)

    def _state(self) -> Any:
        protocol = self.table.protocol()
        metadata = self.table.metadata()
        return (
            set(self._replaced()["path"].to_list()),
            (protocol.min_reader_version, protocol.min_writer_version, protocol.writer_features),
            (metadata.id, metadata.partition_columns, metadata.configuration, self.table.schema().to_json()),
        )

    def _replaced(self) -> pl.DataFrame:
        """Return the files of these partitions."""
        return scan.files_of_partitions(self.table, self.values)

    def _removed(self, partitions: Sequence[str]) -> list[RemoveAction]:
        from deltalake.transaction import RemoveAction

        now = int(time.time() * 1000)
        return [
            RemoveAction(
                unquote(file["path"]),  # it has the encoding of the log, and delta-rs encodes it again
                True,
                now,
                file["size_bytes"],
                {name: value_text(file[scan.PARTITION + name]) for name in partitions},
            )
            for file in self._replaced().iter_rows(named=True)
        ]
