import polars as pl

from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


@task(outputs={"good": lake.table("good"), "bad": lake.table("bad")})
def split(n: int) -> dict[str, pl.DataFrame]:
    return {"good": pl.DataFrame({"n": [n]}), "bad": pl.DataFrame({"n": [-n]})}


@job
def sales(n: int = 3) -> None:
    good, bad = split(n)
