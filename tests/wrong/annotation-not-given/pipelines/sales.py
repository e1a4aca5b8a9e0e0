import polars as pl

from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


@task(io_manager=lake)
def orders(n: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(n)})


@task
def report(orders: list, customers: pl.Series) -> None: ...


@job
def sales(n: int = 3) -> None:
    report(orders(n), lake.table("customers"))
