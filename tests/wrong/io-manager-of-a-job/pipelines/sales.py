import polars as pl

from dbxdec import job, task


@task
def orders() -> pl.DataFrame:
    return pl.DataFrame()


@job(io_manager="lake")
def sales() -> None:
    orders()
