"""The rows of a Delta table through Polars, with the partition values that its log says.

Polars takes them from the names of folders (`pl.scan_delta`), where other writers are free in what they write, and
takes a `=` in the path above the table for a partition, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dbxdec.io_managers import delta_folders, delta_log
from dbxdec.io_managers.polars_frames import named

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import polars as pl
    from deltalake import DeltaTable

_PARTITION = "partition."


def scan(table: DeltaTable) -> pl.LazyFrame:
    """The rows of `table` at the version that it is loaded at."""
    import polars as pl

    if not table.metadata().partition_columns or _folders_tell(table):
        return pl.scan_delta(table)
    return scan_files(table, _schema(table))


def scan_files(table: DeltaTable, schema: pl.Schema, only: Collection[str] | None = None) -> pl.LazyFrame:
    """The rows of the table's files, or of those with the paths `only`, partition by partition."""
    import polars as pl

    files = _files(table)
    names = [name.removeprefix(_PARTITION) for name in files.columns if name.startswith(_PARTITION)]
    groups: dict[tuple[Any, ...], list[str]] = {}
    for row in files.iter_rows(named=True):
        if only is None or row["path"] in only:
            groups.setdefault(tuple(row[_PARTITION + name] for name in names), []).append(row["path"])
    deleted = _deleted(table)
    frames = []
    for values, paths in groups.items():
        partition = dict(zip(names, values, strict=True))
        if whole := [path for path in paths if _name(path) not in deleted]:
            frames.append(_scan(table, whole, schema, partition))
        others = (path for path in paths if _name(path) in deleted)
        frames += [_scan(table, [path], schema, partition, deleted[_name(path)]) for path in others]
    return pl.concat(frames) if frames else pl.LazyFrame(schema=schema)


def _scan(
    table: DeltaTable,
    paths: list[str],
    schema: pl.Schema,
    partition: Mapping[str, Any],
    deleted: pl.Series | None = None,
) -> pl.LazyFrame:
    """The rows of files of one partition; `deleted` are the numbers of those that count no more, where it is one."""
    import polars as pl

    root = delta_log.root_of(table).rstrip("/")
    number = "_" * (max(map(len, schema), default=0) + 1)  # no column's name
    frame = pl.scan_parquet(
        [path if "://" in path else f"{root}/{unquote(path)}" for path in paths],
        schema={name: kind for name, kind in schema.items() if name not in partition},
        missing_columns="insert",
        extra_columns="ignore",  # partition columns, which some writers store as well
        row_index_name=None if deleted is None else number,
        glob=False,
        hive_partitioning=False,
        storage_options=table._storage_options,
    )
    if deleted is not None:
        frame = frame.join(pl.LazyFrame({number: deleted}), on=number, how="anti")
    values = {name: pl.lit(value, dtype=schema[name]) for name, value in partition.items()}
    return frame.with_columns(**values).select(map(named, schema))


def _deleted(table: DeltaTable) -> dict[str, pl.Series]:
    """For files with a deletion vector the numbers of the rows that it takes away, by the files' names."""
    import polars as pl

    if "deletionVectors" not in (table.protocol().reader_features or ()):
        return {}
    vectors = pl.DataFrame(table.deletion_vectors())
    return {
        _name(file): (~kept).arg_true()
        for file, kept in zip(*vectors.select("filepath", "selection_vector"), strict=True)
    }


def _name(path: str) -> str:
    # Unique in a table, whatever folder it is in.
    return path.rpartition("/")[2]


def _schema(table: DeltaTable) -> pl.Schema:
    import polars as pl

    return pl.Schema(table.schema())


def _files(table: DeltaTable) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(table.get_add_actions(flatten=True))


def _folders_tell(table: DeltaTable) -> bool:
    """Whether Polars finds the values of the log in the names of all folders."""
    import polars as pl

    if "=" in delta_log.root_of(table):
        return False
    files = _files(table)
    partitions = [name for name in files.columns if name.startswith(_PARTITION)]
    # Those of a folder are alike: large tables have few folders beside their files.
    folders = files.select(pl.col("path").str.replace(r"[^/]*$", ""), *map(pl.col, partitions)).unique()
    return all(
        delta_folders.tells(
            unquote(path),
            {name.removeprefix(_PARTITION): value for name, value in zip(partitions, values, strict=True)},
        )
        for path, *values in folders.iter_rows()
    )
