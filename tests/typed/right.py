"""What a type checker must accept: a pipeline as authors write it."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import polars as pl

from dbxdec import (
    Task,
    TaskProxy,
    bundle_variable,
    condition,
    daily,
    environment,
    hourly,
    job,
    job_cluster,
    key,
    latest,
    monthly,
    native_task,
    params,
    run_date,
    secret,
    set_task_value,
    task,
    weekly,
)
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(
    base_path=bundle_variable("root") / "bronze", mode="overwrite", storage_options={"key": secret("s", "k")}
)
small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)
lean = environment("lean", dependencies=["polars"])


@task(io_manager=lake, max_retries=2)
def extract(day: dt.date, source: str = "api") -> pl.DataFrame:
    set_task_value("rows", 3)
    names: list[str] = []
    set_task_value("names", names)
    return pl.DataFrame({"day": [day]})


@task
def count(frame: pl.LazyFrame) -> int:
    return frame.collect().height


@task(outputs={"good": lake.table("good"), "bad": lake.table("bad", partition_by="day")})
def split(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {"good": frame, "bad": frame}


@task
def alarm() -> None:
    print(params.day)


@job
def inner(day: dt.date, top: int = 3) -> None:
    extract(day)


@job(
    cluster=small,
    on_failure=alarm,
    tags={"team": "ops"},
    schedule={"quartz_cron_expression": "x", "timezone_id": "UTC"},
)
def outer(day: dt.date = run_date(offset_days=-1), top: int = 3) -> None:
    @task
    def report(total: int, parts: list[pl.DataFrame], newest: pl.DataFrame, rows: int, top: int) -> None: ...

    found: TaskProxy[pl.DataFrame] = extract(day, source=bundle_variable("source"))
    parts = split(found)
    counted = count(found)
    report(counted, [parts["good"], parts["bad"]], latest(found), found.value("rows"), top).after(counted)
    inner(day, top=counted).after(extract.override(key="again", environment=lean)(day))
    condition(counted, ">", top).then(native_task("show", notebook_task={"notebook_path": "x"})).otherwise(counted)


plain: pl.DataFrame = extract.fn(dt.date(2024, 1, 1), source="file")
nested: Task[..., object] = outer.tasks["report"]


@job
def keyed(
    day: dt.date = daily(since=dt.date(2024, 1, 1), until=dt.date(2024, 2, 1), tz="Europe/Berlin", was="date"),
    week: dt.date = weekly(on="sunday", since=bundle_variable("first")),
    month: dt.date = monthly(on=28, lag=dt.timedelta(hours=4)),
    hour: dt.datetime = hourly(),
    region: Literal["eu", "us"] = key("eu"),
    size: int = key(3, values=[1, 2, 3]),
) -> None:
    extract(day, source=region)
