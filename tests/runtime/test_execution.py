"""One start of `dbxdec-run` after what it is told is known: what it reads, calls, stores, and says."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dbxdec import IoManager, Job, bundle_variable, job, task
from dbxdec import runtime as runs
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext
from dbxdec.model.protocol import RunArguments
from dbxdec.runtime import preparing

lake = PolarsDeltaIoManager(bundle_variable("root"), mode="append")
calls: list[list[int]] = []


class Other(IoManager):
    """A manager whose write returns what no write may."""

    base_path = "/other"
    reads = writes = frozenset({"polars.DataFrame"})

    def read(self, context: InputContext) -> Any:
        raise NotImplementedError

    def write(self, context: OutputContext, value: Any) -> Any:
        return "stored"


@task(io_manager=lake.table("clean"))
def clean(orders: pl.DataFrame) -> pl.DataFrame:
    calls.append(orders["id"].to_list())
    return orders


@task(outputs={"good": lake.table("good"), "bad": lake.table("bad")})
def split(orders: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {"good": orders, "bad": orders.clear()}


@task(io_manager=Other())
def told() -> pl.DataFrame:
    return pl.DataFrame({"id": [1]})


@job
def news() -> None:
    clean(lake.table("orders").changes())
    split(lake.table("orders").changes())


@job
def others() -> None:
    told()


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    calls.clear()
    return tmp_path / "orders"


def add(place: Path, *ids: int) -> None:
    pl.DataFrame({"id": ids}).write_delta(str(place), mode="append")


def start(one: Job[[]], key: str, root: Path, *, run: str = "7", attempt: int = 1) -> None:
    """Start a task as the platform does, with the job as it is imported."""
    built = one.build()
    arguments = RunArguments("shop", built.dag.key, key, "b", "1", run, attempt, 0, {"root": str(root)}, {})
    with pytest.MonkeyPatch.context() as patch:
        ready = preparing.ready(arguments, built.dag, built.dag.task(key), built, {}, {})
        patch.setattr(preparing, "prepare", lambda _: ready)
        runs.main()


def ids(place: Path) -> list[int]:
    return sorted(pl.read_delta(str(place))["id"].to_list())


def test_an_attempt_whose_run_has_stored_its_result_calls_no_function(
    orders: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What came meanwhile is for the next run."""
    caplog.set_level(logging.INFO, "dbxdec")
    add(orders, 1)
    start(news, "clean", orders.parent)
    add(orders, 2)
    start(news, "clean", orders.parent, attempt=2)
    assert calls == [[1]]
    assert "the task `clean` is not called again: this run has stored its result" in caplog.text
    start(news, "clean", orders.parent, run="8")
    assert calls == [[1], [2]]
    assert ids(orders.parent / "clean") == [1, 2]


def test_each_output_is_named_with_its_task(orders: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A result without a name has the name of the task alone; an output that is done is said again."""
    caplog.set_level(logging.INFO, "dbxdec")
    add(orders, 1)
    start(news, "split", orders.parent)
    start(news, "clean", orders.parent)
    written = [line.partition(":")[0] for line in caplog.messages if line.startswith("write ")]
    assert written == ["write split[good]", "write split[bad]", "write clean"]
    caplog.clear()
    start(news, "split", orders.parent, attempt=2)
    assert [line.partition(":")[0] for line in caplog.messages if line.startswith("write ")] == written[:2]


def test_a_write_that_returns_something_else_is_an_error_of_the_manager(capsys: pytest.CaptureFixture[str]) -> None:
    """`IoManager.write` returns a WriteResult or None."""
    with pytest.raises((RunError, SystemExit)) as error:
        start(others, "told", Path("/unused"))
    said = f"{error.value}{capsys.readouterr().err}"
    assert "`Other.write` returned a str for the task `told`, not a WriteResult or None" in said
