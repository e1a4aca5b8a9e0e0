"""What tables expect of their rows, in a test: the same rules on tables in memory."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from dbxdec import DeltaMerge, bundle_variable, each, fraction, job, rows, task, unique
from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers import PolarsDeltaIoManager, SparkDeltaIoManager
from dbxdec.testing import Lake, run_job, run_task

DAY = dt.date(2024, 1, 1)
lake = PolarsDeltaIoManager(bundle_variable("lake_root"), mode="append")
flights_table = lake.table(
    "silver/flights",
    expect={"plausible": "delay < 5000"},
    expect_or_drop={"has carrier": lambda frame: pl.col("carrier").is_not_null(), "positive": "flight > :least"},
    expect_or_fail={
        "its day": "day = :day",
        "one row a flight": unique("day", "flight", of="table"),
        "some": rows(at_least=1),
        "late": fraction("delay > 60", at_most=0.5),
    },
    quarantine=lake.table("bad/flights"),
)
FLIGHTS = pl.DataFrame(
    {"day": [DAY] * 4, "flight": [1, 2, 3, -4], "delay": [1, 6000, 3, 4], "carrier": ["a", "b", None, None]}
)


@task(io_manager=flights_table)
def clean(flights: pl.LazyFrame) -> pl.LazyFrame:
    return flights


@task
def count(flights: pl.DataFrame) -> int:
    return flights.height


@job
def daily(day: dt.date = DAY, least: int = 0) -> None:
    count(clean(lake.table("bronze/flights")))


def test_numbers_rows_and_quarantine_are_those_of_a_run() -> None:
    """What is expected, what is stored, what is kept apart."""
    result = run_job(daily, tables={"bronze/flights": FLIGHTS})
    assert dict(result["clean"].expectations) == {
        "plausible": {"failed": 1, "rows": 4, "action": "kept"},
        "has carrier": {"failed": 2, "rows": 4, "action": "quarantined"},
        "positive": {"failed": 1, "rows": 4, "action": "quarantined"},
        "its day": {"failed": 0, "rows": 2, "action": "failed"},
        "one row a flight": {"failed": 0, "rows": 2, "action": "failed", "rule": "unique"},
        "some": {"failed": 0, "rows": 2, "action": "failed", "rule": "rows"},
        "late": {"failed": 1, "rows": 2, "action": "failed", "rule": "fraction"},
    }
    assert result["clean"].value["flight"].to_list() == [1, 2]
    assert result["count"].value == 2
    assert result["count"].expectations == {}
    bad = result.tables["bad/flights"]
    assert bad.select("flight", "_dbxdec_failed", "_dbxdec_task").rows() == [
        (3, ["has carrier"], "clean"),
        (-4, ["has carrier", "positive"], "clean"),
    ]


def test_both_write_the_same(tmp_path: Any) -> None:
    """In memory, and by the tasks' own managers."""
    given: dict[str, Any] = {"tables": {"bronze/flights": FLIGHTS}}
    with_files: dict[str, Any] = {"in_memory": False, "variables": {"lake_root": tmp_path}}
    (tmp_path / "bronze").mkdir()
    FLIGHTS.write_delta(str(tmp_path / "bronze" / "flights"))
    in_memory, real = run_job(daily, **given), run_job(daily, **with_files)
    assert in_memory["clean"].expectations == real["clean"].expectations
    assert in_memory["clean"].value["flight"].to_list() == sorted(real["clean"].value["flight"].to_list())
    bad = pl.read_delta(str(tmp_path / "bad" / "flights"))
    assert bad.schema == in_memory.tables["bad/flights"].schema


def test_a_quarantine_may_be_given_with_rows() -> None:
    """It is a table that the job writes, as others are; a name that is none is still an error."""
    earlier = run_job(daily, tables={"bronze/flights": FLIGHTS}).tables["bad/flights"]
    result = run_job(daily, tables={"bronze/flights": FLIGHTS.tail(1), "bad/flights": earlier}, raise_on_error=False)
    assert result.tables["bad/flights"]["flight"].to_list() == [3, -4, -4]
    with pytest.raises(DbxdecError, match="names 'bad/flight', which `daily` neither reads nor writes"):
        run_job(daily, tables={"bronze/flights": FLIGHTS, "bad/flight": earlier})


def test_a_run_that_fails_leaves_the_table_and_keeps_bad_rows(dbxdec_lake: Lake) -> None:
    """The error names each expectation; rows of earlier runs count for `of="table"`."""
    dbxdec_lake["bronze/flights"] = FLIGHTS
    run_job(daily, tables=dbxdec_lake)
    with pytest.raises(RunError) as raised:
        run_job(daily, day=dt.date(2024, 1, 2), tables=dbxdec_lake)
    assert [problem.message.partition("failed: ")[2] for problem in raised.value.problems] == [
        "2 of 2 rows do not meet it",
        "2 of 2 rows share their `day` and `flight` with others",
    ]
    assert dbxdec_lake["silver/flights"]["flight"].to_list() == [1, 2]
    assert dbxdec_lake["bad/flights"]["flight"].to_list() == [3, -4, 3, -4]
    result = run_job(daily, day=dt.date(2024, 1, 2), tables=dbxdec_lake, raise_on_error=False)
    assert result.states == {"clean": "failed", "count": "upstream failed"}
    assert result["clean"].expectations == {}


