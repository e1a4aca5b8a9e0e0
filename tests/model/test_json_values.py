"""Small results arrive as what they were: a value whose type JSON would change is refused, with its place."""

from __future__ import annotations

import datetime as dt
from collections import Counter, OrderedDict
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Any

import numpy as np
import pytest

from dbxdec import bundle_target
from dbxdec.model import json_values, literals
from dbxdec.model.json_values import MisfitError
from dbxdec.model.values import ANY, ValueType
from dbxdec.model.variables import using
from dbxdec.support.forms import FormError


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Plain(Enum):
    A = 1


class Rights(Flag):
    READ = 1
    WRITE = 2


class Name(str):
    __slots__ = ()


class Count(int):
    pass


def type_of(annotation: Any) -> ValueType:
    found = ValueType.of(annotation)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("value", "kind", "hint"),
    [
        (Colour.RED, "test_json_values.Colour", "write its `.name` or its `.value`"),
        (Level.LOW, "test_json_values.Level", "write its `.name` or its `.value`"),
        (Plain.A, "test_json_values.Plain", "write its `.name` or its `.value`"),
        (Name("a"), "test_json_values.Name", "write `str(...)`"),
        (Count(1), "test_json_values.Count", "write `int(...)`"),
        (np.float64(1.5), "numpy.float64", "write `float(...)`"),
        (np.bool_(True), f"numpy.{np.bool_.__name__}", "write `.item()` of it: that is Python's own"),
        (Counter("a"), "collections.Counter", "write `dict(...)`"),
        (OrderedDict(a=1), "collections.OrderedDict", "write `dict(...)`"),
        ((1, 2), "tuple", "write a list"),
        ({1}, "set", "write a list"),
        (dt.date(2024, 1, 2), "date", "use str, int, float, bool, None, lists and dicts"),
    ],
)
@pytest.mark.parametrize("annotation", [dict, dict[str, Any], list])
def test_a_value_that_would_arrive_as_another_is_refused(annotation: Any, value: Any, kind: str, hint: str) -> None:
    """The message names the place and the class with its module, the hint what to write."""
    inside: Any = [{"a": [value]}] if annotation is list else {"a": [value]}
    place = r"\[0\]\['a'\]\[0\]" if annotation is list else r"\['a'\]\[0\]"
    with pytest.raises(MisfitError, match=rf" at {place} is of the type {kind}, which ") as caught:
        type_of(annotation).to_json(inside)
    assert caught.value.hint == hint


def test_keys_are_strings_themselves() -> None:
    """Another key, also one of a subclass, would arrive as a string."""
    for annotation in (dict, dict[str, int]):
        with pytest.raises(MisfitError, match=r"the key <Colour.RED: 'red'> is of the type test_json_values.Colour"):
            type_of(annotation).to_json({Colour.RED: 1})
        with pytest.raises(MisfitError, match="the key 1 is of the type int, but JSON has only str as keys"):
            type_of(annotation).to_json({1: 1})


def test_an_annotated_type_is_what_arrives() -> None:
    """A subclass where the annotation names the plain type is passed on as that type."""
    assert type(type_of(str).to_json(Name("a"))) is str
    assert type(type_of(int).to_json(Count(7))) is int
    assert type(type_of(float).to_json(np.float64(1.5))) is float
    assert type(type_of(dict).to_json(Counter("a"))) is dict
    assert type_of(dict[str, int]).to_json(Counter("aab")) == {"a": 2, "b": 1}
    assert [type(one) for one in type_of(list[str]).to_json([Name("a")])] == [str]  # type: ignore[union-attr]


@pytest.mark.parametrize("annotation", [float, dict[str, float]])
def test_an_int_that_no_float_has_is_refused(annotation: Any) -> None:
    """It would arrive rounded; others widen."""
    kind = type_of(annotation)
    of = (lambda number: {"a": number}) if annotation is not float else (lambda number: number)
    assert kind.to_json(of(2**53)) == of(2.0**53)
    with pytest.raises(MisfitError, match=r"9007199254740993.* is an int that no float represents exactly"):
        kind.to_json(of(2**53 + 1))


@pytest.mark.parametrize("kind", [type_of(dt.datetime), type_of(list[dt.datetime])])
def test_a_fold_without_a_zone_is_refused(kind: ValueType) -> None:
    """The string of a naive time can't say that it is the second of two; that of a time with a zone can."""
    second = dt.datetime(2013, 10, 27, 2, 30, fold=1)
    given: Any = [second] if kind.kind == "list" else second
    with pytest.raises(TypeError, match="has fold=1 but no time zone"):
        kind.to_json(given)


def test_a_fold_without_a_zone_survives_as_a_literal() -> None:
    """An argument, and a result whose type is not said, have a form that keeps it."""
    second = dt.datetime(2013, 10, 27, 2, 30, fold=1)
    form = ValueType(ANY).to_json(second)
    assert literals.checked(form) == form
    assert literals.decode(form).fold == 1
    with pytest.raises(FormError, match="fold"):
        literals.checked({**form, "fold": 2})  # type: ignore[dict-item]


def test_messages_tell_classes_of_one_name_apart() -> None:
    """`numpy.bool` is not `bool`."""
    with pytest.raises(TypeError, match=rf"^expected bool, got numpy\.{np.bool_.__name__} \("):
        type_of(bool).to_json(np.bool_(True))


def test_a_combination_of_flags_says_that_it_has_no_name() -> None:
    """Members of Enums are passed by name."""
    with pytest.raises(MisfitError, match=r"Rights\.READ\|WRITE.* is a combination of members of .*Rights") as caught:
        type_of(Rights).to_json(Rights.READ | Rights.WRITE)
    assert caught.value.hint == "return a list of members, or `.value` as an int"


@pytest.mark.parametrize("annotation", [str, dict, list[str]])
def test_a_bundle_variable_is_no_string_of_a_result(annotation: Any) -> None:
    """The hint says how to make one."""
    given: Any = bundle_target() if annotation is str else [bundle_target()]
    with using({"bundle.target": "dev"}, live=True), pytest.raises(MisfitError, match="BundleVariable") as caught:
        type_of(annotation).to_json({"a": given} if annotation is dict else given)
    assert caught.value.hint == "write `str(...)` of it: a bundle variable acts as a string, but is not one"


def test_what_contains_itself_is_refused() -> None:
    """There is no JSON without an end."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(MisfitError, match="nested too deeply, or contains itself"):
        json_values.require(endless)
