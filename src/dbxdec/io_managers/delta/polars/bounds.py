"""Rows that the statistics of their file hide from delta-rs (Delta protocol, "Per-file Statistics").

If the least and the greatest value of a column are equal, delta-rs assumes that all rows of the file have that value,
even those with NaN, which no bounds include. The bounds that delta-rs writes for decimals are rounded to double
precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta.polars import scan
from dbxdec.io_managers.polars_frames import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from deltalake import DeltaTable


def refuse_hidden(table: DeltaTable, values: Mapping[str, Any], uri: str) -> None:
    """Raise RunError if delta-rs would select other rows of `table` than those with `values`.

    It would lose the rows that it selects by mistake, and leave the rows that it misses beside the new ones.
    """
    import polars as pl

    schema = scan.schema_of(table)
    doubtful = {
        name: value
        for name, value in values.items()
        if value is not None and isinstance(schema[name], pl.Float32 | pl.Float64 | pl.Decimal)
    }
    if not doubtful:
        return
    files = pl.DataFrame(table.get_add_actions(flatten=False))
    for name, value in doubtful.items():
        for path, nulls, low, high in _bounds(files, name):
            if float(value) not in (float(low), float(high)):
                continue  # too far away for rounding to matter
            column = scan.scan_files(table, schema, {path}).select(named(name)).collect().to_series()
            there = taken = (column == value).sum()
            if not low <= value <= high:
                taken = 0
            elif low == high and nulls == 0:
                taken = len(column)
            if taken != there:
                raise RunError(
                    f"`replace` has {name}={value!r}, but delta-rs would replace other rows of {uri}: it goes by the "
                    f"bounds of a file, {low!r} to {high!r}, which are rounded and leave out NaN",
                    hint="replace by another column, or write the table through Spark (SparkDeltaIoManager)",
                )


def _bounds(files: pl.DataFrame, name: str) -> list[tuple[str, int | None, Any, Any]]:
    """Return the path, the number of nulls, and the bounds of a column for each file that has them."""
    kinds = [dict(files.schema).get(kind) for kind in ("null_count", "min", "max")]
    if not all(name in {field.name for field in getattr(kind, "fields", ())} for kind in kinds):
        return []
    found = zip(*(files[column].to_list() for column in ("path", "null_count", "min", "max")), strict=True)
    return [
        (path, (nulls or {}).get(name), low[name], high[name])
        for path, nulls, low, high in found
        if low and high and low[name] is not None and high[name] is not None
    ]
