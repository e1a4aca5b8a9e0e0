"""The lake that the jobs use, and the task that fills its first table."""

from __future__ import annotations

import datetime as dt

import polars as pl

from dbxdec import bundle_variable, task
from dbxdec.io_managers import PolarsDeltaIoManager
from flights_pipeline import sources

# Each job has a folder of its own, and each task a table named by its key. These tables lie between two steps: a run
# replaces them as a whole, so they don't tell which days are there.
lake = PolarsDeltaIoManager(base_path=bundle_variable("lake_root") / "{job}", mode="overwrite", keyed=False)


@task(io_manager=lake)
def extract(day: dt.date | None) -> pl.LazyFrame:
    """The flights of one day, or of the whole year."""
    flights = sources.flights()
    return flights if day is None else flights.filter(pl.col("date") == day)
