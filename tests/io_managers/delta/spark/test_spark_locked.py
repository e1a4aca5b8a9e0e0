"""Spark where nobody may read or set a setting that it doesn't know, as on serverless compute."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import spark_tools
from dbxdec import DeltaMerge, job, task, unique
from dbxdec.errors import RunError, TargetExistsError
from dbxdec.io_managers import InputContext, PolarsDeltaIoManager, SparkDeltaIoManager
from dbxdec.io_managers.delta.spark import write
from dbxdec.io_managers.delta.spark.log import SparkTable
from dbxdec.testing import run_job
from spark_tools import IS_CONNECT, Place, needs_spark, output, receipt, rows, wanted

pytestmark = needs_spark
spark, path, table, place = spark_tools.spark, spark_tools.path, spark_tools.table, spark_tools.place


@pytest.fixture(autouse=True, params=["as it is"] if IS_CONNECT else ["get and set", "set"])
def locked(request: pytest.FixtureRequest, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the session refuse Delta's settings; one of Connect does so already."""
    kind = type(spark.conf)
    if IS_CONNECT:
        return
    for name in ("get", "set", "unset"):
        genuine = getattr(kind, name)
        if name == "get" and request.param == "set":
            continue

        def refuse(conf: Any, key: str, *values: Any, genuine: Any = genuine) -> Any:
            if key.startswith("spark.databricks.delta."):
                raise RuntimeError(f"[CONFIG_NOT_AVAILABLE] Configuration {key} is not available.")
            return genuine(conf, key, *values)

        monkeypatch.setattr(kind, name, refuse)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["error", "append", "overwrite", "ignore"])
def test_the_first_write_of_a_table_has_its_receipt(place: Place, mode: str) -> None:
    """It is found by its reader, and a retry adds nothing."""
    assert place.write(mode, "1", place.frame(1)).note == ""
    assert place.read("1") == [1]
    if mode != "overwrite":
        assert place.write(mode, "1", place.frame(1), attempt=2).note == "already written by attempt 1"
    assert place.stored == [1]


@pytest.mark.slow
def test_partitions_and_options_of_a_new_table(table: Place) -> None:
    """A table that is made without rows first has them too."""
    options = {"delta.appendOnly": "true"}
    table.write("append", "1", table.pairs((1, 2)), partition_by="k", write_options=options)
    (detail,) = table.spark.sql(f"DESCRIBE DETAIL {table.uri}").collect()
    assert (detail["partitionColumns"], detail["properties"]["delta.appendOnly"]) == (["k"], "true")
    assert rows(table.manager().read(wanted(table.uri, receipt("1")))) == [(1, 2)]


