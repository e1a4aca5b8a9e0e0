"""The rows of a Delta table through Polars, with the partition values that its log says.

Polars takes them from the names of folders (`pl.scan_delta`), where other writers are free in what they write, and
takes a `=` in the path above the table for a partition, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dbxdec.io_managers import delta_log, polars_delta_files, polars_delta_values

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import polars as pl
    from deltalake import DeltaTable

_PARTITION = "partition."


def scan(table: DeltaTable) -> pl.LazyFrame:
    """Return the rows of `table` at the version that it is loaded at."""
    import polars as pl

    frame = pl.scan_delta(table)
    partitions = table.metadata().partition_columns
    if not partitions or has_deletion_vectors(table):
        return frame
    schema = schema_of(table)
    if "=" in delta_log.root_of(table):
        return scan_files(table, schema)
    zoned = [name for name in partitions if isinstance(schema[name], pl.Datetime)]
    return scan_files(table, schema) if zoned and _are_named_otherwise(table, zoned) else frame


def schema_of(table: DeltaTable) -> pl.Schema:
    """Return the table's columns as Polars has them."""
    import polars as pl

    return pl.Schema(table.schema())


def has_deletion_vectors(table: DeltaTable) -> bool:
    """Return whether rows of the table's files may be deleted without a change of the file."""
    return "deletionVectors" in (table.protocol().reader_features or ())


def scan_files(table: DeltaTable, schema: pl.Schema, only: Collection[str] | None = None) -> pl.LazyFrame:
    """Return the rows of the table's files, or of those with the paths `only`, partition by partition."""
    files = _files(table)
    names = [name.removeprefix(_PARTITION) for name in files.columns if name.startswith(_PARTITION)]
    groups: dict[tuple[Any, ...], list[str]] = {}
    for row in files.iter_rows(named=True):
        if only is None or row["path"] in only:
            groups.setdefault(tuple(row[_PARTITION + name] for name in names), []).append(row["path"])
    return _together(table, names, groups, schema)


def scan_added(table: DeltaTable, schema: pl.Schema, adds: Iterable[Mapping[str, Any]]) -> pl.LazyFrame:
    """Return the rows of files that commits have added (Delta protocol, "Add File and Remove File")."""
    names = [name for name in table.metadata().partition_columns if name in schema]
    groups: dict[tuple[str | None, ...], list[str]] = {}
    for add in adds:
        values = add["partitionValues"]
        groups.setdefault(tuple(values.get(name) or None for name in names), []).append(add["path"])
    columns = [polars_delta_values.series([key[i] for key in groups], schema[name]) for i, name in enumerate(names)]
    typed = [tuple(column[i] for column in columns) for i in range(len(groups))]
    return _together(table, names, dict(zip(typed, groups.values(), strict=True)), schema)


def _together(
    table: DeltaTable, names: Sequence[str], groups: Mapping[tuple[Any, ...], list[str]], schema: pl.Schema
) -> pl.LazyFrame:
    """Return the rows of files by the values of their partitions."""
    import polars as pl

    frames = [_scan(table, paths, schema, dict(zip(names, values, strict=True))) for values, paths in groups.items()]
    return pl.concat(frames) if frames else pl.LazyFrame(schema=schema)


def _scan(table: DeltaTable, paths: list[str], schema: pl.Schema, partition: dict[str, Any]) -> pl.LazyFrame:
    import polars as pl

    stored = {name: kind for name, kind in schema.items() if name not in partition}
    frame = pl.scan_parquet(
        [place_of(table, path) for path in paths],
        schema=stored,
        missing_columns="insert",
        extra_columns="ignore",  # partition columns, which some writers store as well
        glob=False,
        hive_partitioning=False,
        storage_options=table._storage_options,
    )
    values = {name: pl.lit(value, dtype=schema[name]) for name, value in partition.items()}
    return frame.with_columns(**values).select(list(schema))


def place_of(table: DeltaTable, path: str) -> str:
    """Return where the file is that the log has as `path`."""
    return path if "://" in path else f"{delta_log.root_of(table).rstrip('/')}/{unquote(path)}"


def files_of_partitions(table: DeltaTable, values: pl.DataFrame) -> pl.DataFrame:
    """Return the files of the partitions whose values are a row of `values`, frame of some partition columns.

    An empty string is null, as in the log.
    """
    import polars as pl

    there = _files(table)
    if not there.height:
        return pl.DataFrame(schema={"path": pl.String()})
    here = values.select(pl.all().name.prefix(_PARTITION))
    texts = pl.col(pl.String).replace({"": None})
    here = here.cast({name: there.schema[name] for name in here.columns}).with_columns(texts)
    return there.with_columns(texts).join(here, on=here.columns, how="semi", nulls_equal=True)


def _files(table: DeltaTable) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(table.get_add_actions(flatten=True))


def _are_named_otherwise(table: DeltaTable, columns: list[str]) -> bool:
    """Return whether a folder's name says another time than the log: Spark's are in the zone of its session."""
    for row in _files(table).iter_rows(named=True):
        folders = [_trimmed(folder) for folder in unquote(row["path"]).split("/")]
        for name in columns:
            if _trimmed(polars_delta_files.folder_of(name, row[_PARTITION + name])) not in folders:
                return True
    return False


def _trimmed(folder: str) -> str:
    """Without the zeros at the end of a second's fraction."""
    return folder.rstrip("0").removesuffix(".") if "." in folder else folder
