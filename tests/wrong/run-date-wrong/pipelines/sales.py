import datetime as dt

from dbxdec import job, run_date, task


@task
def orders(day: dt.date) -> int:
    return day.day


@job
def sales(day: dt.date = run_date(offset_days="-1", offset_months=10**9, tz="Mars")) -> None:
    orders(day)
