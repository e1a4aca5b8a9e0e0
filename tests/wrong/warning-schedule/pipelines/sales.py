import datetime as dt

import polars as pl

from dbxdec import bundle_variable, job, run_date, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"))


@task(io_manager=lake)
def orders(day: dt.date, until: dt.date | None) -> pl.DataFrame:
    return pl.DataFrame({"day": [day, until]})


@task
def mail(moment: dt.datetime, since: dt.date) -> None: ...


@job(schedule={"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"})
def sales(
    day: dt.date = dt.date(2013, 1, 1),
    until: dt.date | None = None,
    moment: dt.datetime = dt.datetime(2013, 1, 1, 6),
    since: dt.date = run_date(offset_days=-1),
) -> None:
    orders(day, until)
    mail(moment, since)
