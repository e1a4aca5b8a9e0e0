"""Types of values that are passed as strings or JSON: job parameters, and small results between tasks.

A job parameter is a string on the platform, a small result is a JSON task value. One description of a type serves both;
this module is the only place that maps between them.
"""

from __future__ import annotations

import datetime as dt
import json
import types
import typing
from dataclasses import field
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import TYPE_CHECKING, Any

from dbxdec.model import json_values, literals
from dbxdec.model.annotations import is_any, is_json_key, strip_optional
from dbxdec.model.equality import canonical_form
from dbxdec.model.spellings import MisreadError, day_in, is_, number_in
from dbxdec.records import dataclass
from dbxdec.support.forms import FormError, each_of, strings, take
from dbxdec.support.masking import brief

if TYPE_CHECKING:
    from collections.abc import Mapping

ANY = "any"
"""The kind of a result whose task does not say its type: any value that a literal can have."""
NONE_TEXT = "<dbxdec:none>"
"""The string of a job parameter that is None: the platform's parameters are never null."""
REQUIRED_TEXT = "<dbxdec:required>"
"""The default of a parameter without one: the platform requires a default, and `dbxdec-run` refuses this one."""

_PLAIN: dict[Any, str] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    dt.date: "date",
    dt.datetime: "datetime",
    Decimal: "decimal",
    list: "list",
    dict: "dict",
}
_DEEPEST = 100
_KINDS = frozenset({*_PLAIN.values(), "enum", "literal", ANY})
_BOOLEANS = {"true": True, "false": False}
_SPELLINGS = {
    "int": "a whole number such as 42",
    "float": "a number such as 1.5",
    "bool": "true or false",
    "date": "a date such as 2013-01-31",
    "datetime": "a date and time such as 2013-01-31T06:00:00+01:00",
    "decimal": "a number such as 1.50",
}
# The JSON of a value of each kind, for examples of lists and dicts.
_EXAMPLES = {
    "str": '"a"',
    "float": "1.5",
    "bool": "true",
    "date": '"2013-01-31"',
    "datetime": '"2013-01-31T06:00:00+01:00"',
    "decimal": '"1.50"',
    "list": "[1, 2]",
    "dict": '{"a": 1}',
}


