"""A function's annotations, resolved one by one: one that can't be resolved does not affect the others."""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.model import contracts
from dbxdec.model.annotations import is_union, strip_optional
from dbxdec.model.dag import RESULT
from dbxdec.model.literals import STAND_IN_NAME
from dbxdec.model.signatures import annotations_of
from dbxdec.model.values import ValueType
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.model.contracts import Contract


@dataclass(frozen=True)
class Annotation:
    """One annotation: its `value` without `| None`, or the `error` that kept it from being resolved.

    `contract` is that of a frame, and `fields` are the types of a TypedDict's fields where the dict does not tell them.
    """

    text: str
    value: Any = None
    optional: bool = False
    error: str | None = None
    contract: Contract | None = None
    fields: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, text: str, plain: Any) -> Annotation:
        """Return the annotation of a type in which contracts are marked."""
        bare, optional = strip_optional(plain)
        value, contract, fields = contracts.taken(bare)
        return cls(text, value, optional, None, contract, fields)

    @functools.cached_property
    def type_names(self) -> tuple[str, ...]:
        """The allowed types as "root_module.Name", one for each member of a union; empty for Any."""
        members = typing.get_args(self.value) if is_union(self.value) else (self.value,)
        return () if any(member is Any or member is object for member in members) else tuple(map(type_name, members))

    @functools.cached_property
    def value_type(self) -> ValueType | None:
        """The type as a ValueType; None if it is not one of those."""
        found = None if self.error else ValueType.of(self.value)
        return replace(found, optional=self.optional) if found else None

    @property
    def is_none(self) -> bool:
        """True if the annotation is None: there is no value."""
        return self.error is None and (self.value is None or self.value is types.NoneType)

    @property
    def excludes_none(self) -> bool:
        """True if the annotation does not allow None."""
        return not self.error and not self.optional and not self.is_none and bool(self.type_names)

    def collects(self, single: frozenset[str] | None) -> Literal["list", "dict"] | None:
        """Return "list" or "dict" if the annotation asks for several results, None if it asks for one.

        `single` names the types that one result can have, such as "polars.DataFrame". If a list is one of them, only a
        list of these types means several results.
        """
        origin = None if self.error or not typing.get_args(self.value) else typing.get_origin(self.value)
        if origin not in (list, dict):
            return None
        kind: Literal["list", "dict"] = "list" if origin is list else "dict"
        one = single is not None and kind in single and not set(self.element().type_names) <= single
        return None if one else kind

    @property
    def keys(self) -> Annotation:
        """The annotation of a dict's keys."""
        return Annotation.of(self.text, typing.get_args(self.value)[0])

    def element(self, index: int = 0) -> Annotation:
        """Return the annotation of the element `index` of a list or tuple, or of a dict's values; Any without one."""
        origin, args = typing.get_origin(self.value), typing.get_args(self.value)
        if self.error or not isinstance(origin, type) or not args:
            return Annotation(self.text, Any, error=self.error)
        if origin is tuple and Ellipsis not in args:
            chosen = args[index] if index < len(args) else Any
        else:
            chosen = args[0] if origin is tuple else args[-1]
        return Annotation.of(self.text, chosen)

    def output(self, name: str) -> Annotation:
        """Return the annotation of a task's output: of a field of a TypedDict, or else of the values of a dict."""
        fields = dict(self.fields)
        if isinstance(field := fields.get(name), contracts.Unresolved):
            return Annotation(field.text, error=field.error)
        return Annotation.of(self.text, fields[name]) if name in fields else self.element()


def of_parameter(function: Callable[..., Any], name: str) -> Annotation | None:
    """Return the annotation of the parameter `name` ("return" for the result), or None if it has none."""
    raw = annotations_of(function).get(name, _MISSING)
    if raw is _MISSING:
        return None
    try:
        value = eval(_compiled(raw), _namespace(function)) if isinstance(raw, str) else raw  # noqa: S307 - the author's
        if type(value) is type or value is Any:
            return _of_class(_written(raw, function), value)
        if raw is value and (known := _known.get(raw, function)) is not None:
            return known
        plain = _Plain(lambda: _namespace(function))
        value = plain.of(value)
    except Exception as error:  # noqa: BLE001 - an annotation may be any expression
        return Annotation(_written(raw, function), error=f"{type(error).__name__}: {error}")
    found = Annotation.of(_written(raw, function), value)
    found = replace(found, optional=True) if value is None else found
    if not plain.has_asked:
        _known.keep(raw, function, found)
    return found


class _Known:
    """A cache of annotations, by module. Large pipelines have few different ones."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, str], Annotation] = {}

    def get(self, raw: Any, function: Callable[..., Any]) -> Annotation | None:
        """Return the cached annotation of `raw`; None without one, or if `raw` is not hashable."""
        try:
            return self._found.get((raw, function.__module__))
        except TypeError:
            return None

    def keep(self, raw: Any, function: Callable[..., Any], found: Annotation) -> None:
        """Cache the annotation of `raw` for the module of `function`."""
        if len(self._found) > 1024:
            self._found.clear()
        with suppress(TypeError):
            self._found[raw, function.__module__] = found


_known = _Known()


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that its author wrote, inside decorators that use `functools.wraps`.

    Its signature is that of the decorated function, as for `inspect.signature`.
    """
    if not hasattr(function, "__wrapped__"):
        return function
    *_, written = layers(function)
    return written


