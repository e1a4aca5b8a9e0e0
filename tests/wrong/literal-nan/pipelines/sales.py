import math

from dbxdec import job, task


@task
def report(rates: list[float]) -> None: ...


@job
def sales() -> None:
    report([1.5, math.nan, 2.5])
    report.override(key="largest")([-math.inf])
