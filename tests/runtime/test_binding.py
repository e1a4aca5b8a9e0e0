"""How a task's inputs become the arguments of its function: one by one, whatever the kinds of its parameters."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from dbxdec.errors import NotWrittenError, RunError, SourceLocation
from dbxdec.io_managers.contexts import WriteId
from dbxdec.model.dag import Job, Literal, Mapped, Parameter, Sequence, Task, TaskValue
from dbxdec.runtime.binding import Reader
from dbxdec.runtime.task_values import task_values

HERE = SourceLocation("a.py", 1)
JOB = Job("daily", "shop", "daily", HERE, ())


def reader(**fields: Any) -> Reader:
    return Reader(JOB, {"day": "monday"}, {}, {}, WriteId("1", "daily", "7", "load"), 0, **fields)


def task(**inputs: Any) -> Task:
    return Task("load", "shop:load", HERE, inputs, {})


def called(function: Any, **inputs: Any) -> Any:
    """What the function returns for these inputs."""
    positional, keyword = reader().arguments(task(**inputs), function)
    return function(*positional, **keyword)


def plain(a: Any, b: Any = "default b", *, c: Any, d: Any = "default d") -> Any:
    return a, b, c, d


def with_many(a: Any, /, b: Any = "default", *rest: Any, **named: Any) -> Any:
    return a, b, rest, named


def positional(a: Any = 1, b: Any = 2, /) -> Any:
    return a, b


def test_parameters_without_an_input_keep_their_defaults() -> None:
    """Also one between others, whose followers get theirs by name."""
    assert called(plain, a=Literal(1), b=Literal(2), c=Literal(3), d=Literal(4)) == (1, 2, 3, 4)
    assert called(plain, a=Literal(1), c=Literal(3)) == (1, "default b", 3, "default d")

    def later(a: Any = 1, b: Any = 2, c: Any = 3) -> Any:
        return a, b, c

    assert called(later, c=Literal(9)) == (1, 2, 9)
    assert called(later, a=Literal(7), c=Literal(9)) == (7, 2, 9)
    assert called(later) == (1, 2, 3)


def test_parameters_that_have_no_name_for_callers_come_by_their_places() -> None:
    """What follows one that keeps its default keeps its own."""
    assert called(positional) == (1, 2)
    assert called(positional, a=Literal(7)) == (7, 2)
    assert called(positional, a=Literal(7), b=Literal(8)) == (7, 8)


def test_parameters_that_take_the_rest_get_it_one_by_one() -> None:
    """From several inputs, or from one that is a list or a dict."""
    several = Sequence((Literal(3), Parameter("day")))
    named = Mapped((("x", Literal(5)), ("y", Parameter("day"))))
    assert called(with_many, a=Literal(1), b=Literal(2), rest=several, named=named) == (
        1,
        2,
        (3, "monday"),
        {"x": 5, "y": "monday"},
    )
    assert called(with_many, a=Literal(1), b=Literal(2), rest=Literal([3, 4]), named=Literal({"x": 5})) == (
        1,
        2,
        (3, 4),
        {"x": 5},
    )


def test_lists_tuples_and_dicts_are_made_of_their_parts() -> None:
    """As the author wrote them."""
    parts = (Literal(1), Parameter("day"))
    assert called(lambda x: x, x=Sequence(parts)) == [1, "monday"]
    assert called(lambda x: x, x=Sequence(parts, "tuple")) == (1, "monday")
    assert called(lambda x: x, x=Mapped((("a", Sequence(parts)),))) == {"a": [1, "monday"]}


class TestTaskValues:
    @pytest.fixture(autouse=True)
    def _values(self, monkeypatch: pytest.MonkeyPatch) -> None:
        known = {"day": "2024-01-02", "none": None}

        def get(task: str, key: str, *default: Any) -> Any:
            if key not in known and not default:
                raise RunError(f"the task `{task}` has no value `{key}`")
            return known.get(key, *default)

        monkeypatch.setattr(type(task_values), "get", staticmethod(get))

    def test_a_value_has_the_type_of_the_annotation(self) -> None:
        """Without one it is as JSON has it, and so is None."""

        def dated(x: dt.date | None) -> Any:
            return x

        assert called(dated, x=TaskValue("a", "day")) == dt.date(2024, 1, 2)
        assert called(dated, x=TaskValue("a", "none")) is None
        assert called(dated, x=TaskValue("a", "absent")) is None
        assert called(lambda x: x, x=TaskValue("a", "day")) == "2024-01-02"

    def test_a_value_that_is_none_of_the_type_is_an_error(self) -> None:
        """It names the value and the task."""

        def counted(x: int) -> Any:
            return x

        with pytest.raises(RunError, match="the task value `day` of the task `a` "):
            called(counted, x=TaskValue("a", "day"))

    def test_a_value_of_a_task_that_did_not_run_says_so(self) -> None:
        """None for one that may be absent. Of a task that has run, the value itself is what is missing."""

        def needing(x: int) -> Any:
            return x

        def optional(x: int | None) -> Any:
            return x

        one = task(x=TaskValue("a", "absent"))
        for how, said in (("excluded", "the task `a` did not run"), ("failed", "the task `a` has failed")):
            with pytest.raises(NotWrittenError, match=said):
                reader(not_run={"a": how}).arguments(one, needing)
            assert reader(not_run={"a": how}).arguments(one, optional) == ([None], {})
        with pytest.raises(RunError, match="has no value `absent`"):
            reader(not_run={"b": "excluded"}).arguments(one, needing)

    def test_a_value_of_an_earlier_attempt_is_none_of_a_task_that_was_left_out(self) -> None:
        """A repair may take the other branch. A task that has failed since has left its value."""

        def optional(x: dt.date | None) -> Any:
            return x

        one = task(x=TaskValue("a", "day"))
        assert reader(not_run={"a": "excluded"}).arguments(one, optional) == ([None], {})
        assert reader(not_run={"a": "upstream failed"}).arguments(one, optional) == ([None], {})
        assert reader(not_run={"a": "failed"}).arguments(one, optional) == ([dt.date(2024, 1, 2)], {})


def test_an_item_without_an_iteration_is_an_error() -> None:
    """The task was started as a whole."""
    from dbxdec.model.dag import Item

    with pytest.raises(RunError, match="the parameter `x` is the item of an iteration"):
        called(lambda x: x, x=Item())


@pytest.mark.parametrize("place", ["first", "last", "only by name", "after a default", "without a name"])
def test_a_connection_comes_where_the_function_takes_it(place: str) -> None:
    """It is given by the run, and has the tables of the inputs."""
    duckdb = pytest.importorskip("duckdb")
    con = duckdb.DuckDBPyConnection

    def first(con: Any, a: Any) -> Any:
        return con, a

    def last(a: Any, con: Any) -> Any:
        return con, a

    def only_by_name(a: Any, *, con: Any) -> Any:
        return con, a

    def after_a_default(b: Any = 1, con: Any = None, a: Any = 2) -> Any:
        assert b == 1
        return con, a

    def without_a_name(con: Any, a: Any, /) -> Any:
        return con, a

    kinds = {"first": first, "last": last, "only by name": only_by_name, "after a default": after_a_default}
    function = {**kinds, "without a name": without_a_name}[place]
    function.__annotations__["con"] = con
    found, a = called(function, a=Literal(7))
    assert (type(found), a) == (con, 7)
