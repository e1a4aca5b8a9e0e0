import polars as pl

from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


@task(outputs={"good": lake.table("good"), "bad": lake.table("bad")})
def split(n: int) -> dict[str, pl.DataFrame]:
    return {"good": pl.DataFrame({"n": [n]}), "bad": pl.DataFrame({"n": [-n]})}


@task(outputs={"one": lake.table("one"), "two": lake})
def unbound() -> dict[str, pl.DataFrame]:
    return {}


@task(outputs={"three": lake.table("three")})
def alone() -> pl.DataFrame:
    return pl.DataFrame()


@task
def report(orders: pl.DataFrame) -> None: ...


@job
def sales(n: int = 3) -> None:
    parts = split(n)
    report(parts)
    report.override(key="report_good")(parts["god"])
    unbound()
    alone()
