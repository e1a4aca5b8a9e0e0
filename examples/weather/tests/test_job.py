"""The job as a whole: its branches and iterations, without a cluster, a build or a table."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from dbxdec.testing import job_dag, run_job
from weather_pipeline.pipelines.daily import daily_weather

DAY = dt.date(2013, 3, 10)


def test_the_shape() -> None:
    """Each station is fetched by itself; what is missing decides between telling and showing."""
    dag = job_dag(daily_weather)
    assert dag["fetch"].each == "parameter stations"
    assert dag["count_gaps"].inputs == {"observations": "fetch"}
    assert {("incomplete.true", "tell"), ("incomplete.false", "show")} <= dag.edges
    assert dag.parameters["day"].startswith("run_date(offset_days=-1")


def test_an_incomplete_day_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """On the day when summer time begins each station lacks an hour: more than is accepted."""
    result = run_job(daily_weather, day=DAY, variables={"accepted_gaps": 1})
    assert result["count_gaps"].value == 3
    assert (result["tell"].state, result["show"].state) == ("success", "excluded")
    assert "2013-03-10 lacks 3 observations" in caplog.text


def test_a_complete_day_is_shown() -> None:
    """The notebook is not run here; what it would be given is there to look at."""
    result = run_job(daily_weather, day=DAY, stations=["JFK"], variables={"accepted_gaps": 1, "lake_root": "/lake"})
    assert (result["tell"].state, result["show"].state) == ("excluded", "skipped")
    assert result["show"].fields["notebook_task"]["base_parameters"] == {
        "table": "/lake/silver/days",
        "day": "2013-03-10",
    }


def test_given_stations_are_summarised() -> None:
    """An iteration's result is given by its item; a scheduled run is about the day before, in New York."""

    def observed(station: str, temperature: float) -> pl.DataFrame:
        hours = {"day": [DAY] * 2, "station": [station] * 2, "hour": [0, 1]}
        return pl.DataFrame({**hours, "temp": [temperature] * 2, "wind_speed": [5.0, 9.0], "precip": [0.0, 0.1]})

    result = run_job(
        daily_weather,
        stations=["EWR", "JFK"],
        started=dt.datetime(2013, 3, 12, 2, tzinfo=dt.UTC),
        inputs={"fetch": {"EWR": observed("EWR", 10), "JFK": observed("JFK", 12)}, "incomplete": False},
    )
    assert result.parameters["day"] == DAY
    assert result["summarise"].value.select("station", "mean_temp", "max_wind").rows() == [
        ("EWR", 10.0, 9.0),
        ("JFK", 12.0, 9.0),
    ]
