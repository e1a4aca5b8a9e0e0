import polars as pl

from dbxdec import bundle_variable, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


@task(io_manager=lake)
def orders(n: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(n)})