@dataclass(frozen=True, slots=True)
class ValueType:
    """A type whose values have a string and a JSON form.

    `enum` is "module:Qualified.Name". `choices` are a Literal's values. `element` is the type of a list's items or a
    dict's values, None if they are any JSON. `members` are the names of each member of an Enum, aliases last, by which
    a process checks a value without the project's code; empty where they are not known.
    """

    kind: str
    optional: bool = False
    enum: str | None = None
    choices: tuple[str | int | bool, ...] = ()
    element: ValueType | None = None
    members: tuple[tuple[str, ...], ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, annotation: Any) -> ValueType | None:
        """Return the type of `annotation`, or None if it is not one of these types."""
        bare, optional = strip_optional(annotation)
        origin = typing.get_origin(bare)
        if origin is typing.Literal:
            choices = typing.get_args(bare)
            return cls("literal", optional, choices=choices) if _can_be_choices(choices) else None
        if isinstance(bare, type) and origin is None and issubclass(bare, Enum):
            if not literals.is_importable(bare):
                return None
            return cls("enum", optional, enum=literals.enum_reference(bare), members=_names_of(bare))
        kind = _PLAIN.get(origin or bare) if _is_hashable(origin or bare) else None
        args = typing.get_args(bare)
        if kind not in ("list", "dict") or not args:
            return cls(kind, optional) if kind else None
        element = cls.of(args[-1])
        if (kind == "dict" and not is_json_key(args[0])) or (element is None and not _is_json(args[-1])):
            return None
        return cls(kind, optional, element=element)

    @classmethod
    def from_json_form(cls, form: Any) -> ValueType:
        """Read the manifest's form of a type. Raises FormError for another form."""
        return cls._from_form(form, _DEEPEST)

    @classmethod
    def _from_form(cls, form: Any, deepest: int) -> ValueType:
        kind = take(form, "type", str)
        if kind not in _KINDS:
            raise FormError("type", f"is {kind!r:.60}, which this dbxdec does not know")
        enum = take(form, "enum", str) if kind == "enum" else None
        choices = tuple(take(form, "choices", list)) if kind == "literal" else ()
        if enum is not None and ":" not in enum:
            raise FormError("enum", "is not of the form `module:Name`")
        if not all(type(choice) in (str, int, bool) for choice in choices):
            raise FormError("choices", "are not all strings, numbers and booleans")
        element = None
        if "element" in form and kind in ("list", "dict"):
            if not deepest:
                raise FormError("element", "is nested too deeply")
            element = cls._from_form(form["element"], deepest - 1)
        optional = take(form, "optional", bool, False)
        return cls(kind, optional, enum, choices, element, _members_of(form) if kind == "enum" else ())

    def json_form(self, *, members: bool = True) -> dict[str, Any]:
        """Return the manifest's form: `type`, and what is set of the rest; without `members` they are left out."""
        form: dict[str, Any] = {"type": self.kind}
        if self.optional:
            form["optional"] = True
        if self.enum is not None:
            form["enum"] = self.enum
        if members and self.members:
            form["members"] = list(map(list, self.members))
        if self.choices:
            form["choices"] = list(self.choices)
        if self.element is not None:
            form["element"] = self.element.json_form(members=members)
        return form

    @property
    def is_json(self) -> bool:
        """True if JSON holds values of this type unchanged."""
        return self.kind in _JSON_KINDS and (self.element is None or self.element.is_json)

    @property
    def plain(self) -> type | None:
        """The Python type of the values; None for Enums and Literals."""
        return _BY_KIND.get(self.kind)

    def __str__(self) -> str:
        name = {"decimal": "Decimal"}.get(self.kind, self.kind)
        if self.enum is not None:
            name = self.enum.partition(":")[2]
        if self.choices:
            name = f"Literal[{', '.join(map(repr, self.choices))}]"
        if self.element is not None:
            name = f"{name}[{'str, ' if self.kind == 'dict' else ''}{self.element}]"
        return f"{name} | None" if self.optional else name

    def accepts(self, other: ValueType) -> bool:
        """Return whether a value of type `other` is accepted as this type (int widens to float)."""
        if other.kind == ANY:
            return True  # the value is checked when the task runs
        if other.optional and not self.optional:
            return False
        if self.kind == "literal" and other.kind == "literal":
            return _typed(other.choices) <= _typed(self.choices)
        if other.kind == "literal":
            return all(self.accepts(ValueType(_PLAIN[type(choice)])) for choice in other.choices)
        if self.element is not None and self.kind == other.kind:
            return self.element.is_json if other.element is None else self.element.accepts(other.element)
        return (self.kind, self.enum) == (other.kind, other.enum) or (self.kind, other.kind) == ("float", "int")

    @property
    def hint(self) -> str | None:
        """The hint on how to write such a value; None if messages list the choices, and for str: any string is one."""
        if self.kind in ("list", "dict"):
            return f"write JSON such as {self._example}"
        return f"write {_SPELLINGS[self.kind]}" if self.kind in _SPELLINGS else None

    @property
    def hint_of_text(self) -> str | None:
        """The hint on how to write such a value as the string of a job parameter."""
        none = f"{NONE_TEXT} for None" if self.optional else None
        if self.hint is None:
            return none and f"write {none}"
        return f"{self.hint}, or {none}" if none else self.hint

    @property
    def _example(self) -> str:
        """The JSON of a value of this type."""
        if self.element is not None:
            return f"[{self.element._example}]" if self.kind == "list" else f'{{"a": {self.element._example}}}'
        if self.members:
            return json.dumps(self.members[0][0])
        return json.dumps(self.choices[0]) if self.choices else _EXAMPLES.get(self.kind, "1")

    def to_text(self, value: object) -> str:
        """Return the string of `value` as a job parameter.

        Raises TypeError if the value is not of this type, or its string is reserved or not UTF-8.
        """
        if value is None and self.optional:
            return NONE_TEXT
        form = self.to_json(value)
        try:
            text = form if isinstance(form, str) else json.dumps(form, ensure_ascii=False, allow_nan=False)
        except ValueError as error:  # an int of thousands of digits
            raise TypeError(f"{brief(value)} can't be written as JSON: {error}") from None
        if text in (NONE_TEXT, REQUIRED_TEXT):
            raise TypeError(f"{text!r} is reserved: it stands for a parameter without a value")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise TypeError(f"{brief(text)} is a string that UTF-8 can't encode") from None
        return text

    def canonical(self, value: object) -> str:
        """Return the canonical string of `value`: equal values have equal strings.

        `from_text` reads it. Raises TypeError if the value is not of this type, and for a Decimal that is not finite.
        """
        if self.kind == "float" and self._holds(value):
            value = json_values.finite(value)
        if isinstance(value, Decimal) and not value.is_finite():
            raise TypeError(f"{value} can't be compared")
        text = self.to_text(value)
        if not self._holds(value) or self.kind in ("str", "literal"):
            return text
        form = canonical_form(value)
        return form if isinstance(form, str) else json.dumps(form, ensure_ascii=False, sort_keys=True)

    def from_text(self, text: str, *, names: bool = False) -> Any:
        """Return the value of the string `text`. Raises ValueError with what was expected.

        With `names`, members of Enums are their names: their classes are in the project's code, which only the process
        of a task imports.
        """
        if text == NONE_TEXT:
            return self._from_json(None, "", names)
        if self.kind == "literal":
            return self._choice({_as_text(choice): choice for choice in self.choices}, text, "")
        form: Any = text
        if self.kind == "bool":
            form = _BOOLEANS.get(text.strip().lower(), text)
        elif self.kind in ("int", "float"):
            form = number_in(self.kind, text)
        elif self.kind in ("list", "dict"):
            form = self._parsed(text)
        return self._from_json(form, "", names)

    def reads(self, text: str) -> bool:
        """Return whether `text` is the string of a value, as far as that is known without the project's code."""
        try:
            self.from_text(text, names=True)
        except ValueError:
            return False
        return True

    def _parsed(self, text: str) -> Any:
        try:
            form = json.loads(text)
            json_values.require(form)
        except json.JSONDecodeError as error:
            what = f"{error.msg} at character {error.pos}"
        except RecursionError:
            what = "it is nested too deeply"
        except ValueError:
            what = "it has a number of too many digits"
        except TypeError as error:
            raise ValueError(f"has a value that JSON can't represent: {error}") from None
        else:
            return form
        raise ValueError(f"is not JSON ({what}), which the type {self} needs")

    def to_json(self, value: object) -> literals.Json:
        """Return the JSON form of `value`, for a task value. Raises TypeError if it is not of this type."""
        return self._to_json(value, "")

    def _to_json(self, value: object, place: str) -> literals.Json:
        if self.kind == ANY:
            return literals.encode(value)
        if value is None and self.optional:
            return None
        if not self._holds(value):
            raise self._misfit(value, place)
        if isinstance(value, Enum):
            return value.name
        if isinstance(value, dt.date):
            json_values.require_no_fold(value, place)
            return value.isoformat()
        if isinstance(value, Decimal):
            return str(value)
        if self.kind == "float":
            return json_values.finite(value, place)
        if isinstance(value, list | dict) and self.element is None:
            # The annotation says of which type the value itself is, but nothing about what it holds.
            inside: literals.Json = list(value) if isinstance(value, list) else dict(value)
            json_values.require(inside, place.removeprefix(" at "))
            return inside
        if isinstance(value, list) and self.element is not None:
            at = place or " at "
            return [self.element._to_json(item, f"{at}[{i}]") for i, item in enumerate(value)]
        if isinstance(value, dict) and self.element is not None:
            json_values.require(dict.fromkeys(value), place.removeprefix(" at "))
            at = place or " at "
            return {key: self.element._to_json(item, f"{at}[{key!r}]") for key, item in value.items()}
        return json_values.plainly(value)  # type: ignore[return-value]

    def _misfit(self, value: object, place: str) -> TypeError:
        """Return the error of a value that is not of this type."""
        if isinstance(value, Enum) and literals.enum_reference(type(value)) == self.enum:
            kind = json_values.class_of(value)
            return json_values.MisfitError(
                f"{brief(value)}{place} is a combination of members of {kind}, which has no name of its own: members "
                "are passed by name",
                "return a list of members, or `.value` as an int",
            )
        return json_values.unlike(str(self), value, place)

    def from_json(self, form: Any, *, names: bool = False) -> Any:
        """Return the value of a JSON form, with `names` as `from_text` does. Raises ValueError as it does."""
        return self._from_json(form, "", names)

    def _from_json(self, form: Any, place: str, names: bool) -> Any:
        if self.kind == ANY:
            return literals.decode(form)
        if form is None:
            if self.optional:
                return None
            raise ValueError(f"is null{place}, but its type {self} is not optional")
        try:
            match self.kind:
                case "date":
                    value: Any = dt.date.fromisoformat(day_in(form, place))
                case "datetime":
                    value = dt.datetime.fromisoformat(form)
                case "decimal":
                    # A float has already lost the exact digits of a Decimal.
                    value = Decimal(form) if type(form) in (str, int) else None
                case "enum" if names and not self.members:
                    if isinstance(form, str):
                        return form
                    value = None
                case "enum":
                    known = {name: own for own, *more in self.members for name in (own, *more)} if names else None
                    return self._choice(known or literals.load_enum(self.enum or "").__members__, form, place)
                case "literal":
                    value = self._choice({_as_text(choice): choice for choice in self.choices}, _as_text(form), place)
                case "float":
                    value = float(form) if type(form) is int else form
                case _:
                    value = form
        except (TypeError, InvalidOperation, OverflowError):
            value = None
        except MisreadError:
            raise
        except ValueError:
            value = None
        if not self._holds(value):
            raise ValueError(f"{is_(place)} {brief(form)}, which is not of the type {self}")
        if self.element is None:
            return value
        at = place or " at "
        if isinstance(value, dict):
            return {key: self.element._from_json(item, f"{at}[{key!r}]", names) for key, item in value.items()}
        return [self.element._from_json(item, f"{at}[{i}]", names) for i, item in enumerate(value)]

    def _holds(self, value: object) -> bool:
        if isinstance(value, Enum):
            # Members are passed by name. A combination of flags may have none; a plain value would lose it.
            kind = type(value)
            return literals.enum_reference(kind) == self.enum and value.name in kind.__members__
        match self.kind:
            case "enum":
                return False
            case "literal":
                return any(type(value) is type(choice) and value == choice for choice in self.choices)
            case "date":
                return isinstance(value, dt.date) and not isinstance(value, dt.datetime)
            case "int":
                return isinstance(value, int) and not isinstance(value, bool)
            case "float":
                return isinstance(value, float | int) and not isinstance(value, bool)
            case _:
                return isinstance(value, _BY_KIND[self.kind])

    def _choice(self, known: Mapping[str, Any], text: Any, place: str) -> Any:
        if text not in known:
            raise MisreadError(f"{is_(place)} {brief(text)}; allowed are {', '.join(known)}")
        return known[text]


