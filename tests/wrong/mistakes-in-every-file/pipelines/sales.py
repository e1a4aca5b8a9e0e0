import polars as pl

from dbxdec import job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager("gs://", mode="overwrite", expect={"known": "id < :most"})


@task(io_manager=lake, max_retris=1)
def orders() -> pl.LazyFrame: ...


@task
def report(orders: pl.LazyFrame) -> None: ...


@job(max_concurrent_run=1)
def sales() -> None:
    report(order=orders())
