"""What annotations say, in all the ways in which a project writes them."""

# ruff: noqa: UP006, UP007, UP035, UP045, ISC004 - old spellings are what is tested

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Dict,
    Final,
    List,
    Literal,
    LiteralString,
    NewType,
    Optional,
    TypeAlias,
    TypedDict,
    TypeVar,
    Union,
)
from uuid import uuid4

import pytest
from typing_extensions import TypeAliasType

from authored import Frame, messages
from dbxdec import job, task
from dbxdec.authoring.jobs import BuiltJob
from dbxdec.model import typehints
from dbxdec.model.values import ValueType

CustomerId = NewType("CustomerId", int)
Number: TypeAlias = "int"
Day = Annotated[dt.date, "a day"]


class Counts(TypedDict):
    """A small result with named parts."""

    rows: int


def annotated(annotation: Any) -> Callable[..., Any]:
    """A function of this module whose parameter has this annotation."""

    def function(x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    return function


def value_type(annotation: Any) -> str:
    """The type of values that the annotation asks for, as messages have it."""
    found = typehints.of_parameter(annotated(annotation), "x")
    assert found is not None
    assert found.error is None
    return str(found.value_type)


def type_names(annotation: Any) -> tuple[str, ...]:
    """The classes that the annotation allows."""
    found = typehints.of_parameter(annotated(annotation), "x")
    assert found is not None
    assert found.error is None
    return found.type_names


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("int", "int"),
        ("'int'", "int"),
        (Optional["int"], "int | None"),
        ("Optional['int']", "int | None"),
        (Union["int", None], "int | None"),
        (Annotated[int, "x"], "int"),
        (Optional[Annotated[int, "x"]], "int | None"),
        (Annotated[int | None, "x"], "int | None"),
        ("Day | None", "date | None"),
        (CustomerId, "int"),
        (Optional[CustomerId], "int | None"),
        (Counts, "dict[str, int]"),
        ("Counts | None", "dict[str, int] | None"),
        (List["int"], "list[int]"),
        (Dict[str, "int"], "dict[str, int]"),
        (Literal["a", "b"], "Literal['a', 'b']"),
        (Final[int], "int"),
        ("Final[int | None]", "int | None"),
        (LiteralString, "str"),
        ("Number", "int"),
        (Union[int, str], "None"),
        (Sequence[int], "None"),
    ],
)
def test_values_are_known_by_all_spellings_of_their_type(annotation: Any, expected: str) -> None:
    """Texts inside annotations, Annotated, NewType and TypedDict say what the type under them says."""
    assert value_type(annotation) == expected


@pytest.mark.parametrize(
    "annotation", [Frame, "Frame", Optional["Frame"], "Optional['Frame']", Annotated[Frame, "x"], "'Frame | None'"]
)
def test_classes_are_known_by_all_spellings(annotation: Any) -> None:
    """A class is the same one however its annotation is written."""
    assert type_names(annotation) == ("authored.Frame",)


@pytest.mark.parametrize("annotation", [List["Frame"], "List['Frame']", Sequence["Frame"], Dict[str, "Frame"]])
def test_elements_are_known_by_all_spellings(annotation: Any) -> None:
    """The elements of a container are known where they are written as text."""
    found = typehints.of_parameter(annotated(annotation), "x")
    assert found is not None
    assert found.element().type_names == ("authored.Frame",)


def test_an_annotation_that_is_no_type_for_us_is_left_as_it_is() -> None:
    """Callables, tuples without end and generics of others are understood as far as need be."""
    assert type_names(Callable[[int], str]) == ("collections.Callable",)
    assert type_names(tuple[int, ...]) == ("tuple",)
    assert type_names(type[Frame]) == ("type",)


ALIASES = """
import datetime as dt
from typing import Annotated

type Day = dt.date
type Late = "dt.date"
type Maybe[T] = T | None
type Same[T] = T
type Pair[A, B] = dict[B, A]
type Twice[T] = Maybe[Annotated[T, "x"]]
type Rows[T] = list[Maybe[T]]
type Json = dict[str, Json] | list[Json] | str | None
type Nested[T] = list[Nested[T]]
"""


