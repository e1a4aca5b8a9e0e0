import datetime as dt
from enum import Enum
from typing import Any, Literal

from dbxdec import job, run_date, task


class Colour(Enum):
    RED = 1


@task
def orders() -> int:
    return 3


@job
def sales(
    untyped,
    anything: Any,
    frame: set[str],
    number: int = "3",
    rate: float = float("nan"),
    day: dt.date = "2013-01-01",
    moment: dt.datetime = run_date(offset_days=-1),
    colour: Colour = "RED",
    size: Literal["S", "M"] = "L",
    misspelt: "dt.dat" = None,
    *shops: str,
    **options: str,
) -> None:
    orders()