_JSON_KINDS = frozenset({"str", "int", "float", "bool", "list", "dict", "literal"})
_BY_KIND: dict[str, type] = {kind: plain for plain, kind in _PLAIN.items()}


def _names_of(kind: type[Enum]) -> tuple[tuple[str, ...], ...]:
    """Return the names of each member, its own first."""
    found: dict[str, list[str]] = {}
    for name, member in kind.__members__.items():
        found.setdefault(member.name, []).append(name)
    return tuple(map(tuple, found.values()))


def _members_of(form: Any) -> tuple[tuple[str, ...], ...]:
    """Return the names of an Enum's members in the manifest's form of its type."""
    groups = each_of(form, "members", lambda names: strings({"names": names}, "names")) if "members" in form else ()
    if not all(groups):
        raise FormError("members", "have a member without a name")
    return groups


def _is_json(annotation: Any) -> bool:
    """Return whether JSON holds all values of this type unchanged, even if it is not a ValueType."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return all(map(_is_json, typing.get_args(annotation)))
    found = ValueType.of(annotation)
    return annotation is types.NoneType or is_any(annotation) or (found is not None and found.is_json)


def _can_be_choices(choices: tuple[object, ...]) -> bool:
    """Return whether each choice has its own string: `Literal[1, "1"]` could not be read back."""
    plain = all(type(choice) in (str, int, bool) for choice in choices)
    return plain and len(set(map(_as_text, choices))) == len(choices)


def _typed(choices: tuple[object, ...]) -> set[tuple[type, object]]:
    """Return the choices with their types, because 1 == True."""
    return {(type(choice), choice) for choice in choices}


def _is_hashable(value: object) -> bool:
    return type(value).__hash__ is not None


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
