from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec import job, task

if TYPE_CHECKING:
    import pyspark.sql as ps


@task
def orders(n: int) -> ps.DataFrame: ...


@job
def daily(n: int = 3) -> None:
    orders(n)
