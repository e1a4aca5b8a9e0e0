"""For-each tasks that have no item on some days: such a day is there, and not missing for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from projects import Project
from running import Said, dbxdec, define, empty
from spark_tools import needs_spark

JOB = """
import datetime as dt
from dbxdec import daily, task_values

@task
def shops(day: dt.date) -> list[str]:
    open_ = {"2024-01-01": ["a", "b"], "2024-01-03": ["a"]}.get(str(day), [])
    return open_ + os.environ.get("ALSO", "").split()

@task(io_manager=lake.table("sales"))
def sales(shop: str, day: dt.date) -> pl.DataFrame:
    if shop == os.environ.get("BROKEN"):
        raise ValueError("on purpose")
    return pl.DataFrame({"day": [day], "shop": [shop]})

@task(io_manager=lake.table("totals"))
def totals(sales: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day], "n": [sales.height]})

@job
def daily_sales(
    day: dt.date = daily(since=dt.date(2024, 1, 1), until=dt.date(2024, 1, 2)),
) -> None:
    totals(sales(each(shops(day)), day), day)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path / "repository")
    define(project, JOB)
    return project


def run(project: Project, day: str, **environment: str) -> Said:
    return dbxdec(project, "run", "daily_sales", "-p", f"day={day}", **environment)


def missing(project: Project) -> dict[str, Any]:
    (found,) = json.loads(dbxdec(project, "missing", "--json").out)["jobs"]
    return {name: found[name] for name in ("done", "missing", "partial")}


@pytest.mark.slow
def test_a_day_without_items_is_done(project: Project) -> None:
    """The task that leaves the empty list says so; a repeated run changes nothing."""
    assert run(project, "2024-01-01").code == 0
    for _ in range(2):
        said = run(project, "2024-01-02")
        assert said.code == 0, said.err
        assert missing(project) == {"done": 2, "missing": [], "partial": []}
    assert dbxdec(project, "backfill", "daily_sales", "--yes").code == 0


@pytest.mark.slow
def test_a_day_that_gets_items_later_is_done_when_all_are_there(project: Project) -> None:
    """One of them fails: the day is partly there again, and the same command mends it."""
    assert run(project, "2024-01-01").code == 0
    assert run(project, "2024-01-02").code == 0
    assert run(project, "2024-01-02", ALSO="c d", BROKEN="d").code == 1
    assert [one["day"] for one in missing(project)["partial"]] == ["2024-01-02"]
    said = dbxdec(project, "backfill", "daily_sales", "--yes", ALSO="c d")
    assert said.code == 0, said.err
    assert missing(project) == {"done": 2, "missing": [], "partial": []}


NAMED = """
import datetime as dt
from dbxdec import daily, task_values

@task
def listed(day: dt.date) -> None:
    task_values.set("shops", ["a"] if day.day == 1 else [])

@task(outputs={"sales": lake.table("sales"), "worst": lake.table("worst"), "items": lake.table("own", keyed=False)})
def split(shop: str, day: dt.date) -> dict[str, pl.DataFrame]:
    frame = pl.DataFrame({"day": [day], "shop": [shop]})
    return {"sales": frame, "worst": frame, "items": frame}

@job
def daily_sales(
    day: dt.date = daily(since=dt.date(2024, 1, 1), until=dt.date(2024, 1, 2)),
) -> None:
    found = listed(day)
    split(each(found.value("shops")), day)
"""


@pytest.mark.slow
def test_each_named_output_of_a_task_without_items_is_done(project: Project) -> None:
    """The list may be a task value; a table without keys is left alone."""
    define(project, NAMED)
    assert run(project, "2024-01-01").code == 0
    said = run(project, "2024-01-02")
    assert said.code == 0, said.err
    assert missing(project) == {"done": 2, "missing": [], "partial": []}
    logs = {path.parent.parent.name: path for path in project.root.rglob("_delta_log/00000000000000000001.json")}
    assert set(logs) == {"sales", "worst"}


@pytest.mark.slow
def test_a_table_that_is_not_there_yet_says_what_to_do(project: Project) -> None:
    """A run without items makes no table, so nothing can say that the day is there."""
    assert run(project, "2024-01-02").code == 1  # `totals` has no columns to read
    define(project, JOB.replace("sales: pl.DataFrame", "sales: pl.DataFrame | None").replace("[sales.height]", "[0]"))
    assert run(project, "2024-01-02").code == 0
    said = dbxdec(project, "missing")
    assert "partial  2024-01-02" in said.out
    assert "sales is not there yet" in said.err
    assert "an empty frame" in said.err
    assert "dbxdec keys mark daily_sales" in said.err
    refused = dbxdec(project, "backfill", "daily_sales", "--yes")
    assert refused.code == 2
    assert "sales is not there yet" in refused.err


@pytest.mark.slow
def test_a_table_that_can_not_be_noted_fails_no_task(project: Project) -> None:
    """The list is there; the day of that table stays missing, and the log says why."""
    assert run(project, "2024-01-01").code == 0
    (log,) = project.root.rglob("sales/_delta_log")
    (log / "00000000000000000001.json").write_text("no JSON")
    said = run(project, "2024-01-02")
    assert "shops failed" not in said.out + said.err
    (kept,) = [
        path
        for path in project.root.glob(".dbxdec/runs/*/**/*shops*")
        if path.is_file() and "is not noted" in path.read_text(errors="replace")
    ]
    assert "sales" in kept.read_text()


SPARK = """
import datetime as dt
from pyspark.sql import DataFrame, SparkSession
from dbxdec import daily
from dbxdec.io_managers import SparkDeltaIoManager

@task
def shops(day: dt.date) -> list[str]:
    return ["a", "b"] if day.day == 1 else []

@task(io_manager=SparkDeltaIoManager(bundle_variable("lake"), mode="append").table("sales"))
def sales(shop: str, day: dt.date, spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(day, shop)], "day date, shop string")

@job
def daily_sales(
    day: dt.date = daily(since=dt.date(2024, 1, 1), until=dt.date(2024, 1, 2)),
) -> None:
    sales(each(shops(day)), day)
"""


@pytest.mark.slow
@pytest.mark.parametrize("body", [pytest.param(SPARK, id="spark", marks=needs_spark)])
def test_a_day_without_items_of_a_table_of_spark_is_done(project: Project, body: str) -> None:
    """The task with the list needs no Spark of its own."""
    define(project, body)
    assert run(project, "2024-01-01").code == 0
    said = run(project, "2024-01-02")
    assert said.code == 0, said.out + said.err
    assert missing(project) == {"done": 2, "missing": [], "partial": []}
    (log,) = project.root.rglob("sales/_delta_log")
    assert pl.read_delta(str(log.parent)).height == 2
