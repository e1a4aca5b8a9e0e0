"""What a function's annotations say, one by one: an annotation that can't be resolved spoils no other."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.literals import STAND_IN_NAME
from dbxdec.values import ValueType, strip_optional

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Annotation:
    """One annotation: its `value` without `| None`, or the `error` that kept it from being resolved."""

    text: str
    value: Any = None
    optional: bool = False
    error: str | None = None

    @functools.cached_property
    def type_names(self) -> tuple[str, ...]:
        """The types it allows as "root_module.Name", unions taken apart; empty for Any."""
        members = typing.get_args(self.value) if is_union(self.value) else (self.value,)
        return () if any(member is Any or member is object for member in members) else tuple(map(type_name, members))

    @functools.cached_property
    def value_type(self) -> ValueType | None:
        """The type as one that travels as text or JSON, or None where it is not one of those."""
        found = None if self.error else ValueType.of(self.value)
        return replace(found, optional=self.optional) if found else None

    @property
    def is_none(self) -> bool:
        """Whether it says that there is no value."""
        return self.error is None and (self.value is None or self.value is types.NoneType)

    def collects(self, single: frozenset[str] | None) -> Literal["list", "dict"] | None:
        """Whether it asks for a list or a dict of several results, rather than for one.

        `single` names the types that one result can have, as "polars.DataFrame": where a list is one of them, only a
        list of those is several.
        """
        origin = None if self.error or not typing.get_args(self.value) else typing.get_origin(self.value)
        if origin not in (list, dict):
            return None
        kind: Literal["list", "dict"] = "list" if origin is list else "dict"
        one = single is not None and kind in single and not set(self.element().type_names) <= single
        return None if one else kind

    @property
    def keys(self) -> Annotation:
        """What a dict's annotation says about its keys."""
        return Annotation(self.text, typing.get_args(self.value)[0])

    def element(self, index: int = 0) -> Annotation:
        """What it says about the element `index` of a list or tuple, or the values of a dict; Any where it doesn't."""
        origin, args = typing.get_origin(self.value), typing.get_args(self.value)
        if self.error or not isinstance(origin, type) or not args:
            return replace(self, value=Any, optional=False)
        if origin is tuple and Ellipsis not in args:
            chosen = args[index] if index < len(args) else Any
        else:
            chosen = args[0] if origin is tuple else args[-1]
        bare, optional = strip_optional(chosen)
        return Annotation(self.text, bare, optional)


def of_parameter(function: Callable[..., Any], name: str) -> Annotation | None:
    """The annotation of the parameter `name` ("return" for the result), or None where there is none."""
    raw = _annotations(function).get(name, _MISSING)
    if raw is _MISSING:
        return None
    try:
        value = eval(_compiled(raw), _namespace(function)) if isinstance(raw, str) else raw  # noqa: S307 - the author's
        if type(value) is type or value is Any:
            return _of_class(_text(raw), value)
        value = _plain(value, function)
    except Exception as error:  # noqa: BLE001 - any expression may stand in an annotation
        return Annotation(_text(raw), error=f"{type(error).__name__}: {error}")
    bare, optional = strip_optional(value)
    return Annotation(_text(raw), bare, optional or value is None)


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """What `function` takes, as `inspect.signature` has it; an annotation that can't be resolved is no hindrance."""
    import inspect

    try:
        return inspect.signature(function)
    except Exception:
        if (lazily := _lazily()) is None:
            raise
        return inspect.signature(function, annotation_format=lazily.Format.STRING)  # type: ignore[call-arg]


