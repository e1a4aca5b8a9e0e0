import polars as pl
from dbxdec import job, latest, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager("lake", mode="append")


@task(io_manager=lake)
def orders() -> pl.DataFrame: ...


@task(io_manager=lake.table("prices", mode="overwrite"))
def prices() -> pl.DataFrame: ...


@task
def count(n: int):
    return n


@job
def sales() -> None:
    @task(io_manager=lake)
    def silver(orders: pl.DataFrame, prices: pl.DataFrame, count: int) -> pl.DataFrame: ...

    x, p = orders(), prices()
    n = count(3)
    silver(x, p, n)
    silver.override(key="again")(x.table, p.table, n)
    silver.override(key="and_again")(latest(x), latest(p), n)
