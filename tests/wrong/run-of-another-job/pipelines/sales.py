import datetime as dt

from dbxdec import job, task
from shop.pipelines.daily import daily


@task
def first_day() -> dt.date:
    return dt.date(2013, 1, 1)


@task
def largest() -> str:
    return "10"


@job
def sales(text: str = "2013-01-01") -> None:
    daily(limt=3)


@job
def other(text: str = "2013-01-01") -> None:
    daily(text, shops="Berlin", limit=largest())


@job
def third() -> None:
    daily(first_day(), [], 10, 20)
    daily("2013-01-01")


@job
def plain() -> None:
    first_day()


@job
def fourth() -> None:
    plain(day="2013-01-01")
