"""`dbxdec.testing` with frames of Spark: in memory they are kept as they are."""

from __future__ import annotations

from typing import Any

import pytest

import spark_tools
from dbxdec import RunError, bundle_variable, each, job, task
from dbxdec.io_managers import DeltaMerge, SparkDeltaIoManager
from dbxdec.testing import Lake, run_job
from spark_tools import needs_spark

pytest.importorskip("pyspark")
from pyspark.sql import DataFrame, SparkSession

pytestmark = needs_spark
spark = spark_tools.spark

lake = SparkDeltaIoManager(base_path=bundle_variable("root"), mode="overwrite")


def test_frames_of_spark(spark: Any, dbxdec_lake: Lake) -> None:
    """Iterations replace their partitions, slices their rows, appends add; a merge is refused with what to do."""

    def rows(found: Any) -> list[tuple[Any, ...]]:
        return sorted(map(tuple, found.collect()))

    @job
    def one(n: int = 1) -> None:
        @task(io_manager=lake.table("parts", partition_by="country"))
        def part(country: str, n: int) -> DataFrame:
            found: DataFrame = spark.createDataFrame([(country, n)], "country string, n int")
            return found

        @task(io_manager=lake.table("sliced", replace={"country": "de"}))
        def sliced(parts: DataFrame) -> DataFrame:
            return parts.filter("country = 'de'")

        @task(io_manager=lake.table("all", mode="append"))
        def appended(by_country: dict[str, DataFrame]) -> DataFrame:
            return by_country["de"]

        found = part(each(["de", "fr"]), n)
        sliced(found)
        appended(found)

    dbxdec_lake["parts"] = spark.createDataFrame([("it", 0), ("de", 0)], "country string, n int")
    dbxdec_lake["sliced"] = spark.createDataFrame([("de", 0), ("fr", 0)], "country string, n int")
    run_job(one, n=1, tables=dbxdec_lake)
    result = run_job(one, n=2, tables=dbxdec_lake)
    assert rows(dbxdec_lake["parts"]) == [("de", 2), ("fr", 2), ("it", 0)]
    assert rows(dbxdec_lake["sliced"]) == [("de", 2), ("fr", 0)]
    assert rows(dbxdec_lake["all"]) == [("de", 1), ("de", 2)]
    assert [rows(frame) for frame in result["part"].value] == [[("de", 2)], [("fr", 2)]]

    @job
    def merging() -> None:
        @task(io_manager=lake.table("parts"))
        def merge() -> DeltaMerge:
            return DeltaMerge(spark.createDataFrame([("de", 1)], "country string, n int"), on="country")

        merge()

    with pytest.raises(RunError, match=r"needs a Delta table of Spark\n.*`in_memory=False`"):
        run_job(merging)


def test_the_session_and_its_settings(spark: Any) -> None:
    """A parameter is given the active session, which has the task's settings until it has ended."""
    name, before = "spark.sql.shuffle.partitions", spark.conf.get("spark.sql.shuffle.partitions")

    @job
    def one(n: int = 3) -> None:
        @task(spark_conf={name: 7, "spark.sql.ansi.enabled": False, "mine": "x"})
        def told(spark: SparkSession, n: int) -> list[str]:
            return [
                str(spark.range(n).count()),
                *(spark.conf.get(key) or "" for key in (name, "spark.sql.ansi.enabled")),
            ]

        @task(spark_conf={"spark.sql.warehouse.dir": "/x"})
        def fixed() -> None: ...

        told(n)  # type: ignore[call-arg, arg-type]
        fixed()

    result = run_job(one, raise_on_error=False)
    assert result["told"].value == ["3", "7", "false"]
    assert spark.conf.get(name) == before
    assert spark.conf.get("mine", None) is None
    error = result["fixed"].error
    assert isinstance(error, RunError)
    assert "refuses the setting `spark.sql.warehouse.dir` of the task `fixed`" in str(error)
    assert "`spark_conf` of job_cluster" in str(error)
