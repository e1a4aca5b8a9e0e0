"""Data that was read from a file, taken apart with its types checked: JSON, TOML and YAML as Python has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from dbxdec.errors import DbxdecError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

_NAMES: dict[type, str] = {
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
_MISSING: Any = object()


class FormError(DbxdecError):
    """Raised when a form is not what it should be. The message begins with the place, as `tasks[0].key`."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place} {what}" if place else f"it {what}")
        self.place, self.what = place, what

    def inside(self, place: str) -> FormError:
        """The same mistake seen from where the form itself is at `place`."""
        dot = "." if self.place and not self.place.startswith("[") else ""
        return FormError(f"{place}{dot}{self.place}", self.what)


def at(form: Any, *path: str) -> Any:
    """The value at `path` in nested mappings; None where there is none, or something else is on the way."""
    for name in path:
        form = form.get(name) if isinstance(form, dict) else None
    return form


def table(form: Any, *path: str) -> dict[str, Any]:
    """The mapping at `path`; an empty one where there is none."""
    found = at(form, *path)
    return found if isinstance(found, dict) else {}


def kind_of(value: object) -> str:
    """The name of a value's type, for messages."""
    return _NAMES.get(type(value), f"a {type(value).__name__}")


def take(form: Any, name: str, kind: type[T], default: T = _MISSING) -> T:
    """The value of the key `name` in the object `form`, of exactly the type `kind`.

    Raises FormError for another type, and for an absent key unless there is a `default`.
    """
    try:
        value = form[name]
    except (KeyError, TypeError, IndexError):
        if type(form) is dict and default is not _MISSING:
            return default
        raise _absent(form, name) from None
    if type(value) is kind:
        return value
    raise FormError(name, f"is {kind_of(value)}, not {_NAMES[kind]}")


def _absent(form: Any, name: str) -> FormError:
    if type(form) is not dict:
        return FormError("", f"is {kind_of(form)}, not an object")
    return FormError(name, "is missing")


def take_or_null(form: Any, name: str, kind: type[T]) -> T | None:
    """As `take`, for a key whose value may be null."""
    try:
        value = form[name]
    except (KeyError, TypeError, IndexError):
        raise _absent(form, name) from None
    if value is None or type(value) is kind:
        return value
    raise FormError(name, f"is {kind_of(value)}, not {_NAMES[kind]} or null")


def strings(form: Any, name: str, default: Sequence[str] = _MISSING) -> tuple[str, ...]:
    """The list of strings at the key `name`."""
    found = take(form, name, list) if default is _MISSING else take(form, name, list, list(default))
    for i, item in enumerate(found):
        if type(item) is not str:
            raise FormError(f"{name}[{i}]", f"is {kind_of(item)}, not a string")
    return tuple(found)


def each_of(form: Any, name: str, decode: Callable[[Any], T]) -> tuple[T, ...]:
    """What `decode` makes of each item of the list at the key `name`."""
    items = take(form, name, list)
    if not items:
        return ()
    found: list[T] = []
    try:
        for item in items:
            found.append(decode(item))  # noqa: PERF401 - its length tells where it went wrong
    except FormError as error:
        raise error.inside(f"{name}[{len(found)}]") from None
    return tuple(found)


def by_key(form: Any, name: str, decode: Callable[[Any], T]) -> dict[str, T]:
    """What `decode` makes of each value of the object at the key `name`."""
    items: Mapping[str, Any] = take(form, name, dict)
    if not items:
        return {}
    found: dict[str, T] = {}
    key = ""
    try:
        for key, item in items.items():
            found[key] = decode(item)
    except FormError as error:
        raise error.inside(f"{name}.{key}") from None
    return found


def plain(value: Any, deepest: int = 100) -> Any:
    """`value`, which is JSON data that can be written again. Raises FormError where it is nested too deeply.

    Whatever walks through it later does so by recursion.
    """
    kind = type(value)
    if kind is dict or kind is list:
        if not deepest:
            raise FormError("", "is nested more than 100 times")
        for item in value.values() if kind is dict else value:
            if type(item) is not str:
                plain(item, deepest - 1)
    elif kind is float and value - value != 0:
        raise FormError("", "has a number that JSON can't hold")
    return value


def plain_object(value: Any) -> dict[str, Any]:
    """`value`, which is an object of plain JSON data."""
    if type(value) is not dict:
        raise FormError("", f"is {kind_of(value)}, not an object")
    return plain(value)  # type: ignore[no-any-return]
