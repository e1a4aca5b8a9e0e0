import datetime as dt
from decimal import Decimal

from dbxdec import condition, job, task


@task
def orders(country: str) -> int:
    return len(country)


@task
def ratio() -> float:
    return 1.0


@task(key="last-day")
def last_day() -> dt.date:
    return dt.date(2024, 1, 5)


@task
def maybe() -> int | None:
    return None


@job
def sales(country: str = "DE", amount: Decimal = Decimal("1.50"), full: bool = False) -> None:
    found, day = orders(country), last_day()
    condition(found, "==", "3", key="a")
    condition(full, "==", 1, key="b")
    condition(day, "==", "2024-01-05", key="c")
    condition(amount, "==", 1.5, key="d")
    condition(found, "==", ratio(), key="e")
    condition(found.value("share"), "==", 0.5, key="f")
    condition(day.state, "==", "ok", key="g")
    condition(found, ">", 2**60, key="h")
    condition("{{tasks.last-day.values.return_value}}", "==", "2024-01-05", key="i")
    condition(amount, "==", 2, key="j")
    condition(maybe(), ">", 1, key="k")
