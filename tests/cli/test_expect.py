"""`dbxdec expect TABLE`: how expectations come out for the rows of a table; and what runs show of them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from projects import Project
from running import Said, dbxdec, define, empty
from spark_tools import defaults, needs_own_spark

JOB = """
import datetime as dt

from dbxdec import fraction, rows, unique


@task(io_manager=lake.table(
    "silver/flights",
    expect={"plausible": "delay < 5000"},
    expect_or_drop={"has carrier": "carrier IS NOT NULL"},
    expect_or_fail={
        "its day": "day = :day",
        "one row": unique("flight"),
        "some": rows(at_least=1),
        "late": fraction("delay > 60", at_most=0.9),
    },
    quarantine=lake.table("bad/flights"),
))
def clean(day: dt.date) -> pl.DataFrame:
    flights = {"flight": [1, 2, 3], "delay": [1, 6000, None], "carrier": ["a", "b", None]}
    return pl.DataFrame(flights).with_columns(day=pl.lit(day))

@task(io_manager=lake.table("gold/flights", expect={"late": "delay > 60"}))
def late(flights: pl.DataFrame) -> pl.DataFrame:
    return flights

@job
def daily(day: dt.date = dt.date(2024, 1, 1)) -> None:
    late(clean(day))

@task(io_manager=lake.table("days", expect={"it": "day = :when"}))
def days(when: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [when]})

@job
def needs(when: dt.date, other: int) -> None:
    days(when)

@task(io_manager=lake.table("few", expect={"small": "n < 2"}, expect_or_fail={"many": rows(at_least=9)}))
def few() -> pl.DataFrame:
    return pl.DataFrame({"n": [1, 2]})

@job
def fails() -> None:
    few()
"""


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    project = empty(tmp_path / "repository")
    define(project, JOB)
    return project


def store(project: Project, table: str = "silver/flights", *, carrier: str | None = "a") -> None:
    """Let another program make the table."""
    row = {"flight": 1, "delay": 6000, "carrier": carrier, "day": dt.date(2024, 1, 1)}
    place = project.root / "lake" / table
    place.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame([row], schema_overrides={"carrier": pl.String}).write_delta(str(place), mode="overwrite")


def expect(project: Project, *arguments: str) -> Said:
    return dbxdec(project, "expect", *arguments)


def test_rows_that_are_as_expected_are_exit_code_0(shop: Project) -> None:
    """Those that are only counted, too: as text and as JSON."""
    store(shop)
    found = json.loads(expect(shop, "silver/flights", "-p", "day=2024-01-01", "--json").out)["tables"]
    (table,) = found
    assert (table["job"], table["task"], table["uri"]) == ("daily", "clean", "lake/silver/flights")
    assert [(one["name"], one["failed"], one["rows"], one["action"], one["why"]) for one in table["outcomes"][:3]] == [
        ("plausible", 1, 1, "kept", None),
        ("has carrier", 0, 1, "quarantined", None),
        ("its day", 0, 1, "failed", None),
    ]
    assert table["outcomes"][-1]["rule"] == "fraction"


def test_rows_that_should_not_be_there_are_exit_code_1(shop: Project) -> None:
    """One that should have been dropped, a part that is too large, and the rows of another day."""
    store(shop, carrier=None)
    said = expect(shop, "silver/flights", "-p", "day=2024-01-02")
    assert said.code == 1
    lines = {line[: line.find("  ")]: line for line in said.out.splitlines()}
    assert "counted" in lines["plausible"]
    assert "broken" in lines["has carrier"]
    assert "broken" in lines["its day"]
    assert "1 of 1 rows do not meet it" in lines["its day"]
    assert "1 of 1 rows (100.0%) fulfil it, and at most 0.9 of them may" in lines["late"]
    assert "met" in lines["one row"]


@pytest.mark.slow
def test_a_table_that_can_not_be_read_is_exit_code_3(shop: Project) -> None:
    """It is not there yet, or lacks a column."""
    said = expect(shop, "silver/flights")
    assert (said.code, said.err) == (
        3,
        "dbxdec: lake/silver/flights: its expectations can't be evaluated: there is no table yet\n",
    )
    (shop.root / "lake" / "gold").mkdir(parents=True)
    pl.DataFrame({"id": [1]}).write_delta(str(shop.root / "lake" / "gold" / "flights"))
    said = expect(shop, "gold/flights", "--json")
    assert said.code == 3
    assert 'unable to find column "delay"' in json.loads(said.out)["tables"][0]["why"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["flights"], "'flights' is the end of `lake/silver/flights` and `lake/gold/flights`"),
        (["silver/flihgts"], "no task writes a table 'silver/flihgts' that expects something of its rows"),
        (["x"], "those that do are `lake/silver/flights`, `lake/gold/flights`"),
        (["lake/silver/flights", "-p", "dya=2024-01-01"], "did you mean `day`?"),
        (["silver/flights", "-p", "dya=2024-01-01"], "did you mean `day`?"),
        (["silver/flights", "-p", "day=soon"], "the job parameter `day`"),
        (["days"], "the job parameter `when` has no default and needs a value"),
        (["days", "-p", "when=soon"], "the job parameter `when`"),
    ],
)
def test_what_is_wrong_in_the_command_is_said(shop: Project, arguments: list[str], said: str) -> None:
    """A table that there is not, or that is one of several; parameters."""
    found = expect(shop, *arguments)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


@pytest.mark.slow
def test_parameters_that_no_condition_names_need_no_value(shop: Project) -> None:
    """A job that can't start without them may be asked all the same."""
    store(shop, "days")
    assert expect(shop, "days", "-p", "when=2024-01-01").code == 0


