import datetime as dt

import polars as pl

from dbxdec import job, run_date, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager("/lake")


@job
def sales(day: dt.date = run_date()) -> None:
    @task(io_manager=lake.table(day, mod="append"))
    def orders() -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    orders()
