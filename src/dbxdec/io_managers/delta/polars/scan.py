"""The rows of a Delta table through Polars, with the partition values of its log.

Polars takes these values from the names of folders (`pl.scan_delta`), which other writers may choose freely. It also
reads a `=` in the path above the table as a partition.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dbxdec.errors import RunError
from dbxdec.io_managers.delta import folder_names
from dbxdec.io_managers.delta.polars import column_values, spellings, table_log, wide_timestamps
from dbxdec.io_managers.polars_frames import cast, named, nodes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import polars as pl
    from deltalake import DeltaTable

    from dbxdec.io_managers.delta.polars.spellings import Spellings

PARTITION = "partition."
"""The prefix of the name of a partition column in delta-rs' table of files."""
_EXACT_DIGITS = 15
# Paths that are spelled the same whether encoded or not, and in the name of a folder "column=value".
_PLAIN = re.compile(r"[A-Za-z0-9._~=/-]*")


def scan(table: DeltaTable) -> pl.LazyFrame:
    """Return the rows of `table` at the version that its handle has loaded."""
    import polars as pl

    schema = schema_of(table)
    if spelled := spellings_of(table, schema):
        return scan_files(table, schema, spelled=spelled)
    if any(_is_rounded(kind) for kind in schema.values()) or _may_miss_vectors(table):
        return scan_files(table, schema)
    if wide_timestamps.doubtful(table, schema):
        return scan_files(table, schema)
    if not table.metadata().partition_columns or _paths_tell(table):
        return pl.scan_delta(table)
    return scan_files(table, schema)


def _is_rounded(kind: pl.DataType) -> bool:
    """Return whether the log may have rounded bounds, by which `pl.scan_delta` would skip files that have the value.

    delta-rs, and whoever reads JSON, has decimals as floating-point numbers, which tell 15 digits apart.
    """
    import polars as pl

    return any(isinstance(node, pl.Decimal) and node.precision > _EXACT_DIGITS for node in nodes(kind))


def _may_miss_vectors(table: DeltaTable) -> bool:
    """Return whether `pl.scan_delta` may give back deleted rows.

    It looks for the deletion vector of a file by its path, where one of the two is encoded, and the other may not be.
    """
    if not _has_vectors(table):
        return False
    root = table.table_uri.partition("://")[2] or table.table_uri
    return not all(map(_PLAIN.fullmatch, [root, *files_of(table)["path"]]))


def _has_vectors(table: DeltaTable) -> bool:
    return "deletionVectors" in (table.protocol().reader_features or ())


def schema_of(table: DeltaTable) -> pl.Schema:
    """Return the table's columns with their Polars types."""
    import polars as pl

    return pl.Schema(table.schema())


def spellings_of(table: DeltaTable, schema: pl.Schema, only: Collection[str] | None = None) -> Spellings:
    """Return how the table's files, or only those at the paths `only`, spell columns otherwise."""
    paths = [path for path in spellings.doubtful(table, schema) if only is None or path in only]
    return spellings.of_files([place_of(table, path) for path in paths], schema, table._storage_options)


