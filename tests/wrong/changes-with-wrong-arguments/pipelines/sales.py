"""What is wrong in calls of `.changes()` themselves."""

import polars as pl

from dbxdec import job, latest, task
from dbxdec.io_managers import PolarsCsvIoManager, PolarsDeltaIoManager

lake = PolarsDeltaIoManager("lake", mode="append")
orders = lake.table("bronze/orders")


@task(io_manager=lake)
def load() -> pl.DataFrame:
    return pl.DataFrame({"id": [1]})


@task(io_manager=lake)
def clean(orders: pl.DataFrame) -> pl.DataFrame:
    return orders


@job
def hourly() -> None:
    clean(orders.changes("row", starting="now", on_rewrite="ignore", at_least_once=1))
    clean.override(key="no_key")(orders.changes(kind="latest"))
    clean.override(key="a_key")(orders.changes(by="id"))
    clean.override(key="twice")(orders.changes(kind="latest", by=["id", "id"]))
    clean.override(key="no_name")(load().changes(kind="latest", by=3))
    clean.override(key="misspelt")(orders.changes(keys="id"))
    clean.override(key="no_table")(lake.changes())
    clean.override(key="a_file")(PolarsCsvIoManager("files").table("orders").changes())
    clean.override(key="newest")(latest(load.override(key="load_2")().changes()))
    clean.override(key="of_newest")(latest(load.override(key="load_3")()).changes())
