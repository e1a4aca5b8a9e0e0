"""Warnings of tables in which the run for one key replaces rows of another one."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import polars as pl
import pytest

from dbxdec import bundle_variable, daily, hourly, job, key, monthly, task
from dbxdec.authoring.jobs import Job
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.model import key_checks

LAKE = PolarsDeltaIoManager(bundle_variable("lake"), mode="overwrite")


def said(made: Job[...]) -> list[str]:
    """The messages of the warnings."""
    built = made.build()
    assert built.problems == ()
    return [problem.message for problem in key_checks.warnings(built.dag)]


def by_day(**options: Any) -> Job[[]]:
    @job
    def one(day: dt.date = daily()) -> None:
        @task(io_manager=LAKE.table("t", **options))
        def write(day: dt.date) -> pl.DataFrame:
            return pl.DataFrame()

        write(day)

    return one


def by_day_and_region(*columns: str) -> Job[[]]:
    @job
    def one(day: dt.date = daily(), region: Literal["eu", "us"] = key("eu")) -> None:
        @task(io_manager=LAKE.table("t", partition_by=list(columns)))
        def write(day: dt.date, region: str) -> pl.DataFrame:
            return pl.DataFrame()

        write(day, region)

    return one


@pytest.mark.parametrize("column", ["region", "station_id", "month", "year", "a b", "Country"])
def test_partitions_that_say_nothing_of_the_key_are_warned_of(column: str) -> None:
    """Each day would take away the rows that the day before has put into the same partition."""
    (message,) = said(by_day(partition_by=column))
    assert f"by `{column}`, which says nothing of the key `day`" in message


@pytest.mark.parametrize("column", ["day", "DAY", "date", "flight_date", "ordered_at", "ds", "dt", "timestamp", "hour"])
def test_partitions_of_a_period_are_taken_to_be_made_of_the_key(column: str) -> None:
    """Columns have other names than parameters, so any name of a day, or of less, is fine."""
    assert said(by_day(partition_by=column)) == []
    assert said(by_day(partition_by=["region", "year", "month", column])) == []


def test_a_key_beside_another_one_needs_a_column_too() -> None:
    """The run for one region would take away the day of another region."""
    (message,) = said(by_day_and_region("day"))
    assert "by `day`, which says nothing of the key `region`" in message
    (message,) = said(by_day_and_region("kind"))
    assert "nothing of the keys `day` and `region`" in message
    assert said(by_day_and_region("date", "Region")) == []


def test_a_key_of_one_value_needs_no_column() -> None:
    """There is no other run whose rows it could take."""

    @job
    def one(day: dt.date = daily(), region: Literal["eu"] = key("eu")) -> None:
        @task(io_manager=LAKE.table("t", partition_by="day"))
        def write(day: dt.date, region: str) -> pl.DataFrame:
            return pl.DataFrame()

        write(day, region)

    assert said(one) == []


def test_a_column_of_longer_periods_is_no_key() -> None:
    """Each hour would take away its day, and each day its month; the other way round nothing is taken."""

    @job
    def hours(hour: dt.datetime = hourly()) -> None:
        @task(io_manager=LAKE.table("t", partition_by="day"))
        def write(hour: dt.datetime) -> pl.DataFrame:
            return pl.DataFrame()

        write(hour)

    @job
    def months(month: dt.date = monthly()) -> None:
        @task(io_manager=LAKE.table("t", partition_by="day"))
        def write(month: dt.date) -> pl.DataFrame:
            return pl.DataFrame()

        write(month)

    assert len(said(hours)) == 1
    assert said(months) == []


def test_a_slice_that_is_the_same_for_each_key_is_warned_of() -> None:
    """`replace=` is exact where it names the parameters of the keys."""

    def sliced(which: str) -> Job[[]]:
        @job
        def one(day: dt.date = daily(), region: Literal["eu", "us"] = key("eu"), top: str = "a") -> None:
            values = {
                "all": {"d": day, "r": region},
                "day": {"d": day, "kind": "x"},
                "constant": {"kind": "x"},
                "by hand": {"d": day, "kind": top},
            }[which]

            @task(io_manager=LAKE.table("t", replace=values))
            def write(day: dt.date, region: str) -> pl.DataFrame:
                return pl.DataFrame()

            write(day, region)

        return one

    assert said(sliced("all")) == said(sliced("by hand")) == []
    (message,) = said(sliced("day"))
    assert "the slice of ${var.lake}/t by `d` and `kind`, which say nothing of the key `region`" in message
    (message,) = said(sliced("constant"))
    assert "nothing of the keys `day` and `region`" in message


def test_tables_that_do_not_count_are_not_warned_of() -> None:
    """Staging tables with `keyed=False`, and appends, lose nothing that should be there."""
    assert said(by_day(partition_by="region", keyed=False)) == []
    assert said(by_day(partition_by="region", mode="append")) == []
