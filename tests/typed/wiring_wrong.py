"""What a type checker must refuse in a job's body: each line that ends in `# wrong`, and no other."""

from __future__ import annotations

import datetime as dt

import polars as pl

from dbxdec import condition, daily, each, handled, job, key, latest, monthly, native_task, on_update, run_date, task, weekly
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path="lake", mode="append")
lake.tabel("x")  # wrong
lake.table(3)  # wrong


@task(io_manager=lake)
def extract(day: dt.date, source: str = "api") -> pl.DataFrame:
    return pl.DataFrame({"day": [day]})


@task(outputs={"good": "lake"})  # wrong
def split(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {"good": frame}


@task(extract)  # wrong
def twice() -> None: ...


@task
def count(frame: pl.DataFrame, top: int) -> int:
    return frame.height + top


@task
def needy(x: int) -> None: ...


@job(on_failure=needy)  # wrong
def guarded() -> None: ...


@job(on_failure=handled(needy))  # wrong
def guarded_too() -> None: ...


@job(trigger=on_update(3))  # wrong
def updated() -> None: ...


@job(trigger=on_update("a.b.c", min_interval=60))  # wrong
def updated_too() -> None: ...


@job(cluster="small")  # wrong
def placed() -> None: ...


@job
def inner(day: dt.date, top: int = 3) -> None:
    extract(day)


@job
def outer(day: dt.date = run_date(offset_days="1")) -> None:  # wrong
    found = extract(day)
    extract(day, sourc="file")  # wrong
    extract(day, "file", 3)  # wrong
    count(found)  # wrong
    count(found, "3")  # wrong
    count(top=3)  # wrong
    count(found, each(["a"]))  # wrong
    count(found, each([1], concurency=3))  # wrong
    count(latest(day), 3)  # wrong
    found.after(3)  # wrong
    condition(1, "=>", 2)  # wrong
    condition(1, ">").then(found)  # wrong
    condition(1, ">", 2).then(3)  # wrong
    native_task("a", cluster="small")  # wrong
    inner(day, tops=3)  # wrong
    inner("2024-01-01")  # wrong
    extract.override(io_manager="lake")  # wrong
    extract.override(key="x")(3)  # wrong


extract.fn()  # wrong
number: int = count.fn(pl.DataFrame(), top="3")  # wrong
text: str = count.fn(pl.DataFrame(), top=3)  # wrong


@job
def keyed(
    day: dt.date = daily(since="2024-01-01"),  # wrong
    late: dt.date = daily(lag=4),  # wrong
    week: dt.date = weekly(on="Monday"),  # wrong
    month: dt.date = monthly(on="1"),  # wrong
    region: str = key(3),  # wrong
    size: int = key(3, values=["a"]),  # wrong
) -> None:
    extract(day)
