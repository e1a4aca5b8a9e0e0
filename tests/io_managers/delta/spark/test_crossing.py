"""A task with Polars that reads a Spark task's table, and the reverse: the annotation decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import spark_tools
from dbxdec import bundle_variable, each, job, task
from dbxdec.io_managers import InputContext, PolarsDeltaIoManager, SparkDeltaIoManager, SparkTableIoManager
from dbxdec.model import places
from dbxdec.testing import Lake, run_job
from spark_tools import Place, needs_spark, output, receipt

pytest.importorskip("pyspark")
from pyspark.sql import DataFrame

pytestmark = needs_spark
spark, path, table = spark_tools.spark, spark_tools.path, spark_tools.table

sparks = SparkDeltaIoManager(bundle_variable("root"), mode="append")
polars = PolarsDeltaIoManager(bundle_variable("root"), mode="append")


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "real tables"])
@pytest.mark.slow
def test_each_engine_reads_what_the_other_has_returned_in_this_run(
    spark: Any, tmp_path: Path, in_memory: bool, dbxdec_lake: Lake
) -> None:
    """One frame, one for each item, none at all, and the whole table."""

    @job
    def crossing(names: list[str], n: int) -> None:
        @task(io_manager=sparks.table("s"))
        def by_spark(name: str, n: int) -> DataFrame:
            found: DataFrame = spark.createDataFrame([(name, n)], "name string, n int")
            return found

        @task(io_manager=polars.table("p"))
        def by_polars(one: pl.DataFrame, some: dict[str, pl.DataFrame], whole: pl.LazyFrame) -> pl.DataFrame:
            assert sorted(some) == sorted(one["name"])
            return one.with_columns(total=whole.select(pl.len()).collect().item())

        @task
        def back(found: DataFrame, all_of_it: DataFrame) -> list[int]:
            return [found.count(), all_of_it.count(), found.agg({"total": "max"}).collect()[0][0]]

        x = by_spark(each(names), n)
        y = by_polars(x, x, x.table)
        back(y, y.table)

    given: dict[str, Any] = (
        {"tables": dbxdec_lake} if in_memory else {"in_memory": False, "variables": {"root": tmp_path}}
    )
    assert run_job(crossing, names=["a", "b"], n=1, **given)["back"].value == [2, 2, 2]
    assert run_job(crossing, names=["a"], n=2, **given)["back"].value == [1, 3, 3]


@pytest.mark.slow
def test_a_table_of_the_catalog_is_read_where_it_lies(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a local run that is a folder, which Polars reads without Spark."""
    monkeypatch.setenv(places.ROOT, str(tmp_path))
    silver = SparkTableIoManager("main.silver", mode="append").table("t")
    for run in (1, 2):
        silver.write(output(silver.uri(), receipt(str(run))), spark.range(run))
    found = silver.read(InputContext(silver.uri(), "x", pl.DataFrame, receipt("2").id))
    assert found["id"].to_list() == [0, 1]


@pytest.mark.slow
@pytest.mark.connect
def test_spark_reads_for_polars_where_only_it_has_access(table: Place) -> None:
    """A table of a real catalog: moments are in UTC, as Polars has them itself."""
    pytest.importorskip("pyarrow", reason="the environments of older versions of Spark do without pyarrow")
    for run in ("1", "2"):
        table.write("append", run, table.sql(f"{run} AS x, timestamp'2024-01-0{run} 00:00:00+00:00' AS t"))
    context = InputContext(table.uri, "x", pl.DataFrame, receipt("2").id)
    found = table.manager().read(context)
    assert found["x"].to_list() == [2]
    assert found.schema["t"] == pl.Datetime("us", "UTC")
    assert str(found["t"][0]) == "2024-01-02 00:00:00+00:00"