def test_results_that_a_test_gives_are_judged_too() -> None:
    """They are what the task would have returned."""
    good = FLIGHTS.head(1)
    assert run_job(daily, inputs={"clean": good})["clean"].expectations["some"]["rows"] == 1
    with pytest.raises(RunError, match='the expectation "some" failed: 0 rows') as raised:
        run_job(daily, inputs={"clean": good.head(0)})
    assert "`inputs['clean']` is what the test gives" in raised.value.__notes__


def test_conditions_see_the_types_of_a_table() -> None:
    """As the table would have them: small unsigned numbers do not wrap, categories are strings."""
    frame = FLIGHTS.head(1).with_columns(pl.col("flight").cast(pl.UInt8), pl.col("carrier").cast(pl.Categorical))
    assert run_task(daily, "clean", tables={"bronze/flights": frame}).value["flight"].to_list() == [1]


@task(io_manager=lake.table("customers", expect_or_drop={"id": "id > 0"}, expect_or_fail={"one": unique("id")}))
def upsert(customers: pl.DataFrame) -> DeltaMerge:
    return DeltaMerge(customers, on="id").when_matched_update_all().when_not_matched_insert_all()


@job
def merges() -> None:
    upsert(lake.table("bronze/people"))


def test_a_merge_judges_the_rows_of_its_source(dbxdec_lake: Lake) -> None:
    """Bad rows of the source do not come into the table, and those that are there do not count."""
    dbxdec_lake["bronze/people"] = pl.DataFrame({"id": [1, -1], "name": ["ann", "?"]})
    for _ in range(2):
        result = run_job(merges, tables=dbxdec_lake)
        assert result["upsert"].expectations["id"] == {"failed": 1, "rows": 2, "action": "dropped"}
        assert dbxdec_lake["customers"].rows() == [(1, "ann")]


split_outputs = {
    "good": lake.table("good", expect={"positive": "n > 0"}),
    "plain": lake.table("plain"),
    "small": lake.table("small", expect_or_drop={"positive": "n > 0"}),
}


@task(outputs=split_outputs)
def split(numbers: list[int]) -> dict[str, pl.DataFrame]:
    frame = pl.DataFrame({"n": numbers})
    return dict.fromkeys(("good", "plain", "small"), frame)


@task(io_manager=lake.table("items", expect={"positive": "n > 0"}))
def items(number: int) -> pl.DataFrame:
    return pl.DataFrame({"n": [number]})


@job
def several() -> None:
    split([1, -1])
    items(each([1, -1]))


def test_outputs_and_iterations_have_numbers_of_their_own() -> None:
    """By the output; each iteration alone."""
    result = run_job(several)
    kept, dropped = ({"failed": 1, "rows": 2, "action": action} for action in ("kept", "dropped"))
    assert result["split"].expectations == {"good": {"positive": kept}, "small": {"positive": dropped}}
    found = [one.expectations["positive"] for one in result["items"].iterations]
    assert found == [{"failed": 0, "rows": 1, "action": "kept"}, {"failed": 1, "rows": 1, "action": "kept"}]


@task(io_manager=lake.table("news", expect_or_drop={"n": "n > 0"}, expect_or_fail={"few": rows(at_most=1)}))
def news(numbers: pl.DataFrame) -> pl.DataFrame:
    return numbers


@job
def hourly() -> None:
    news(lake.table("numbers").changes())


def test_what_is_new_is_judged_and_read_again_after_a_failure(dbxdec_lake: Lake) -> None:
    """A write that fails has read nothing; dropped rows are read."""
    dbxdec_lake["numbers"] = pl.DataFrame({"n": [1, -1]})
    run_job(hourly, tables=dbxdec_lake)
    dbxdec_lake["numbers"] = pl.DataFrame({"n": [1, -1, 2, 3]})
    for _ in range(2):
        with pytest.raises(RunError, match="2 rows, and there must be at most 1"):
            run_job(hourly, tables=dbxdec_lake)
    assert dbxdec_lake["news"]["n"].to_list() == [1]


catalog = SparkDeltaIoManager(bundle_variable("lake_root"), mode="append")


@task(io_manager=catalog.table("people", expect={"id": "isnan(id)"}))
def of_another_engine() -> DeltaMerge:
    return DeltaMerge(pl.DataFrame({"id": [1.0]}), on="id").when_not_matched_insert_all()


@job
def mixed() -> None:
    of_another_engine()


def test_conditions_are_carried_to_no_other_engine() -> None:
    """In memory a merge through Spark may have rows of Polars, but not if they are judged."""
    with pytest.raises(RunError, match=r"only Spark can judge what .*, and its rows are a polars.DataFrame"):
        run_job(mixed)
