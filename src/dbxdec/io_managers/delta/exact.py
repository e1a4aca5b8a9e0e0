"""Exact values for `replace={"day": day}`: each must be a value that its column can have.

An engine would silently cast a value of another type, and then replace the wrong rows or none.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.errors import Problem, RunError
from dbxdec.io_managers.columns import LOST
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Family = Literal["flag", "whole", "single", "double", "decimal", "text", "day", "moment", "zoned", "binary", "nested"]


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a column. `text` is the engine's name for it.

    Integers range from `low` to `high`. Decimals have `precision` digits, `scale` of them after the decimal point.
    """

    text: str
    family: Family
    low: int = 0
    high: int = 0
    precision: int = 0
    scale: int = 0


def whole(text: str, bits: int) -> Kind:
    """Return the kind of signed integers with this number of bits."""
    return Kind(text, "whole", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def exact(values: Mapping[str, Any], kinds: Mapping[str, Kind], partitions: Collection[str]) -> dict[str, Any]:
    """Return `values` as their columns have them; `partitions` are the table's partition columns.

    Raises RunError, with all problems, for values that no row of a column can have. In a partition column these include
    strings that are null there (`columns.LOST`).
    """
    problems, found = [], {}
    for name, value in values.items():
        kind = kinds[name]
        try:
            if value in LOST and name in partitions:
                what = f"the partition value {value}" if value else "an empty partition value"
                raise _UnfitError(f"Delta stores {what} as null: give None, or the name that the task uses for it")
            found[name] = None if value is None and kind.family != "nested" else _exact(value, kind)
        except _UnfitError as error:
            message = f"`replace` has {name}={value!r}, but the column `{name}` is {kind.text}"
            problems.append(Problem(message, hint=str(error)))
    if problems:
        raise RunError(problems)
    return found


class _UnfitError(Exception):
    """Raised for a value that the column can't have; the message says what to write instead."""


_ANY = "give a value of the column's type, or cast the column in the task"
_OTHER = "replace by a column of strings, numbers, dates or timestamps"


def _exact(value: Any, kind: Kind) -> Any:
    match kind.family, value:
        case _, enum.Enum():
            raise _UnfitError("give the value of the column, not an Enum")
        case ("flag", bool()) | ("text", str()):
            return value
        case (("whole" | "single" | "double" | "decimal"), int() | float() | Decimal()) if type(value) is not bool:
            return _number(value, kind)
        case "day", dt.datetime():
            if value.tzinfo is not None or value.time() != dt.time():
                raise _UnfitError("give a date: dt.date(...)")
            return value.date()
        case "day", dt.date():
            return value
        case (("moment" | "zoned"), dt.datetime()):
            if (value.tzinfo is None) != (kind.family == "moment"):
                without = "without a time zone" if kind.family == "moment" else "with a time zone (`tzinfo=dt.UTC`)"
                raise _UnfitError(f"the column has timestamps {without}: give one of those")
            return value
        case (("moment" | "zoned"), dt.date()):
            raise _UnfitError(
                "the column has timestamps: give a datetime, or replace by a column of dates, as in `partition_by=`"
            )
    raise _UnfitError(_OTHER if kind.family in ("binary", "nested") else _ANY)


def _number(value: float | Decimal, kind: Kind) -> Any:
    """Return the number of the kind that equals `value`."""
    finite = Decimal(value).is_finite()
    if kind.family in ("whole", "decimal"):
        if not finite:
            raise _UnfitError(_ANY)
        return _whole(Decimal(value), kind) if kind.family == "whole" else _decimal(Decimal(value), kind)
    try:
        near = float(value)
        if kind.family == "single" and math.isfinite(near):
            near = struct.unpack("f", struct.pack("f", near))[0]
    except OverflowError:
        raise _UnfitError("the value is too large for the column") from None
    if finite and Decimal(near) != Decimal(value):
        raise _UnfitError(f"the column can't hold this number: the nearest that it can hold is {near!r}")
    return near


def _whole(value: Decimal, kind: Kind) -> int:
    if value != value.to_integral_value() or not kind.low <= value <= kind.high:
        raise _UnfitError(f"give an integer from {kind.low} to {kind.high}")
    return int(value)


def _decimal(value: Decimal, kind: Kind) -> Decimal:
    # Digit by digit: arithmetic would round to the precision of the context.
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - it is finite
    while exponent < -kind.scale and digits[-1:] == (0,):
        digits, exponent = digits[:-1], exponent + 1
    digits = digits if any(digits) else ()
    if digits and (exponent < -kind.scale or len(digits) + exponent > kind.precision - kind.scale):
        raise _UnfitError(f"the column has {kind.precision} digits, {kind.scale} of them after the decimal point")
    return Decimal((sign, (*digits, *(0,) * (exponent + kind.scale if digits else 0)), -kind.scale))
