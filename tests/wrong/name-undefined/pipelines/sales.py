from dbxdec import job, task
from shop import helpers


@task
def orders(day: str) -> int:
    frame = spark.read.table("orders").filter(F.col("day") == day)
    display(frame)
    return frame.count()


@task
def report(orders: int) -> None:
    helpers.sent(helpers.token(), oders)


@job
def sales(day: str = "2013-01-01") -> None:
    report(orders(day))
