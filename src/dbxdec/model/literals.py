"""Literals as tagged JSON: values that an author writes as arguments, equal after a round trip.

JSON's own types are stored as they are; everything else is `{"$": tag, "v": ...}`. A dict is stored plain only if plain
JSON preserves it: its keys are sorted (the manifest sorts keys) and none of them is the tag key.
"""

from __future__ import annotations

import base64
import datetime as dt
import importlib
import math
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from dbxdec.errors import RunError
from dbxdec.model.secrets import Secret
from dbxdec.model.variables import BundleVariable, has_token, resolve
from dbxdec.support.forms import FormError, kind_of
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

TAG = "$"
STAND_IN_NAME = "__dbxdec_stand_in__"
"""The attribute of a placeholder for a missing import that has the dotted name it replaces."""


_LITERALS = (
    "literals are None, bool, int, float, str, Decimal, dates, Enum members, bytes, and lists, tuples and dicts of "
    "them; create anything else inside the task"
)
# What to write instead, by the last part of a type's name.
_INSTEAD = {
    "set": "a set has no fixed order: write a list",
    "frozenset": "a set has no fixed order: write a list",
    "range": "write `list(range(...))`",
    "generator": "write a list",
    "time": "pass its parts, or `.isoformat()` as a string",
    "UUID": "pass it as a string: `str(...)`",
    "Path": "pass it as a string: `str(...)`",
    "PosixPath": "pass it as a string: `str(...)`",
    "PurePosixPath": "pass it as a string: `str(...)`",
    "DataFrame": "create it in its own task, or pass a table: `io.table(...)`",
    "LazyFrame": "create it in its own task, or pass a table: `io.table(...)`",
    "function": "import it in the task's module and call it there",
    "module": "import it in the task's module",
    "type": "import it in the task's module",
}


class UnsupportedLiteralError(TypeError):
    """Raised for a value without a form in the manifest. The message names its type and its place in the literal.

    `hint` says what to write instead.
    """

    def __init__(self, message: str, hint: str = _LITERALS) -> None:
        super().__init__(message)
        self.hint = hint


def encode(value: object) -> Json:
    """Return `value` as tagged JSON. Raises UnsupportedLiteralError for a type without a form, NaN and infinity."""
    return _encode(value, "")


def _encode(value: object, path: str) -> Json:
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return value  # type: ignore[return-value]
    if kind is str:
        return _encode_text(value, path)  # type: ignore[arg-type]
    if kind is float:
        if not math.isfinite(value):  # type: ignore[arg-type]
            raise UnsupportedLiteralError(
                f"{value!r}{_at(path)} is a float that JSON can't represent", "write None, or create it inside the task"
            )
        return value  # type: ignore[return-value]
    if isinstance(value, Enum):
        return _encode_enum(value, path)
    if kind is list:
        return [_encode(item, f"{path}[{i}]") for i, item in enumerate(value)]  # type: ignore[arg-type,var-annotated]
    if kind is tuple:
        return _tagged("tuple", [_encode(item, f"{path}[{i}]") for i, item in enumerate(value)])  # type: ignore[arg-type,var-annotated]
    if kind is dict:
        return _encode_dict(value, path)  # type: ignore[arg-type]
    if isinstance(value, BundleVariable):
        return _tagged("template", value.template)
    if isinstance(value, Secret):
        return _tagged("secret", [value.scope, value.key])
    encoder = _SCALARS.get(kind)
    if encoder is None and isinstance(name := getattr(value, STAND_IN_NAME, None), str):
        root = name.partition(".")[0]
        raise UnsupportedLiteralError(
            f"`{name}`{_at(path)} comes from a module that is not installed at build time",
            f"use it inside the task, or add {root} to `requires` of [build-system]",
        )
    if encoder is None:
        raise UnsupportedLiteralError(
            f"{_type_name(kind)}{_at(path)} can't be passed to a task",
            _INSTEAD.get(kind.__name__, _LITERALS),
        )
    encoded: Json = encoder(value)
    return encoded


# How a value of a run, or a bundle variable, shows itself to people.
_SHOWN = pattern(r"<the (?:job parameter|result of the task|task value|state of the task) `|BundleVariable\('")


