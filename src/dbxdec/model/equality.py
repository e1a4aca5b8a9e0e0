"""The JSON forms of values of parameters and tasks: the one that was passed, and one for all equal values."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from typing import Any

_WRITTEN_OUT = 30
"""Decimals are written without an exponent up to this number of digits before or after the point."""


def json_form(value: Any) -> Any:
    """Return the JSON form of a value that a ValueType has read, as it was passed."""
    if isinstance(value, list):
        return [json_form(item) for item in value]
    if isinstance(value, dict):
        return {key: json_form(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.name
    return value.isoformat() if isinstance(value, dt.date) else str(value) if isinstance(value, Decimal) else value


def canonical_form(value: Any) -> Any:
    """Return the JSON form that all equal values of one type have, for a value that a ValueType has read."""
    match value:
        case list():
            return [canonical_form(item) for item in value]
        case dict():
            return {key: canonical_form(item) for key, item in value.items()}
        case dt.datetime() if value.tzinfo is not None:
            with suppress(OverflowError):  # at the ends of the calendar
                value = value.astimezone(dt.UTC)
        case Decimal() if value.is_finite():
            return _canonical_decimal(value)
        case float():
            return value + 0.0  # -0.0 is 0.0
    return json_form(value)


def _canonical_decimal(value: Decimal) -> str:
    """Return one string for all spellings of a finite number: 1.50 and 1.5, 100 and 1E+2."""
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    bare = text.rstrip("0")
    if not bare:
        return "0"
    number = Decimal((sign, tuple(map(int, bare)), int(exponent) + len(text) - len(bare)))
    return format(number, "f") if -_WRITTEN_OUT <= number.adjusted() <= _WRITTEN_OUT else str(number)