def test_a_type_alias_is_what_it_stands_for() -> None:
    """`type Day = dt.date` is a date, also where typing_extensions has it."""
    t = TypeVar("t")
    assert value_type(TypeAliasType("Alias", Optional[int])) == "int | None"
    maybe = TypeAliasType("maybe", Optional[t], type_params=(t,))
    assert value_type(maybe[int]) == "int | None"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type` is of Python 3.12")
@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("Day", "date"),
        ("Late | None", "date | None"),
        ("Maybe[int]", "int | None"),
        ("Maybe['Day']", "date | None"),
        ("Same[Day]", "date"),
        ("Twice[int]", "int | None"),
        ("Pair[int, str]", "dict[str, int]"),
        ("Rows[int]", "list[int | None]"),
        ("Nested[int]", "list"),
    ],
)
def test_type_aliases_with_parameters_are_what_they_stand_for(annotation: str, expected: str) -> None:
    """`type Maybe[T] = T | None` says of `Maybe[int]` what `int | None` says; one may be inside itself."""
    names: dict[str, Any] = {"__name__": "aliases"}
    exec(f"{ALIASES}\ndef function(x: {annotation}): ...", names)  # noqa: S102
    found = typehints.of_parameter(names["function"], "x")
    assert found is not None
    assert found.error is None
    assert str(found.value_type) == expected


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters of functions are of Python 3.12")
@pytest.mark.parametrize("head", ["", "from __future__ import annotations\n"])
def test_a_type_parameter_of_a_function_may_be_anything(head: str) -> None:
    """`def f[T](x: T)` takes whatever it is given, unless it has a bound."""
    names: dict[str, Any] = {"Mine": int}
    exec(f"{head}def function[T, U: 'Mine'](x: T, z: U, y: T | None = None): ...", names)  # noqa: S102
    bound = typehints.of_parameter(names["function"], "z")
    assert bound is not None
    assert bound.type_names == ("int",)
    for name in "xy":
        found = typehints.of_parameter(names["function"], name)
        assert found is not None
        assert (found.error, found.value_type, found.optional) == (None, None, name == "y")


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (TypeVar("T"), ()),
        (TypeVar("T", bound="Frame"), ("authored.Frame",)),
        (TypeVar("T", bound=Optional["Frame"]), ("authored.Frame",)),
        (TypeVar("T", "Frame", int), ("authored.Frame", "int")),
        (TypeVar("T", bound=List["int"]), ("list",)),
    ],
)
def test_a_type_variable_is_what_it_may_stand_for(variable: Any, expected: tuple[str, ...]) -> None:
    """It allows its constraints, or its bound; one without either allows anything."""
    assert type_names(variable) == expected
    found = typehints.of_parameter(annotated(list[variable]), "x")
    assert found is not None
    assert found.element().type_names == expected


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Optional["Frame"], "Frame | None"),
        (List[Frame], "list[Frame]"),
        (dict[str, Frame | None], "dict[str, Frame | None]"),
        (tuple[Frame, ...], "tuple[Frame, ...]"),
        (Annotated[Frame, "x"], "Frame"),
        (Literal["a", 1], "Literal['a', 1]"),
        (CustomerId, "CustomerId"),
        (Any, "Any"),
        (dt.date, "dt.date"),
        (dict[str, dt.date | None], "dict[str, dt.date | None]"),
        (uuid4().__class__, "uuid.UUID"),
    ],
)
def test_messages_name_annotations_as_they_are_written(annotation: Any, text: str) -> None:
    """No ForwardRef stands in a message; a class that the module has by no name is named with its library."""
    found = typehints.of_parameter(annotated(annotation), "x")
    assert found is not None
    assert found.text.casefold() == text.casefold()


def test_a_text_inside_that_can_not_be_resolved_spoils_only_its_own_annotation() -> None:
    """The error of an inner text is that of the annotation."""
    found = typehints.of_parameter(annotated(Optional["Fram"]), "x")  # noqa: F821
    assert found is not None
    assert found.error == "NameError: name 'Fram' is not defined"


def test_edges_in_all_spellings() -> None:
    """Results and parameters fit where the types under the spellings do."""

    @task
    def count() -> CustomerId:
        return CustomerId(1)

    @task
    def counts() -> Counts:
        return {"rows": 1}

    @task
    def numbers() -> List[int]:
        return []

    @task
    def report(
        a: Optional[int], b: Counts, c: Sequence[int], d: Optional[Iterable[int]], e: Mapping[str, int], f: Day
    ) -> None: ...

    def nightly(day: Day, customer: CustomerId = CustomerId(3)) -> None:
        found = numbers()
        report(count(), counts(), found, found, counts.override(key="more")(), day)
        report.override(key="second")(customer, found, counts.override(key="third")(), found, found, day)

    built: BuiltJob = job(nightly).build()
    assert [parameter.type for parameter in built.dag.parameters] == [ValueType("date"), ValueType("int")]
    assert [text.removeprefix("the parameter ").replace(" of the task `second`", "") for text in messages(built)] == [
        "`b` is annotated `Counts`, but the result of the task `numbers` is `list[int]`",
        "`c` is annotated `Sequence[int]`, but the result of the task `third` is `dict[str, int]`",
        "`e` is annotated `Mapping[str, int]`, but the result of the task `numbers` is `list[int]`",
    ]


def test_a_producer_without_a_result_is_one_mistake() -> None:
    """Whoever reads a result that would be lost adds no second message."""

    @task
    def load() -> Frame:
        return Frame()

    @task
    def unsaid() -> Fram: ...  # type: ignore[name-defined]  # noqa: F821

    @task
    def report(frame: Frame) -> None: ...

    def nightly() -> None:
        report(load())
        report.override(key="second")(unsaid())

    assert messages(job(nightly).build()) == [
        "the task `load` returns `Frame` but has no IoManager: its result would be lost",
        "the task `unsaid` returns `Fram`, which can't be resolved (NameError: name 'Fram' is not defined), and has no"
        " IoManager: its result would be lost",
    ]
