"""Where functions are defined, and what they see of the names around them: a loop's see what its last turn left."""

from __future__ import annotations

import dis
import functools
import inspect
from collections import Counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from dbxdec.errors import SourceLocation
from dbxdec.typehints import layers, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import CodeType

_times: Counter[int] = Counter()
# A job may call one task hundreds of times.
_signatures: WeakKeyDictionary[Callable[..., Any], inspect.Signature] = WeakKeyDictionary()


def place_of(function: Callable[..., Any]) -> SourceLocation:
    """The line at which the author's function begins, whatever decorates it."""
    return SourceLocation.of_code(unwrapped(function).__code__)


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """What `function` takes."""
    found = _signatures.get(function)
    if found is None:
        found = _signatures[function] = inspect.signature(function)
    return found


def seen_by(function: Callable[..., Any]) -> Mapping[str, object]:
    """What `function` sees, by name, while it is being defined: keep it for `rebound`."""
    function = unwrapped(function)
    _times[id(function.__code__)] += 1
    return _seen(function)


def rebound(function: Callable[..., Any], seen: Mapping[str, object]) -> list[str]:
    """The names that had another value as one of several functions from this place in the code was defined.

    A function that is defined once sees what its module says in the end, as everywhere in Python.
    """
    function = unwrapped(function)
    code = function.__code__
    if _times[id(code)] < 2:
        return []
    now = _seen(function)
    changed = [name for name, value in seen.items() if name in now and now[name] is not value]
    return sorted(name for name in changed if name in code.co_freevars or _loads(code, name))


def closures_of(function: Callable[..., Any]) -> Iterator[tuple[str, object]]:
    """What `function` and its decorators close over, by name; names not assigned yet are left out."""
    for layer in layers(function):
        yield from _closure(layer).items()


def closure_of(function: Callable[..., Any]) -> dict[str, object]:
    """What the author's function closes over, by name; names not assigned yet are left out."""
    return _closure(unwrapped(function))


def _closure(function: Any) -> dict[str, object]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found


def _seen(function: Any) -> dict[str, object]:
    namespace = function.__globals__
    outside = {name: namespace[name] for name in _names(function.__code__) if name in namespace}
    return outside | closure_of(function)


@functools.cache
def _names(code: CodeType) -> frozenset[str]:
    """Names of globals and attributes in `code` and in the functions inside it."""
    return frozenset(name for part in _parts(code) for name in part.co_names)


def _loads(code: CodeType, name: str) -> bool:
    """Whether `code` means a global by `name`, not an attribute."""
    return any(
        step.argval == name and step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
        for part in _parts(code)
        for step in dis.get_instructions(part)
    )


def _parts(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield from _parts(constant)
