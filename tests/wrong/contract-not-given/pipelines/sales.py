from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import dataframely as dy
import polars as pl

from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

if TYPE_CHECKING:
    from shop.schemas import Elsewhere

lake = PolarsDeltaIoManager(bundle_variable("lake"), mode="overwrite")


class Orders(dy.Schema):
    id = dy.Int64()
    day = dy.Date(nullable=True)
    price = dy.Float32()


class Report(dy.Schema):
    id = dy.Int64()
    day = dy.Date()
    price = dy.Float64()
    customer = dy.String()


@task(io_manager=lake)
def orders() -> dy.LazyFrame[Orders]: ...


@task(io_manager=lake)
def hidden() -> dy.LazyFrame[Elsewhere]: ...


@task(io_manager=lake)
def both() -> Annotated[dy.DataFrame[Orders], Report]: ...


@task
def report(orders: dy.DataFrame[Report], rows: Annotated[pl.LazyFrame | None, Orders]) -> None: ...


@job
def sales() -> None:
    made = orders()
    report(made, made)
    hidden()
    both()


@job
def yearly() -> None:
    report.override(key="of_table")(lake.table("orders"), lake.table("unknown"))