SPARK = """
import datetime as dt

from pyspark.sql import DataFrame

from dbxdec import rows, unique
from dbxdec.io_managers import SparkTableIoManager

catalog = SparkTableIoManager("main.silver", mode="append")


@task(io_manager=catalog.table(
    "flights",
    expect={"plausible": "delay < 5000", "its zone": "hour(timestamp_seconds(0)) = 9 AND flight > 0"},
    expect_or_drop={"has carrier": "carrier IS NOT NULL"},
    expect_or_fail={"its day": "day = :day", "one row": unique("flight"), "some": rows(at_least=1)},
    quarantine=catalog.table("bad_flights"),
), spark_conf={"spark.sql.session.timeZone": "Asia/Tokyo"})
def clean(day: dt.date) -> DataFrame:
    from pyspark.sql import SparkSession

    values = [(1, 1, "a", day), (2, 6000, "b", day), (3, None, None, day)]
    session = SparkSession.builder.getOrCreate()
    return session.createDataFrame(values, "flight int, delay int, carrier string, day date")


@job
def daily(day: dt.date = dt.date(2024, 1, 1)) -> None:
    clean(day)
"""


class TestSpark:
    pytestmark = needs_own_spark

    def test_tables_through_spark_tell_the_same(self, tmp_path: Path) -> None:
        """In the log, in `runs show`, and of the rows that are there: by SQL of Spark, with the task's settings."""
        project = empty(tmp_path / "repository")
        define(project, SPARK)
        environment = defaults(tmp_path / "conf")
        done = dbxdec(project, "run", "daily", **environment)
        assert done.code == 0, done
        shown = dbxdec(project, "runs", "show").out.splitlines()
        assert [line.strip() for line in shown if " expect " in line] == [
            'expect "plausible": 2 of 3 rows failed (kept)',
            'expect "its zone": 0 of 3 rows failed',
            'expect "has carrier": 1 of 3 rows failed (quarantined)',
            'expect "its day": 0 of 2 rows failed',
            'expect "one row": 0 of 2 rows failed',
            'expect "some": 2 rows',
        ]
        said = dbxdec(project, "expect", "flights", "-p", "day=2024-01-02", "--json", **environment)
        (table,) = json.loads(said.out)["tables"]
        assert (said.code, table["uri"]) == (1, "main.silver.flights")
        assert {one["name"]: one["failed"] for one in table["outcomes"]} == {
            "plausible": 1,
            "its zone": 0,  # the settings of the task are those of its conditions
            "has carrier": 0,
            "its day": 2,
            "one row": 0,
            "some": 0,
        }


