"""Types that travel as text (job parameters) or as JSON (task values): the same value on the other side."""

from __future__ import annotations

import datetime as dt
import json
import math
import typing
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Any, Literal, Optional
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbxdec.model.values import NONE_TEXT, REQUIRED_TEXT, ValueType
from thorough import examples

properties = settings(deadline=None, derandomize=True, max_examples=examples(30))


class Colour(Enum):
    RED = "red"
    GREEN = 2
    CRIMSON = "red"  # noqa: PIE796 - an alias of RED


class Other(Enum):
    RED = "red"


class Mode(StrEnum):
    FAST = "quick"


class Level(IntEnum):
    LOW = 1


class Access(Flag):
    READ = 1
    WRITE = 2


Choice = Literal["a", "b", 3, True]

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)

BERLIN = ZoneInfo("Europe/Berlin")


# Every kind: its annotation and the values that it has.
def first_pass(value: dt.datetime) -> dt.datetime:
    """The same time without a fold if it has no zone: a string can't keep the fold then."""
    return value.replace(fold=0) if value.tzinfo is None else value


KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "str": (str, st.text(max_size=12)),
    "int": (int, st.integers()),
    "float": (float, st.floats(allow_nan=False, allow_infinity=False)),
    "bool": (bool, st.booleans()),
    "date": (dt.date, st.dates()),
    "datetime": (dt.datetime, st.datetimes(timezones=st.sampled_from([None, dt.UTC])).map(first_pass)),
    "decimal": (Decimal, st.decimals(allow_nan=False)),
    "list": (list[Any], st.lists(JSON_VALUES, max_size=3)),
    "dict": (dict[str, Any], st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=3)),
    "enum": (Colour, st.sampled_from(Colour)),
    "literal": (Choice, st.sampled_from(typing.get_args(Choice))),
}


# Types of elements, which are the same values inside lists and dicts.
ELEMENTS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    f"{form} of {kind}": made
    for kind, (annotation, values) in KINDS.items()
    for form, made in {
        "list": (list[annotation], st.lists(values, max_size=3)),  # type: ignore[valid-type]
        "dict": (dict[str, annotation], st.dictionaries(st.text(max_size=3), values, max_size=3)),  # type: ignore[valid-type]
        "list of dicts": (
            list[dict[str, Optional[annotation]]],  # type: ignore[valid-type]  # noqa: UP045
            st.lists(st.dictionaries(st.text(max_size=3), st.none() | values, max_size=2), max_size=2),
        ),
    }.items()
}
LIST: Any = list
ALL = KINDS | ELEMENTS


def type_of(annotation: Any) -> ValueType:
    found = ValueType.of(annotation)
    assert found is not None
    return found


def same(a: Any, b: Any) -> bool:
    """Equal and of one type; NaN aside, what a task would see as the same value."""
    order = list(a) == list(b) if isinstance(a, dict) else True
    return type(a) is type(b) and order and bool(a == b)


