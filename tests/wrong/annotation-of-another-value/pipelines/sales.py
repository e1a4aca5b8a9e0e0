import datetime as dt

from dbxdec import job, task


@task
def orders(day: dt.date) -> int | None:
    return day.day


@task
def report(orders: int, day: str) -> None: ...


@job
def sales(day: dt.date = dt.date(2013, 1, 1)) -> None:
    report(orders(day), day)
