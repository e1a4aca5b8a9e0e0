"""One day: where the delays were, and what each carrier's record is now."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
from deltalake.table import TableMerger

from dbxdec import daily, job, job_cluster, rows, task, unique
from flights_pipeline import sources
from flights_pipeline.pipelines.common import extract, lake

small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)
delays_table = lake.table(
    "delays",
    partition_by="date",
    keyed=True,
    expect={"an hour late at most": "mean_delay <= 60"},  # counted: `dbxdec runs show` has it
    expect_or_fail={
        "its day": "date = :day",
        "one row an hour": unique("date", "carrier", "hour"),
        "not empty": rows(at_least=1),
    },
)
carriers_table = lake.table("carriers", keyed=True)
# Which days there should be, for `dbxdec missing` and `dbxdec backfill`. A run that is given no day gets yesterday.
days = daily(since=dt.date(2013, 1, 1), until=dt.date(2013, 12, 31), tz="America/New_York")


@job(cluster=small, tags={"team": "flights"})
def daily_delays(day: dt.date = days, top: int = 3) -> None:
    @task(io_manager=lake)
    def enrich(flights: pl.LazyFrame) -> pl.LazyFrame:
        """Each flight with the weather at its departure and the plane that flew it."""
        weather = sources.weather().select("origin", "time_hour", "wind_speed", "precip", "visib")
        planes = sources.planes().select("tailnum", "manufacturer", "seats")
        return flights.join(weather, on=["origin", "time_hour"], how="left").join(planes, on="tailnum", how="left")

    @task(io_manager=delays_table, max_retries=2)
    def delays(flights: pl.LazyFrame, quantiles: dict[str, float]) -> pl.LazyFrame:
        """Departure delays in minutes by carrier and hour; a rerun of a day replaces that day alone."""
        delay = pl.col("dep_delay")
        return (
            flights.group_by("date", "carrier", "hour")
            .agg(
                pl.len().alias("flights"),
                delay.is_null().sum().alias("cancelled"),
                delay.mean().alias("mean_delay"),
                *(delay.quantile(q).alias(name) for name, q in quantiles.items()),
                pl.col("wind_speed").mean(),
            )
            .sort("date", "carrier", "hour")
        )

    @task(io_manager=carriers_table)
    def carriers(flights: pl.DataFrame, day: dt.date) -> TableMerger:
        """One row for each carrier: the last day that was loaded, and how that day went."""
        news = (
            flights.group_by("carrier")
            .agg(pl.len().alias("flights"), pl.col("dep_delay").mean().alias("mean_delay"))
            .join(sources.airlines().collect(), on="carrier", how="left")
            .with_columns(last_day=pl.lit(day))
        )
        target = carriers_table.uri()
        news.clear().write_delta(target, mode="ignore")
        merge = news.write_delta(
            target,
            mode="merge",
            delta_merge_options={
                "predicate": "new.carrier = old.carrier",
                "source_alias": "new",
                "target_alias": "old",
                "commit_properties": carriers_table.commit_properties(),
            },
        )
        return merge.when_matched_update_all(predicate="new.last_day >= old.last_day").when_not_matched_insert_all()

    @task
    def worst(delays: pl.LazyFrame, day: dt.date, top: int) -> dict[str, Any]:
        """The day's hours with the longest delays, small enough to travel as a task value."""
        of_day = delays.filter(pl.col("date") == day).collect()
        hours = of_day.drop_nulls("mean_delay").sort("mean_delay", descending=True).head(top)
        return {
            "flights": int(of_day["flights"].sum()),
            "hours": [
                f"{carrier} at {hour:02}h: {delay:.0f} min"
                for carrier, hour, delay in hours.select("carrier", "hour", "mean_delay").rows()
            ],
        }

    @task
    def report(worst: dict[str, Any], day: dt.date) -> None:
        print(f"{day}: {worst['flights']} flights; longest delays: {', '.join(worst['hours'])}")

    flights = extract(day)
    enriched = enrich(flights)
    by_hour = delays(enriched, quantiles={"median_delay": 0.5, "p90_delay": 0.9})
    report(worst(by_hour, day, top), day).after(carriers(flights, day))