@pytest.mark.slow
@pytest.mark.connect
@pytest.mark.parametrize("mode", ["error", "append", "overwrite", "ignore"])
def test_a_kill_between_the_table_and_its_rows_is_mended(
    table: Place, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retry takes the empty table for its own and fills it; another run's is refused or kept as its mode says."""
    with monkeypatch.context() as patch:
        patch.setattr(write, "append", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            table.write(mode, "1", table.frame(1))
    assert table.stored == []
    if mode == "error":
        with pytest.raises(TargetExistsError):
            table.write(mode, "2", table.frame(2))
    io, retry = table.manager(mode), output(table.uri, receipt("1", attempt=2))
    io.preflight(retry)
    io.write(retry, table.frame(1))
    assert (table.stored, table.read("1")) == ([1], [1])
    assert table.write("append", "2", table.frame(2)).note == ""
    assert table.stored == [1, 2]


@pytest.mark.slow
@pytest.mark.connect
def test_slices(place: Place) -> None:
    """They are read as such."""
    place.write("append", "0", place.pairs((1, 1), (2, 2)))
    place.write("overwrite", "2", place.pairs((2, 7)), replace={"k": 2})
    assert rows(place.manager().read(wanted(place.uri, receipt("2")))) == [(2, 7)]


class TestMerges:
    """A merge has its receipt in its own commit, and no attempt repeats it."""

    def adding(self, source: Any, on: str | list[str] = "k") -> DeltaMerge:
        """A merge that adds to what is there, and so shows if it ran twice."""
        merge = DeltaMerge(source, on=on).when_matched_update({"x": "target.x + source.x"})
        return merge.when_not_matched_insert_all()

    @pytest.mark.connect
    def test_a_retry_merges_nothing_again(self, place: Place) -> None:
        """Also into a table that the merge makes; another run's merge counts."""
        merge = self.adding(place.pairs((1, 5)))
        assert place.write("append", "1", merge).note == "merged: 1 inserted, 0 updated, 0 deleted"
        for attempt in (2, 3):
            assert place.write("append", "1", merge, attempt).note == "already written by attempt 1"
        assert place.write("append", "2", merge).rows == 1
        assert rows(place.manager().read(wanted(place.uri, receipt("1")))) == [(1, 5)]
        assert rows(place.manager().read(wanted(place.uri))) == [(1, 10)]

    @pytest.mark.slow
    @pytest.mark.parametrize("key", ["o.id", "o`id", "größe", "select"])
    def test_a_key_may_have_any_name(self, path: Place, key: str) -> None:
        """Its rows are found, a retry finds its merge, and a key that the source has twice is refused."""
        source = path.pairs((1, 5)).withColumnRenamed("k", key)
        path.write("append", "0", source)
        merge = self.adding(source, on=[key])
        for attempt in (1, 2):
            path.write("append", "1", merge, attempt)
        assert rows(path.manager().read(wanted(path.uri))) == [(1, 10)]
        with pytest.raises(RunError, match="keys must be unique"):
            path.write("append", "2", self.adding(source.union(source), on=[key]))

    @pytest.mark.slow
    def test_a_kill_after_the_commit_is_mended(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """The process that dies before it has looked for its commit has merged, and the retry sees that."""
        place.write("append", "0", place.pairs((1, 1)))
        merge = self.adding(place.pairs((1, 5)))
        with monkeypatch.context() as patch:
            patch.setattr(SparkTable, "find", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                place.write("append", "1", merge)
        assert place.write("append", "1", merge, 2).note == "already written by attempt 1"
        assert rows(place.manager().read(wanted(place.uri, receipt("1")))) == [(1, 6)]

    @pytest.mark.slow
    def test_a_zombie_in_flight_stops_at_the_fence_of_its_retry(self, path: Place) -> None:
        """The retry merges while the first attempt's query runs, which then ends without a second merge."""
        path.write("append", "0", path.pairs((1, 1)))
        retry = functools.partial(path.write, "append", "1", self.adding(path.pairs((1, 5))), 2)
        # Without keys that are checked first, the query runs in the merge itself.
        late = self.adding(path.midway("1", retry).selectExpr("int(x) AS k", "5 AS x"), "target.k = source.k")
        with pytest.raises(RunError, match="attempt 2 of the task `task` has taken over its merge"):
            path.write("append", "1", late)
        assert rows(path.manager().read(wanted(path.uri))) == [(1, 6)]

    @pytest.mark.slow
    def test_a_merge_that_changes_nothing_is_the_table(self, place: Place) -> None:
        """Delta makes no commit of it, but its readers get the table, in whichever engine."""
        place.write("append", "0", place.pairs((1, 1)))
        nothing = DeltaMerge(place.pairs((2, 5)), on="k").when_matched_update_all()
        assert place.write("append", "1", nothing).note == "merged: nothing to change"
        assert rows(place.manager().read(wanted(place.uri, receipt("1")))) == [(1, 1)]

    @pytest.mark.slow
    def test_polars_reads_what_it_left(self, path: Place) -> None:
        """The receipt is found in the condition that the log shows."""
        path.write("append", "0", path.pairs((1, 1)))
        path.write("append", "1", self.adding(path.pairs((1, 5), (2, 2))))
        path.write("append", "2", path.pairs((3, 3)))
        found = PolarsDeltaIoManager("unused").read(InputContext(path.uri, "x", pl.DataFrame, receipt("1").id))
        assert sorted(found.lazy().collect().rows()) == [(1, 6), (2, 2)]

    @pytest.mark.slow
    @pytest.mark.parametrize("on", ["target.k = source.k", "target.k = source.k OR target.k = -source.k"])
    def test_a_condition_of_the_author_stays_whole(self, path: Place, on: str) -> None:
        """Whatever it consists of."""
        path.write("append", "0", path.pairs((1, 1)))
        path.write("append", "1", DeltaMerge(path.pairs((1, 5)), on=on).when_matched_update({"x": "source.x"}))
        assert rows(path.manager().read(wanted(path.uri, receipt("1")))) == [(1, 5)]


@pytest.mark.connect
def test_partitions_are_replaced(place: Place) -> None:
    """Where the session can't say how it compares partitions."""
    place.write("append", "0", place.pairs((1, 1), (2, 2)), partition_by="k")
    place.write("overwrite", "1", place.pairs((2, 7)), partition_by="k")
    assert rows(place.manager().read(wanted(place.uri, receipt("1")))) == [(2, 7)]
    assert rows(place.manager().read(wanted(place.uri))) == [(1, 1), (2, 7)]


@pytest.mark.connect
def test_settings_of_a_task(spark: Any) -> None:
    """Those that the session takes hold around the task; one that it refuses is named before the function is called."""
    seen: list[Any] = []

    @job
    def one() -> None:
        @task(spark_conf={"spark.sql.session.timeZone": "Asia/Tokyo"})
        def fine() -> None:
            seen.append(spark.sql("SELECT current_timezone()").first()[0])

        @task(spark_conf={"spark.sql.session.timeZone": "Asia/Tokyo", "spark.databricks.delta.x": "1"})
        def refused() -> None:
            raise AssertionError

        fine()
        refused()

    before = spark.sql("SELECT current_timezone()").first()[0]
    with pytest.raises(RunError, match=r"refuses the setting `spark.databricks.delta.x` of the task `refused`"):
        run_job(one)
    assert [*seen, spark.sql("SELECT current_timezone()").first()[0]] == ["Asia/Tokyo", before]


@pytest.mark.slow
def test_relative_places(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative `base_path`, as `dbxdec init` writes it, is below the folder that the task runs in."""
    monkeypatch.chdir(tmp_path)
    at = Place(spark, "lake/table", SparkDeltaIoManager)
    for run in ("1", "2"):
        at.write("append", run, at.frame(int(run)))
    assert (at.read("2"), at.stored) == ([2], [1, 2])
    assert os.path.isdir(tmp_path / "lake" / "table" / "_delta_log")
    with pytest.raises(RunError):
        at.write("append", "3", at.sql("'x' AS x"))


@pytest.mark.slow
@pytest.mark.parametrize("new", [True, False])
def test_merges_with_any_names_of_expectations_are_done_once(path: Place, new: bool) -> None:
    """The condition of the merge has them, with the receipt."""
    names = ['it\'s "x"', "a \\ b", "`c`, d", "${x} $y", "ü #12] -- */", "]", "n" * 128]
    expect = dict.fromkeys(names, "x > 1")
    if not new:
        path.write("append", "0", path.pairs((9, 9)))
    for attempt in (1, 2):
        merge = DeltaMerge(path.pairs((1, 1), (2, 2)), on="k")
        found = path.write("append", "1", merge, attempt, expect=expect, expect_or_fail={"one": unique("k")})
        assert [found.expectations[name]["failed"] for name in names] == [1] * len(names)
        assert (found.note == "already written by attempt 1") == (attempt == 2)
