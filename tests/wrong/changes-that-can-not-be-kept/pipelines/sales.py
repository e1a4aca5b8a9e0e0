"""Tasks that read what is new, and could not keep how far they have read."""

import datetime as dt

import polars as pl

from dbxdec import DeltaMerge, daily, each, job, task
from dbxdec.io_managers import PolarsDeltaIoManager, PolarsParquetIoManager, SparkDeltaIoManager

lake = PolarsDeltaIoManager("lake", mode="append")
files = PolarsParquetIoManager("files", mode="overwrite")
spark = SparkDeltaIoManager("lake", mode="append")
orders = lake.table("bronze/orders")



@task
def count(orders: pl.DataFrame) -> int:
    return orders.height


@task(io_manager=files)
def exported(orders: pl.DataFrame) -> pl.DataFrame:
    return orders


@task(io_manager=lake.table("today", mode="overwrite"))
def today(orders: pl.DataFrame) -> pl.DataFrame:
    return orders


@task(io_manager=lake.table("once", mode="error"))
def once(orders: pl.DataFrame) -> pl.DataFrame:
    return orders


@task(io_manager=lake.table("kept", mode="ignore"))
def kept(orders: pl.DataFrame) -> pl.DataFrame:
    return orders


@task(outputs={"good": lake.table("good"), "bad": lake.table("bad", mode="overwrite")})
def split(orders: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {"good": orders, "bad": orders}


@task(io_manager=lake)
def by_country(orders: pl.DataFrame, country: str) -> pl.DataFrame:
    return orders.filter(pl.col("country") == country)


@task(io_manager=orders)
def itself(orders: pl.DataFrame) -> pl.DataFrame:
    return orders


@task(io_manager=spark.table("upserted"))
def upserted(orders: pl.DataFrame) -> DeltaMerge:
    return DeltaMerge(orders, on="id")


@task(io_manager=lake)
def several(orders: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(orders)


@task(io_manager=lake)
def of_a_file(rows: pl.DataFrame) -> pl.DataFrame:
    return rows


@task(io_manager=lake.table("ingested", mode="overwrite"))
def ingested(country: str) -> pl.DataFrame:
    return pl.DataFrame({"country": [country]})


@task(io_manager=lake.table("of_iterations"))
def of_iterations(rows: pl.DataFrame) -> pl.DataFrame:
    return rows


@job
def hourly(dbxdec_adopt: str = "") -> None:
    count(orders.changes())
    file = exported(orders.changes())
    today(orders.changes())
    once(orders.changes())
    kept(orders.changes())
    split(orders.changes())
    by_country(orders.changes(), each(["de", "fr"]))
    itself(orders.changes())
    upserted(orders.changes())
    several([orders.changes(), lake.table("others").changes()])
    of_a_file(file.changes())
    of_iterations(ingested(each(["de", "fr"])).changes())


@task(io_manager=lake.table("by_day"))
def by_day(orders: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    return orders.filter(pl.col("day") == day)


@job
def visits(day: dt.date = daily(since=dt.date(2024, 1, 1))) -> None:
    by_day(orders.changes(), day)
