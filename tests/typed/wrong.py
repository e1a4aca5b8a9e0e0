"""What a type checker must refuse: each line that ends in `# wrong`, and no other."""

from __future__ import annotations

import datetime as dt

import polars as pl

from dbxdec import condition, job, job_cluster, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager("lake", mode="overwite")  # wrong
small = job_cluster("small", num_wokers=1)  # wrong


@task
def extract(day: dt.date, source: str = "api") -> pl.DataFrame:
    return pl.DataFrame({"day": [day]})


@task(io_manager="lake")  # wrong
def stored() -> int:
    return 1


@job
def inner(day: dt.date) -> None:
    extract(day, sauce="file")  # wrong
    extract()  # wrong
    extract(3)  # wrong
    condition(1, "=", 2)  # wrong


@job
def outer() -> None:
    inner()  # wrong
    inner(3)  # wrong


text: str = extract.fn(dt.date(2024, 1, 1))  # wrong
