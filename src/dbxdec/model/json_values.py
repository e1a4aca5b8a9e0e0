"""Values that JSON holds unchanged: None, bool, int, float and str themselves, and lists and dicts of them.

JSON would take a subclass too, such as the member of a StrEnum, but what is read back is the plain value.
"""

from __future__ import annotations

import datetime as dt
import math
from enum import Enum
from typing import Any

from dbxdec.model.variables import BundleVariable
from dbxdec.support.masking import brief

_PLAIN = (str, int, float, list, dict)
_UNNAMED = ("builtins", "datetime", "decimal")


class MisfitError(TypeError):
    """Raised for a value that can't be passed on as it is. `hint` says what to write instead; None if it is unknown."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def class_of(value: object) -> str:
    """Return the name of the value's class, with its package: `numpy.bool` is not `bool`."""
    kind = type(value)
    root = kind.__module__.partition(".")[0]
    return kind.__qualname__ if root in _UNNAMED else f"{root}.{kind.__qualname__}"


def require(value: object, place: str = "") -> None:
    """Raise MisfitError, with the place, for a value that JSON does not hold unchanged."""
    try:
        _require(value, place)
    except RecursionError:
        raise MisfitError(
            "it is nested too deeply, or contains itself", "make it flat, or store it as a table through an IoManager"
        ) from None


def plainly(value: object) -> object:
    """Return a str or an int of a subclass, where the plain type is the one that is wanted, as the plain value."""
    if isinstance(value, str):
        return str.__str__(value)  # not what a subclass shows itself as
    return int.__int__(value) if isinstance(value, int) and not isinstance(value, bool) else value


def finite(value: Any, place: str = "") -> float:
    """Return a number as a float. Raises MisfitError for one that no float, or no JSON, represents."""
    try:
        number = float(value)
    except OverflowError:
        raise MisfitError(f"{brief(value, 40)}{place} is too large for a float") from None
    if not math.isfinite(number):
        raise MisfitError(f"{number!r}{place} is a float that JSON can't represent")
    if isinstance(value, int) and number != value:
        raise MisfitError(
            f"{brief(value, 40)}{place} is an int that no float represents exactly: it would arrive as {number!r}",
            "annotate it `int`, or round it with `float(...)`",
        )
    return number


def require_no_fold(value: object, place: str = "") -> None:
    """Raise MisfitError for a time without a zone that is the second of two: its string does not say so."""
    if isinstance(value, dt.datetime) and value.tzinfo is None and value.fold:
        raise MisfitError(
            f"{brief(value)}{place} has fold=1 but no time zone, and its string does not keep the fold",
            "give it a time zone, or `.replace(fold=0)`",
        )


def _require(value: Any, place: str) -> None:
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return
    if kind is int:
        try:
            str(value)
        except ValueError as error:
            raise MisfitError(f"an int{_at(place)} can't be written as JSON: {error}") from None
    elif kind is float:
        if not math.isfinite(value):
            raise MisfitError(f"{value!r}{_at(place)} is a float that JSON can't represent", "return None in its place")
    elif kind is list:
        for i, item in enumerate(value):
            _require(item, f"{place}[{i}]")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise MisfitError(
                    f"the key {brief(key)}{_at(place)} is of the type {class_of(key)}, but JSON has only str as keys",
                    f"write `{brief(str(key))}`" if isinstance(key, int) else _instead(key),
                )
            _require(item, f"{place}[{key!r:.60}]")
    else:
        is_plain = isinstance(value, _PLAIN)
        raise MisfitError(
            f"{brief(value)}{_at(place)} is of the type {class_of(value)}, which "
            + ("would arrive as a plain " + _base(value) if is_plain else "JSON does not have"),
            _instead(value),
        )


def _base(value: object) -> str:
    return next(kind.__name__ for kind in _PLAIN if isinstance(value, kind))


def _instead(value: object) -> str:
    if isinstance(value, BundleVariable):
        return "write `str(...)` of it: a bundle variable acts as a string, but is not one"
    if isinstance(value, Enum):
        return "write its `.name` or its `.value`"
    if isinstance(value, _PLAIN):
        return f"write `{_base(value)}(...)`"
    if isinstance(value, tuple | set | frozenset):
        return "write a list"
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        return "write `.item()` of it: that is Python's own"
    return "use str, int, float, bool, None, lists and dicts"


def unlike(expected: str, value: object, place: str = "") -> MisfitError:
    """Return the error of a `value` that is not of the `expected` type."""
    hint = _instead(value) if isinstance(value, BundleVariable) else None
    return MisfitError(f"expected {expected}{place}, got {class_of(value)} ({brief(value)})", hint)


def _at(place: str) -> str:
    return f" at {place}" if place else ""
