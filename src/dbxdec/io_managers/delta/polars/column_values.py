"""Column values from the strings of a Delta log (Delta protocol, "Partition Value Serialization"), as Polars values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.polars_frames import named

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import polars as pl

    from dbxdec.io_managers.delta.slices import Slice

_ESCAPED = re.compile(rb"(\\u00[0-9A-Fa-f]{2})+")
_MOMENT = "%Y-%m-%d %H:%M:%S%.f"


def series(texts: Sequence[str | None], kind: pl.DataType) -> pl.Series:
    """Return the values that `texts` encode, for a column of the type `kind`; None is null."""
    import polars as pl

    raw = pl.Series(texts, dtype=pl.String())
    match kind:
        case pl.String():
            return raw
        case pl.Boolean():
            return raw == "true"
        case pl.Binary():
            return pl.Series([None if text is None else bytes.fromhex(text) for text in texts], dtype=kind)
        case pl.Date():
            return raw.str.to_date("%Y-%m-%d")
        case pl.Datetime():
            # delta-rs reads values of zoned columns without a time zone as UTC.
            moments = (
                raw.str.replace("T", " ", literal=True).str.strip_suffix("Z").str.to_datetime(_MOMENT, time_unit="us")
            )
            return moments if kind.time_zone is None else moments.dt.replace_time_zone("UTC")
        case _:
            return raw.cast(kind)


def of_partition(texts: Sequence[str | None], kind: pl.DataType) -> pl.Series:
    """Return the values of a partition, which the log has as `texts`; an empty one is null.

    Bytes are escaped there, one by one; Spark has them as the text that they are.
    """
    import polars as pl

    known = [text or None for text in texts]
    if not isinstance(kind, pl.Binary):
        return series(known, kind)
    return pl.Series([None if text is None else unescaped(text.encode()) for text in known], dtype=kind)


def unescaped(value: bytes) -> bytes:
    """Return the bytes of a partition that the log has as `value`."""
    return bytes.fromhex(value.decode().replace("\\u00", "")) if _ESCAPED.fullmatch(value) else value


def typed(slice_: Slice, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return the values of a slice as a frame with a row for each tuple. `schema` has the types of the columns."""
    import polars as pl

    columns = {name: series([row[i] for row in slice_.rows], schema[name]) for i, name in enumerate(slice_.columns)}
    return pl.DataFrame(columns)


def inside(values: pl.DataFrame, partitions: Collection[str]) -> pl.Expr:
    """Return an expression for whether a row has one of the tuples in `values`.

    In partition columns an empty string is null.
    """
    import polars as pl

    if values.width == 1:
        return _same(values.columns[0], values.to_series(), partitions)
    rows = [
        pl.all_horizontal(_same(name, values[name].slice(i, 1), partitions) for name in values.columns)
        for i in range(values.height)
    ]
    return pl.any_horizontal(rows) if rows else pl.lit(value=False)


def _same(name: str, values: pl.Series, partitions: Collection[str]) -> pl.Expr:
    import polars as pl

    column: Any = named(name)
    values = values.rename("")  # Polars would read the name as a pattern here as well
    if values.dtype == pl.String() and name in partitions:
        column, values = column.replace({"": None}), values.replace({"": None})
    if len(values) == 1:
        return column.eq_missing(pl.lit(values).first())  # type: ignore[no-any-return]
    return column.is_in(values.implode(), nulls_equal=True)  # type: ignore[no-any-return]
