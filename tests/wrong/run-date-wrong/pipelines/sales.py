import datetime as dt

from dbxdec import job, run_date, task


@task
def orders(day: dt.date) -> int:
    return day.day


@job
def sales(day: dt.date = run_date(offset_days="-1")) -> None:
    orders(day)
