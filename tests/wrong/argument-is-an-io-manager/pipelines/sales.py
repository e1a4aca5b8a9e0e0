import polars as pl

from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"))


@task
def total(orders: pl.LazyFrame) -> int:
    return orders.collect().height


@job
def sales() -> None:
    total(lake)
