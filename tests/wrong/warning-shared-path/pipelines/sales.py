import polars as pl

from dbxdec import bundle_target, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path="abfss://lake@shop.dfs.core.windows.net/sales", mode="overwrite")
own = PolarsDeltaIoManager(base_path=f"/Volumes/{bundle_target()}/sales", mode="overwrite")


@task(io_manager=lake)
def orders(n: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(n)})


@task(io_manager=own)
def totals(orders: pl.DataFrame) -> pl.DataFrame:
    return orders


@job
def sales(n: int = 3) -> None:
    totals(orders(n))