def test_numbers_of_a_run_are_in_its_log_in_runs_show_and_in_the_report(shop: Project) -> None:
    report = shop.root / "report.html"
    assert dbxdec(shop, "run", "daily", "--report", str(report)).code == 0
    lines = [
        'expect "plausible": 2 of 3 rows failed (kept)',
        'expect "has carrier": 1 of 3 rows failed (quarantined)',
        'expect "its day": 0 of 2 rows failed',
        'expect "one row": 0 of 2 rows failed',
        'expect "some": 2 rows',
        'expect "late": 1 of 2 rows fulfil it',
    ]
    (log,) = shop.root.glob(".dbxdec/runs/*/logs/clean.1.log")
    logged = log.read_text(encoding="utf-8").splitlines()
    assert [line.removeprefix("dbxdec: ") for line in logged if " expect " in line] == lines
    shown = dbxdec(shop, "runs", "show").out.splitlines()
    assert [line.strip() for line in shown if " expect " in line] == [
        *lines,
        'expect "late": 1 of 2 rows failed (kept)',
    ]
    page = report.read_text(encoding="utf-8")
    assert all(line.replace('"', "&#34;") in page or line in page for line in lines)
    tasks = json.loads(dbxdec(shop, "runs", "show", "--json").out)["tasks"]
    (fact,) = next(task for task in tasks if task["task"] == "clean")["runs"][0]["facts"]
    assert fact["expect"]["has carrier"] == {"failed": 1, "rows": 3, "action": "quarantined"}
    assert fact["expect"]["some"] == {"failed": 0, "rows": 2, "action": "failed", "rule": "rows"}
    assert pl.read_delta(str(shop.root / "lake" / "bad" / "flights"))["flight"].to_list() == [3]


@pytest.mark.slow
def test_numbers_of_a_failed_write_are_in_runs_show_and_in_the_report_too(shop: Project) -> None:
    """They are of no commit, so the run alone has them."""
    report = shop.root / "report.html"
    assert dbxdec(shop, "run", "fails", "--report", str(report)).code == 1
    lines = ['expect "small": 1 of 2 rows failed (kept)', 'expect "many": 2 rows (failed)']
    shown = dbxdec(shop, "runs", "show").out.splitlines()
    assert [line.strip() for line in shown if " expect " in line] == lines
    page = report.read_text(encoding="utf-8")
    assert all(f">{line.replace(chr(34), '&#34;')}<" in page for line in lines)
    (task,) = json.loads(dbxdec(shop, "runs", "show", "--json").out)["tasks"]
    (fact,) = task["runs"][0]["facts"]
    assert (fact["kind"], fact["expect"]["small"]) == ("refused", {"failed": 1, "rows": 2, "action": "kept"})
    assert not list((shop.root / "lake" / "few").rglob("*.*"))


CONTRACT = """
from typing import Annotated

import dataframely as dy

from dbxdec.io_managers import PolarsParquetIoManager


class Delays(dy.Schema):
    day = dy.Date()
    delay = dy.Int64(nullable=True, min=0)
    kind = dy.Enum(["late", "early"], nullable=True)


class Bare(dy.Schema):
    delay = dy.Int64(nullable=True)


@task(io_manager=lake.table("silver/delays", expect={"low": "delay < :most"}))
def clean(most: int) -> Annotated[pl.DataFrame, Delays]:
    rows = pl.DataFrame({"delay": [1, most, None], "kind": ["late", "early", None]})
    return rows.with_columns(pl.col("kind").cast(pl.Enum(["late", "early"])), day=pl.date(2024, 1, 1))


@task(io_manager=lake.table("bare"))
def bare() -> Annotated[pl.DataFrame, Bare]:
    return pl.DataFrame({"delay": [1]})


@task(io_manager=PolarsParquetIoManager("lake").table("files"))
def files() -> Annotated[pl.DataFrame, Bare]:
    return pl.DataFrame({"delay": [1]})


@job
def daily(most: int = 5) -> None:
    clean(most)
    bare()
    files()
"""


@pytest.fixture
def delays(tmp_path: Path) -> Project:
    project = empty(tmp_path / "repository")
    define(project, CONTRACT)
    return project


