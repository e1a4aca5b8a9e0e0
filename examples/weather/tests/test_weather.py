"""The weather pipeline's logic on the real data, without a cluster, a build or a table."""

from __future__ import annotations

import datetime as dt

import polars as pl

from weather_pipeline.pipelines.daily import daily_weather, fetch

DAY = dt.date(2013, 3, 10)


def test_a_station_has_its_own_day() -> None:
    """Only the hours of that station and day, each once."""
    frame = fetch.fn("JFK", DAY).collect()
    assert frame["station"].unique().to_list() == ["JFK"]
    assert frame["day"].unique().to_list() == [DAY]
    assert frame["hour"].is_unique().all()


def test_gaps_are_counted_over_all_stations() -> None:
    """On the day when summer time begins every station lacks an hour."""
    frames = {station: fetch.fn(station, DAY).collect() for station in ("EWR", "JFK", "LGA")}
    assert daily_weather.tasks["count_gaps"].fn(frames) == 3


def test_a_day_has_a_row_for_each_station() -> None:
    """What other days left in the table stays out of the summary."""
    frames = pl.concat([fetch.fn(station, day) for station in ("EWR", "JFK") for day in (DAY, dt.date(2013, 5, 1))])
    summary = daily_weather.tasks["summarise"].fn(frames, DAY).collect()
    assert summary.select("day", "station", "hours").rows() == [(DAY, "EWR", 23), (DAY, "JFK", 23)]
