"""Statistics of a Parquet file in the form of a Delta log (Delta protocol, "Per-file Statistics").

Readers skip files by them, so each is a bound that holds, or it is left out.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.delta.polars.direct import footer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl

    from dbxdec.io_managers.delta.polars.direct.footer import Chunk

# `delta.dataSkippingNumIndexedCols`, unless the table sets it.
_COLUMNS = 32
_EPOCH = dt.datetime(1970, 1, 1)
_STRING_LENGTH = 64


def of_file(rows: int, metadata: bytes, schema: Mapping[str, pl.DataType]) -> str:
    """Return the statistics, as JSON, of a file with `rows` rows, this Parquet `metadata` and the columns `schema`."""
    indexed = dict(list(schema.items())[:_COLUMNS])
    leaves: dict[tuple[str, ...], list[Chunk]] = {}
    for chunk in footer.chunks(metadata):
        leaves.setdefault(chunk.path, []).append(chunk)
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, Any] = {}
    for path, chunks in leaves.items():
        if (kind := _kind(path, indexed)) is None:
            continue
        counts = [chunk.nulls for chunk in chunks]
        if None not in counts:
            _put(nulls, path, sum(count for count in counts if count is not None))
        bounds = _bounds(chunks, kind)
        if bounds is not None and not (rows > 1 and _may_hide_nan(kind, *bounds)):
            _put(low, path, bounds[0])
            _put(high, path, bounds[1])
    stats = {"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": nulls}
    # Not escaped: delta-rs misreads escaped pairs of surrogates, and then skips files.
    return json.dumps(stats, ensure_ascii=False, separators=(",", ":"))


def _kind(path: tuple[str, ...], schema: Mapping[str, pl.DataType]) -> pl.DataType | None:
    """Return the type of a leaf; None if it is inside a list or belongs to a column without statistics."""
    import polars as pl

    kind: Any = schema.get(path[0])
    for name in path[1:]:
        if not isinstance(kind, pl.Struct):
            return None
        kind = next((field.dtype for field in kind.fields if field.name == name), None)
    return None if kind is None or kind.is_nested() else kind


def _may_hide_nan(kind: pl.DataType, low: Any, high: Any) -> bool:
    """Return whether readers would assume one value for all rows although NaN, which no bounds include, may occur."""
    import polars as pl

    return isinstance(kind, pl.Float32 | pl.Float64) and bool(low == high)


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    if value is None:
        return
    *parents, name = path
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[name] = value


def _bounds(chunks: Iterable[Chunk], kind: pl.DataType) -> tuple[Any, Any] | None:
    """Return the least and the greatest value in JSON form; None for a column without values, or with unknown ones."""
    lows, highs = [], []
    for chunk in chunks:
        if chunk.nulls == chunk.values:
            continue
        if chunk.low is None or chunk.high is None:
            return None
        low, high = _value(chunk.low, kind, last=False), _value(chunk.high, kind, last=True)
        if low is None or high is None:
            return None
        lows.append(low)
        highs.append(high)
    if not lows:
        return None
    return _json(min(lows), kind), _json(max(highs), kind)


def _value(raw: bytes, kind: pl.DataType, *, last: bool) -> Any:
    """Return a bound in Parquet's plain encoding as a value that sorts as the column does; None without one.

    `last` says that it is an upper bound.
    """
    import polars as pl

    if isinstance(kind, pl.String):
        return _string_bound(raw, last=last)
    if isinstance(kind, pl.Decimal):
        # Integers are little-endian; the fixed bytes of long decimals are big-endian.
        unscaled = int.from_bytes(raw, "little" if len(raw) in (4, 8) and kind.precision <= 18 else "big", signed=True)
        return Decimal(f"{unscaled}E-{kind.scale}")  # exact, unlike arithmetic
    if isinstance(kind, pl.Float32 | pl.Float64):
        number = float(struct.unpack("<f" if len(raw) == 4 else "<d", raw)[0])
        return number if math.isfinite(number) else None
    if kind.is_signed_integer() or isinstance(kind, pl.Date | pl.Datetime):
        return int.from_bytes(raw, "little", signed=True)
    return None


def _string_bound(raw: bytes, *, last: bool) -> str | None:
    """Return a string that bounds the same strings as `raw`, from above with `last`, else from below.

    Writers cut long strings.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        # A prefix is a lower bound, but never an upper one.
        return None if last else raw.decode(errors="ignore")
    if len(text) > _STRING_LENGTH:
        return None if last else text[:_STRING_LENGTH]
    return text


def _json(value: Any, kind: pl.DataType) -> Any:
    """Return a bound as the log holds it; None for one that the log can't hold exactly."""
    import polars as pl

    try:
        if isinstance(kind, pl.Date):
            return (_EPOCH + dt.timedelta(days=value)).date().isoformat()
        if isinstance(kind, pl.Datetime):
            moment = _EPOCH + dt.timedelta(microseconds=value)
            return moment.isoformat(timespec="microseconds") + ("Z" if kind.time_zone else "")
    except OverflowError:  # Python's years are 1 to 9999
        return None
    if isinstance(value, Decimal):
        number = int(value) if value == value.to_integral_value() else float(value)
        return number if Decimal(str(number)) == value else None
    return value
