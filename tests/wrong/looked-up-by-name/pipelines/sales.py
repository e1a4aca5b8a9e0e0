import polars as pl

from dbxdec import get_task_value, job, params, set_task_value, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path="lake")


@task
def load() -> None:
    set_task_value("rows", 3)
    print(params.regoin)


@task(outputs={"good": lake.table("good"), "bad": lake.table("bad")})
def split(rows: int) -> dict[str, pl.DataFrame]:
    frame = pl.DataFrame({"rows": [rows, get_task_value("laod", "rows")]})
    return {"good": frame, "bda": frame}


@job
def sales(region: str = "eu") -> None:
    split(load().value("rwos"))
