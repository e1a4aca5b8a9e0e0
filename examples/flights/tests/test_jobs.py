"""The jobs as a whole: their shape, and what they make of given flights, without a cluster, a build or a table."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from dbxdec import RunError
from dbxdec.testing import Lake, job_dag, run_job, run_task
from flights_pipeline.pipelines.daily import daily_delays
from flights_pipeline.pipelines.departures import departures
from flights_pipeline.pipelines.yearly import yearly_summary

NEW_YEAR = dt.date(2013, 1, 1)


@pytest.fixture
def flights() -> pl.DataFrame:
    """Three flights of one morning, one of them cancelled."""
    return pl.DataFrame(
        {
            "date": [NEW_YEAR, NEW_YEAR, NEW_YEAR],
            "carrier": ["UA", "UA", "AA"],
            "tailnum": ["N14228", None, "N619AA"],
            "origin": ["EWR", "EWR", "JFK"],
            "time_hour": [dt.datetime(2013, 1, 1, 5)] * 3,
            "hour": [5, 5, 5],
            "dep_delay": [2, 40, None],
        },
        schema_overrides={"time_hour": pl.Datetime(time_zone="UTC")},
    )


def test_the_shape_of_the_day() -> None:
    """Two ways lead from the extract to the report: by delays, and by carriers."""
    dag = job_dag(daily_delays)
    assert dag.edges == {
        ("extract", "enrich"),
        ("enrich", "delays"),
        ("delays", "worst"),
        ("worst", "report"),
        ("extract", "carriers"),
        ("carriers", "report"),
    }
    assert dag["worst"].inputs == {"delays": "delays", "day": "parameter day", "top": "parameter top"}
    assert dag["delays"].targets == {"result": "${var.lake_root}/daily_delays/delays"}


def test_a_day_from_given_flights(flights: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`extract` is not called; `carriers` merges into a real table, which is why it needs a place."""
    result = run_job(daily_delays, day=NEW_YEAR, top=1, inputs={"extract": flights}, variables={"lake_root": tmp_path})
    assert result["delays"].value.select("carrier", "flights", "cancelled").rows() == [("AA", 1, 1), ("UA", 2, 0)]
    assert result["carriers"].value.sort("carrier")["flights"].to_list() == [1, 2]
    assert result["worst"].value == {"flights": 3, "hours": ["UA at 05h: 21 min"]}
    assert "2013-01-01: 3 flights; longest delays: UA at 05h: 21 min" in capsys.readouterr().out


def test_a_rerun_replaces_its_day_alone(flights: pl.DataFrame, dbxdec_lake: Lake) -> None:
    """Runs over one lake: the second run of a day leaves the other day as it was."""
    for day, rows in ((NEW_YEAR, 3), (dt.date(2013, 1, 2), 3), (NEW_YEAR, 2)):
        of_day = flights.head(rows).with_columns(date=pl.lit(day))
        run_job(daily_delays, day=day, inputs={"extract": of_day}, until="delays", tables=dbxdec_lake)
    by_day = dbxdec_lake["delays"].group_by("date").agg(pl.col("flights").sum()).sort("date")
    assert by_day.rows() == [(NEW_YEAR, 2), (dt.date(2013, 1, 2), 3)]


def test_a_failed_query_is_the_authors_own_error() -> None:
    """What a task raises is raised in the test."""
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="origin"):
        run_task(daily_delays, "enrich", inputs={"extract": pl.DataFrame({"carrier": ["UA"]})})


def test_each_departure_is_counted_once(dbxdec_lake: Lake) -> None:
    """A second run of the day counts what has come since, a third one nothing."""
    flights = pl.DataFrame(
        {
            "time_hour": [dt.datetime(2013, 1, 1, hour) for hour in (5, 5, 6)],
            "carrier": ["UA", "AA", "UA"],
            "flight": [1, 2, 3],
            "origin": ["EWR", "JFK", "EWR"],
            "dest": ["IAH", "MIA", "ORD"],
            "dep_time": [517, 542, None],
            "dep_delay": [2, -3, None],
        }
    )
    landed = flights.with_columns(pl.col("dep_time").fill_null(600), pl.col("dep_delay").fill_null(10))
    counted = []
    for known in (flights, landed, landed):
        result = run_job(departures, day=NEW_YEAR, inputs={"extract": known}, tables=dbxdec_lake)
        counted.append(result["tally"].reads["departed"].collect().height)
    assert counted == [2, 1, 0]
    assert sorted(dbxdec_lake["tally"].rows()) == [("AA", 1, 0), ("UA", 2, 12)]


def test_a_departure_half_a_day_late_is_kept_apart(dbxdec_lake: Lake) -> None:
    """It is neither among the departures nor counted; the quarantine says why."""
    result = run_job(departures, day=NEW_YEAR, tables=dbxdec_lake)
    assert result["departed"].expectations == {"plausible delay": {"failed": 1, "rows": 838, "action": "quarantined"}}
    assert dbxdec_lake["tally"]["flights"].sum() == 837
    kept = dbxdec_lake["implausible"]
    assert kept.select("carrier", "flight", "dep_delay", "_dbxdec_failed").rows() == [
        ("MQ", 3944, 853, ["plausible delay"])
    ]


def test_a_day_with_rows_of_another_one_is_refused(flights: pl.DataFrame) -> None:
    """Before it replaces anything."""
    with pytest.raises(RunError, match='the expectation "its day" failed: 2 of 2 rows do not meet it'):
        run_job(daily_delays, day=dt.date(2013, 1, 2), inputs={"extract": flights}, until="delays")


def test_the_year_from_the_real_flights() -> None:
    """Nothing is given: the whole year is read, and summed up to 336,776 flights."""
    result = run_job(yearly_summary, until="total")
    assert result.states == {
        "extract_year": "success",
        "carriers": "success",
        "total": "success",
        "report": "not selected",
    }
    assert result["total"].value == 336_776