def layers(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Yield `function`, the function that it wraps, and so on down to the one that its author wrote."""
    yield function
    while not hasattr(function, "__signature__"):
        inner: Any = getattr(function, "__wrapped__", None)
        if not hasattr(inner, "__code__"):
            return
        function = inner
        yield function


def returned_types(function: Callable[..., Any], output: str) -> tuple[str, ...] | None:
    """Return the annotated types of an output of `function`, by its name as in the DAG; None without any."""
    note = of_parameter(function, "return")
    if note is not None and note.error is None and output != RESULT:
        note = note.output(output)
    return None if note is None or note.error else note.type_names or None


SESSION, CONNECTION = "pyspark.SparkSession", "duckdb.DuckDBPyConnection"


def given_by_runs(function: Callable[..., Any]) -> dict[str, str]:
    """Return the parameters that a run gives a session or connection, with its type.

    They are annotated as Spark's session, classic or Connect, or as a connection of DuckDB.
    """
    notes = {name: of_parameter(function, name) for name in annotations_of(function) if name != "return"}
    found = {name: _given_by_runs(note) for name, note in notes.items() if note is not None}
    return {name: kind for name, kind in found.items() if kind is not None}


def _given_by_runs(note: Annotation) -> str | None:
    if note.error is None:
        return next((kind for kind in (SESSION, CONNECTION) if note.type_names == (kind,)), None)
    # The name may be imported for type checkers alone.
    written = note.text.strip("\"' ").removesuffix("| None").strip().rpartition(".")[2]
    return next((kind for kind in (SESSION, CONNECTION) if kind.rpartition(".")[2] == written), None)


def type_name(value: Any) -> str:
    """Return "polars.LazyFrame" for a class defined anywhere inside polars, "int" for a builtin."""
    stand_in = getattr(value, STAND_IN_NAME, None)
    if isinstance(stand_in, str):
        root, _, rest = stand_in.partition("[")[0].partition(".")
        return f"{root}.{rest.rpartition('.')[2]}" if rest else root
    origin = typing.get_origin(value) or value
    name = getattr(origin, "__qualname__", None) or repr(origin)
    module: str = getattr(origin, "__module__", "builtins")
    root = module.partition(".")[0]
    return name if module == "builtins" else f"{_EXPORTED_BY.get(root, root)}.{name}"


_EXPORTED_BY = {"_duckdb": "duckdb"}
"""Modules in C by the packages that export their names."""


_MISSING = object()


@functools.lru_cache(1024)
def _of_class(text: str, value: Any) -> Annotation:
    """Return the annotation of a class. Cached: a large pipeline has the same few classes everywhere."""
    return Annotation(text, value)


@functools.lru_cache(1024)
def _compiled(text: str) -> types.CodeType:
    return compile(text.lstrip(" \t"), "<string>", "eval")


class _Plain:
    """Replaces names for other types by these types: `Annotated`, `NewType`, type aliases and variables, TypedDicts,
    strings.

    `names` returns the namespace for strings. A TypedDict is a dict when a task runs.
    """

    def __init__(self, names: Callable[[], dict[str, Any]]) -> None:
        self._names = names
        self._within: list[Any] = []
        self.has_asked = False
        """True if the result depends on the surrounding namespace."""

    def of(self, value: Any, given: Mapping[Any, Any] = types.MappingProxyType({})) -> Any:
        """Return the type behind `value`, with type parameters replaced by the `given` types."""
        if type(value) is type or value is Any:
            return value
        if isinstance(value, typing.ForwardRef):
            value = value.__forward_arg__
        if isinstance(value, str):
            self.has_asked = True
            return self.of(eval(_compiled(value), self._names()), given)  # noqa: S307 - the author's own code
        if isinstance(value, typing.TypeVar):
            return given[value] if value in given else self._of_variable(value)
        origin: Any = typing.get_origin(value)
        args = typing.get_args(value)
        if _is_alias(value) or _is_alias(origin):
            return self._of_alias(origin or value, [self.of(arg, given) for arg in args])
        if origin is typing.Annotated:
            return contracts.of_metadata(self.of(args[0], given), value.__metadata__)
        if _is_qualifier(origin):
            return self.of(args[0], given)
        if is_union(value):
            return typing.Union[tuple(self.of(arg, given) for arg in args)]  # noqa: UP007 - built at run time
        if isinstance(origin, type) and args and origin is not Callable:
            plain = tuple(self.of(arg, given) for arg in args)
            whole = origin[plain if len(plain) > 1 else plain[0]]  # type: ignore[index]
            return contracts.of_generic(whole) or whole
        if isinstance(value, typing.NewType):
            return self.of(value.__supertype__, given)
        if value is typing.LiteralString:
            return str
        if typing.is_typeddict(value):
            return self._of_typed_dict(value)
        return Any if _is_qualifier(value) else contracts.of_generic(value) or value

    def _of_variable(self, variable: typing.TypeVar) -> Any:
        """Return the types that a type variable may stand for: its constraints, or its bound, or any."""
        if any(variable is outer for outer in self._within):
            return Any
        with self._inside(variable):
            if variable.__constraints__:
                return typing.Union[tuple(map(self.of, variable.__constraints__))]  # noqa: UP007 - built at run time
            return Any if variable.__bound__ is None else self.of(variable.__bound__)

    def _of_alias(self, alias: Any, args: list[Any]) -> Any:
        """Resolve an alias such as `type Maybe[T] = T | None` with these arguments. A recursive alias is Any."""
        if any(alias is outer for outer in self._within):
            return Any
        with self._inside(alias):
            return self.of(alias.__value__, dict(zip(alias.__type_params__, args, strict=False)))

    def _of_typed_dict(self, kind: Any) -> Any:
        """Return a dict whose values have one of the fields' types, or any type if one can't be resolved."""
        if any(kind is outer for outer in self._within):
            return dict
        with self._inside(kind):
            fields = {name: self._of_field(field) for name, field in kind.__annotations__.items()}
        if any(isinstance(field, contracts.Unresolved) for field in fields.values()):
            return contracts.with_fields(dict, fields)
        values: Any = typing.Union[tuple(fields.values())] if fields else None  # noqa: UP007
        return contracts.with_fields(dict[str, values], fields) if fields else dict

    def _of_field(self, field: Any) -> Any:
        """Return the type of a TypedDict's field: of one that another module's TypedDict has, with the names there."""
        module = sys.modules.get(getattr(field, "__forward_module__", None) or "")
        names = self._names
        try:
            self._names = names if module is None else lambda: vars(module)
            return self.of(field)
        except Exception as error:  # noqa: BLE001 - an annotation may be any expression
            text = field.__forward_arg__ if isinstance(field, typing.ForwardRef) else str(field)
            return contracts.Unresolved(text, f"{type(error).__name__}: {error}")
        finally:
            self._names = names

    @contextmanager
    def _inside(self, named: Any) -> Iterator[None]:
        """Resolve names of the definition of `named` in its module."""
        names, module = self._names, sys.modules.get(named.__module__)
        self._within.append(named)
        if module is not None and module is not typing:  # to which Python gives the type parameters of a function
            self._names = lambda: vars(module)
        try:
            yield
        finally:
            self._names = names
            self._within.pop()


_QUALIFIERS = (typing.Final, typing.ClassVar, typing.Required, typing.NotRequired)


def _is_qualifier(value: Any) -> bool:
    return any(value is qualifier for qualifier in _QUALIFIERS)  # by identity: the value may be a placeholder


def _is_alias(value: Any) -> bool:
    return type(value).__name__ == "TypeAliasType"  # of `typing` (3.12), or of typing_extensions


def _written(value: Any, function: Callable[..., Any]) -> str:
    """Return the annotation almost as its author wrote it."""
    if (type(value) is type or value is Any) and value is not types.NoneType:
        return _name_of(value, function)
    if isinstance(value, str):
        return value
    if isinstance(value, typing.ForwardRef):
        return value.__forward_arg__
    if value is None or value is types.NoneType:
        return "None"
    origin, args = typing.get_origin(value), typing.get_args(value)
    if origin is typing.Annotated:
        return _written(args[0], function)
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if is_union(value):
        return " | ".join(_written(arg, function) for arg in args)
    named = origin or value
    name = _name_of(named, function) if isinstance(named, type) else getattr(named, "__name__", None)
    if not isinstance(name, str) or any(isinstance(arg, list) for arg in args):
        return repr(value)
    inner = ", ".join("..." if arg is Ellipsis else _written(arg, function) for arg in args)
    return f"{name}[{inner}]" if args else name


def _name_of(kind: Any, function: Callable[..., Any]) -> str:
    name: str = kind.__name__
    is_known = kind.__module__ in ("builtins", "typing", "collections.abc") or "<locals>" in kind.__qualname__
    return name if is_known or function.__globals__.get(name) is kind else _known_as(kind, function.__module__)


@functools.lru_cache(1024)
def _known_as(kind: Any, module: str) -> str:
    """Return how `module` writes a class that is not one of its names: `pl.DataFrame`, `dt.date`."""
    names = vars(sys.modules[module]) if module in sys.modules else {}
    aliases = (alias for alias, value in names.items() if isinstance(value, types.ModuleType) and alias[:1] != "_")
    found = (alias for alias in aliases if vars(names[alias]).get(kind.__name__) is kind)
    return next((f"{alias}.{kind.__name__}" for alias in found), type_name(kind))


def _namespace(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the names visible where the function was defined: its globals and its closure."""
    function = unwrapped(function)
    parameters = getattr(function, "__type_params__", ())  # from Python 3.12 on
    if function.__closure__ is None and not parameters:
        return function.__globals__
    namespace = {**function.__globals__, **{parameter.__name__: parameter for parameter in parameters}}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            namespace[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return namespace
