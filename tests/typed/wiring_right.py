"""What a type checker must accept: everything that a job's body can do with results, tables and tasks."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Any, assert_type

import polars as pl

from dbxdec import (
    Job,
    Task,
    TaskProxy,
    bundle_variable,
    condition,
    context,
    each,
    get_task_value,
    handled,
    job,
    latest,
    native_task,
    on_update,
    params,
    run_date,
    secret,
    set_task_value,
    task,
    task_values,
)
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("root") / "bronze", mode="append")
airports = lake.table("reference/airports")
gold = lake.table("gold/delays", partition_by="day", mode="overwrite", schema="add-columns")
place: str = gold.uri()


class Mode(Enum):
    FULL = "full"
    LAST = "last"


@task(io_manager=lake)
def extract(day: dt.date, source: str = "api", token: str = "") -> pl.DataFrame:
    set_task_value("rows", 3)
    task_values.set("more", {"a": [1, None]})
    return pl.DataFrame({"day": [day], "rows": [get_task_value(task_key="other", key="rows", default=0)]})


@task(outputs={"good": gold, "bad": lake.table("bad")})
def split(frame: pl.LazyFrame, airports: pl.LazyFrame) -> dict[str, pl.LazyFrame]:
    return {"good": frame, "bad": frame}


@task
def count(*frames: pl.DataFrame, **more: int) -> int:
    context().logger.info("%s %s", context().run_date, params.day)
    return sum(frame.height for frame in frames) + sum(more.values())


@task
def countries() -> list[str]:
    return ["de"]


@task(io_manager=lake)
def ingest(country: str, day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"country": [country], "day": [day]})


@task
def whole(frame: pl.DataFrame, parts: list[pl.DataFrame], by_country: dict[str, pl.LazyFrame], mode: Mode) -> None: ...


@task
def alarm() -> None: ...


@job(trigger=on_update("main.silver.orders", lake.table("x"), min_interval=dt.timedelta(minutes=5)))
def updated() -> None: ...


@job
def inner(day: dt.date, top: int = 3) -> None:
    extract(day)


@job(io_manager=lake, on_failure=handled(alarm))
def outer(
    day: dt.date = run_date(offset_days=-1, offset_months=1, tz="Europe/Berlin"),
    top: int = 3,
    mode: Mode = Mode.LAST,
    names: list[str] | None = None,
) -> None:
    @task
    def report(total: int, pair: tuple[pl.DataFrame, pl.DataFrame], rows: int, where: str, top: int) -> None: ...

    found = extract(day, source=bundle_variable("source"), token=secret("scope", "key"))
    assert_type(found, TaskProxy[pl.DataFrame])
    parts = split(found, airports)
    total = count(found, latest(found), parts["good"], top=top, rows=found.value("rows"))
    assert_type(total, TaskProxy[int])
    said = report(total, (parts["good"], parts["bad"].written), found.value("rows"), found.uri, top)
    said.after(total, found).after(parts)
    found >> [total, parts] >> said  # pyright: ignore[reportUnusedExpression]

    chosen = condition(total, ">", top, key="enough").then(said).otherwise(native_task("no", run_job_task={"job_id": 1}))
    condition(found.state, "==", "success", key="fine").then(alarm.override(depends_on=[chosen.true, chosen.false])())
    condition(mode, "!=", Mode.FULL, key="mode")

    loaded = ingest(each(countries(), concurrency=8), day)
    ingest.override(key="literal")(each(["de", "fr"]), day)
    whole(loaded, latest(loaded), loaded.written, mode)
    whole.override(key="tables")(airports, [found, gold], {"de": airports}, Mode.FULL)
    inner(day, top=total).after(inner(dt.date(2024, 1, 1)))


def nightly(country: str, retries: int) -> Job[[dt.date]]:
    @job(key=f"nightly_{country}", tags={"country": country})
    def made(day: dt.date = run_date()) -> None:
        @task(max_retries=retries)
        def load(day: dt.date) -> str:
            return f"{country} {day}"

        load(day)

    return made


assert_type(extract.fn(dt.date(2024, 1, 1), source="file"), pl.DataFrame)
assert_type(count.fn(pl.DataFrame(), rows=1), int)
assert_type(extract.override(key="x", max_retries=1).fn(dt.date(2024, 1, 1)), pl.DataFrame)
nested: Task[..., Any] = outer.tasks["report"]
made: list[Job[[dt.date]]] = [nightly(country, 1) for country in ("de", "fr")]