def _annotations(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations of `function`, each a value or a string.

    From Python 3.14 on they are evaluated when they are asked for, all at once (PEP 649 and 749): where one can't be,
    they are had as strings.
    """
    try:
        return getattr(function, "__annotations__", {})
    except Exception:
        if (lazily := _lazily()) is None:
            raise
        found: Mapping[str, Any] = lazily.get_annotations(function, format=lazily.Format.STRING)
        return found


def _lazily() -> Any:
    """The module that reads annotations without evaluating them; None where Python has none."""
    try:
        import annotationlib  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        return None
    return annotationlib


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that its author wrote, below decorators that say what they wrap (`functools.wraps`).

    Its signature is that of the whole, as `inspect.signature` has it.
    """
    if not hasattr(function, "__wrapped__"):
        return function
    *_, written = layers(function)
    return written


def layers(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """`function`, what it says that it wraps, and so on down to what its author wrote."""
    yield function
    while not hasattr(function, "__signature__"):
        inner: Any = getattr(function, "__wrapped__", None)
        if not hasattr(inner, "__code__"):
            return
        function = inner
        yield function


def returned_types(function: Callable[..., Any], *, named: bool = False) -> tuple[str, ...] | None:
    """The types that `function` says it returns, or with `named` the values of its dict; None where it says nothing."""
    note = of_parameter(function, "return")
    if note is None or note.error:
        return None
    return (note.element() if named else note).type_names or None


def is_union(value: Any) -> bool:
    return type(value) is not type and typing.get_origin(value) in (typing.Union, types.UnionType)


def type_name(value: Any) -> str:
    """ "polars.LazyFrame" for a class wherever inside polars it is defined, "int" for a builtin."""
    stand_in = getattr(value, STAND_IN_NAME, None)
    if isinstance(stand_in, str):
        root, _, rest = stand_in.partition(".")
        return f"{root}.{rest.rpartition('.')[2]}" if rest else root
    origin = typing.get_origin(value) or value
    name = getattr(origin, "__qualname__", None) or repr(origin)
    module: str = getattr(origin, "__module__", "builtins")
    return name if module == "builtins" else f"{module.partition('.')[0]}.{name}"


_MISSING = object()


@functools.lru_cache(1024)
def _of_class(text: str, value: Any) -> Annotation:
    """Nearly all annotations of a large pipeline are the same few classes."""
    return Annotation(text, value)


@functools.lru_cache(1024)
def _compiled(text: str) -> types.CodeType:
    return compile(text.lstrip(" \t"), "<string>", "eval")


def _plain(value: Any, function: Callable[..., Any]) -> Any:
    """The annotation `value` of `function`, its texts resolved and its own names for other types taken away.

    Those are `Annotated`, `NewType`, type aliases and TypedDicts, which are dicts when a task runs.
    """
    if type(value) is type or value is Any:
        return value
    if isinstance(value, str):
        return _plain(eval(_compiled(value), _namespace(function)), function)  # noqa: S307 - of the author's own code
    if isinstance(value, typing.ForwardRef):
        return _plain(value.__forward_arg__, function)
    if type(value).__name__ == "TypeAliasType":
        return _plain(value.__value__, function)
    origin: Any = typing.get_origin(value)
    args = typing.get_args(value)
    if origin is typing.Annotated:
        return _plain(args[0], function)
    if is_union(value):
        return typing.Union[tuple(_plain(arg, function) for arg in args)]  # noqa: UP007 - built at run time
    if isinstance(origin, type) and args and origin is not Callable:
        return origin[tuple(_plain(arg, function) for arg in args)]  # type: ignore[index]
    if isinstance(value, typing.NewType):
        return _plain(value.__supertype__, function)
    return dict if typing.is_typeddict(value) else value


def _text(value: Any) -> str:
    """The annotation as its author wrote it, nearly: classes without their modules."""
    if (type(value) is type or value is Any) and value is not types.NoneType:
        return value.__name__
    if isinstance(value, str):
        return value
    if isinstance(value, typing.ForwardRef):
        return value.__forward_arg__
    if value is None or value is types.NoneType:
        return "None"
    origin, args = typing.get_origin(value), typing.get_args(value)
    if origin is typing.Annotated:
        return _text(args[0])
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if is_union(value):
        return " | ".join(map(_text, args))
    name = getattr(origin or value, "__name__", None)
    if not isinstance(name, str) or any(isinstance(arg, list) for arg in args):
        return repr(value)
    inner = ", ".join("..." if arg is Ellipsis else _text(arg) for arg in args)
    return f"{name}[{inner}]" if args else name


def _namespace(function: Callable[..., Any]) -> dict[str, Any]:
    """Names visible where the function was defined: globals, and what it closes over."""
    function = unwrapped(function)
    if function.__closure__ is None:
        return function.__globals__
    namespace = {**function.__globals__}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
        try:
            namespace[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return namespace
