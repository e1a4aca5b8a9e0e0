import datetime as dt

from dbxdec import job, run_date, task


@task
def orders(day: dt.date) -> int:
    return day.day


@job
def daily(day: dt.date = run_date(tz="Berlin")) -> None:
    orders(day)
