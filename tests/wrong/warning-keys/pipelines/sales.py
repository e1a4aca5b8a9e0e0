import datetime as dt
from typing import Literal

import polars as pl

from dbxdec import bundle_variable, daily, job, key, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(bundle_variable("lake"), mode="overwrite")


@task(io_manager=lake)
def whole(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day]})


@task(io_manager=lake.table("staging", keyed=False))
def staging(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day]})


@task(io_manager=lake.table("parts", partition_by="day"))
def parts(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day], "n": [1]})


@task
def show(day: dt.date, region: str) -> None:
    print(day, region)


@job(schedule={"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"})
def nightly(day: dt.date = daily(), region: Literal["eu", "us", "de"] = key("eu")) -> None:
    show(day, region)
    whole(day)
    staging(day)
    parts(day)
