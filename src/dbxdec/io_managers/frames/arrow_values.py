"""Values that Arrow's types can hold, and Polars can't: it would make others of them, or null."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

_DAY_S = 86_400
_DAYS = 32  # bits of a date, and of a time in seconds; all others have 64
_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def is_beyond(array: pa.Array) -> bool:
    """Return whether times of day are beyond a day, or seconds too many for Polars, which counts milliseconds."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_time(kind):
        least, most = _ends(array)
        return least < 0 or most >= _DAY_S * _A_SECOND[kind.unit]
    if (pa.types.is_timestamp(kind) or pa.types.is_duration(kind)) and kind.unit == "s":
        least, most = _ends(array)
        return max(most, -least) > (2**63 - 1) // _A_SECOND["ms"]
    return False


def is_endless(array: pa.Array) -> bool:
    """Return whether values of DuckDB are as `is_beyond` tells, or infinite, which are numbers like others in Arrow."""
    import pyarrow as pa

    if not (pa.types.is_date(array.type) or pa.types.is_timestamp(array.type)):
        return is_beyond(array)
    least, most = _ends(array)
    return max(most, -least) >= (2**31 if array.type.bit_width == _DAYS else 2**63) - 1


def refuse_lost(data: pa.Table | pa.RecordBatch, what: str, *, is_lost: Callable[[pa.Array], bool] = is_beyond) -> None:
    """Raise RunError, with their columns, for values that would be lost. `what` describes the data."""
    if wrong := [name for name in data.schema.names if any(map(is_lost, _leaves(data.column(name))))]:
        raise RunError(
            f"{what} has infinite dates, times beyond a day, or seconds beyond all dates, which can't be stored, in: "
            f"{', '.join(map(repr, wrong))}",
            hint="leave them out, or make them null in the task",
        )


def refuse_broken(data: pa.Table | pa.RecordBatch, what: str) -> None:
    """Raise RunError, with their columns, for values that don't fit their types, such as strings that aren't UTF-8.

    Arrow does not look at them, nor does Polars: they would be stored, and nobody could read the file.
    """
    import pyarrow as pa

    wrong: dict[str, str] = {}
    for name in data.schema.names:
        try:
            data.column(name).validate(full=True)
        except pa.ArrowException as error:
            wrong[name] = str(error).splitlines()[0]
    if wrong:
        lines = "".join(f"\n    {name}: {said}" for name, said in wrong.items())
        raise RunError(
            f"{what} has columns whose values don't fit their types:{lines}",
            hint="where bytes were taken for strings, decode them, or make the column binary",
        )


def _ends(array: pa.Array) -> tuple[int, int]:
    """Return the least and the greatest of the numbers that an array's values are; 0 if it has none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = pc.min_max(array.view(pa.int32() if array.type.bit_width == _DAYS else pa.int64()))
    return ends["min"].as_py() or 0, ends["max"].as_py() or 0


def _leaves(array: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """Yield the values of a column, as arrays that have nothing inside."""
    import pyarrow as pa

    parts: list[pa.Array | pa.ChunkedArray]
    if isinstance(array, pa.ChunkedArray):
        parts = array.chunks
    elif isinstance(array, pa.DictionaryArray):
        parts = [array.dictionary]
    elif isinstance(array, pa.MapArray):
        parts = [array.keys, array.items]
    elif isinstance(array, pa.StructArray):
        parts = array.flatten()
    elif pa.types.is_nested(array.type):
        parts = [array.flatten()]
    else:
        yield array
        return
    for part in parts:
        yield from _leaves(part)
