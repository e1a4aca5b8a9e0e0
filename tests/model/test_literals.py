"""Literals as tagged JSON: equal after a round trip through JSON with sorted keys, or refused by type and place."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections import namedtuple
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings

from dbxdec.errors import RunError
from dbxdec.model import literals
from dbxdec.model.literals import UnsupportedLiteralError
from dbxdec.model.variables import bundle_target, bundle_variable, names_in
from literal_values import Access, Colour, values
from thorough import examples

properties = settings(deadline=None, derandomize=True, max_examples=examples(100))


Point = namedtuple("Point", "x y")  # a tuple that is more than a tuple


def same(a: Any, b: Any) -> bool:
    """Equal, of equal types, in equal order, with equal zones and folds, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dt.datetime) and isinstance(a.tzinfo, ZoneInfo):
        return bool((a.replace(tzinfo=None), a.fold, a.tzinfo.key) == (b.replace(tzinfo=None), b.fold, b.tzinfo.key))
    if isinstance(a, dt.datetime):
        return bool(a == b and a.utcoffset() == b.utcoffset())
    if isinstance(a, float):
        return bool(a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, Decimal):
        return bool(a.as_tuple() == b.as_tuple())
    return bool(a == b)


def through_json(value: Any) -> Any:
    """`value` as a run sees it: encoded, written as the manifest writes it, read and decoded."""
    text = json.dumps(literals.encode(value), sort_keys=True, ensure_ascii=False, allow_nan=False)
    return literals.decode(json.loads(text.encode()), {})


@properties
@given(values())
def test_every_literal_is_the_same_after_a_round_trip(value: Any) -> None:
    """Type, value, order of keys, zone, fold, sign of zero and exponent of every nested literal survive."""
    assert same(through_json(value), value)


@properties
@given(values())
def test_encoding_leaves_the_value_alone_and_shares_nothing_with_it(value: Any) -> None:
    """Changing the author's list or dict after the call changes nothing that was recorded."""
    encoded = literals.encode(value)
    before = json.dumps(encoded)
    if isinstance(value, list):
        value.append(1)
    elif isinstance(value, dict):
        value["\x00new"] = 1
    assert json.dumps(encoded) == before


@pytest.mark.parametrize(
    "value",
    [
        {"b": 1, "a": 2},
        {"$": "tuple", "v": [1, 2]},
        {"$": 1},
        {"v": {"$": {"$": "enum", "v": ["os:path", "X"]}}},
        {},
        (),
        ((),),
        [[], {}],
        -0.0,
        5e-324,
        2**200,
        "zwei\nZeilen \u2028 \U0001f600",
        Decimal("1.10"),
        Decimal("-0E+7"),
        Decimal("Infinity"),
        dt.date.min,
        dt.timedelta.min,
        dt.timedelta(days=-1, microseconds=1),
        dt.datetime(2013, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-7, seconds=-2))),
        b"\x00\xff",
        Colour.CRIMSON,
    ],
    ids=repr,
)
def test_the_awkward_ones_survive(value: Any) -> None:
    """Literals at the edges of their type, and dicts that look like tags, are the same after a round trip."""
    assert same(through_json(value), value)


