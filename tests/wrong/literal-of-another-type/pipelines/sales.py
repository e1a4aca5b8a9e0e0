import datetime as dt
from enum import Enum
from pathlib import Path
from typing import Literal

import polars as pl

from dbxdec import bundle_variable, each, job, task


class Colour(Enum):
    RED = "r"


@task
def orders(n: int, day: dt.date, xs: list[str]) -> int:
    return n


@task
def report(
    mode: Literal["fast", "slow"] = "fast",
    colour: Colour = Colour.RED,
    prices: dict[str, float] | None = None,
    orders: pl.DataFrame | None = None,
    folder: Path | None = None,
    top: int = 3,
) -> None: ...


@job
def sales() -> None:
    orders("x", "2024-01-01", 3)
    report(mode="fats", colour="r", prices={"a": 1, "b": "2.5"}, orders=[], folder="a/b", top=True)
    report.override(key="variables")(top=bundle_variable("top"))
    report.override(key="each")(top=each([1, "2"]))
