"""What `replace={"day": day}` says, beside the types of the columns: a value that is exactly one of the column's.

An engine would cast what is of another type in silence, and replace other rows than were meant, or none.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import struct
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.errors import Problem, RunError
from dbxdec.io_managers.columns import LOST

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Family = Literal["flag", "whole", "single", "double", "decimal", "text", "day", "moment", "zoned", "binary", "nested"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A column's type: `text` is what the engine calls it.

    Whole numbers are from `low` to `high`; decimals have `precision` digits, `scale` of them behind the point.
    """

    text: str
    family: Family
    low: int = 0
    high: int = 0
    precision: int = 0
    scale: int = 0


def whole(text: str, bits: int, *, signed: bool = True) -> Kind:
    """The kind of whole numbers of so many bits."""
    return Kind(text, "whole", -(2 ** (bits - 1)) if signed else 0, 2 ** (bits - signed) - 1)


def exact(values: Mapping[str, Any], kinds: Mapping[str, Kind], partitions: Collection[str]) -> dict[str, Any]:
    """`values` as their columns have them; `partitions` are those of the table.

    Raises RunError, with all that is wrong, for values that no row of a column could have: in a partition
    column, strings that are null there (`columns.LOST`).
    """
    problems, found = [], {}
    for name, value in values.items():
        kind = kinds[name]
        try:
            if value in LOST and name in partitions:
                what = f"the partition value {value}" if value else "an empty partition value"
                raise _UnfitError(f"{what} is null: give None, or a name for it as the task does")
            found[name] = None if value is None and kind.family != "nested" else _exact(value, kind)
        except _UnfitError as error:
            message = f"`replace` says {name}={value!r}, and the column `{name}` is {kind.text}"
            problems.append(Problem(message, hint=str(error)))
    if problems:
        raise RunError(problems)
    return found


class _UnfitError(Exception):
    """A value is not one of the column's; the text says what to write instead."""


_ANY = "give a value of the column's type, or cast the column in the task"
_OTHER = "replace by a column of strings, numbers, days or times"


def _exact(value: Any, kind: Kind) -> Any:
    match kind.family, value:
        case _, enum.Enum():
            raise _UnfitError("give the value that the column has, which is no Enum")
        case ("flag", bool()) | ("text", str()):
            return value
        case (("whole" | "single" | "double" | "decimal"), int() | float() | Decimal()) if type(value) is not bool:
            return _number(value, kind)
        case "day", dt.datetime():
            if value.tzinfo is not None or value.time() != dt.time():
                raise _UnfitError("give a day: dt.date(...)")
            return value.date()
        case "day", dt.date():
            return value
        case (("moment" | "zoned"), dt.datetime()):
            if (value.tzinfo is None) != (kind.family == "moment"):
                without = "without a time zone" if kind.family == "moment" else "with a time zone (`tzinfo=dt.UTC`)"
                raise _UnfitError(f"the column's times are {without}: give one of those")
            return value
        case (("moment" | "zoned"), dt.date()):
            raise _UnfitError(
                "a day is no moment: give a datetime, or replace by a column of days, such as one of `partition_by=`"
            )
    raise _UnfitError(_OTHER if kind.family in ("binary", "nested") else _ANY)


def _number(value: float | Decimal, kind: Kind) -> Any:
    """A number of the kind that equals `value`."""
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
        raise _UnfitError("the column has no number that large") from None
    if finite and Decimal(near) != Decimal(value):
        raise _UnfitError(f"the column has no such number: the nearest that it can have is {near!r}")
    return near


def _whole(value: Decimal, kind: Kind) -> int:
    if value != value.to_integral_value() or not kind.low <= value <= kind.high:
        raise _UnfitError(f"give a whole number from {kind.low} to {kind.high}")
    return int(value)


def _decimal(value: Decimal, kind: Kind) -> Decimal:
    # Digit by digit: arithmetic would round to the precision of the context.
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - it is finite
    while exponent < -kind.scale and digits[-1:] == (0,):
        digits, exponent = digits[:-1], exponent + 1
    digits = digits if any(digits) else ()
    if digits and (exponent < -kind.scale or len(digits) + exponent > kind.precision - kind.scale):
        raise _UnfitError(f"the column has {kind.precision} digits, {kind.scale} of them behind the point")
    return Decimal((sign, (*digits, *(0,) * (exponent + kind.scale if digits else 0)), -kind.scale))
