from typing import Any

import polars as pl
from dbxdec import DeltaMerge, job, latest, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager("lake", mode="append")


@task(io_manager=lake)
def orders() -> pl.DataFrame: ...


@task(io_manager=lake)
def either() -> pl.DataFrame | DeltaMerge: ...


@task
def count() -> int: ...


@task
def report(a: Any, b: Any) -> None: ...


@job
def sales() -> None:
    x = orders()
    report(x.table("gold/orders"), latest(x.written))
    y = either()
    report.override(key="second")(y, y.written)
    n = count()
    report.override(key="third")(n.table, n.written)