@pytest.mark.parametrize("kind", ALL)
class TestRoundTrips:
    @properties
    @given(data=st.data())
    def test_as_text(self, kind: str, data: st.DataObject) -> None:
        """A job parameter of every type is the same value after its way as text."""
        annotation, values = ALL[kind]
        value = data.draw(values)
        text = type_of(annotation).to_text(value)
        assert isinstance(text, str)
        assert same(type_of(annotation).from_text(text), value)

    @properties
    @given(data=st.data())
    def test_as_json(self, kind: str, data: st.DataObject) -> None:
        """A small result of every type is the same value after its way as JSON."""
        annotation, values = ALL[kind]
        value = data.draw(values)
        form = json.loads(json.dumps(type_of(annotation).to_json(value), allow_nan=False))
        assert same(type_of(annotation).from_json(form), value)

    @properties
    @given(data=st.data())
    def test_optionals_carry_none_and_the_value(self, kind: str, data: st.DataObject) -> None:
        """With `| None` both None and every other value make the trip, as text and as JSON."""
        annotation, values = ALL[kind]
        optional = type_of(Optional[annotation])  # noqa: UP045 - `|` does not take every annotation at run time
        assert optional.optional
        for value in (None, data.draw(values)):
            assert same(optional.from_text(optional.to_text(value)), value)
            assert same(optional.from_json(optional.to_json(value)), value)

    def test_none_without_optional_is_refused(self, kind: str) -> None:
        """Without `| None` None is refused going in and coming out, as text and as JSON."""
        plain = type_of(ALL[kind][0])
        with pytest.raises(TypeError, match="NoneType"):
            plain.to_text(None)
        with pytest.raises(TypeError, match="NoneType"):
            plain.to_json(None)
        with pytest.raises(ValueError, match="not optional"):
            plain.from_text(NONE_TEXT)
        with pytest.raises(ValueError, match="not optional"):
            plain.from_json(None)

    @pytest.mark.parametrize("optional", [False, True])
    def test_the_manifests_form(self, kind: str, optional: bool) -> None:
        """A type written into the manifest is the same type when read, and the form holds only what says something."""
        annotation = ALL[kind][0]
        value_type = type_of(Optional[annotation] if optional else annotation)  # noqa: UP045
        form = json.loads(json.dumps(value_type.json_form()))
        assert ValueType.from_json_form(form) == value_type
        assert ValueType.from_json_form(form).members == value_type.members
        assert form["type"] == kind.partition(" ")[0]
        assert ("optional" in form) == optional
        assert ("enum" in form, "choices" in form) == (kind == "enum", kind == "literal")
        assert ("element" in form) == (" of " in kind)
        assert form.get("members") == ([["RED", "CRIMSON"], ["GREEN"]] if kind == "enum" else None)


class TestDatetimesWithZones:
    @pytest.mark.parametrize("fold", [0, 1])
    def test_the_instant_survives(self, fold: int) -> None:
        """A zone's name has no text form, its offset has: the instant is the same, in the repeated hour too."""
        moment = dt.datetime(2013, 10, 27, 2, 30, tzinfo=BERLIN, fold=fold)
        kind = type_of(dt.datetime)
        assert kind.from_text(kind.to_text(moment)).astimezone(dt.UTC) == moment.astimezone(dt.UTC)

    def test_a_datetime_is_no_date(self) -> None:
        """A datetime where a date is asked for would lose its time, so it is refused."""
        with pytest.raises(TypeError, match="expected date, got datetime"):
            type_of(dt.date).to_text(dt.datetime(2013, 1, 1))
        with pytest.raises(TypeError, match="expected datetime, got date"):
            type_of(dt.datetime).to_text(dt.date(2013, 1, 1))


class TestAnnotations:
    @pytest.mark.parametrize(
        ("annotation", "kind"),
        [
            (list, "list"),
            (list[int], "list"),
            (typing.List, "list"),  # noqa: UP006
            (dict[str, list[int]], "dict"),
            (Optional[int], "int"),  # noqa: UP045
            (None | str, "str"),
            (Level, "enum"),
            (Literal[1] | None, "literal"),
        ],
        ids=str,
    )
    def test_supported(self, annotation: Any, kind: str) -> None:
        """Generics, optionals in every spelling, Enums of any base and Literals are supported."""
        assert type_of(annotation).kind == kind

    @pytest.mark.parametrize(
        "annotation",
        [
            object,
            Any,
            None,
            bytes,
            tuple,
            set[int],
            dict[int, str],
            dict[Colour, int],
            list[set[int]],
            list[bytes],
            list[tuple[int, int]],
            list[int | dt.date],
            dict[str, dict[int, str]],
            int | str,
            int | str | None,
            Literal[b"x"],
            Literal[Colour.RED],
            type[int],
            "int",
            [int],
            typing.Callable,
        ],
        ids=str,
    )
    def test_unsupported(self, annotation: Any) -> None:
        """Anything else has no type here, and asking never raises."""
        assert ValueType.of(annotation) is None

    def test_choices_that_look_alike_as_text_are_unsupported(self) -> None:
        """A Literal whose choices have one text could not be read back, so it is no type that travels."""
        assert ValueType.of(Literal[1, "1"]) is None
        assert ValueType.of(Literal[True, "true"]) is None
        assert type_of(Literal[1, True]).choices == (1, True)

    def test_an_enum_inside_a_function_is_unsupported(self) -> None:
        """A run could not import an Enum that a function defines."""

        class Local(Enum):
            ONE = 1

        assert ValueType.of(Local) is None

    @pytest.mark.parametrize(
        ("annotation", "text"),
        [
            (int, "int"),
            (Decimal, "Decimal"),
            (dt.date | None, "date | None"),
            (Colour, "Colour"),
            (Choice, "Literal['a', 'b', 3, True]"),
            (list[int] | None, "list[int] | None"),
            (dict[str, list[dt.date | None]], "dict[str, list[date | None]]"),
            (list[int | str], "list"),
            (list[Any], "list"),
        ],
        ids=str,
    )
    def test_str_is_what_an_author_writes(self, annotation: Any, text: str) -> None:
        """Messages name a type as the author would write it."""
        assert str(type_of(annotation)) == text


