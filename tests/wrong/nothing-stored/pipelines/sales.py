import polars as pl

from dbxdec import job, task


@task
def orders(n: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(n)})


@job
def sales(n: int = 3) -> None:
    orders(n)
