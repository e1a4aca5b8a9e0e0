"""Conditions that no run of the job could evaluate, and a table that is its own quarantine."""

import datetime as dt

import polars as pl

from dbxdec import bundle_variable, fraction, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager("lake", mode="append")
orders = lake.table(
    "orders",
    expect={
        "misspelt": "day = :dya",
        "two": "amount < 5000 BANANA",
        "half": "amount > 0 AND",
        "brackets": "1=1) OR (1=1",
        "fine": "amount <= :most AND text <> ':nobody'",
        "later": "amount < " + bundle_variable("most"),
    },
    expect_or_fail={"share": fraction("amount > :half", at_most=0.5)},
)


@task(io_manager=orders)
def load(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day], "amount": [1]})


@task(outputs={"good": lake.table("good", expect={"day": "day = :date"}), "bad": lake.table("bad")})
def split(orders: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {"good": orders, "bad": orders}


@task(io_manager=lake.table("own", expect_or_drop={"id": "id > 0"}, quarantine=lake.table("own")))
def own() -> pl.DataFrame:
    return pl.DataFrame({"id": [1]})


@job
def daily(day: dt.date, most: int = 9) -> None:
    split(load(day))
    own()
