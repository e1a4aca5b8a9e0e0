"""The pipeline's logic on the real data, without a cluster, a build or a table."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from dbxdec.io_managers import PolarsDeltaIoManager
from flights_pipeline import sources
from flights_pipeline.pipelines import daily
from flights_pipeline.pipelines.common import extract
from flights_pipeline.pipelines.daily import daily_delays
from flights_pipeline.pipelines.yearly import yearly_summary

NEW_YEAR = dt.date(2013, 1, 1)


@pytest.fixture(scope="module")
def new_year() -> pl.LazyFrame:
    return extract.fn(NEW_YEAR).collect().lazy()


def test_a_day_and_the_year_have_all_their_flights(new_year: pl.LazyFrame) -> None:
    """842 flights on the first of January, 336,776 in the year, "NA" read as null."""
    assert new_year.collect().height == 842
    year = extract.fn(None).select(pl.len(), pl.col("dep_delay").null_count()).collect()
    assert year.row(0) == (336_776, 8_255)


def test_enriching_keeps_every_flight(new_year: pl.LazyFrame) -> None:
    """Joining weather and planes neither loses nor doubles a flight."""
    enriched = daily_delays.tasks["enrich"].fn(new_year).collect()
    assert enriched.height == 842
    assert enriched["wind_speed"].null_count() < 100
    assert "manufacturer" in enriched.columns


def test_delays_are_by_carrier_and_hour(new_year: pl.LazyFrame) -> None:
    """Each carrier and hour has one row, and together they count every flight."""
    enriched = daily_delays.tasks["enrich"].fn(new_year)
    delays = daily_delays.tasks["delays"].fn(enriched, {"median_delay": 0.5}).collect()
    assert delays["flights"].sum() == 842
    assert delays.select("date", "carrier", "hour").is_unique().all()
    assert {"median_delay", "mean_delay", "cancelled"} <= set(delays.columns)


def test_the_worst_hours_come_first() -> None:
    """The report takes the day's hours with the longest mean delay, and skips those without any departure."""
    delays = pl.LazyFrame(
        {
            "date": [NEW_YEAR, NEW_YEAR, NEW_YEAR, dt.date(2013, 1, 2)],
            "carrier": ["AA", "UA", "DL", "AA"],
            "hour": [5, 17, 9, 5],
            "mean_delay": [1.0, 30.0, None, 99.0],
            "flights": [2, 3, 4, 5],
        }
    )
    worst = daily_delays.tasks["worst"].fn(delays, NEW_YEAR, 1)
    assert worst == {"flights": 9, "hours": ["UA at 17h: 30 min"]}


def test_carriers_are_upserted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_year: pl.LazyFrame) -> None:
    """The first day inserts each carrier, a later one updates it, an earlier one changes nothing."""
    monkeypatch.setattr(daily, "carriers_table", PolarsDeltaIoManager(base_path=tmp_path).table("carriers"))
    upsert = daily_delays.tasks["carriers"].fn
    flights = new_year.collect()
    for day, share in ((NEW_YEAR, flights), (dt.date(2013, 1, 2), flights.head(400)), (dt.date(2012, 1, 1), flights)):
        upsert(share, day).execute()
    table = pl.read_delta(str(tmp_path / "carriers"))
    assert table["carrier"].is_unique().all()
    assert table["flights"].sum() == 400 + sum(
        flights.filter(~pl.col("carrier").is_in(flights.head(400)["carrier"].unique().implode()))[
            "carrier"
        ].value_counts()["count"]
    )
    assert table["last_day"].max() == dt.date(2013, 1, 2)


def test_united_flew_most() -> None:
    """The yearly table has UA first with 58,665 flights."""
    carriers = yearly_summary.tasks["carriers"].fn(sources.flights()).collect()
    assert carriers.row(0, named=True)["carrier"] == "UA"
    assert carriers.row(0, named=True)["flights"] == 58_665
    assert yearly_summary.tasks["total"].fn(carriers) == 336_776
