"""Dataclasses whose methods are made when they are first asked for.

The standard library makes them when the class is defined, by compiling each. That took half of the time in which a task
starts, and a run uses few of these classes. Everything else is the standard library's own: its functions (`replace`,
`fields`, `asdict`), patterns, copies and pickles take them as dataclasses.
"""

from __future__ import annotations

import dataclasses
import itertools
import operator
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from dataclasses import dataclass as dataclass
    from typing import Any
else:

    def dataclass(
        *, frozen: bool = False, slots: bool = False, eq: bool = True, order: bool = False, kw_only: bool = False
    ) -> Callable[[type], type]:
        """Make a class a dataclass, as `dataclasses.dataclass` does."""
        return lambda cls: _late(cls, frozen=frozen, slots=slots, eq=eq, order=order, kw_only=kw_only)


_MADE = ("__init__", "__repr__", "__eq__", "__hash__")
_ORDER = {"__lt__": operator.lt, "__le__": operator.le, "__gt__": operator.gt, "__ge__": operator.ge}
_TOLD = [
    *("__match_args__", "__dataclass_fields__", "__dataclass_params__"),
    *(["__replace__"] if sys.version_info >= (3, 13) else []),
]


class _Late:
    """An attribute of a dataclass: the first who asks for one has everything made."""

    __slots__ = ("cls", "make", "name")

    def __init__(self, cls: type, name: str, make: Callable[[], None]) -> None:
        self.cls, self.name, self.make = cls, name, make

    def __get__(self, instance: object, owner: type) -> Any:
        self.make()
        made = vars(self.cls)[self.name]
        return made.__get__(instance, owner) if hasattr(made, "__get__") else made


def _late(cls: Any, *, frozen: bool, slots: bool, eq: bool, order: bool, kw_only: bool) -> Any:
    annotations = vars(cls).get("__annotations__", {})
    defaults = {name: vars(cls)[name] for name in annotations if name in vars(cls)}
    own = {name for name in _MADE if name in vars(cls)}
    if "__eq__" in own and vars(cls).get("__hash__") is None:
        own.discard("__hash__")  # Python itself has put it there
    if not eq:
        own |= {"__eq__", "__hash__"}
    elif not frozen and "__hash__" not in own:
        cls.__hash__ = None
        own.add("__hash__")
    if slots:
        cls = _with_slots(cls, [name for name, kind in annotations.items() if not _is_of_class(kind)])
    else:
        for name, default in defaults.items():
            if isinstance(default, dataclasses.Field):
                if default.default is dataclasses.MISSING:
                    delattr(cls, name)
                else:
                    setattr(cls, name, default.default)

    def make() -> None:
        # Without a docstring the library would make one of the signature.
        body = {"__module__": cls.__module__, "__doc__": "made", "__annotations__": annotations, **defaults}
        # Others, such as Generic, have no fields.
        bases = tuple(base for base in cls.__bases__ if hasattr(base, "__dataclass_fields__"))
        made: Any = type(cls.__name__, bases, body)
        # Not frozen, which would compile two more: only what derives from a frozen one must be.
        derives = frozen and bool(bases)
        made = dataclasses.dataclass(init=False, eq=False, repr=False, frozen=derives, kw_only=kw_only)(made)
        made.__dataclass_params__.frozen = frozen
        fields = dataclasses.fields(made)
        values = _values([field.name for field in fields if field.compare])
        hashed = _values([field.name for field in fields if (field.compare if field.hash is None else field.hash)])
        methods = {
            "__init__": _initial(fields, cls, frozen=frozen),
            "__repr__": _representation([field.name for field in fields if field.repr]),
            "__eq__": _comparison(operator.eq, values),
            "__hash__": _hash(hashed),
            **{name: _comparison(compare, values) for name, compare in _ORDER.items()},
        }
        for name in late:
            setattr(cls, name, methods[name] if name in methods else getattr(made, name))

    late = [name for name in (*_MADE, *(_ORDER if order else ()), *_TOLD) if name not in own]
    for name in late:
        setattr(cls, name, _Late(cls, name, make))
    if frozen:
        cls.__setattr__, cls.__delattr__ = _refusals(cls)
    return cls


def _is_of_class(annotation: str) -> bool:
    return annotation.startswith(("ClassVar", "typing.ClassVar"))


def _with_slots(cls: Any, names: list[str]) -> Any:
    """Return the class anew: slots can't be added to one, and the default of a field can't have the slot's place."""
    body = dict(vars(cls))
    inherited = set(itertools.chain.from_iterable(vars(base).get("__slots__", ()) for base in cls.__mro__))
    for name in (*names, "__dict__", "__weakref__"):
        body.pop(name, None)
    body |= {"__slots__": tuple(name for name in names if name not in inherited)}
    body |= {"__getstate__": _state, "__setstate__": _set_state} if "__getstate__" not in body else {}
    body["__qualname__"] = cls.__qualname__
    return type(cls)(cls.__name__, cls.__bases__, body)


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


def _initial(fields: Sequence[dataclasses.Field[Any]], cls: Any, *, frozen: bool) -> Callable[..., None]:
    """Return what fills the fields: the one method that is compiled."""
    given: dict[str, Any] = {"_set": object.__setattr__, "_none": dataclasses.MISSING}
    parameters, lines = ["self"], ["pass"]
    for field in sorted(fields, key=lambda field: bool(field.kw_only)):
        name, value = field.name, field.name
        if field.kw_only and "*" not in parameters:
            parameters.append("*")
        if field.default_factory is not dataclasses.MISSING:
            given[f"_of_{name}"] = field.default_factory
            value = f"_of_{name}() if {name} is _none else {name}"
            parameters.append(f"{name}=_none")
        elif field.default is not dataclasses.MISSING:
            given[f"_of_{name}"] = field.default
            parameters.append(f"{name}=_of_{name}")
        else:
            parameters.append(name)
        lines.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    text = f"def make({', '.join(given)}):\n def __init__({', '.join(parameters)}):\n  "
    made: dict[str, Any] = {}
    # With the names of the class's module, which the types of the parameters need.
    exec(text + "\n  ".join(lines) + "\n return __init__", vars(sys.modules[cls.__module__]), made)  # noqa: S102
    initial: Callable[..., None] = made["make"](**given)
    initial.__annotations__ = {field.name: field.type for field in fields} | {"return": None}
    initial.__qualname__ = f"{cls.__qualname__}.__init__"
    return initial


def _values(names: list[str]) -> Callable[[Any], Any]:
    return operator.attrgetter(*names) if names else lambda _: ()


def _comparison(compare: Callable[[Any, Any], bool], values: Callable[[Any], Any]) -> Callable[[Any, object], bool]:
    def compared(self: Any, other: object) -> bool:
        return compare(values(self), values(other)) if other.__class__ is self.__class__ else NotImplemented

    return compared


def _hash(values: Callable[[Any], Any]) -> Callable[[Any], int]:
    def hash_of(self: Any) -> int:
        return hash(values(self))

    return hash_of


def _representation(names: list[str]) -> Callable[[Any], str]:
    def shown(self: Any) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({values})"

    return shown


def _refusals(cls: Any) -> tuple[Any, Any]:
    """Return what refuses to set and to delete an attribute; a class that derives from `cls` may have others."""

    def refuse_setting(self: Any, name: str, value: object) -> None:
        if type(self) is cls or name in cls.__dataclass_fields__:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def refuse_deleting(self: Any, name: str) -> None:
        if type(self) is cls or name in cls.__dataclass_fields__:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return refuse_setting, refuse_deleting
