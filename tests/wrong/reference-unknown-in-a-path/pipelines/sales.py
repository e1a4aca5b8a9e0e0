import polars as pl

from dbxdec import job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path="${lake}/gold", mode="overwrite")
mine = PolarsDeltaIoManager(base_path="/Workspace/${workspace.current_user.userName}", mode="overwrite")
other = PolarsDeltaIoManager(base_path="lake/{jbo}", mode="overwrite")


@task(io_manager=lake)
def orders() -> pl.DataFrame:
    return pl.DataFrame()


@task(io_manager=mine)
def totals() -> pl.DataFrame:
    return pl.DataFrame()


@task(io_manager=other)
def report() -> pl.DataFrame:
    return pl.DataFrame()


@job
def sales() -> None:
    orders()
    totals()
    report()
