"""All jobs, run in this process with one session of Spark, on tables below a temporary folder."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dbxdec.testing import JobResult, run_job
from orders_pipeline.money import currency_of
from orders_pipeline.pipelines.ingest import ingest
from orders_pipeline.pipelines.revenue import revenue
from orders_pipeline.pipelines.tally import tally

# One session of Spark for all tests of a run: with pytest-xdist one process takes them all.
pytestmark = pytest.mark.xdist_group("spark")

ORDERS = pl.DataFrame(
    {
        "o_orderkey": [1, 2, 3],
        "o_custkey": [7, 8, 7],
        "o_orderdate": [dt.date(1995, 3, 15), dt.date(1995, 3, 20), dt.date(1995, 4, 1)],
    }
)
LINES = pl.DataFrame(
    {
        "l_orderkey": [1, 1, 2, 3],
        "l_extendedprice": [100.0, 50.0, 200.0, 300.0],
        "l_discount": [0.1, 0.0, 0.5, 0.0],
    }
).cast({"l_extendedprice": pl.Decimal(15, 2), "l_discount": pl.Decimal(15, 2)})
CUSTOMERS = pl.DataFrame({"c_custkey": [7, 8], "c_name": ["Ada", "Bo"], "c_nationkey": [0, 1]})
NATIONS = pl.DataFrame({"n_nationkey": [0, 1], "n_name": ["FRANCE", "JAPAN"]})
MARCH, APRIL = dt.date(1995, 3, 1), dt.date(1995, 4, 1)


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    for name, frame in (("orders", ORDERS), ("lineitem", LINES), ("customer", CUSTOMERS), ("nation", NATIONS)):
        frame.write_parquet(folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize(("nation", "currency"), [("FRANCE", "EUR"), ("UNITED KINGDOM", "GBP"), ("VIETNAM", "VND")])
def test_nations_have_currencies(nation: str, currency: str) -> None:
    assert currency_of(nation) == currency


class TestJobs:
    @pytest.fixture
    def run(self, dbxdec_spark: Any, landing: Path, tmp_path: Path) -> Any:
        """Runs a job, whose tables stay for the next one; the session's own catalog takes those of gold."""
        dbxdec_spark.sql("CREATE SCHEMA IF NOT EXISTS gold")
        variables = {"landing": str(landing), "lake_root": str(tmp_path / "lake"), "catalog": "spark_catalog"}

        def run(job: Any, **parameters: Any) -> JobResult:
            return run_job(job, variables=variables, in_memory=False, **parameters)

        yield run
        dbxdec_spark.sql("DROP SCHEMA gold CASCADE")

    @pytest.mark.slow
    def test_two_months_and_a_rerun(self, run: Any, tmp_path: Path) -> None:
        """Each month is landed, merged and summed; a rerun of one leaves the other alone."""
        for month in (MARCH, APRIL):
            run(ingest, month=month)
        done = run(revenue, year=1995)
        assert done["best"].value == "FRANCE"
        done = run(revenue, year=1995)
        assert sorted(map(tuple, done["revenue_by_month"].value.collect())) == [
            (MARCH, "FRANCE", "EUR", Decimal("140.00")),
            (MARCH, "JAPAN", "JPY", Decimal("100.00")),
            (APRIL, "FRANCE", "EUR", Decimal("300.00")),
        ]

    @pytest.mark.slow
    def test_new_orders_are_counted_once(self, run: Any) -> None:
        """A tally goes on with what has landed since; run again without anything new it changes nothing."""
        counted = []
        for month in (MARCH, APRIL, None):
            if month is not None:
                run(ingest, month=month)
            found = run(tally)["orders_by_customer"].value
            counted.append(sorted(map(tuple, found.select("customer", "orders", "last_order").collect())))
        march = [(7, 1, dt.date(1995, 3, 15)), (8, 1, dt.date(1995, 3, 20))]
        april = [(7, 2, dt.date(1995, 4, 1)), (8, 1, dt.date(1995, 3, 20))]
        assert counted == [march, april, april]
