import datetime as dt
from typing import Literal

import polars as pl

from dbxdec import bundle_variable, daily, hourly, job, key, monthly, task, weekly
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(bundle_variable("lake"))


@task(io_manager=lake.table("orders", mode="error"))
def orders(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day]})


@task
def show(value: str) -> None:
    print(value)


@job
def first(day: dt.date = daily(tz="Berlin")) -> None:
    orders(day)


@job
def second(day: str = daily()) -> None:
    show(day)


@job
def third(hour: dt.date = hourly()) -> None: ...


@job
def fourth(region: str = key("eu")) -> None:
    show(region)


@job
def fifth(region: Literal["eu", "us"] = key("de")) -> None:
    show(region)


@job
def sixth(region: str = key("eu", values=["us", "de"])) -> None:
    show(region)


@job
def seventh(region: str = key("eu", values=["eu", "us", "eu"])) -> None:
    show(region)


@job
def eighth(day: dt.date = daily(), region: str = key("eu", values=["eu"], was="day")) -> None:
    orders.override(key="mine")(day)
    show(region)


@job
def ninth(month: dt.date = monthly(on=31), week: dt.date = weekly(on="Monday"), day: dt.date = daily(lag=4)) -> None:
    orders(day)


@job
def tenth(shares: list[str] = key(["a"])) -> None: ...


@task(io_manager=lake.table("kept", mode="ignore"))
def kept(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day]})


@job
def eleventh(day: dt.date = daily()) -> None:
    kept(day)
