"""The weather of one day: fetched by station, checked, summarised, shown."""

from __future__ import annotations

import datetime as dt
import logging

import polars as pl

from dbxdec import bundle_variable, condition, each, job, native_task, run_date, task
from dbxdec.io_managers import PolarsDeltaIoManager
from weather_pipeline.sources import weather

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake_root"), mode="overwrite")
HOURS = 24
log = logging.getLogger(__name__)


@task(io_manager=lake.table("bronze/observations", partition_by=["day", "station"]), max_retries=2)
def fetch(station: str, day: dt.date) -> pl.LazyFrame:
    """The observations of one station on one day."""
    return (
        weather()
        .filter(pl.date("year", "month", "day") == day, pl.col("origin") == station)
        .select(pl.lit(day).alias("day"), pl.col("origin").alias("station"), "hour", "temp", "wind_speed", "precip")
    )


@job(
    schedule={"quartz_cron_expression": "0 0 6 * * ?", "timezone_id": "America/New_York"},
    tags={"team": "weather"},
)
def daily_weather(
    day: dt.date = run_date(offset_days=-1, tz="America/New_York"),
    stations: list[str] = ["EWR", "JFK", "LGA"],
) -> None:
    """One day's weather at each station."""

    @task
    def count_gaps(observations: dict[str, pl.DataFrame]) -> int:
        """The number of hours that are missing, over all stations."""
        missing = {station: HOURS - frame["hour"].n_unique() for station, frame in observations.items()}
        log.info("missing hours: %s", missing)
        return sum(missing.values())

    @task(io_manager=lake.table("silver/days", partition_by="day"))
    def summarise(observations: pl.LazyFrame, day: dt.date) -> pl.LazyFrame:
        """One row for each station that has observations of the day."""
        return (
            observations.filter(pl.col("day") == day)
            .group_by("day", "station")
            .agg(
                pl.len().alias("hours"),
                pl.col("temp").mean().round(1).alias("mean_temp"),
                pl.col("wind_speed").max().alias("max_wind"),
                pl.col("precip").sum().round(2).alias("precip"),
            )
            .sort("station")
        )

    @task
    def tell(day: dt.date, missing: int) -> None:
        """Say that the day is incomplete."""
        log.warning("%s lacks %d observations", day, missing)

    observations = fetch(each(stations, concurrency=3), day)
    missing = count_gaps(observations)
    days = summarise(observations, day)
    show = native_task(
        "show",
        notebook_task={
            "notebook_path": "notebooks/show_day.py",
            "base_parameters": {"table": days.uri, "day": day},
        },
        depends_on=[days],
    )
    # Both branches wait for `days`: where it fails, the last task of each fails, and so does the run.
    told = tell(day, missing).after(days)
    condition(missing, ">", bundle_variable("accepted_gaps"), key="incomplete").then(told).otherwise(show)
