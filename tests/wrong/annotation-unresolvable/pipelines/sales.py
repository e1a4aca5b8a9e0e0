from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

if TYPE_CHECKING:
    import polars as pl

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


@task(io_manager=lake)
def orders(n: int) -> pl.DataFrame:
    import polars

    return polars.DataFrame({"n": range(n)})


@task
def report(orders: pl.DataFrame) -> None: ...


@job
def sales(n: int = 3) -> None:
    report(orders(n))
