"""Type checks of literal arguments against the annotations of parameters.

The value reaches the task as it is written, so Python's own rules apply, as strictly as for job parameters and small
results: a bool is not an int, a datetime is not a date, an int is accepted as a float. Classes of the project or of its
libraries may take anything.
"""

from __future__ import annotations

import collections.abc as abc
import datetime as dt
import sys
import types
import typing
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import TYPE_CHECKING, Any

from dbxdec.errors import did_you_mean, shown
from dbxdec.model import contracts
from dbxdec.model.annotations import is_union
from dbxdec.model.mistakes import is_of_mistake
from dbxdec.model.secrets import Secret
from dbxdec.model.typehints import type_name
from dbxdec.model.variables import BundleVariable, has_token
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.model.typehints import Annotation

_LISTS = (abc.Iterable, abc.Collection, abc.Container, abc.Sequence, abc.MutableSequence, abc.Reversible, list)
_DICTS = (abc.Mapping, abc.MutableMapping, dict)
_NUMBERS: dict[Any, Any] = {int: int, float: (int, float), complex: (int, float, complex)}
_SPELLINGS: dict[Any, str] = {
    int: "a whole number such as 42",
    float: "a number such as 1.5",
    bool: "True or False",
    dt.date: "a date such as `dt.date(2013, 1, 31)`",
    dt.datetime: "a moment such as `dt.datetime(2013, 1, 31, 6, 0)`",
    dt.timedelta: "a duration such as `dt.timedelta(hours=1)`",
    Decimal: 'a number such as `Decimal("1.50")`',
    bytes: 'bytes such as `b"abc"`',
    str: "a string",
    list: "a list",
    tuple: "a tuple",
    dict: "a dict",
}
_UNKNOWN_TEXT = "${var.unknown}"  # the value of a bundle variable or a secret is known only in a run
_FRAMES = frozenset({"DataFrame", "LazyFrame", "Series", "Table", "DeltaTable"})
_LIBRARIES_OF_FRAMES = frozenset({"polars", "pandas", "pyspark", "pyarrow", "deltalake", "delta"})


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that does not fit, with its place in the literal, such as "[1]", and the type that it should have."""

    path: str
    value: Any
    wanted: Any

    def __str__(self) -> str:
        """Return the value and its type: `'x' (`str`)`."""
        if isinstance(self.value, BundleVariable):
            return f"{self.value}, a bundle variable, which is a `str` in the run"
        if isinstance(self.value, Secret):
            return "a secret, which is a `str` in the run"
        return "None" if self.value is None else f"{shown(self.value)} (`{type(self.value).__name__}`)"

    @property
    def hint(self) -> str | None:
        """The hint on what to write instead; None if there is nothing better than another type."""
        if isinstance(self.value, BundleVariable | Secret):
            return "annotate it `str`, and convert it inside the task"
        if self.value is None:
            return "annotate it `... | None`, or pass a value"
        return next(_instead(self.value, self.wanted), None)


def misfit(value: Any, note: Annotation) -> Misfit | None:
    """Return the first part of `value` that the annotation refuses; None if it fits, or if that is unknown."""
    if note.error or (value is None and note.optional):
        return None
    return _misfit(value, note.value, "")


def _misfit(value: Any, wanted: Any, path: str) -> Misfit | None:
    if is_of_mistake(value):
        return None
    wanted = contracts.taken(wanted)[0]
    if is_union(wanted):
        found = [_misfit(value, member, path) for member in typing.get_args(wanted)]
        # The member that matches deepest is most likely the one that was meant.
        return None if None in found else max((m for m in found if m), key=lambda m: len(m.path))
    args = typing.get_args(wanted)
    if not _is_of(value, wanted, args):
        return Misfit(path, value, wanted)
    for item, inner, place in _parts(value, typing.get_origin(wanted), args):
        if (inside := _misfit(item, inner, path + place)) is not None:
            return inside
    return None


def _is_of(value: Any, wanted: Any, args: tuple[Any, ...]) -> bool:
    """Return whether the value is of this type, without its elements, or whether that is unknown."""
    if isinstance(value, BundleVariable | Secret):
        value = _UNKNOWN_TEXT
    kind = typing.get_origin(wanted) or wanted
    if kind is typing.Literal:
        if isinstance(value, str) and has_token(value):
            return any(isinstance(choice, str) for choice in args)
        return any(value == choice and type(value) is type(choice) for choice in args)
    if kind is None or kind is types.NoneType:
        return value is None
    if not isinstance(kind, type):
        return not _is_frame(kind)  # a placeholder for an absent module, or without instances, such as a TypeVar
    if kind in _NUMBERS:
        return isinstance(value, _NUMBERS[kind]) and not isinstance(value, bool)
    if kind is tuple and args and Ellipsis not in args and isinstance(value, tuple):
        return len(value) == len(args)
    try:
        if isinstance(value, kind):
            return kind is not dt.date or not isinstance(value, dt.datetime)
    except TypeError:  # such as a Protocol
        return True
    is_known = kind.__module__.partition(".")[0] in sys.stdlib_module_names or issubclass(kind, Enum)
    return not is_known and value is not None and not _is_frame(kind)


def _is_frame(kind: Any) -> bool:
    root, _, name = type_name(kind).partition(".")
    return name in _FRAMES and root in _LIBRARIES_OF_FRAMES


def _parts(value: Any, kind: Any, args: tuple[Any, ...]) -> Iterator[tuple[Any, Any, str]]:
    """Yield the elements of a list, tuple or dict with their types and places; nothing if it has no element types."""
    if isinstance(value, dict) and kind in _DICTS and len(args) == 2:
        for key, item in value.items():
            yield key, args[0], f" in the key {key!r}"
            yield item, args[1], f"[{key!r}]"
    elif isinstance(value, list | tuple) and kind in _LISTS and len(args) == 1:
        yield from ((item, args[0], f"[{i}]") for i, item in enumerate(value))
    elif isinstance(value, tuple) and kind is tuple and args:
        inner = (args[0],) * len(value) if args[-1] is Ellipsis else args
        yield from ((item, one, f"[{i}]") for i, (item, one) in enumerate(zip(value, inner, strict=True)))


def _instead(value: Any, wanted: Any) -> Iterator[str]:
    """Yield hints to what the author probably meant, the likeliest first."""
    kind = typing.get_origin(wanted) or wanted
    if kind is typing.Literal:
        choices = typing.get_args(wanted)
        near = did_you_mean(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else None
        yield near or f"it takes {', '.join(map(repr, choices))}"
    if not isinstance(kind, type) or _is_frame(kind):
        yield "pass the result of a task, or a table: `io.table(...)`"
    elif issubclass(kind, Enum) and isinstance(value, str):
        named = [m for m in kind if value in (m.name, m.value)] or list(kind)
        yield f"write `{kind.__name__}.{named[0].name}`" if len(named) == 1 else f"pass a member of `{kind.__name__}`"
    elif isinstance(value, str) and (meant := _read(value, kind)) is not None:
        yield f"write `{meant}`"
    elif kind is str and isinstance(value, bool | int | float | Decimal):
        yield f"write `{str(value)!r}`"
    elif kind in (list, tuple) and type(value) in (list, tuple) and type(value) is not kind and len(repr(value)) < 60:
        yield f"write `{kind(value)!r}`"
    elif kind is tuple and isinstance(value, tuple):
        yield f"write a tuple of {len(typing.get_args(wanted))}"
    elif kind is list and not isinstance(value, list) and _misfit([value], wanted, "") is None:
        yield f"write `[{value!r:.60}]`"
    elif kind in (set, frozenset):
        yield "annotate it `list`, and convert it to a set inside the task: a set has no fixed order"
    elif kind in _SPELLINGS:
        yield f"write {_SPELLINGS[kind]}"
    elif kind.__name__ in ("Path", "PurePath", "PosixPath", "UUID"):
        yield f"annotate it `str`, and convert it to a `{kind.__name__}` inside the task"


def _read(text: str, kind: type) -> str | None:
    """Return `text` as a Python expression for a value of the class; None if it is not one."""
    try:
        if kind in (int, float, Decimal):
            return repr(kind(text))
        if kind is dt.date:
            return repr(dt.date.fromisoformat(text)).replace("datetime", "dt", 1)
        if kind is dt.datetime:
            return repr(dt.datetime.fromisoformat(text)).replace("datetime", "dt", 1)
    except (ValueError, InvalidOperation):
        return None
    return {"true": "True", "false": "False"}.get(text.lower()) if kind is bool else None
