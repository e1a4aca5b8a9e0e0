"""Named outputs: `outputs={"good": ..., "bad": ...}` and `x["good"]`."""

from __future__ import annotations

from typing import Any, TypedDict

import polars as pl
import pytest

from dbxdec import DeltaMerge, IoManager, job, latest, task
from dbxdec.authoring.jobs import BuiltJob
from dbxdec.errors import AuthoringError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext
from dbxdec.model import dag


class Frame:
    """What the manager of these tests stores."""


class Shelf(IoManager):
    base_path = "/lake"
    reads = frozenset({"test_outputs.Frame"})
    writes = reads

    def read(self, context: InputContext) -> Frame:
        return Frame()

    def write(self, context: OutputContext, value: Any) -> None:
        """Nothing is stored here."""


shelf = Shelf()


@task(outputs={"good": shelf.table("good"), "bad": shelf.table("bad")})
def split() -> dict[str, Frame]:
    return {}


@task
def consume(first: Frame, second: Any = None) -> None: ...


def messages(built: BuiltJob) -> list[str]:
    return [problem.message for problem in built.problems]


def test_each_output_has_its_place_and_is_an_input_of_its_own() -> None:
    """`x["good"]` is read from its own table; places, newest versions and order follow it."""

    @job
    def one() -> None:
        parts = split()
        consume(parts["good"], latest(parts["bad"]))
        consume.override(key="again")(parts["bad"], parts["good"].uri)

    built = one.build()
    assert built.problems == ()
    assert {name: output.target for name, output in built.dag.task("split").outputs.items()} == {
        "good": "/lake/good",
        "bad": "/lake/bad",
    }
    assert built.dag.task("consume").inputs == {
        "first": dag.TaskOutput("split", "good"),
        "second": dag.TaskOutput("split", "bad", "newest"),
    }
    assert built.dag.task("again").inputs["second"] == dag.Literal("/lake/good")
    assert [d.task for d in built.dag.task("again").depends_on] == ["split"]
    assert set(built.managers) == {("split", "good"), ("split", "bad")}


class Parts(TypedDict):
    """What a task returns whose outputs are of two kinds."""

    rows: pl.DataFrame
    customers: DeltaMerge


lake = PolarsDeltaIoManager("lake", mode="append")


@task(outputs={"rows": lake.table("rows"), "customers": lake.table("customers")})
def both() -> Parts:
    raise NotImplementedError


def test_each_field_of_a_typed_dict_says_what_its_output_is() -> None:
    """A frame beside a merge has its own rows, which a reader gets; the merge alone is one."""

    @task
    def count(rows: pl.DataFrame) -> None: ...

    @job
    def one() -> None:
        count(both()["rows"])

    built = one.build()
    assert built.problems == ()
    modes = {name: dict(output.settings)["mode"] for name, output in built.dag.task("both").outputs.items()}
    assert modes == {"rows": "append", "customers": "merge"}


def test_mistakes_are_noted() -> None:
    """The task itself as an input, an output that is not there, and a result of the wrong type are errors."""

    @task(outputs={"a": shelf.table("a")})
    def wrong_type() -> Frame:
        return Frame()

    @task(outputs={"a": shelf.table("b")})
    def wrong_element() -> dict[str, int]:
        return {}

    @task(outputs={"a": shelf})
    def unbound() -> dict[str, Frame]:
        return {}

    @job
    def one() -> None:
        parts = split()
        consume(parts)
        consume.override(key="b")(parts["god"])
        wrong_type()
        wrong_element()
        unbound()

    found = messages(one.build())
    assert "which has the outputs `good` and `bad`" in found[0]
    assert "has no output 'god'" in found[1]
    assert "has named outputs but returns `Frame`" in found[2]
    assert "which Shelf can't store" in found[3]
    assert "has an IoManager without a table" in found[4]


def test_stores_must_be_io_managers_and_of_one_kind() -> None:
    """Anything but an IoManager, and `io_manager` beside `outputs`, are refused where the task is defined."""
    with pytest.raises(AuthoringError, match="not an IoManager"):
        task(io_manager="lake")  # type: ignore[call-overload]
    with pytest.raises(AuthoringError, match=r"outputs\['a'\]"):
        task(outputs={"a": 3})  # type: ignore[dict-item]
    with pytest.raises(AuthoringError, match="`io_manager` and `outputs`"):
        task(io_manager=shelf, outputs={"a": shelf.table("a")})


def test_an_override_replaces_places() -> None:
    """Another IoManager takes the place of named outputs."""

    @job
    def one() -> None:
        split.override(key="whole", io_manager=shelf)()

    assert set(one.build().dag.task("whole").outputs) == {"result"}
