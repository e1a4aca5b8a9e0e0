import polars as pl

from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


@task(io_manager=lake)
def orders(n: int) -> pl.LazyFrame:
    return pl.LazyFrame({"n": range(n)})


@task
def report(orders: pl.DataFrame, n: int) -> None: ...


@job
def sales(n: int = 3) -> None:
    found = orders(n)
    report(found.filter(pl.col("n") > 1), len(found))
    report.override(key="first")(found["n"], n)
