"""Digests of the plain values that a task's function takes along from the body in which it is defined.

Each task of a run executes the body again. A value that is another one there, such as `uuid4().hex`, would differ from
task to task without a word, so a run compares the digests with those of the build.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
from decimal import Decimal
from enum import Enum
from types import FunctionType
from typing import TYPE_CHECKING, Any

from dbxdec.authoring.definitions import closure_in, defaults_of
from dbxdec.model.typehints import layers, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LOCAL = "<locals>"
_MANY = 10_000
_DIGITS = 16


def captured(function: Callable[..., Any]) -> Mapping[str, str]:
    """Return the digests of plain values that `function` closes over or has as defaults, by name.

    Plain are numbers, strings, bytes, dates, UUIDs, Enum members, and containers of them. Anything else is left out: a
    build may have a placeholder for it. A function at the top of a module has no such values.
    """
    if _LOCAL not in function.__qualname__:
        return {}
    root = _root(unwrapped(function).__code__.co_filename, function.__module__)
    found = {name: _digest(value, root) for name, value in _values(function)}
    return {name: digest for name, digest in found.items() if digest is not None}


def _values(function: Callable[..., Any]) -> Iterator[tuple[str, object]]:
    """Yield what `function`, its decorators, and the functions of the body that they call take along, by name."""
    *wrappers, written = layers(function)
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [("", written), *((f"{one.__name__}.", one) for one in wrappers)]
    while waiting:
        prefix, one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        for name, value in (*closure_in(one).items(), *defaults_of(one).items()):
            if isinstance(value, FunctionType):
                if _LOCAL in value.__qualname__:
                    waiting.append((f"{prefix}{name}.", value))
            else:
                yield prefix + name, value


@functools.cache
def _root(path: str, module: str) -> tuple[str, ...]:
    """Return the folder that the package of a module is in. It differs between a build and a run."""
    root = path
    for _ in module.split("."):
        root = os.path.dirname(root)
    # Also as `Path.resolve` gives it.
    return tuple(dict.fromkeys(path for path in (root, os.path.realpath(root)) if len(root) > 1))


def _digest(value: object, root: tuple[str, ...]) -> str | None:
    """Return the digest of a plain value, None for any other. Of very many elements only the first ones count."""
    import hashlib

    parts: list[bytes] = []
    try:
        _write(value, parts, root)
    except (_NotPlainError, RecursionError):
        return None
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:_DIGITS]


class _NotPlainError(Exception):
    """Raised for a value that is neither plain nor made of plain values."""


def _write(value: Any, parts: list[bytes], root: tuple[str, ...]) -> None:
    kind = type(value)
    if len(parts) > _MANY:
        return
    if isinstance(value, Enum):
        parts.append(f"{kind.__module__}:{kind.__qualname__}.{value.name}".encode())
    elif kind is str:
        for path in root:
            value = value.replace(path, "")
        parts.append(b"str " + value.encode("utf-8", "surrogatepass"))
    elif kind is bytes:
        parts.append(b"bytes " + value)
    elif kind in (int, bool):
        parts.append(f"{kind.__name__} {value:x}".encode())  # an int of many digits has no decimal string
    elif value is None or kind in (float, complex, Decimal, dt.timedelta):
        parts.append(f"{kind.__name__} {value!r}".encode())
    elif kind in (dt.date, dt.datetime, dt.time):
        parts.append(f"{kind.__name__} {value.isoformat()}".encode())
    elif (kind.__module__, kind.__name__) == ("uuid", "UUID"):
        parts.append(f"uuid {value}".encode())
    elif kind in (list, tuple):
        parts.append(f"{kind.__name__} {len(value)}".encode())
        for item in value:
            _write(item, parts, root)
    elif kind is dict:
        parts.append(f"dict {len(value)}".encode())
        for item in value.items():
            _write(item, parts, root)
    elif kind in (set, frozenset):
        inside = []
        for item in value:
            own: list[bytes] = []
            _write(item, own, root)
            inside.append(b"\1".join(own))
        parts += [f"set {len(value)}".encode(), *sorted(inside)]
    else:
        raise _NotPlainError
