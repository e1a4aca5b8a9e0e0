import polars as pl

from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="append")
gold = lake.table("gold/sales")


@task(io_manager=gold)
def domestic(n: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(n)})


@task(io_manager=gold)
def foreign(n: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(n)})


@job
def sales(n: int = 3) -> None:
    domestic(n)
    foreign(n)