def _encode_text(value: str, path: str) -> Json:
    _require_utf8(value, path)
    if _SHOWN.search(value):
        raise UnsupportedLiteralError(
            f"{value!r:.120}{_at(path)} was made from a value that exists only when the job runs",
            "build the string inside a task that receives the value; of a bundle variable, f-strings make longer ones",
        )
    return _tagged("template", value) if has_token(value) else value


def _require_utf8(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnsupportedLiteralError(f"{value!r:.60}{_at(path)} is a string that UTF-8 can't encode") from None


def _encode_enum(value: Enum, path: str) -> Json:
    kind = type(value)
    if not is_importable(kind):
        raise UnsupportedLiteralError(
            f"{_type_name(kind)}{_at(path)} is an Enum defined inside a function, where a task can't find it",
            "define it at the top of a module",
        )
    if value.name not in kind.__members__:
        raise UnsupportedLiteralError(f"{value!r}{_at(path)} is not a member of its Enum: members are passed by name")
    return _tagged("enum", [enum_reference(kind), value.name])


def _encode_dict(value: dict[object, object], path: str) -> Json:
    for key in value:
        if type(key) is not str:
            raise UnsupportedLiteralError(
                f"a dict{_at(path)} has the key {key!r}: keys must be strings",
                f"write `{str(key)!r}`, or a list of pairs"
                if isinstance(key, int)
                else "use strings as keys, or write a list of pairs",
            )
        if has_token(key):
            raise UnsupportedLiteralError(f"a dict{_at(path)} has the key {key!r}: only values can be bundle variables")
        _require_utf8(key, path)
    items: dict[str, Json] = {str(key): _encode(item, f"{path}[{key!r}]") for key, item in value.items()}
    if TAG in items or list(items) != sorted(items):
        return _tagged("dict", [[key, item] for key, item in items.items()])
    return items


def _at(path: str) -> str:
    return f" at {path}" if path else ""


def _type_name(kind: type) -> str:
    name = kind.__qualname__
    return f"`{name}`" if kind.__module__ == "builtins" else f"`{kind.__module__}.{name}`"


def _tagged(tag: str, value: Json) -> dict[str, Json]:
    return {TAG: tag, "v": value}


def _encode_datetime(value: Any) -> Json:
    # A named zone is stored by its name: an offset alone would lose daylight saving.
    zone = getattr(value.tzinfo, "key", None)
    if zone is None:
        form = _tagged("datetime", value.isoformat())
        return {**form, "fold": 1} if value.fold and value.tzinfo is None else form
    naive = value.replace(tzinfo=None, fold=0).isoformat()
    return {**_tagged("datetime", naive), "tz": zone, "fold": value.fold}


_SCALARS: dict[type, Any] = {
    Decimal: lambda v: _tagged("decimal", str(v)),
    dt.date: lambda v: _tagged("date", v.isoformat()),
    dt.datetime: _encode_datetime,
    dt.timedelta: lambda v: _tagged("timedelta", [v.days, v.seconds, v.microseconds]),
    bytes: lambda v: _tagged("bytes", base64.b64encode(v).decode("ascii")),
}


def checked(value: Any, deepest: int = 100) -> Json:
    """Return `value` if it has the form that `encode` returns. Raises FormError otherwise."""
    kind = type(value)
    if kind is not dict and kind is not list:
        if kind is float and not math.isfinite(value):
            raise FormError("literal", "is a number that JSON can't represent")
        return value  # type: ignore[no-any-return]
    if not deepest:
        raise FormError("literal", "is nested more than 100 times")
    if kind is list:
        for item in value:
            checked(item, deepest - 1)
    elif TAG not in value:
        for item in value.values():
            checked(item, deepest - 1)
    else:
        _check_tagged(value, deepest - 1)
    return value  # type: ignore[no-any-return]


def _check_tagged(value: dict[str, Any], deepest: int) -> None:
    tag, body = value[TAG], value.get("v")
    match tag, body:
        case ("tuple", list(items)):
            for item in items:
                checked(item, deepest)
        case ("dict", list(pairs)):
            for pair in pairs:
                if not (type(pair) is list and len(pair) == 2 and type(pair[0]) is str):
                    raise FormError("literal", "has a dict whose items are not pairs")
                checked(pair[1], deepest)
        case ("template", str()) | ("secret", [str(), str()]):
            pass
        case ("enum", [str(reference), str()]) if ":" in reference:
            pass
        case ("decimal" | "date" | "datetime" | "timedelta" | "bytes", _):
            try:
                _decode_tagged({name: item for name, item in value.items() if name not in ("tz", "fold")}, {})
            except (ValueError, TypeError, LookupError, ArithmeticError):
                raise FormError("literal", f"is a {tag} of {kind_of(body)}: {body!a:.60}") from None
            if "tz" in value and (type(value["tz"]) is not str or value.get("fold") not in (0, 1)):
                raise FormError("literal", "is a datetime whose zone is not a string")
            if value.get("fold", 0) not in (0, 1):
                raise FormError("literal", "is a datetime whose fold is neither 0 nor 1")
        case _:
            raise FormError("literal", f"has the unknown tag {tag!a:.60} with {kind_of(body)}")


def decode(value: Json, variables: Mapping[str, str] | None = None) -> Any:
    """Return the value that `encode` took. Tokens of bundle variables are resolved with `variables`."""
    if isinstance(value, list):
        return [decode(item, variables) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: decode(item, variables) for key, item in value.items()}
    return _decode_tagged(value, variables)


def is_hashable(value: Json) -> bool:
    """Return whether the decoded `value` can be the key of a dict."""
    if isinstance(value, dict) and value.get(TAG) == "tuple":
        items: Any = value["v"]
        return all(map(is_hashable, items))
    return not isinstance(value, list) and (not isinstance(value, dict) or value.get(TAG, "dict") != "dict")


def shown(value: Json) -> Json:
    """Return the value for people to read, as JSON without tags; None for values that only the run resolves."""
    if isinstance(value, list):
        return [shown(item) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: shown(item) for key, item in value.items()}
    body: Any = value["v"]
    match value[TAG]:
        case "tuple":
            return [shown(item) for item in body]
        case "dict":
            return {key: shown(item) for key, item in body}
        case "enum":
            return str(body[1])
        case "template" | "secret":
            return None
        case _:
            form: Json = body
            return form


def _decode_tagged(value: dict[str, Json], variables: Mapping[str, str] | None) -> Any:
    body: Any = value["v"]
    match value[TAG]:
        case "tuple":
            return tuple(decode(item, variables) for item in body)
        case "dict":
            return {key: decode(item, variables) for key, item in body}
        case "template":
            return resolve(body, variables)
        case "secret":
            return Secret(*body).value()
        case "decimal":
            return Decimal(body)
        case "date":
            return dt.date.fromisoformat(body)
        case "datetime":
            return _decode_datetime(value)
        case "timedelta":
            return dt.timedelta(days=body[0], seconds=body[1], microseconds=body[2])
        case "bytes":
            return base64.b64decode(body)
        case "enum":
            return load_enum(body[0])[body[1]]
        case unknown:
            raise ValueError(f"a literal has the unknown tag {unknown!r}")


def _decode_datetime(value: dict[str, Any]) -> dt.datetime:
    moment = dt.datetime.fromisoformat(value["v"])
    if "tz" not in value:
        return moment.replace(fold=value.get("fold", moment.fold))
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        zone = ZoneInfo(value["tz"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RunError(
            f"this machine does not know the time zone {value['tz']!r:.60} of a datetime", hint="install `tzdata`"
        ) from None
    return moment.replace(tzinfo=zone, fold=value["fold"])


def is_importable(kind: type) -> bool:
    """Return whether another process can import `kind` by name, which it can't if a function defines it."""
    return "<locals>" not in kind.__qualname__


def enum_reference(kind: type) -> str:
    """Return "module:Qualified.Name", which `load_enum` takes."""
    return f"{kind.__module__}:{kind.__qualname__}"


def load_enum(reference: str) -> type[Enum]:
    """Return the Enum class named by "module:Qualified.Name"."""
    module, _, qualname = reference.partition(":")
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]