class TestWrongTexts:
    @pytest.mark.parametrize(
        ("annotation", "text", "expected"),
        [
            (int, "many", "is 'many', which is not of the type int"),
            (int, "", "is '', which is not of the type int"),
            (int, "1.0", "is '1.0', which is not of the type int"),
            (int, "true", "is 'true', which is not of the type int"),
            (int | None, "x", "is 'x', which is not of the type int | None"),
            (float, "nan", "is 'nan', which is not of the type float"),
            (float, "-inf", "is '-inf', which is not of the type float"),
            (float, "1e999", "is '1e999', which is not of the type float"),
            (float, "1,5", "is '1,5', which is not of the type float"),
            (bool, "yes", "is 'yes', which is not of the type bool"),
            (bool, "1", "is '1', which is not of the type bool"),
            (Decimal, "1,5", "is '1,5', which is not of the type Decimal"),
            (dt.date, "01.02.2013", "is '01.02.2013', which is not of the type date"),
            (dt.date, "2013-02-30", "is '2013-02-30', which is not of the type date"),
            (
                dt.date,
                "2013-01-01T00:00:01",
                "is '2013-01-01T00:00:01', a time and not a date; for a backfill's date use {{backfill.iso_date}}",
            ),
            (dt.date, "2013-01-01T", "is '2013-01-01T', which is not of the type date"),
            (dt.datetime, "noon", "is 'noon', which is not of the type datetime"),
            (Colour, "red", "is 'red'; allowed are RED, GREEN, CRIMSON"),
            (Colour, "", "is ''; allowed are RED, GREEN, CRIMSON"),
            (Choice, "c", "is 'c'; allowed are a, b, 3, true"),
            (Choice, "True", "is 'True'; allowed are a, b, 3, true"),
            (list, "1, 2", "is not JSON (Extra data at character 1), which the type list needs"),
            (list, "", "is not JSON (Expecting value at character 0), which the type list needs"),
            (list, '{"a": 1}', "is {'a': 1}, which is not of the type list"),
            (dict, "[1]", "is [1], which is not of the type dict"),
            (dict, "null", "is null, but its type dict is not optional"),
        ],
        ids=str,
    )
    def test_the_message_says_what_was_expected(self, annotation: Any, text: str, expected: str) -> None:
        """A text that is not of the type is refused with the text itself and what would have been right."""
        with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole text is compared
            type_of(annotation).from_text(text)
        assert str(error.value) == expected

    @pytest.mark.parametrize(("annotation", "text"), [(list, "[NaN]"), (dict, '{"a": -Infinity}'), (list, "[1e999]")])
    def test_numbers_that_json_lacks_are_refused_inside_too(self, annotation: Any, text: str) -> None:
        """NaN and infinity inside a JSON text are refused, as they are everywhere else."""
        with pytest.raises(ValueError, match="has a value that JSON can't"):
            type_of(annotation).from_text(text)

    def test_a_very_long_text_is_cut(self) -> None:
        """A message stays readable whatever the value is."""
        for annotation in (int, Colour, Choice, dt.date, list):
            with pytest.raises(ValueError) as error:  # noqa: PT011 - only the length counts
                type_of(annotation).from_text("x" * 10_000)
            assert len(str(error.value)) < 200

    @pytest.mark.parametrize(
        ("annotation", "text", "value"),
        [
            (bool, " TRUE ", True),
            (bool, "False", False),
            (int, " 7 ", 7),
            (int, "9" * 400, 10**400 - 1),
            (float, "1", 1.0),
            (float, "1e3", 1000.0),
            (dt.datetime, "2013-01-01", dt.datetime(2013, 1, 1)),
            (dt.datetime, "2013-01-01T06:00:00Z", dt.datetime(2013, 1, 1, 6, tzinfo=dt.UTC)),
            (Colour, "CRIMSON", Colour.RED),
            (Choice, "true", True),
            (Choice, "3", 3),
            (list, " [1, 2]\n", [1, 2]),
            (str, "", ""),
            (str, "null", "null"),
        ],
        ids=str,
    )
    def test_what_people_write_by_hand_is_taken(self, annotation: Any, text: str, value: object) -> None:
        """Other spellings of a value that leave no doubt are taken."""
        assert same(type_of(annotation).from_text(text), value)

    @pytest.mark.parametrize("annotation", [int, float, bool, Decimal, dt.date, dt.datetime, list, dict], ids=str)
    def test_the_hint_offers_a_spelling_that_is_taken(self, annotation: Any) -> None:
        """The hint shows a text for such a value, and that text is read without an error."""
        kind = type_of(annotation)
        hint = kind.hint
        assert hint is not None
        for example in ("true", "false") if annotation is bool else (hint.partition("such as ")[2],):
            assert example in hint
            assert isinstance(kind.from_text(example), annotation)

    @pytest.mark.parametrize("annotation", [str, Colour, Choice], ids=str)
    def test_there_is_no_hint_where_the_message_lists_the_choices(self, annotation: Any) -> None:
        """Any text is a str, and an Enum's or Literal's message names the choices itself."""
        assert type_of(annotation).hint is None


