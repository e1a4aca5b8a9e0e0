"""Strict checks of plain data against databricks-bundles' dataclasses.

Their own `from_dict` converts silently (True becomes "True", a dict its repr), so it can't find a wrong type.
"""

from __future__ import annotations

import functools
import re
import types
import typing
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from dbxdec.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOLE_REFERENCE = re.compile(r"\$\{[^}]+\}")
_NAMES = {str: "a string", int: "an integer", float: "a number", bool: "True or False"}

_MOST_NAMED = 12

Finding = tuple[str, str | None]


def field_problems(model: str, value: Any) -> Iterator[Finding]:
    """Yield the mismatches of `value` with the class `model` of `databricks.bundles.jobs`, as (message, hint)."""
    from databricks.bundles import jobs

    yield from _check(getattr(jobs, model), value, "")


def is_reference(value: Any) -> bool:
    """Return whether `value` is one `${...}` and nothing else."""
    return isinstance(value, str) and _WHOLE_REFERENCE.fullmatch(value) is not None


def _check(kind: Any, value: Any, path: str) -> Iterator[Finding]:
    if is_reference(value):
        return  # the bundle resolves it at deploy, to whatever type the field has
    members = _members(kind)
    if value is None:
        if types.NoneType not in members and Any not in members:
            yield f"`{path}` is None", "leave it out"
        return
    wrong: list[Finding] = []
    for member in members:
        if member is types.NoneType:
            continue
        found = list(_check_one(member, value, path))
        if not found:
            return
        wrong = wrong or found
    yield from wrong


def _check_one(kind: Any, value: Any, path: str) -> Iterator[Finding]:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind):
        yield from _check_fields(kind, value, path)
    elif origin is list:
        if not isinstance(value, list):
            single = isinstance(value, dict) or not any(True for _ in _check(args[0], value, path))
            yield _wrong(path, value, "a list", f"write `[{value!r}]`" if single and len(repr(value)) < 40 else None)
            return
        for i, item in enumerate(value):
            yield from _check(args[0], item, f"{path}[{i}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield _wrong(path, value, "a dict", 'write `{"name": "value"}`' if _members(args[1]) == (str,) else None)
            return
        for key, item in value.items():
            yield from _check(args[1], item, f"{path}[{key!r}]")
    elif isinstance(kind, type) and issubclass(kind, Enum):
        allowed = [str(member.value) for member in kind]
        if value not in allowed:
            hint = did_you_mean(str(value).upper(), allowed) or f"allowed are {', '.join(allowed)}"
            yield f"`{path}` is {value!r}", hint
    elif kind in _NAMES and not _is(kind, value):
        yield _wrong(path, value, _NAMES[kind], _instead(kind, value))


def _check_fields(kind: Any, value: Any, path: str) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield _wrong(path, value, f"a dict with the fields of {kind.__name__}", _example(kind))
        return
    hints = _hints(kind)
    required = _required(kind)
    if not value and not required:
        # YAML would keep it and databricks-bundles drop it, and some fields have a meaning when empty (`continuous`).
        yield f"`{path}` is empty" if path else "it is empty", "leave it out, or give it at least one of its fields"
    meant: set[str] = set()  # a misspelt field is one mistake, not also a missing one
    for name, item in value.items():
        if name not in hints:
            owner = f"`{path}` has" if path else "there is"
            near = did_you_mean(name, hints)
            meant |= {field for field in required if near and f"`{field}`" in near}
            known = f"fields are {', '.join(sorted(hints))}; a field that is newer needs a newer databricks-bundles"
            yield f"{owner} no field `{name}`", near or known
        else:
            yield from _check(hints[name], item, f"{path}.{name}".lstrip("."))
    for name in required:
        if name not in value and name not in meant:
            yield f"`{path}.{name}` is missing".replace("`.", "`"), None


def _example(kind: Any) -> str | None:
    """Return the fields that a dict of this kind has: the required ones as they are written, then the others."""
    required, names = _required(kind), sorted(_hints(kind))
    if len(names) > _MOST_NAMED:
        return None
    shown = ", ".join(f'"{name}": ...' for name in required)
    others = [name for name in names if name not in required]
    if not required:
        return f"its fields are {', '.join(names)}"
    return f"write `{{{shown}}}`" + (f"; it may have {', '.join(others)}" if others else "")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


@functools.cache
def _required(kind: Any) -> tuple[str, ...]:
    from dataclasses import MISSING

    return tuple(f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)


@functools.cache
def _members(kind: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union, flattened and without databricks-bundles' `Variable`."""
    from databricks.bundles.core import Variable

    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return (kind,)
    alternatives = [m for arg in typing.get_args(kind) for m in _members(arg)]
    return tuple(m for m in alternatives if (typing.get_origin(m) or m) is not Variable)


def _is(kind: type, value: object) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _instead(kind: type, value: object) -> str | None:
    """Return what the author most likely meant if a string was confused with another value."""
    if kind is str and isinstance(value, bool | int | float):
        return f"write `{(str(value).lower() if isinstance(value, bool) else str(value))!r}`"
    if kind is bool and isinstance(value, str) and value.lower() in ("true", "false"):
        return f"write `{value.capitalize()}`"
    if kind in (int, float) and isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
        return f"write `{int(value)}`"
    if kind is int and isinstance(value, float) and value.is_integer():
        return f"write `{int(value)}`"
    return None


def _wrong(path: str, value: object, wanted: str, hint: str | None = None) -> Finding:
    return f"`{path}` is {value!r:.80} ({type(value).__name__}), not {wanted}", hint
