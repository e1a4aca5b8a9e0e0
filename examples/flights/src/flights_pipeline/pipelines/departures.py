"""As often as one likes: the flights that have left since the last run, and a tally that counts each of them once."""

from __future__ import annotations

import datetime as dt

import polars as pl

from dbxdec import DeltaMerge, job, run_date, task
from flights_pipeline.pipelines.common import extract, lake

FLIGHT = ["time_hour", "carrier", "flight"]
"""The columns that tell a flight from all others."""
# Half a day late is rather a wrong date: such a flight is kept apart, for a person to look at, and not counted.
departures_table = lake.table(
    "departed",
    expect_or_drop={"plausible delay": "dep_delay < 720"},
    quarantine=lake.table("implausible", mode="append"),
)


@job
def departures(day: dt.date = run_date()) -> None:
    @task(io_manager=departures_table)
    def departed(flights: pl.LazyFrame) -> DeltaMerge:
        """The flights that have left: one that is there already stays, so a run of the same day adds the rest."""
        known = flights.drop_nulls("dep_time").select(*FLIGHT, "origin", "dest", "dep_delay")
        return DeltaMerge(known, on=FLIGHT).when_not_matched_insert_all()

    @task(io_manager=lake, max_retries=2)
    def tally(departed: pl.LazyFrame) -> DeltaMerge:
        """Departures of each carrier and their minutes of delay, counted on from the last run."""
        late = pl.col("dep_delay").clip(lower_bound=0).sum().alias("minutes_late")
        news = departed.group_by("carrier").agg(pl.len().cast(pl.Int64).alias("flights"), late)
        return (
            DeltaMerge(news, on="carrier")
            .when_matched_update(
                {
                    "flights": "target.flights + source.flights",
                    "minutes_late": "target.minutes_late + source.minutes_late",
                }
            )
            .when_not_matched_insert_all()
        )

    # Only the rows that `tally` has not counted yet, whichever run has added them.
    tally(departed(extract(day)).changes())