def scan_files(
    table: DeltaTable, schema: pl.Schema, only: Collection[str] | None = None, spelled: Spellings | None = None
) -> pl.LazyFrame:
    """Return the rows of the table's files, or only of those at the paths `only`, with the partitions of the log.

    `spelled` is how its files spell columns, where that is known.
    """
    import polars as pl

    spelled = spellings_of(table, schema, only) if spelled is None else spelled
    files, vectors = files_of(table), _deleted(table)
    if vectors and (lost := vectors.keys() - {_uri_of(table, path) for path in files["path"]}):
        # To go on would give back rows that are deleted.
        raise RunError(
            f"{table_log.shown(table)} has deleted rows in {min(lost)}, which is not one of its files",
            hint="annotate the parameter as a Spark DataFrame",
        )
    if only is not None:
        files = files.filter(pl.col("path").is_in(list(only)))
    deleted = [vectors.get(_uri_of(table, path)) for path in files["path"]] if vectors else [None] * files.height
    places = pl.Series("place", [place_of(table, path) for path in files["path"]], dtype=pl.String)
    files = files.select(places, pl.col(f"^{re.escape(PARTITION)}.*$"))
    whole = files.filter(pl.Series([rows is None for rows in deleted], dtype=pl.Boolean))
    options = table._storage_options
    frames = [scan_places(whole, schema, options, spelled=spelled)] if whole.height else []
    frames += [
        scan_places(one, schema, options, rows, spelled=spelled)
        for one, rows in zip(files.iter_slices(1), deleted, strict=True)
        if rows is not None
    ]
    return pl.concat(frames) if frames else pl.LazyFrame(schema=schema)


def scan_added(table: DeltaTable, schema: pl.Schema, adds: Iterable[Mapping[str, Any]]) -> pl.LazyFrame:
    """Return the rows of files that commits of tasks added (Delta protocol, "Add File and Remove File")."""
    import polars as pl

    adds = list(adds)
    names = [name for name in table.metadata().partition_columns if name in schema]
    files = {"place": pl.Series([place_of(table, add["path"]) for add in adds], dtype=pl.String())}
    for name in names:
        texts = [add["partitionValues"].get(name) for add in adds]
        files[PARTITION + name] = column_values.of_partition(texts, schema[name])
    return scan_places(pl.DataFrame(files), schema, table._storage_options) if adds else pl.LazyFrame(schema=schema)


def scan_places(
    files: pl.DataFrame,
    schema: pl.Schema,
    storage_options: dict[str, str] | None,
    deleted: pl.Series | None = None,
    *,
    spelled: Spellings | None = None,
) -> pl.LazyFrame:
    """Return the rows of `files`, a frame of their places and of the values of their partitions.

    `deleted` are the numbers of rows that no longer count; it is given only for a single file. `spelled` is how files
    spell columns otherwise.
    """
    import polars as pl

    if not spelled:
        return _scan_alike(files, schema, storage_options, deleted, {})
    groups: dict[tuple[tuple[str, str], ...], list[bool]] = {}
    kinds = [tuple(sorted(spelled.get(place, {}).items())) for place in files["place"]]
    for kind in kinds:
        groups.setdefault(kind, [one == kind for one in kinds])
    return pl.concat(
        _scan_alike(files.filter(pl.Series(chosen)), schema, storage_options, deleted, dict(kind))
        for kind, chosen in groups.items()
    )


def _scan_alike(
    files: pl.DataFrame,
    schema: pl.Schema,
    storage_options: dict[str, str] | None,
    deleted: pl.Series | None,
    spelled: Mapping[str, str],
) -> pl.LazyFrame:
    """Return the rows of `files`, which all spell columns alike."""
    import polars as pl

    partitions = [name.removeprefix(PARTITION) for name in files.columns[1:]]
    free = "_" * (max(map(len, schema), default=0) + 1)  # the name of no column
    number, place = f"{free}n", f"{free}p"
    frame = pl.scan_parquet(
        files["place"].to_list(),
        schema={spelled.get(name, name): kind for name, kind in schema.items() if name not in partitions},
        missing_columns="insert",
        extra_columns="ignore",  # partition columns, which some writers store as well
        # As in `pl.scan_delta`: structs of older files lack fields, and other writers use other time units.
        cast_options=pl.ScanCastOptions._default_iceberg(),
        row_index_name=None if deleted is None else number,
        include_file_paths=place if partitions else None,
        glob=False,
        hive_partitioning=False,
        storage_options=storage_options,
    )
    if spelled:
        frame = frame.rename({own: name for name, own in spelled.items()})
    if deleted is not None:
        frame = frame.join(pl.LazyFrame({number: deleted}), on=number, how="anti")
    if partitions:
        values = files.rename(dict(zip(files.columns, [place, *partitions], strict=True)))
        typed = cast(values, {name: schema[name] for name in partitions})
        # Not one scan for each partition: Polars takes a minute for thousands of scans.
        frame = frame.join(typed.lazy(), on=place, how="left", maintain_order="left")
    return frame.select(map(named, schema))


