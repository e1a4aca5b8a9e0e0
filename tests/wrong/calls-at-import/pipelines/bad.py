from dbxdec import bundle_variable, each, job, task
from dbxdec.io_managers import PolarsDeltaIoManager
from shop.pipelines.good import good, orders

lake = PolarsDeltaIoManager(bundle_variable("lake root"), mde="overwrite")
gold = lake.table("gold", md="append")
silver = PolarsDeltaIoManager("/lake").table("silver", md="append")

found = orders()
good()


@task(io_manger=gold, timeout_seconds={3})
def total(orders: int) -> int:
    return orders


@task(key="b 6!", io_manager="silver")
def report(orders: int) -> int:
    return orders


@job(io_manger=lake, cluster="small", key=3)
def bad(n: int = 3) -> None:
    total(found, n)
    report(orders(n), n)
    report.override(key="b 7!")(each([]))
