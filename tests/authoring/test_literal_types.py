"""Literal arguments against annotations: what a task is given is what its parameter asks for."""

# ruff: noqa: UP007 - both spellings

from __future__ import annotations

import datetime as dt
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, TypeVar, Union

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authored import messages
from dbxdec import bundle_variable, each, job, secret, task
from dbxdec.authoring.literal_types import misfit
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.model.typehints import Annotation, of_parameter

T = TypeVar("T")
Id = NewType("Id", int)


class Colour(Enum):
    RED = "r"
    BLUE = "b"


class Level(IntEnum):
    LOW = 1


Pandas = type("DataFrame", (), {"__module__": "pandas.core.frame"})


class Own:
    """A class of the project, which may take anything."""


class Speaks(typing.Protocol):
    def speak(self) -> str: ...


def note(annotation: Any) -> Annotation:
    """The annotation as a task's parameter has it."""

    def function(x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    found = of_parameter(function, "x")
    assert found is not None
    return found


def fits(value: Any, annotation: Any) -> bool:
    return misfit(value, note(annotation)) is None


DAY, MOMENT = dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 12)

# An annotation, what fits, and what does not.
CASES: list[tuple[Any, list[Any], list[Any]]] = [
    (int, [0, -1, Level.LOW], [True, 1.0, "1", None, Decimal(1), DAY, [1], bundle_variable("n"), Colour.RED]),
    (float, [0, 1.5], [True, "1.5", None, Decimal(1)]),
    (bool, [True, False], [0, 1, "true", None]),
    (str, ["", "a", bundle_variable("x"), secret("a", "b")], [1, None, b"a", DAY, ["a"], Colour.RED]),
    (bytes, [b"", b"a"], ["a", None]),
    (Decimal, [Decimal("1.5")], [1, 1.5, "1.5", None]),
    (dt.date, [DAY], [MOMENT, "2024-01-01", None, 20240101]),
    (dt.datetime, [MOMENT], [DAY, "2024-01-01T12:00:00", None]),
    (dt.timedelta, [dt.timedelta(1)], [1, "1 day", None]),
    (Colour, [Colour.RED], ["RED", "r", Level.LOW, None, bundle_variable("x")]),
    (Literal["a", 1, True], ["a", 1, True, bundle_variable("x")], ["b", 2, False, None, 1.0]),
    (Literal[1, 2], [1], ["1", bundle_variable("x"), True]),
    (Literal[Colour.RED], [Colour.RED], [Colour.BLUE, "RED"]),
    (None, [None], [0, ""]),
    (int | None, [1, None], ["1", True]),
    (Optional["int"], [1, None], ["1"]),
    (Union[int, str], [1, "a", secret("a", "b")], [1.5, None, [1]]),
    (list, [[], [1, "a"]], [(), "a", 3, None, {}]),
    (list[str], [[], ["a", bundle_variable("x")]], [[1], "a", ["a", None], ("a",)]),
    (list[int | None], [[1, None]], [["a"], [1, None, "a"]]),
    (list[list[int]], [[[1], []]], [[1], [["a"]]]),
    (tuple, [(), (1, "a")], [[1], None]),
    (tuple[int, str], [(1, "a")], [(1,), (1, "a", 2), ("a", 1), [1, "a"]]),
    (tuple[int, ...], [(), (1, 2)], [(1, "a"), [1]]),
    (dict, [{}, {"a": 1}], [[], "a", None]),
    (dict[str, int], [{}, {"a": 1}], [{"a": "b"}, {"a": True}, []]),
    (dict[int, int], [{}], [{"a": 1}]),
    (Mapping[str, list[int]], [{"a": [1]}], [{"a": ["b"]}, [("a", 1)]]),
    (Sequence[int], [[1], (1,)], [["a"], 3, None]),
    (Sequence[str], [["a"], "a"], [[1], 3]),
    (Iterable[int], [[1], (1,)], [["a"], 3]),
    (set[int], [], [[1], None]),
    (Callable[[], int], [], [3, "a", None]),
    (Path, [], ["a/b", bundle_variable("x"), None]),
    (pl.DataFrame, [], [3, "a", [1], None, {"a": [1]}]),
    (pl.LazyFrame | None, [None], [3]),
    (Pandas, [], [3, None]),
    (Annotated[int, "x"], [1], ["a"]),
    (Id, [1], ["a"]),
    (list[Id], [[1]], [["a"]]),
    # What can't be told, or takes all.
    (Any, [1, None, "a", [1]], []),
    (object, [1, None, "a"], []),
    (T, [1, None, "a"], []),
    (Own, [1, "a", [1]], [None]),
    (Own | None, [1, None], []),
    (int | Own, [1, "a"], [None]),
    (Speaks, [1, "a", None], []),
    (list[Any], [[1, "a", None]], [3]),
    ("Nowhere", [1, None], []),
]


@pytest.mark.parametrize(("annotation", "right", "wrong"), CASES, ids=[str(case[0]) for case in CASES])
def test_a_literal_is_of_the_annotations_type_or_refused(annotation: Any, right: list[Any], wrong: list[Any]) -> None:
    """Scalars, choices, optionals, unions and elements are those of the annotation; unknown types take anything."""
    assert [value for value in right if not fits(value, annotation)] == []
    assert [value for value in wrong if fits(value, annotation)] == []


SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(allow_nan=False) | st.integers(),
    bool: st.booleans(),
    str: st.text(),
    bytes: st.binary(),
    dt.date: st.dates(),
    dt.datetime: st.datetimes(),
    dt.timedelta: st.timedeltas(),
    Decimal: st.decimals(allow_nan=False),
    Colour: st.sampled_from(Colour),
    Literal["a", 1]: st.sampled_from(["a", 1]),
    type(None): st.none(),
}
Typed = tuple[Any, st.SearchStrategy[Any]]


# Types that are made while the test runs.
LIST: Any = list
TUPLE: Any = tuple
DICT: Any = dict
SEQUENCE: Any = Sequence
OPTIONAL: Any = Optional
UNION: Any = Union


def containers(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    return st.one_of(
        inner.map(lambda one: (LIST[one[0]], st.lists(one[1], max_size=3))),
        inner.map(lambda one: (SEQUENCE[one[0]], st.lists(one[1], max_size=3).map(tuple))),
        inner.map(lambda one: (TUPLE[one[0], ...], st.lists(one[1], max_size=3).map(tuple))),
        inner.map(lambda one: (DICT[str, one[0]], st.dictionaries(st.text(), one[1], max_size=3))),
        inner.map(lambda one: (OPTIONAL[one[0]], st.none() | one[1])),
        st.tuples(inner, inner).map(lambda two: (TUPLE[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))),
        st.tuples(inner, inner).map(lambda two: (UNION[two[0][0], two[1][0]], two[0][1] | two[1][1])),
    )


TYPED = st.recursive(st.sampled_from(list(SCALARS.items())), containers, max_leaves=4)


@given(TYPED.flatmap(lambda typed: typed[1].map(lambda value: (typed[0], value))))
def test_a_value_of_the_type_is_never_refused(case: tuple[Any, Any]) -> None:
    """Whatever type is built of scalars, optionals, unions and containers takes the values built in the same way."""
    annotation, value = case
    assert misfit(value, Annotation("", *_stripped(annotation))) is None


def _stripped(annotation: Any) -> tuple[Any, bool]:
    from dbxdec.model.annotations import strip_optional

    return strip_optional(annotation)


lake = PolarsDeltaIoManager("/lake", mode="overwrite")


@task(io_manager=lake)
def frame(n: int = 1) -> pl.DataFrame:
    return pl.DataFrame()


@task
def small() -> int:
    return 1


@task
def takes(n: int, day: dt.date, xs: list[str]) -> None: ...


@task
def many(*numbers: int, **named: str) -> None: ...


@task
def nested(values: dict[str, list[int]], pair: tuple[int, str] = (1, "a")) -> None: ...


class TestCalls:
    def test_each_wrong_argument_is_named_with_what_to_write(self) -> None:
        """The message has the parameter, its annotation and the value; the hint the value as it should be written."""

        @job
        def one() -> None:
            takes("x", "2024-01-01", 3)  # type: ignore[arg-type]

        problems = one.build().problems
        assert [p.message for p in problems] == [
            "the parameter `n` of the task `takes` is annotated `int`, but gets 'x' (`str`)",
            "the parameter `day` of the task `takes` is annotated `dt.date`, but gets '2024-01-01' (`str`)",
            "the parameter `xs` of the task `takes` is annotated `list[str]`, but gets 3 (`int`)",
        ]
        assert [p.hint for p in problems] == [
            "write a whole number such as 42",
            "write `dt.date(2024, 1, 1)`",
            "write a list",
        ]

    def test_elements_beside_results_are_checked(self) -> None:
        """In a container that holds results each literal is checked, and the container itself."""

        @job
        def one() -> None:
            nested({"a": [small(), "x"]}, (small.override(key="s")(), 2))  # type: ignore[list-item,arg-type]
            nested.override(key="n")([small.override(key="t")()])  # type: ignore[arg-type]

        assert [text.removeprefix("the parameter ") for text in messages(one.build())] == [
            "`values` of the task `nested` is annotated `dict[str, list[int]]`, but values['a'][1] is 'x' (`str`)",
            "`pair` of the task `nested` is annotated `tuple[int, str]`, but pair[1] is 2 (`int`)",
            "`values` of the task `n` is annotated `dict[str, list[int]]`, but gets a list",
        ]

    def test_variadic_arguments_are_checked_one_by_one(self) -> None:
        """The annotation of *args and **kwargs is that of each."""

        @job
        def one() -> None:
            many(1, 2, a="x")
            many.override(key="m")(1, "x", a="x", b=3)  # type: ignore[arg-type]
            many.override(key="s")(small(), "x")  # type: ignore[arg-type]

        assert messages(one.build()) == [
            "the parameter `numbers` of the task `m` is annotated `int`, but gets 'x' (`str`)",
            "the parameter `named` of the task `m` is annotated `str`, but gets 3 (`int`)",
            "the parameter `numbers` of the task `s` is annotated `int`, but gets 'x' (`str`)",
        ]

    def test_items_are_checked(self) -> None:
        """Each literal item of each(...) has to be what the parameter takes."""

        @job
        def one() -> None:
            frame(each([1, "x", 3]))  # type: ignore[arg-type]

        assert messages(one.build()) == [
            "the parameter `n` of the task `frame` is annotated `int`, but n, item 1 of each(...), is 'x' (`str`)"
        ]

    def test_places_are_strings(self) -> None:
        """`x.uri` reaches a task as a str."""

        @job
        def one() -> None:
            many(frame().uri)

        (message,) = messages(one.build())
        assert message.endswith("is annotated `int`, but gets '/lake/frame' (`str`)")