def place_of(table: DeltaTable | str, path: str) -> str:
    """Return the place of the file with the path `path` in the log, as Polars names it.

    A string is the place of the table.
    """
    if "://" in path:
        return unquote(path.removeprefix("file://")) if path.startswith("file://") else path
    return f"{table_log.root_of(table).rstrip('/')}/{unquote(path)}"


def _deleted(table: DeltaTable) -> dict[str, pl.Series]:
    """Return the numbers of the rows that deletion vectors remove, by the URIs of the files that have them."""
    import polars as pl

    if not _has_vectors(table):
        return {}
    vectors = pl.DataFrame(table.deletion_vectors())
    return {
        unquote(file): (~kept).arg_true()
        for file, kept in zip(*vectors.select("filepath", "selection_vector"), strict=True)
    }


def _uri_of(table: DeltaTable, path: str) -> str:
    """Return the URI of the file with the path `path` in the log, without encoding.

    The name alone may occur in several folders: not all writers give each file a name of its own.
    """
    return unquote(path) if "://" in path else unquote(table.table_uri).rstrip("/") + "/" + unquote(path)


def files_of_partitions(table: DeltaTable, values: pl.DataFrame) -> pl.DataFrame:
    """Return the files of the partitions whose values are a row of `values`, a frame of some partition columns.

    An empty string is null, as in the log.
    """
    import polars as pl

    there = files_of(table)
    if not there.height:
        return pl.DataFrame(schema={"path": pl.String()})
    here = values.select(pl.all().name.prefix(PARTITION))
    texts = pl.col(pl.String).replace({"": None})
    here = here.cast({name: there.schema[name] for name in here.columns}).with_columns(texts)
    return there.with_columns(texts).join(here, on=here.columns, how="semi", nulls_equal=True)


def files_of(table: DeltaTable) -> pl.DataFrame:
    """Return the table's files: their paths as in the log, their sizes in bytes, and "partition.<name>"."""
    import polars as pl

    # Not flat: the statistics of a column "a.b" and of a field "b" of "a" would have the same name.
    found = pl.DataFrame(table.get_add_actions(flatten=False))
    parts = found["partition"].struct.unnest() if "partition" in found.columns else pl.DataFrame()
    values = {PARTITION + name: _decoded(parts[name]) for name in parts.columns}
    return pl.DataFrame({"path": found["path"], "size_bytes": found["size_bytes"], **values})


def _decoded(values: pl.Series) -> pl.Series:
    """Return the values of a partition; delta-rs gives bytes as the log has them."""
    import polars as pl

    if values.dtype != pl.Binary:
        return values
    return pl.Series([None if one is None else column_values.unescaped(one) for one in values], dtype=pl.Binary)


def _paths_tell(table: DeltaTable) -> bool:
    """Return whether Polars finds the values of the log by itself: in the names of all folders, or in all files."""
    import polars as pl

    if "=" in table_log.root_of(table):
        return False
    files = files_of(table)
    if files.height and all(map(folder_names.is_keyed, files["path"])):
        return True
    partitions = [name for name in files.columns if name.startswith(PARTITION)]
    # The files of a folder are alike, and large tables have few folders compared with their files.
    folders = files.select(pl.col("path").str.replace(r"[^/]*$", ""), *map(pl.col, partitions)).unique()
    names = [name.removeprefix(PARTITION) for name in partitions]
    return all(
        folder_names.tells(unquote(path), dict(zip(names, values, strict=True)))
        for path, *values in folders.iter_rows()
    )
