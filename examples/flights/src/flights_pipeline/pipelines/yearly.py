"""The whole year, on serverless compute."""

from __future__ import annotations

import polars as pl

from dbxdec import job, task
from flights_pipeline.pipelines.common import extract, lake


@job
def yearly_summary() -> None:
    @task(io_manager=lake)
    def carriers(flights: pl.LazyFrame) -> pl.LazyFrame:
        """Flights, distance in miles and delays in minutes of each carrier."""
        return (
            flights.group_by("carrier")
            .agg(
                pl.len().alias("flights"),
                pl.col("distance").sum(),
                pl.col("arr_delay").mean().alias("mean_arrival_delay"),
            )
            .sort("flights", descending=True)
        )

    @task
    def total(carriers: pl.DataFrame) -> int:
        return int(carriers["flights"].sum())

    @task
    def report(total: int) -> None:
        print(f"{total:,} flights in the year")

    year = extract.override(key="extract_year")(None)
    report(total(carriers(year)))
