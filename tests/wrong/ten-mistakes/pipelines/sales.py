import polars as pl

from dbxdec import bundle_variable, condition, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


@task(io_manager=lake)
def orders(n: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(n)})


@task
def count(orders: pl.LazyFrame) -> int:
    return orders.collect().height


@task
def details(orders: pl.DataFrame) -> pl.DataFrame:
    return orders


@task
def report(count: int, words: list[str]) -> None: ...


@job
def sales(n: int = 3) -> None:
    @task
    def forgotten() -> None: ...

    @task
    def bigger() -> bool:
        return n > 3

    found = orders(n)
    counted = count(found)
    if counted:
        report(counted, wrds=["a"])
    report.override(key="second")(counted)
    report.override(key="second")(counted, {"a"})
    report.override(key="third")(found, ["a"])
    details(found)
    bigger()
    condition(counted, "=>", 3)