class TestWrongValues:
    @pytest.mark.parametrize(
        ("annotation", "value"),
        [
            (int, True),
            (int, 1.0),
            (int, "1"),
            (int, Level.LOW),
            (float, True),
            (float, Level.LOW),
            (float, math.nan),
            (float, math.inf),
            (float, 10**400),
            (bool, 1),
            (str, 1),
            (str, Mode.FAST),
            (Decimal, 1.5),
            (Colour, Other.RED),
            (Colour, "RED"),
            (Access, Access(0)),
            (Access, Access.READ | Access.WRITE),
            (Choice, "c"),
            (Choice, 1),
            (Choice, Mode.FAST),
            (list, (1, 2)),
            (list, [(1, 2)]),
            (list, [math.nan]),
            (list, [b"x"]),
            (dict, {1: "x"}),
            (dict, {"x": {1, 2}}),
            (dict, []),
        ],
        ids=lambda value: repr(value)[:30],
    )
    def test_are_refused_going_in(self, annotation: Any, value: object) -> None:
        """A value that is not of the type, or that would come out as another one, is refused both ways."""
        with pytest.raises(TypeError):
            type_of(annotation).to_json(value)
        with pytest.raises(TypeError):
            type_of(annotation).to_text(value)

    def test_the_message_names_both_types(self) -> None:
        """The message says which type was asked for and which came."""
        with pytest.raises(TypeError, match=r"^expected int \| None, got str \('x'\)$"):
            type_of(int | None).to_json("x")

    @pytest.mark.parametrize("text", [NONE_TEXT, REQUIRED_TEXT])
    def test_reserved_texts_are_refused(self, text: str) -> None:
        """A text that stands for None or for a missing value can't be the value of a job parameter."""
        for annotation in (str, str | None):
            with pytest.raises(TypeError, match="reserved"):
                type_of(annotation).to_text(text)
        assert type_of(str).to_json(text) == text

    @pytest.mark.parametrize(("annotation", "value"), [(str, "\ud800"), (list, ["\udfff"])])
    def test_text_that_utf8_lacks_is_refused(self, annotation: Any, value: object) -> None:
        """Half a surrogate pair has no UTF-8 form, so it can't be a job parameter's text."""
        with pytest.raises(TypeError, match="UTF-8"):
            type_of(annotation).to_text(value)

    @pytest.mark.parametrize(
        ("annotation", "form"),
        [
            (int, "1"),
            (int, 1.5),
            (int, True),
            (float, "1.5"),
            (float, False),
            (float, 10**400),
            (bool, 0),
            (bool, "true"),
            (str, 1),
            (Decimal, 0.1),
            (Decimal, True),
            (Decimal, [0, [1], 0]),
            (dt.date, 20130101),
            (dt.date, ["2013-01-01"]),
            (dt.datetime, "soon"),
            (Colour, "BLUE"),
            (Colour, ["RED"]),
            (Colour, 2),
            (Choice, "c"),
            (Choice, ["a"]),
            (list, {}),
            (dict, []),
        ],
        ids=str,
    )
    def test_are_refused_coming_out(self, annotation: Any, form: Any) -> None:
        """A JSON form that is not of the type is a ValueError, whatever it is."""
        with pytest.raises(ValueError, match=r"^is "):
            type_of(annotation).from_json(form)

    def test_an_int_widens_to_float(self) -> None:
        """An int where a float is asked for arrives as a float, as text and as JSON."""
        kind = type_of(float)
        assert kind.to_text(3) == "3.0"
        assert same(kind.from_json(3), 3.0)
        assert same(kind.from_json(kind.to_json(3)), 3.0)


