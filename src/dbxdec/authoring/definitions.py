"""The places, arguments and surrounding names of functions. Functions defined in a loop see its last values."""

from __future__ import annotations

import dis
import functools
import inspect
import weakref
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from dbxdec.errors import SourceLocation
from dbxdec.model import signatures
from dbxdec.model.typehints import layers, unwrapped
from dbxdec.records import dataclass
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Control characters other than tab and newline, and halves of surrogate pairs.
_UNSHOWN = pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# The number of functions made from each code object. By identity: equal code in two modules is not the same place.
_times: dict[int, tuple[weakref.ref[CodeType], int]] = {}


@dataclass(frozen=True, slots=True)
class Arguments:
    """A function's arguments, by name. `rest` is its `*args`, `extra` its `**kwargs`; `required` have no default."""

    positional: tuple[str, ...]
    by_keyword: frozenset[str]
    required: tuple[str, ...]
    rest: str | None
    extra: str | None

    def is_variadic(self, name: str) -> bool:
        return name in (self.rest, self.extra)


def place_of(function: Callable[..., Any]) -> SourceLocation:
    """Return the line at which the author's function begins, below its decorators' wrappers."""
    return SourceLocation.of_code(unwrapped(function).__code__)


def doc_of(function: Callable[..., Any]) -> str | None:
    """Return the docstring without indentation and characters that can't be shown; None without one."""
    text = function.__doc__
    return (inspect.cleandoc(_UNSHOWN.sub("", text)).strip() or None) if isinstance(text, str) else None


def arguments_of(function: Callable[..., Any]) -> Arguments:
    """Return the arguments of `function`. For a plain function `inspect.signature` takes ten times as long."""
    if type(function) is not FunctionType or hasattr(function, "__wrapped__") or hasattr(function, "__signature__"):
        return _of_signature(signatures.signature(function))
    code = function.__code__
    flags = (bool(code.co_flags & inspect.CO_VARARGS), bool(code.co_flags & inspect.CO_VARKEYWORDS))
    counts = (code.co_posonlyargcount, code.co_argcount, code.co_argcount + code.co_kwonlyargcount)
    names = code.co_varnames[: counts[2] + sum(flags)]
    return _of_code(names, counts, flags, len(function.__defaults__ or ()), frozenset(function.__kwdefaults__ or ()))


@functools.lru_cache(1024)
def _of_code(
    names: tuple[str, ...],
    counts: tuple[int, int, int],
    flags: tuple[bool, bool],
    defaults: int,
    keyword_defaults: frozenset[str],
) -> Arguments:
    """Return the arguments of a code object. `counts` are its positional-only, positional, and all named arguments."""
    only, positional, named = counts
    variadic = list(names[named:])
    return Arguments(
        positional=names[:positional],
        by_keyword=frozenset(names[only:named]),
        required=(
            *names[: positional - defaults],
            *(name for name in names[positional:named] if name not in keyword_defaults),
        ),
        rest=variadic.pop(0) if flags[0] else None,
        extra=variadic.pop(0) if flags[1] else None,
    )


def _of_signature(signature: inspect.Signature) -> Arguments:
    parameters = signature.parameters.values()

    def names(*kinds: object) -> list[str]:
        return [p.name for p in parameters if p.kind in kinds]

    either, variadic = (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD),
    )
    return Arguments(
        positional=tuple(names(inspect.Parameter.POSITIONAL_ONLY, either)),
        by_keyword=frozenset(names(either, inspect.Parameter.KEYWORD_ONLY)),
        required=tuple(p.name for p in parameters if p.kind not in variadic and p.default is p.empty),
        rest=next(iter(names(variadic[0])), None),
        extra=next(iter(names(variadic[1])), None),
    )


def seen_by(function: Callable[..., Any]) -> Mapping[str, object]:
    """Return the values that `function` sees at its definition, by name, for `rebound`."""
    function = unwrapped(function)
    _count(function.__code__)
    return _seen(function)


def _count(code: CodeType) -> None:
    """Count one more function of `code`. The count ends with the code, because its id may be reused."""
    key = id(code)
    reference, times = _times.get(key) or (weakref.ref(code, lambda _: _times.pop(key, None)), 0)
    _times[key] = (reference, times + 1)


def rebound(function: Callable[..., Any], seen: Mapping[str, object]) -> list[str]:
    """Return the names whose values changed after `function`, one of several from this place, was defined.

    A function that is defined only once sees the final values of its module, as everywhere in Python.
    """
    function = unwrapped(function)
    code = function.__code__
    if _times[id(code)][1] < 2:
        return []
    now = _seen(function)
    changed = [name for name, value in seen.items() if name in now and now[name] is not value]
    return sorted(name for name in changed if name in code.co_freevars or _loads(code, name))


def closures_of(function: Callable[..., Any]) -> Iterator[tuple[str, object]]:
    """Yield the names and values that `function` and its decorators close over, except unassigned names."""
    for layer in layers(function):
        yield from closure_in(layer).items()


def closure_of(function: Callable[..., Any]) -> dict[str, object]:
    """Return the values that the author's function closes over, by name, except unassigned names."""
    return closure_in(unwrapped(function))


def defaults_of(function: Any) -> dict[str, object]:
    """Return the defaults of the parameters of `function`, by name; none for a callable that is no function."""
    code = getattr(function, "__code__", None)
    if code is None:
        return {}
    positional = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    return {
        **dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True)),
        **(function.__kwdefaults__ or {}),
    }


def closure_in(function: Any) -> dict[str, object]:
    """Return the values that `function` itself closes over, by name, except unassigned names."""
    found: dict[str, object] = {}
    if getattr(function, "__closure__", None) is None:
        return found
    for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found


def _seen(function: Any) -> dict[str, object]:
    namespace = function.__globals__
    outside = {name: namespace[name] for name in _names(function.__code__) if name in namespace}
    return outside | closure_of(function)


def _names(code: CodeType) -> set[str]:
    """Return the names of globals and attributes in `code` and in the functions inside it."""
    return {name for part in _parts(code) for name in part.co_names}


def _loads(code: CodeType, name: str) -> bool:
    """Return whether `name` is a global in `code`, not an attribute."""
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
