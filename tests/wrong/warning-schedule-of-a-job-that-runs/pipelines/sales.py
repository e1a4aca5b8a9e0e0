import datetime as dt

import polars as pl
from dbxdec import bundle_variable, job, run_date, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"))


@task(io_manager=lake)
def orders(day: dt.date, since: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day, since]})


@job
def child(day: dt.date = run_date(), since: dt.date = dt.date(2013, 1, 1)) -> None:
    orders(day, since)


@job
def middle() -> None:
    child()


@job(schedule={"quartz_cron_expression": "0 30 0 * * ?", "timezone_id": "Asia/Tokyo"})
def sales() -> None:
    middle()


@job(schedule={"quartz_cron_expression": "0 30 0 * * ?", "timezone_id": "Asia/Tokyo"})
def given() -> None:
    child(day=dt.date(2024, 1, 1), since=dt.date(2024, 1, 2))
