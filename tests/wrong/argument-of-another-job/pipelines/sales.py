from dbxdec import job, task

kept = {}


@task
def orders(day: str) -> int:
    return len(day)


@task
def total(orders: int, day: str) -> int:
    return orders + len(day)


@job
def a_daily(day: str = "2013-01-01") -> None:
    kept["orders"] = orders(day)
    kept["day"] = day


@job
def b_sales(n: int = 3) -> None:
    total(kept["orders"], kept["day"])
    total.override(key="second")(n, "2013-01-01").after(kept["orders"])
