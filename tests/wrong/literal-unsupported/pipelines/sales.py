import datetime as dt
import decimal
import fractions
import uuid
from dataclasses import dataclass
from enum import Enum

import polars as pl

from dbxdec import job, task


@dataclass
class Shop:
    name: str


@task
def report(value: object) -> None: ...


@job
def sales() -> None:
    class Colour(Enum):
        RED = 1

    report.override(key="a_set")({"DE", "FR"})
    report.override(key="an_instance")(Shop("Berlin"))
    report.override(key="a_class")(Shop)
    report.override(key="a_function")(len)
    report.override(key="a_lambda")(lambda n: n + 1)
    report.override(key="a_frame")(pl.DataFrame({"n": [1]}))
    report.override(key="an_expression")(pl.col("n") > 1)
    report.override(key="a_uuid")(uuid.UUID(int=7))
    report.override(key="a_time")(dt.time(5, 30))
    report.override(key="a_fraction")(fractions.Fraction(1, 3))
    report.override(key="a_complex")(1j)
    report.override(key="a_range")(range(3))
    report.override(key="a_generator")(n for n in (1, 2))
    report.override(key="a_module")(decimal)
    report.override(key="a_local_enum")(Colour.RED)
    report.override(key="a_key")({2013: "DE"})
    report.override(key="inside")({"shops": [1, {"of": Shop("Berlin")}]})