@pytest.mark.parametrize("fold", [0, 1])
def test_both_passes_of_a_repeated_hour_stay_apart(fold: int) -> None:
    """The hour that daylight saving repeats keeps its fold and its zone, and with them its instant."""
    moment = dt.datetime(2013, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    back = through_json(moment)
    assert back.tzinfo.key == "Europe/Berlin"
    assert (back.fold, back.utcoffset()) == (fold, dt.timedelta(hours=2 - fold))


def test_json_types_stand_for_themselves() -> None:
    """What JSON keeps as it is, a dict with sorted keys included, is encoded as itself, for people to read."""
    value = {"a": [1, 2.5, "x", None, True], "b": {}}
    assert literals.encode(value) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_that_json_lacks_are_refused(value: float) -> None:
    """NaN and infinity are refused wherever they stand, and the place is named."""
    with pytest.raises(
        UnsupportedLiteralError, match=rf"^{value!r} at \['a'\]\[1\] is a float that JSON can't represent$"
    ):
        literals.encode({"a": [0.0, value]})


class Odd(str):
    """Text that is more than text."""

    __slots__ = ()


def local_enum() -> Enum:
    class Inner(Enum):
        ONE = 1

    return Inner.ONE


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (object(), "`object`"),
        ({1, 2}, "`set`"),
        (range(3), "`range`"),
        (1j, "`complex`"),
        (bytearray(b"x"), "`bytearray`"),
        (dt.time(1), "`datetime.time`"),
        (Fraction(1, 2), "`fractions.Fraction`"),
        (Point(1, 2), "`test_literals.Point`"),
        (Odd("x"), "`test_literals.Odd`"),
        (int, "`type`"),
        (len, "`builtin_function_or_method`"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_unsupported_types_are_named_with_their_place(value: object, name: str) -> None:
    """A type without a form, subclasses of supported ones included, is refused by its name and place."""
    with pytest.raises(UnsupportedLiteralError) as bare:
        literals.encode(value)
    assert str(bare.value) == f"{name} can't be passed to a task"
    with pytest.raises(UnsupportedLiteralError) as nested:
        literals.encode({"deep": [0, (1, value)]})
    assert str(nested.value) == f"{name} at ['deep'][1][1] can't be passed to a task"


def test_keys_that_are_not_text_are_refused() -> None:
    """A key that JSON would turn into text is refused, with the place of its dict."""
    with pytest.raises(UnsupportedLiteralError, match=r"^a dict at \[1\] has the key 1: keys must be strings$"):
        literals.encode([0, {1: "x"}])


def test_a_member_of_an_enum_inside_a_function_is_refused() -> None:
    """A run could not import an Enum that is defined inside a function, so the build says so."""
    with pytest.raises(UnsupportedLiteralError, match=r"`test_literals\.local_enum\.<locals>\.Inner` at \[0\]"):
        literals.encode([local_enum()])


def test_a_combination_of_flags_without_a_name_is_refused() -> None:
    """Flags travel by name; a combination that has none is refused instead of failing in the run."""
    with pytest.raises(UnsupportedLiteralError, match=r"at \['access'\].*not a member"):
        literals.encode({"access": Access(0)})


@pytest.mark.parametrize("value", ["\ud800", ["\udfff"], {"\ud800": 1}], ids=["text", "nested", "key"])
def test_text_that_utf8_lacks_is_refused(value: object) -> None:
    """Half a surrogate pair has no UTF-8 form, so the manifest could not be written."""
    with pytest.raises(UnsupportedLiteralError, match="UTF-8"):
        literals.encode(value)


def test_something_of_a_missing_module_is_named_by_its_dotted_name() -> None:
    """A stand-in in a literal is refused by the name that the author wrote, not by the stand-in's class."""

    class StandIn:
        """What discovery puts in the place of a missing import."""

    value = StandIn()
    setattr(value, literals.STAND_IN_NAME, "pandas.Timestamp")
    with pytest.raises(UnsupportedLiteralError, match=r"^`pandas\.Timestamp` at \[0\] comes from a module"):
        literals.encode([value])


class TestBundleVariables:
    def test_references_are_resolved_by_decoding(self) -> None:
        """A bundle variable, a path of one and an f-string arrive as text with the values of this run."""
        root = bundle_variable("root")
        value = [root, root / "bronze", (f"{root}:{bundle_target()}",), {"k": bundle_target()}]
        encoded = literals.encode(value)
        assert names_in(encoded) == {"root", "bundle.target"}
        known = {"root": "/lake", "bundle.target": "dev"}
        assert literals.decode(encoded, known) == ["/lake", "/lake/bronze", ("/lake:dev",), {"k": "dev"}]

    def test_a_value_is_not_resolved_twice(self) -> None:
        """What a variable's value looks like does not matter: it is text, also if it looks like a reference."""
        assert literals.decode(literals.encode(bundle_variable("a")), {"a": "${var.b}"}) == "${var.b}"

    def test_other_references_stay_text(self) -> None:
        """Text that only resembles a bundle variable is carried as it is."""
        text = "${workspace.host} {{job.id}} ${var.} $var.x"
        assert literals.encode(text) == text

    def test_a_reference_without_value_is_an_error(self) -> None:
        """A variable that this run does not know is named."""
        with pytest.raises(RunError, match="`nowhere`"):
            literals.decode(literals.encode([bundle_variable("nowhere")]), {})

    def test_a_reference_as_a_key_is_refused(self) -> None:
        """Keys are not resolved at run time, so a bundle variable in one is an error and not silent text."""
        with pytest.raises(UnsupportedLiteralError, match="has the key"):
            literals.encode({f"{bundle_variable('x')}/a": 1})


def test_an_unknown_tag_is_refused_by_its_name() -> None:
    """A literal of a newer dbxdec is refused rather than taken for a dict."""
    with pytest.raises(ValueError, match="unknown tag 'complex'"):
        literals.decode({"$": "complex", "v": [1, 2]})
