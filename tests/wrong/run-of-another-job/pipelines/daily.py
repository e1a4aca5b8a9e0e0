import datetime as dt

from dbxdec import job, task


@task
def orders(day: dt.date, shops: list) -> int:
    return day.day + len(shops)


@job
def daily(day: dt.date, shops: list = ["Berlin"], limit: int = 10) -> None:  # noqa: B006
    orders(day, shops)
