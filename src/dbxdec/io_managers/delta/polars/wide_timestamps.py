"""Timestamps that nanoseconds in 64 bits can't hold: those before 1677 and after 2262, such as the end of 9999.

Spark stores timestamps in 96 bits unless it is told otherwise (INT96). `pl.scan_delta` and delta-rs read those as
nanoseconds, and so make other moments of them. A scan that is told to read microseconds has the right ones.
"""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.polars_frames import field_at, named, nodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from deltalake import DeltaTable

_FIRST = dt.datetime(1677, 9, 22, tzinfo=dt.UTC)
_LAST = dt.datetime(2262, 4, 11, tzinfo=dt.UTC)
# Parallel requests to a storage.
_AT_ONCE = 16


def doubtful(table: DeltaTable, schema: Mapping[str, pl.DataType]) -> list[str]:
    """Return the paths of the files that may have such timestamps, by their statistics in the log."""
    import polars as pl

    kinds = _columns(table, schema)
    if not kinds:
        return []
    files = pl.DataFrame(table.get_add_actions(flatten=False))
    if not files.height:
        return []
    fine = [
        _fits(files, name) if isinstance(kind, pl.Datetime) else pl.lit(value=False) for name, kind in kinds.items()
    ]
    return files.filter(~pl.all_horizontal(fine))["path"].to_list()


def refuse_rewrite(table: DeltaTable, schema: Mapping[str, pl.DataType], places: list[str], uri: str) -> None:
    """Raise RunError if delta-rs would store other timestamps when it rewrites a file at one of `places`."""
    kinds = _columns(table, schema)
    if not places:
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        changed = pool.map(lambda place: _changed(place, kinds, table._storage_options), places)
    for name in changed:
        if name is not None:
            raise RunError(
                f"{uri} has timestamps before 1677 or after 2262 in `{name}`, stored as Spark does by default (INT96): "
                "this write rewrites files, and delta-rs would make other timestamps of them",
                hint="write the table through Spark (SparkDeltaIoManager), or let Spark store it once more with "
                "spark.sql.parquet.outputTimestampType=TIMESTAMP_MICROS",
            )


def _columns(table: DeltaTable, schema: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """Return the columns with timestamps in files that Spark may have stored so: those with a time zone."""
    import polars as pl

    partitions = table.metadata().partition_columns
    return {
        name: kind
        for name, kind in schema.items()
        if name not in partitions
        and any(isinstance(node, pl.Datetime) and node.time_zone is not None for node in nodes(kind))
    }


def _fits(files: pl.DataFrame, name: str) -> pl.Expr:
    """Return whether the bounds of a file, or its number of nulls, say that nanoseconds hold all its timestamps."""
    import polars as pl

    def part(kind: str) -> pl.Expr:
        fields = [field.name for field in getattr(dict(files.schema).get(kind), "fields", ())]
        return field_at(pl.col(kind), fields.index(name), len(fields)) if name in fields else pl.lit(None)

    inside = part("min").cast(pl.Datetime("us", "UTC")).ge(_FIRST) & part("max").cast(pl.Datetime("us", "UTC")).le(
        _LAST
    )
    none = part("null_count").cast(pl.Int64).eq(pl.col("num_records"))
    return inside.fill_null(value=False) | none.fill_null(value=False)


def _changed(place: str, columns: Mapping[str, pl.DataType], storage_options: dict[str, str] | None) -> str | None:
    """Return a column of a file whose timestamps are others in nanoseconds; None if all are the same."""
    import polars as pl

    options: dict[str, Any] = {"storage_options": storage_options, "glob": False, "hive_partitioning": False}
    stored = pl.scan_parquet(place, **options)
    there = stored.collect_schema()
    kinds = {name: kind for name, kind in columns.items() if name in there and _in_nanoseconds(there[name])}
    if not kinds:
        return None
    told = {**options, "extra_columns": "ignore", "cast_options": pl.ScanCastOptions._default_iceberg()}
    right = pl.scan_parquet(place, schema=kinds, **told).collect()
    wrong = stored.select(map(named, kinds)).collect()
    changed = (name for name, kind in kinds.items() if not right[name].equals(wrong[name].cast(kind), null_equal=True))
    return next(changed, None)


def _in_nanoseconds(kind: pl.DataType) -> bool:
    import polars as pl

    return any(isinstance(node, pl.Datetime) and node.time_unit == "ns" for node in nodes(kind))
