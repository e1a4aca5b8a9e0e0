"""Takes parsed JSON, TOML and YAML apart and checks the types."""

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
    """Raised when a form is not what it should be. The message begins with the place, such as `tasks[0].key`."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place} {what}" if place else f"it {what}")
        self.place, self.what = place, what

    def inside(self, place: str) -> FormError:
        """Return the same mistake for a form that is itself at `place` of a larger one."""
        dot = "." if self.place and not self.place.startswith("[") else ""
        return FormError(f"{place}{dot}{self.place}", self.what)


def at(form: Any, *path: str) -> Any:
    """Return the value at `path` in nested mappings; None if a key is missing or a parent is not a mapping."""
    for name in path:
        form = form.get(name) if isinstance(form, dict) else None
    return form


def table(form: Any, *path: str) -> dict[str, Any]:
    """Return the mapping at `path`, or an empty one."""
    found = at(form, *path)
    return found if isinstance(found, dict) else {}


def strings_in(value: Any) -> list[str]:
    """Return the strings of a list; none of a value that is no list."""
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def kind_of(value: object) -> str:
    """Return the name of a value's type, for messages."""
    return _NAMES.get(type(value), f"a {type(value).__name__}")


def take(form: Any, name: str, kind: type[T], default: T = _MISSING) -> T:
    """Return the value of the key `name` in the object `form`, which must be exactly of the type `kind`.

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


def texts(form: Any, name: str) -> dict[str, str]:
    """Return the object of strings at the key `name`. Raises FormError for anything else."""
    found = take(form, name, dict)
    for key, value in found.items():
        if type(value) is not str:
            raise FormError(f"{name}.{key}", f"is {kind_of(value)}, not a string")
    return found


def take_or_null(form: Any, name: str, kind: type[T]) -> T | None:
    """Return the same as `take`, for a key whose value may be null."""
    try:
        value = form[name]
    except (KeyError, TypeError, IndexError):
        raise _absent(form, name) from None
    if value is None or type(value) is kind:
        return value
    raise FormError(name, f"is {kind_of(value)}, not {_NAMES[kind]} or null")


def strings(form: Any, name: str, default: Sequence[str] = _MISSING) -> tuple[str, ...]:
    """Return the list of strings at the key `name`."""
    found = take(form, name, list) if default is _MISSING else take(form, name, list, list(default))
    for i, item in enumerate(found):
        if type(item) is not str:
            raise FormError(f"{name}[{i}]", f"is {kind_of(item)}, not a string")
    return tuple(found)


def each_of(form: Any, name: str, decode: Callable[[Any], T]) -> tuple[T, ...]:
    """Return the items of the list at the key `name`, each decoded by `decode`."""
    items = take(form, name, list)
    if not items:
        return ()
    found: list[T] = []
    try:
        for item in items:
            found.append(decode(item))  # noqa: PERF401 - the length tells which item is wrong
    except FormError as error:
        raise error.inside(f"{name}[{len(found)}]") from None
    return tuple(found)


def by_key(form: Any, name: str, decode: Callable[[Any], T]) -> dict[str, T]:
    """Return the object at the key `name`, each value decoded by `decode`."""
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
    """Return `value` if it is JSON data that can be written again. Raises FormError if it is nested too deeply.

    The depth is limited because later code walks through the data by recursion.
    """
    kind = type(value)
    if kind is dict or kind is list:
        if not deepest:
            raise FormError("", "is nested more than 100 times")
        for item in value.values() if kind is dict else value:
            if type(item) is not str:
                plain(item, deepest - 1)
    elif kind is float and value - value != 0:
        raise FormError("", "has a number that JSON can't represent")
    return value


def plain_object(value: Any) -> dict[str, Any]:
    """Return `value` if it is an object of plain JSON data. Raises FormError otherwise."""
    if type(value) is not dict:
        raise FormError("", f"is {kind_of(value)}, not an object")
    return plain(value)  # type: ignore[no-any-return]
