"""`dbxdec.testing` with frames of Spark: in memory they are kept as they are."""

from __future__ import annotations

from typing import Any

import pytest

import spark_tools
from dbxdec import RunError, bundle_variable, each, job, rows, task, unique
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


judged = SparkDeltaIoManager(base_path=bundle_variable("root"), mode="append")


@task(
    io_manager=judged.table(
        "numbers",
        expect={"small": "n < 100"},
        expect_or_drop={"positive": lambda frame: frame["n"] > 0},
        expect_or_fail={"one": unique("n", of="table"), "most": "n < :most", "some": rows(at_least=1)},
        quarantine=judged.table("rejected"),
    )
)
def numbers(start: int) -> DataFrame:
    found: DataFrame = SparkSession.active().range(start, 4).withColumnRenamed("id", "n")
    return found


@job
def counts(start: int = -1, most: int = 9) -> None:
    numbers(start)


def test_frames_of_spark_are_judged(spark: Any, dbxdec_lake: Lake) -> None:
    """As a run would: numbers, dropped rows in the quarantine's table, and rules over those that are there."""
    result = run_job(counts, tables=dbxdec_lake)
    assert dict(result["numbers"].expectations) == {
        "small": {"failed": 0, "rows": 5, "action": "kept"},
        "positive": {"failed": 2, "rows": 5, "action": "quarantined"},
        "one": {"failed": 0, "rows": 3, "action": "failed", "rule": "unique"},
        "most": {"failed": 0, "rows": 3, "action": "failed"},
        "some": {"failed": 0, "rows": 3, "action": "failed", "rule": "rows"},
    }
    assert sorted(row["n"] for row in result["numbers"].value.collect()) == [1, 2, 3]
    bad = dbxdec_lake["rejected"].select("n", "_dbxdec_failed", "_dbxdec_task").collect()
    assert sorted(map(tuple, bad)) == [(-1, ["positive"], "numbers"), (0, ["positive"], "numbers")]
    with pytest.raises(RunError) as raised:
        run_job(counts, most=3, tables=dbxdec_lake)
    assert [problem.message.partition("failed: ")[2] for problem in raised.value.problems] == [
        "3 of 3 rows share their `n` with others",
        "1 of 3 rows do not meet it",
    ]
    assert sorted(row["n"] for row in dbxdec_lake["numbers"].collect()) == [1, 2, 3]


def test_the_last_change_of_each_key_is_read_from_a_frame_of_spark(spark: Any, dbxdec_lake: Lake) -> None:
    """Changed, deleted and new keys, in the way of a Delta table."""

    @job
    def looks() -> None:
        @task(io_manager=lake.table("seen", mode="append", keyed=False))
        def look(customers: DataFrame) -> DataFrame:
            return customers

        look(lake.table("customers").changes(kind="latest", by="id"))

    dbxdec_lake["customers"] = spark.createDataFrame([(1, "a"), (2, "b")], "id int, name string")
    run_job(looks, tables=dbxdec_lake)
    dbxdec_lake["customers"] = spark.createDataFrame([(2, "c"), (3, "d")], "id int, name string")
    found = run_job(looks, tables=dbxdec_lake)["look"].reads["customers"].collect()
    assert sorted(map(tuple, found)) == [(1, "a", "delete"), (2, "c", "insert"), (3, "d", "insert")]