@pytest.mark.slow
def test_numbers_of_a_contract_are_in_runs_show_and_in_the_report(delays: Project) -> None:
    """Rules that are met have one line; a write that fails has its own, and those of the rules that are broken."""
    assert dbxdec(delays, "run", "daily").code == 0
    shown = [line.strip() for line in dbxdec(delays, "runs", "show").out.splitlines()]
    assert 'expect "low": 2 of 3 rows failed (kept)' in shown
    assert "contract: 0 of 3 rows break any of its 2 rules" in shown
    facts = facts_of(delays)
    assert facts["expect"]["Delays.delay|min"] == {"failed": 0, "rows": 3, "action": "contract"}
    report = delays.root / "report.html"
    assert dbxdec(delays, "run", "daily", "-p", "most=-4", "--report", str(report)).code == 1
    line = 'contract "Delays.delay|min": 1 of 3 rows failed (failed)'
    assert line in [line.strip() for line in dbxdec(delays, "runs", "show").out.splitlines()]
    assert line.replace('"', "&#34;") in report.read_text(encoding="utf-8")
    assert facts_of(delays)["expect"]["Delays.delay|min"] == {"failed": 1, "rows": 3, "action": "contract"}


def facts_of(project: Project) -> dict[str, Any]:
    tasks = json.loads(dbxdec(project, "runs", "show", "--json").out)["tasks"]
    (fact,) = next(task for task in tasks if task["task"] == "clean")["runs"][0]["facts"]
    return dict(fact)


def stored(project: Project, **columns: Any) -> None:
    """Let another program make the table, in which a kind is a string."""
    rows = pl.DataFrame({"delay": [1, -1], "kind": ["late", None], **columns}).with_columns(day=pl.date(2024, 1, 1))
    place = project.root / "lake" / "silver" / "delays"
    place.parent.mkdir(parents=True, exist_ok=True)
    rows.write_delta(str(place), mode="overwrite", delta_write_options={"schema_mode": "overwrite"})


def test_the_rows_that_are_there_are_judged_by_a_contract(delays: Project) -> None:
    """Its types are those of the contract, and columns that only the table has are no part of it."""
    stored(delays, other=[1, 2])
    said = expect(delays, "silver/delays", "--json")
    (table,) = json.loads(said.out)["tables"]
    assert said.code == 1
    assert {one["name"]: (one["failed"], one["rows"], one["action"], one["why"]) for one in table["outcomes"]} == {
        "low": (0, 2, "kept", None),
        "Delays.day|nullability": (0, 2, "contract", None),
        "Delays.delay|min": (1, 2, "contract", "1 of 2 rows break the rule `delay|min`"),
    }
    stored(delays, delay=[1, 2])
    assert expect(delays, "silver/delays").code == 0


def test_an_expectation_with_the_name_of_a_rule_has_a_row_of_its_own(delays: Project) -> None:
    """The rule's is named as in the commit of a write."""
    delays.edit("src/shop/pipelines/sales.py", 'expect={"low":', 'expect={"Delays.delay|min":')
    stored(delays)
    (table,) = json.loads(expect(delays, "silver/delays", "--json").out)["tables"]
    names = {one["name"]: one["action"] for one in table["outcomes"]}
    assert names == {
        "Delays.delay|min": "kept",
        "Delays.day|nullability": "contract",
        "contract Delays.delay|min": "contract",
    }


@pytest.mark.slow
def test_a_table_that_a_contract_can_not_judge_is_exit_code_3(delays: Project) -> None:
    """It has other columns, or values that a type of the contract does not have; or it is no table."""
    stored(delays, delay=["a", "b"])
    said = expect(delays, "silver/delays")
    assert (said.code, "low" in said.err) == (3, True)  # the condition can't be evaluated either
    stored(delays, kind=["late", "never"])
    said = expect(delays, "silver/delays")
    assert said.code == 3
    assert "has values that the contract `Delays`" in said.err
    assert "never" not in said.err
    said = expect(delays, "files")
    assert said.code == 3
    assert "only the rows of Delta tables can be judged by a contract here" in said.err
    pl.DataFrame({"delay": [1]}).write_delta(str(delays.root / "lake" / "bare"))
    said = expect(delays, "bare")
    assert (said.code, said.err) == (
        0,
        "dbxdec: lake/bare: its columns are those of the contract, which has no rules on values\n",
    )
    pl.DataFrame({"late": [1]}).write_delta(
        str(delays.root / "lake" / "bare"), mode="overwrite", delta_write_options={"schema_mode": "overwrite"}
    )
    said = expect(delays, "bare")
    assert said.code == 3
    assert "the columns of lake/bare don't match the contract `Bare`" in said.err
