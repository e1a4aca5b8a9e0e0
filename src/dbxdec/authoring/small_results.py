"""Types that can't be task values, which are JSON: the reasons, and what to write instead."""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import datetime as dt
import inspect
import typing
from decimal import Decimal
from enum import Enum
from typing import Any

from dbxdec.model.annotations import is_union
from dbxdec.model.values import ValueType

_LISTS = "annotate `list[...]` and return a list"
_STRINGS = "annotate `str` and return `str(...)`"
# By name, because most of these modules are imported only if they are used.
_INSTEAD = {
    "tuple": ("which has lists but no tuples", _LISTS),
    "set": ("which has no sets", _LISTS),
    "frozenset": ("which has no sets", _LISTS),
    "bytes": ("which has no bytes", "annotate `str` and return a string, such as `base64.b64encode(...).decode()`"),
    "bytearray": ("which has no bytes", "annotate `str` and return a string, such as `base64.b64encode(...).decode()`"),
    "timedelta": ("which has no durations", "annotate `float` and return `.total_seconds()`"),
    "time": ("which has no times of day", "annotate `str` and return `.isoformat()`"),
    "complex": ("which has no complex numbers", "return its parts, as `list[float]`"),
    "Path": ("which has no paths", _STRINGS),
    "PurePath": ("which has no paths", _STRINGS),
    "PosixPath": ("which has no paths", _STRINGS),
    "UUID": ("which has no UUIDs", _STRINGS),
    "Fraction": ("which has no fractions", "annotate `Decimal` or `float`"),
    "OrderedDict": ("which has only plain dicts", "annotate `dict[str, ...]` and return `dict(...)`"),
    "defaultdict": ("which has only plain dicts", "annotate `dict[str, ...]` and return `dict(...)`"),
    "Counter": ("which has only plain dicts", "annotate `dict[str, int]` and return `dict(...)`"),
    "deque": ("which has only plain lists", _LISTS),
    "Series": ("which has no series", "return `.to_list()`, annotated `list[...]`, or a frame with an IoManager"),
    "ndarray": ("which has no arrays", "annotate `list[...]` and return `.tolist()`"),
    "range": ("which has lists but no ranges", "annotate `list[int]` and return `list(range(...))`"),
}


def refusal(kind: Any) -> tuple[str, str] | None:
    """Return why JSON lacks a type, as the end of a sentence, and what to write; None if it is not a small value."""
    if ValueType.of(kind) is not None:
        return None
    if is_union(kind):
        return next((found for member in typing.get_args(kind) if (found := refusal(member))), None)
    origin, args = typing.get_origin(kind) or kind, typing.get_args(kind)
    if not isinstance(origin, type):
        return None
    if origin in (list, dict) and args:
        return _of_elements(origin, args)
    if issubclass(origin, tuple) and hasattr(origin, "_fields"):
        return "which has no named tuples", "annotate `dict[str, ...]` and return `._asdict()`"
    if dataclasses.is_dataclass(origin):
        return "which has no dataclasses", "annotate `dict[str, ...]` and return `dataclasses.asdict(...)`"
    if hasattr(origin, "model_dump"):
        return "which has no models", 'annotate `dict[str, ...]` and return `.model_dump(mode="json")`'
    if hasattr(origin, "__attrs_attrs__"):
        return "which has no attrs classes", "annotate `dict[str, ...]` and return `attrs.asdict(...)`"
    if issubclass(origin, Enum):
        return "and a reader can't import an Enum that a function defines", "define it at the top of a module"
    if origin.__module__ == "numpy" and hasattr(origin, "item"):
        return "which has no numpy numbers", "annotate `int` or `float` and return `.item()`"
    if origin.__module__.partition(".")[0] in _MODULES and origin.__name__ in _INSTEAD:
        return _INSTEAD[origin.__name__]
    for base, written in ((abc.Mapping, "dict[str, ...]"), (str, "str"), (abc.Iterable, "list[...]"), (int, "int")):
        if issubclass(origin, base) and (inspect.isabstract(origin) or base in (str, int)):
            return "which has only its own types", f"annotate `{written}`"
    return None


_MODULES = ("builtins", "collections", "datetime", "pathlib", "uuid", "fractions", "polars", "pandas", "numpy")


def _of_elements(origin: type, args: tuple[Any, ...]) -> tuple[str, str]:
    """Return the same for a list or dict: its keys, or its elements, are wrong."""
    if origin is dict and ValueType.of(dict[args[0], Any]) is None:  # type: ignore[valid-type]
        return "whose keys are strings", "annotate `dict[str, ...]` and return a dict with such keys"
    inner = refusal(args[-1])
    if inner is not None:
        return inner[0], f"for its elements: {inner[1]}"
    several = is_union(args[-1]) and [
        m for m in typing.get_args(args[-1]) if isinstance(m, type) and m in (dt.date, dt.datetime, Decimal)
    ]
    if several:
        return "which can't distinguish these types", "use elements of one type, or strings"
    return "which has no such elements", "use strings, numbers, booleans, dates, Enums, lists and dicts of them"
