"""Python's own values in columns of pandas, of which Arrow takes one type for all: some become another value then."""

from __future__ import annotations

import datetime as dt
import numbers
from collections.abc import Iterable, Mapping, Sized
from decimal import Decimal
from types import NoneType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_SAME_IF_ALONE = frozenset({str, bytes, bool, int, float, Decimal, dt.date})
_AT_ONCE = 10_000  # values that are there twice, as given and as stored
_SHOWN = 60


def changed(column: pd.Series[Any], array: pa.Array | pa.ChunkedArray) -> str | None:
    """Return what a value of an `object` column would become in `array`, if that is not the same; None if all are.

    Such as a time of day in a column of dates, or a text among bytes.
    """
    kinds = set(map(type, column.array)) - {NoneType}
    if len(kinds) <= 1 and kinds <= _SAME_IF_ALONE:
        return None
    for start in range(0, len(column), _AT_ONCE):
        given = column.array[start : start + _AT_ONCE]
        for value, stored in zip(given, array.slice(start, _AT_ONCE).to_pylist(), strict=True):
            if not _same(value, stored):
                return f"{_shown(value)} would become {_shown(stored)}"
    return None


def _same(value: Any, stored: Any) -> bool:
    if type(value) is type(stored) and not isinstance(stored, list | dict):
        return bool(_moment(value) == _moment(stored))
    if stored is None:
        return _is_missing(value)
    if isinstance(value, Mapping):
        # A field that only others have is null here.
        fields = stored if isinstance(stored, dict) else {}
        return value.keys() <= fields.keys() and all(_same(value.get(name), one) for name, one in fields.items())
    if isinstance(stored, list):
        return (
            isinstance(value, Iterable)
            and isinstance(value, Sized)
            and len(value) == len(stored)
            and all(map(_same, value, stored))
        )
    if isinstance(stored, float) and isinstance(value, numbers.Integral):
        return False
    return bool(_moment(value) == _moment(stored))


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _moment(value: Any) -> Any:
    """Return a time with a zone in UTC: Python calls those of an hour that is there twice unequal otherwise."""
    return value.astimezone(dt.UTC) if isinstance(value, dt.datetime) and value.tzinfo is not None else value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
