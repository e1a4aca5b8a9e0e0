from typing import Any

import polars as pl
from dbxdec import each, job, latest, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager("lake", mode="append")


@task(io_manager=lake)
def orders(country: str) -> pl.DataFrame: ...


@task(io_manager=lake)
def shops(shop: dict[str, str]) -> pl.DataFrame: ...


@task
def found() -> list[dict[str, str]]: ...


@task
def listed(a: list[pl.DataFrame], b: dict[str, pl.DataFrame | None]) -> None: ...


@task
def by_shop(a: dict[str, pl.DataFrame]) -> None: ...


@task
def report(a: Any) -> None: ...


@job
def sales() -> None:
    x = orders(each(["de", "fr"], concurrency=True))
    listed(latest(x), x.table)
    by_shop(shops(each(found(), concurrency=2.0)))
    report(orders.override(key="again")(each(["de"], concurrency=101), day="x"))
