"""The rows of a Delta table through Polars, with the partition values that its log says.

Polars takes them from the names of folders (`pl.scan_delta`), where other writers are free in what they write, and
takes a `=` in the path above the table for a partition, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dbxdec.io_managers import delta_log, polars_delta_files

if TYPE_CHECKING:
    from collections.abc import Collection

    import polars as pl
    from deltalake import DeltaTable

_PARTITION = "partition."


def scan(table: DeltaTable) -> pl.LazyFrame:
    """The rows of `table` at the version that it is loaded at."""
    import polars as pl

    frame = pl.scan_delta(table)
    partitions = table.metadata().partition_columns
    if not partitions or "deletionVectors" in (table.protocol().reader_features or ()):
        return frame
    if "=" in delta_log.root_of(table):
        return scan_files(table, _schema(table))
    zoned = [name for name in partitions if isinstance(_schema(table)[name], pl.Datetime)]
    return scan_files(table, _schema(table)) if zoned and _are_named_otherwise(table, zoned) else frame


def scan_files(table: DeltaTable, schema: pl.Schema, only: Collection[str] | None = None) -> pl.LazyFrame:
    """The rows of the table's files, or of those with the paths `only`, partition by partition."""
    import polars as pl

    files = _files(table)
    names = [name.removeprefix(_PARTITION) for name in files.columns if name.startswith(_PARTITION)]
    groups: dict[tuple[Any, ...], list[str]] = {}
    for row in files.iter_rows(named=True):
        if only is None or row["path"] in only:
            groups.setdefault(tuple(row[_PARTITION + name] for name in names), []).append(row["path"])
    frames = [_scan(table, paths, schema, dict(zip(names, values, strict=True))) for values, paths in groups.items()]
    return pl.concat(frames) if frames else pl.LazyFrame(schema=schema)


def _scan(table: DeltaTable, paths: list[str], schema: pl.Schema, partition: dict[str, Any]) -> pl.LazyFrame:
    import polars as pl

    root = delta_log.root_of(table).rstrip("/")
    stored = {name: kind for name, kind in schema.items() if name not in partition}
    frame = pl.scan_parquet(
        [path if "://" in path else f"{root}/{unquote(path)}" for path in paths],
        schema=stored,
        missing_columns="insert",
        extra_columns="ignore",  # partition columns, which some writers store as well
        glob=False,
        hive_partitioning=False,
        storage_options=table._storage_options,
    )
    values = {name: pl.lit(value, dtype=schema[name]) for name, value in partition.items()}
    return frame.with_columns(**values).select(list(schema))


def _schema(table: DeltaTable) -> pl.Schema:
    import polars as pl

    return pl.Schema(table.schema())


def _files(table: DeltaTable) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(table.get_add_actions(flatten=True))


def _are_named_otherwise(table: DeltaTable, columns: list[str]) -> bool:
    """Whether a folder's name says another time than the log: Spark's are in the zone of its session."""
    for row in _files(table).iter_rows(named=True):
        folders = [_trimmed(folder) for folder in unquote(row["path"]).split("/")]
        for name in columns:
            if _trimmed(polars_delta_files.folder_of(name, row[_PARTITION + name])) not in folders:
                return True
    return False


def _trimmed(folder: str) -> str:
    """Without the zeros at the end of a second's fraction."""
    return folder.rstrip("0").removesuffix(".") if "." in folder else folder