class TestAccepts:
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_type_accepts_itself_and_its_optional_accepts_it(self, kind: str) -> None:
        """Each type takes its own values, `| None` takes those without; never the other way round."""
        plain, optional = type_of(KINDS[kind][0]), type_of(Optional[KINDS[kind][0]])  # noqa: UP045
        assert plain.accepts(plain)
        assert optional.accepts(plain)
        assert optional.accepts(optional)
        assert not plain.accepts(optional)

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_other_plain_type_is_accepted(self, kind: str) -> None:
        """Of all other kinds only int is taken, by float; Literals have their own rule."""
        wanted = type_of(KINDS[kind][0])
        taken = {other for other, (annotation, _) in KINDS.items() if wanted.accepts(type_of(annotation))}
        assert taken == {kind} | ({"int"} if kind == "float" else set())

    @pytest.mark.parametrize(
        ("wanted", "given_type", "accepted"),
        [
            (float | None, int, True),
            (int, float, False),
            (Colour, Other, False),
            (str, Literal["a", "b"], True),
            (str, Literal["a", 1], False),
            (int, Literal[1, 2], True),
            (float, Literal[1, 2], True),
            (bool, Literal[True], True),
            (int, Literal[True], False),
            (float, Literal[True], False),
            (str, Literal["a"] | None, False),
            (str | None, Literal["a"] | None, True),
            (Literal["a", "b"], Literal["b"], True),
            (Literal["a"], Literal["a", "b"], False),
            (Literal[1], Literal[True], False),
            (Literal["a"], str, False),
            (Decimal, float, False),
            (dt.datetime, dt.date, False),
            (dt.date, dt.datetime, False),
            (list, dict, False),
            (list[int], list[str], False),
            (list[float], list[int], True),
            (list, list[dt.date], True),
            (list[int], list, True),
            (list[dt.date], list, False),
            (list[list[int]], list[LIST], True),
            (list[list[dt.date]], list[LIST], False),
            (list[int | None], list[int], True),
            (list[int], list[int | None], False),
            (dict[str, int], dict[str, int], True),
            (dict[str, int], dict[str, str], False),
            (dict[str, dt.date], dict, False),
        ],
        ids=str,
    )
    def test_the_table(self, wanted: Any, given_type: Any, accepted: bool) -> None:
        """int widens to float, a Literal's choices to their type or a larger Literal, and nothing else changes."""
        assert type_of(wanted).accepts(type_of(given_type)) is accepted

    @properties
    @given(data=st.data())
    def test_what_is_accepted_can_be_read(self, data: st.DataObject) -> None:
        """Whenever one type accepts another, it reads every value that the other one writes."""
        annotations = [annotation for annotation, _ in KINDS.values()]
        wanted = type_of(data.draw(st.sampled_from([*annotations, float | None, Literal["a", "b", 3, 4, True]])))
        annotation, values = data.draw(st.sampled_from([*KINDS.values(), (Literal[1, 2], st.sampled_from([1, 2]))]))
        produced = type_of(annotation)
        value = data.draw(values)
        if wanted.accepts(produced) and abs(value if produced.kind == "int" else 0) < 2**53:
            assert wanted.from_json(produced.to_json(value)) == value
