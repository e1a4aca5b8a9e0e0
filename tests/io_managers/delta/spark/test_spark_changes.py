"""What is new in a Delta table, for a task with Spark: which rows it gets, and that it gets them once."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import deltalake
import polars as pl
import pytest

import spark_tools
from dbxdec import DeltaMerge, job, task
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager, SparkDeltaIoManager
from dbxdec.io_managers.contexts import InputContext
from dbxdec.io_managers.delta.progress import Consumer as Name
from dbxdec.io_managers.delta.spark import log_files, new_rows, source_log
from dbxdec.io_managers.delta.spark.log import History, SparkTable
from dbxdec.model.changes import Changes
from dbxdec.testing import run_job
from spark_consumers import Consumer, Table
from spark_tools import IS_CONNECT, Place, needs_spark, output, receipt, rows, rows_of, wanted
from thorough import THOROUGH

pytest.importorskip("pyspark")
from pyspark.sql import DataFrame

pytestmark = needs_spark
spark, path, table, place = spark_tools.spark, spark_tools.path, spark_tools.table, spark_tools.place

FEED = Changes("feed")
LATEST = Changes("latest", by=("k",))


@pytest.fixture
def source(place: Place) -> Iterator[Place]:
    """A table of the same kind that another program writes."""
    found = other(place, "source")
    yield found
    if place.kind is not SparkDeltaIoManager:
        place.spark.sql(f"DROP TABLE IF EXISTS {found.uri}")


def other(at: Place, name: str) -> Place:
    return Place(at.spark, f"{at.uri}_{name}", at.kind)


def add(at: Place, *values: tuple[int, int], **options: str) -> None:
    """Append rows, as another program does: delta-rs in a quick run, which takes a second less."""
    if not THOROUGH and at.kind is SparkDeltaIoManager and not options:
        frame = pl.DataFrame(values, {"k": pl.Int32, "x": pl.Int32}, orient="row")
        deltalake.write_deltalake(at.uri, frame, mode="append")
        return
    writer = at.pairs(*values).write.format("delta").mode("append").options(**options)
    writer.save(at.uri) if at.kind is SparkDeltaIoManager else writer.saveAsTable(at.uri)


def replace(at: Place, *values: tuple[int, int], partitions: tuple[str, ...] = ()) -> None:
    """Overwrite a table, which gets these partitions."""
    writer = at.pairs(*values).coalesce(1).write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    writer.partitionBy(*partitions).save(at.uri)


def log_a_file(folder: Path, name: str, number: int) -> None:
    """Commit a file of one row as the version `number`, as a writer does that gives files names of its own."""
    file = folder / name
    pl.DataFrame({"k": [number], "x": [number]}, schema={"k": pl.Int32, "x": pl.Int32}).write_parquet(file)
    facts = {"size": file.stat().st_size, "modificationTime": number, "partitionValues": {}, "dataChange": True}
    actions = [{"commitInfo": {"timestamp": number, "operation": "WRITE"}}, {"add": {"path": quote(name), **facts}}]
    log = folder / "_delta_log" / f"{number:020}.json"
    log.write_text("\n".join(map(json.dumps, actions)), encoding="utf-8")


def sql_name(at: Place) -> str:
    return f"delta.`{at.uri}`" if at.kind is SparkDeltaIoManager else at.uri


def sql(at: Place, statement: str) -> Any:
    return at.spark.sql(statement.format(sql_name(at))).collect()


def fed(at: Place) -> None:
    sql(at, "ALTER TABLE {} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')")


def version(at: Place) -> int:
    return int(sql(at, "DESCRIBE HISTORY {} LIMIT 1")[0]["version"])


def reader(target: Place, at: Place, changes: Changes | None = None, **options: Any) -> Consumer:
    schema = options.pop("schema", "strict")
    return Consumer.of(
        Table(target.manager("append", schema=schema), target.uri),
        Table(at.manager(), at.uri),
        changes=changes or Changes(),
        **options,
    )


def then(seen: list[Any], make: Callable[[Any], Any], look: Callable[[Any], Any] = lambda new: new) -> Any:
    """A task's function that notes what it gets."""

    def function(new: Any) -> Any:
        seen.append(look(new))
        return make(new)

    return function


def facts_of(at: Place) -> list[dict[str, Any]]:
    """What the commits of a table say of what has been read, oldest first."""
    found = [commit.metadata or "" for commit in History(SparkTable(at.spark, at.uri, "." in at.uri[:15])).back()]
    return [{"metadata": one} for one in reversed(found) if '"n":' in one]


class TestAppends:
    """Rows that commits have added come once, by the files of these commits."""

    def test_each_run_gets_what_came_since(self, place: Place, source: Place) -> None:
        """A snapshot first, then what was added; compaction is nothing new, and a run without rows commits too."""
        task_ = reader(place, source)
        add(source, (1, 1), (2, 2))
        assert task_.run("1") is not None
        assert task_.facts["new"].note == "all rows of version 0"
        add(source, (3, 3))
        add(source, (4, 4))
        sql(source, "OPTIMIZE {}")
        task_.run("2")
        assert task_.facts["new"].note == "new in versions 1 to 3"
        assert (task_.facts["new"].rows, task_.facts["new"].version) == (2, 3)
        assert rows_of(place) == [(1, 1), (2, 2), (3, 3), (4, 4)]
        written = task_.run("3")
        assert written is not None
        assert (written.rows, task_.facts["new"].rows, task_.facts["new"].note) == (0, 0, "nothing new since version 3")
        assert len(facts_of(place)) == 3

    @pytest.mark.slow
    def test_a_run_without_a_result_has_read_what_was_new(self, place: Place, source: Place) -> None:
        """The next one gets what came after it, and no compaction."""
        task_ = reader(place, source)
        add(source, (1, 1))
        task_.run("1")
        add(source, (2, 2))
        sql(source, "OPTIMIZE {}")
        task_.run("2", make=lambda new: None)
        add(source, (3, 3))
        task_.run("3")
        assert rows_of(place) == [(1, 1), (3, 3)]
        assert len(facts_of(place)) == 3

    @pytest.mark.slow
    @pytest.mark.connect
    def test_a_run_is_called_once(self, place: Place, source: Place) -> None:
        """Whether it is a retry, or the same attempt started again by hand."""
        task_ = reader(place, source)
        add(source, (1, 1))
        task_.run("1")
        add(source, (2, 2))
        assert task_.run("1") is None
        assert task_.run("1", attempt=2) is None
        task_.run("2")
        assert task_.run("1", attempt=3) is None
        assert rows_of(place) == [(1, 1), (2, 2)]

    @pytest.mark.slow
    def test_partitions_and_odd_values(self, path: Place, tmp_path: Path) -> None:
        """Values of partitions come from the log, with their types; names of folders may be anything."""
        at = Place(path.spark, str(tmp_path / "a b[1]{x}=y" / "source"), path.kind)
        task_ = reader(path, at, FEED)
        texts = ["p/3", "a b", "x=y", "%41", "ä'"]
        for number, text in enumerate([*texts, None]):
            frame = path.spark.createDataFrame([(number, text)], "k int, t string")
            frame = frame.selectExpr("k", "t", "DATE'2024-01-05' AS d", "CAST(1.50 AS DECIMAL(5,2)) AS m")
            frame.write.format("delta").mode("append").partitionBy("t", "d", "m").save(at.uri)
            if not number:
                task_.run("0", make=lambda new: new.select("k", "t", "d", "m"))
        seen: list[Any] = []
        task_.run("1", make=then(seen, lambda new: new.select("k", "t", "d", "m")))
        assert [name for name, _ in seen[0].dtypes][-3:] == ["_change_type", "_commit_version", "_commit_timestamp"]
        assert [kind for _, kind in seen[0].dtypes][-3:] == ["string", "bigint", "timestamp"]
        found = seen[0].orderBy("k").collect()
        assert [row["t"] for row in found] == [*texts[1:], None]
        assert {str(row["d"]) for row in found} == {"2024-01-05"}
        assert {str(row["m"]) for row in found} == {"1.50"}
        assert [row["_commit_version"] for row in found] == [1, 2, 3, 4, 5]
        assert all(row["_commit_timestamp"] is not None for row in found)

    @pytest.mark.slow
    @pytest.mark.parametrize("is_told", [True, False])
    def test_files_of_other_writers_may_have_any_name(
        self, path: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_told: bool
    ) -> None:
        """Spark tells a file's name with escapes."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        add(at, (0, 0))
        task_ = reader(path, at, FEED)
        task_.run("1", make=lambda new: new.select("k", "x"))
        if not is_told:
            monkeypatch.setattr(new_rows.NewRows, "_stored", lambda _: None)
        names = ["a b", "x%20y", "ü", "b=c", "br[1]", "plus+", "q'uote", "hash#", "what?", "non\u00a0break", "tab\t"]
        for number, name in enumerate(names, 1):
            log_a_file(Path(at.uri), f"{name}.parquet", number)
        found = task_.read(task_.plan("2"))["new"].select("k", "_commit_version")
        assert sorted(map(tuple, found.collect())) == [(number, number) for number in range(1, len(names) + 1)]

    @pytest.mark.slow
    def test_many_commits_are_one_read(self, path: Place, tmp_path: Path) -> None:
        """The query has one scan, and the log of them is read by one job."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        task_ = reader(path, at, FEED)
        add(at, (0, 0))
        task_.run("1", make=lambda new: new.select("k", "x"))
        mine = PolarsDeltaIoManager("unused", mode="append")
        for number in range(40):
            frame = pl.DataFrame({"k": [number], "x": [number]}, schema={"k": pl.Int32, "x": pl.Int32})
            mine.write(output(at.uri, receipt(str(number))), frame)
        found = task_.read(task_.plan("2"))["new"]
        plan = found._jdf.queryExecution().executedPlan().toString() if not IS_CONNECT else "FileScan"
        assert plan.count("FileScan") == 1
        assert sorted((row["k"], row["_commit_version"]) for row in found.collect()) == [(n, n + 1) for n in range(40)]

    @pytest.mark.slow
    def test_a_file_that_was_vacuumed_is_named(self, path: Place, tmp_path: Path) -> None:
        """Before the function is called, in one sentence."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        task_ = reader(path, at)
        add(at, (0, 0))
        task_.run("1")
        add(at, (1, 1))
        add(at, (2, 2))
        (gone,) = set(path.spark.read.format("delta").load(at.uri).inputFiles()) - set(
            path.spark.read.format("delta").option("versionAsOf", "1").load(at.uri).inputFiles()
        )
        sql(at, "OPTIMIZE {}")
        os.unlink(gone.removeprefix("file:"))
        with pytest.raises(
            RunError, match=r"version 2 of .*source, which is new to the parameter `new`, can't be read"
        ):
            task_.run("2")
        assert rows_of(path) == [(0, 0)]

    @pytest.mark.slow
    def test_a_vacuumed_file_of_a_column_mapping_is_named(self, path: Place, tmp_path: Path) -> None:
        """Such a file is read at its version, which has it for Spark until the query runs."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        sql(at, "CREATE TABLE {} (k INT, x INT) USING delta TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
        task_ = reader(path, at)
        task_.run("1")
        add(at, (1, 1))
        (gone,) = path.spark.read.format("delta").load(at.uri).inputFiles()
        sql(at, "ALTER TABLE {} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'none')")
        os.unlink(gone.removeprefix("file:"))
        with pytest.raises(RunError, match=r"version 1 of .*, which is new to the parameter `new`, can't be read"):
            task_.read(task_.plan("2"))

    @pytest.mark.slow
    def test_a_cleaned_log_is_named(self, path: Place, tmp_path: Path) -> None:
        """Of the source."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        task_ = reader(path, at)
        add(at, (0, 0))
        task_.run("1")
        for number in range(3):
            add(at, (number, 1))
        deltalake.DeltaTable(at.uri).create_checkpoint()
        for number in range(2):
            os.unlink(Path(at.uri, "_delta_log", f"{number:020}.json"))
        with pytest.raises(RunError, match=r"version 1 of .*: its log has been cleaned up"):
            task_.run("2")

    @pytest.mark.slow
    def test_other_columns(self, path: Place, tmp_path: Path) -> None:
        """New ones are null in older rows; one that is gone, or has another type, is an error by its name."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        task_ = reader(path, at)
        add(at, (0, 0))
        task_ = reader(path, at, schema="add-columns")
        task_.run("1")
        add(at, (1, 1))
        more = path.spark.sql("SELECT 2 AS k, 2 AS x, 'n' AS n")
        more.write.format("delta").mode("append").option("mergeSchema", "true").save(at.uri)
        task_.run("2")
        assert rows_of(path) == [(0, 0, None), (1, 1, None), (2, 2, "n")]
        texts = path.spark.sql("SELECT 3 AS k, 'x' AS x")
        texts.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(at.uri)
        with pytest.raises(RunError, match=r"has lost its columns `n` and has other types in some columns: `x` was in"):
            task_.run("3")

    @pytest.mark.slow
    def test_column_mapping(self, path: Place, tmp_path: Path) -> None:
        """Files have other names for the columns then."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        task_ = reader(path, at, FEED)
        add(at, (0, 0))
        sql(at, "ALTER TABLE {} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
        sql(at, "ALTER TABLE {} RENAME COLUMN x TO y")
        task_.run("1", make=lambda new: new.select("k", "y"))
        for number in (1, 2):
            frame = path.spark.sql(f"SELECT {number} AS k, {number} AS y")
            frame.write.format("delta").mode("append").save(at.uri)
        sql(at, "OPTIMIZE {}")
        frame.write.format("delta").mode("append").save(at.uri)
        seen: list[Any] = []
        task_.run(
            "2", make=then(seen, lambda new: new.select("k", "y"), lambda new: rows(new.drop("_commit_timestamp")))
        )
        assert sorted(row[-1] for row in seen[0]) == [3, 4, 6]
        assert rows_of(path) == [(0, 0), (1, 1), (2, 2), (2, 2)]

    @pytest.mark.slow
    @pytest.mark.parametrize("partitions", ["", "PARTITIONED BY (k)"])
    def test_column_mapping_that_is_taken_away(self, path: Place, tmp_path: Path, partitions: str) -> None:
        """Files of before have the names of their own time, whether rows were added or changed."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        mapped = "TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'delta.enableChangeDataFeed' = 'true')"
        sql(at, f"CREATE TABLE {{}} (k INT, x INT) USING delta {partitions} {mapped}")
        task_, plain = reader(path, at, FEED), reader(other(path, "rows"), at)
        for one in (task_, plain):
            one.run("1", make=lambda new: new.select("k", "x"))
        add(at, (1, 1), (2, 2))
        sql(at, "UPDATE {} SET x = 9 WHERE k = 1")
        sql(at, "DELETE FROM {} WHERE k = 2")
        sql(at, "ALTER TABLE {} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'none')")
        add(at, (3, 3))
        assert rows(plain.read(plain.plan("2"))["new"]) == [(1, 1), (1, 9), (2, 2), (3, 3)]
        found = rows(task_.read(task_.plan("2"))["new"].select("k", "x", "_change_type"))
        changed = [(1, 1, "insert"), (1, 1, "update_preimage"), (1, 9, "update_postimage")]
        assert found == [*changed, (2, 2, "delete"), (2, 2, "insert"), (3, 3, "insert")]

    @pytest.mark.slow
    def test_column_mapping_that_is_dropped_is_an_error_of_polars(self, path: Place, tmp_path: Path) -> None:
        """Polars would find none of the columns in files of before, and give nulls."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        sql(at, "CREATE TABLE {} (k INT, x INT) USING delta TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
        reader(path, at).run("1")
        add(at, (1, 1))
        sql(at, "ALTER TABLE {} DROP FEATURE columnMapping")
        mine = PolarsDeltaIoManager("unused", mode="append")
        task_ = Consumer.of(Table(mine, path.uri), Table(mine, at.uri), annotation=pl.LazyFrame)
        with pytest.raises(RunError, match=r"version 1 of .* is of before the table lost its column mapping"):
            task_.run("2")

    @pytest.mark.slow
    @pytest.mark.parametrize(("before", "after"), [((), ("x",)), (("x",), ())])
    def test_other_partitions(
        self, path: Place, tmp_path: Path, before: tuple[str, ...], after: tuple[str, ...]
    ) -> None:
        """Files lack the columns by which the table was partitioned when they were written; the feed forgets that."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        replace(at, (9, 9), partitions=before)
        fed(at)
        task_ = reader(path, at, FEED)
        task_.run("1", make=lambda new: new.select("k", "x").limit(0))
        add(at, (1, 5))
        replace(at, (2, 6), partitions=after)
        add(at, (3, 7))
        keep = "k", "x", "_change_type", "_commit_version"
        seen: list[Any] = []
        task_.run("2", make=then(seen, lambda new: new.select("k", "x").limit(0), lambda new: rows(new.select(*keep))))
        assert sorted(seen[0]) == [
            (1, 5, "delete", 3),
            (1, 5, "insert", 2),
            (2, 6, "insert", 3),
            (3, 7, "insert", 4),
            (9, 9, "delete", 3),
        ]
        added = reader(other(path, "rows"), at)
        assert rows(added.read(added.plan("1", adopted={"new": "1"}))["new"]) == [(1, 5), (2, 6), (3, 7)]

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("statement", "changes"),
        [
            ("UPDATE {} SET k = 7", [(1, None, "update_preimage"), (7, None, "update_postimage")]),
            ("DELETE FROM {} WHERE x IS NULL", [(1, None, "delete")]),
        ],
    )
    def test_a_change_in_the_partition_of_nulls(
        self, path: Place, tmp_path: Path, statement: str, changes: list[Any]
    ) -> None:
        """Spark names no value of such a partition where it removes a file: these are no other partitions."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        nulls = path.sql("1 AS k, CAST(NULL AS INT) AS x")
        nulls.write.format("delta").partitionBy("x").save(at.uri)
        fed(at)
        task_ = reader(path, at, FEED)
        task_.run("1", make=lambda new: new.select("k", "x").limit(0))
        sql(at, statement)
        sql(at, "ALTER TABLE {} SET TBLPROPERTIES ('my.own' = '1')")
        keep = "k", "x", "_change_type"
        seen: list[Any] = []
        task_.run("2", make=then(seen, lambda new: new.select("k", "x").limit(0), lambda new: rows(new.select(*keep))))
        assert sorted(seen[0]) == changes

    @pytest.mark.slow
    def test_a_change_of_before_other_partitions(self, path: Place, tmp_path: Path) -> None:
        """Of single rows only the feed tells, which has lost the values: that is an error, not null."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        replace(at, (1, 1), (2, 2))
        fed(at)
        task_ = reader(path, at, FEED)
        task_.run("1", make=lambda new: new.select("k", "x").limit(0))
        sql(at, "UPDATE {} SET x = 9 WHERE k = 1")
        replace(at, (2, 6), partitions=("x",))
        with pytest.raises(RunError, match="is of before the table got other partitions"):
            task_.run("2")

    @pytest.mark.slow
    def test_a_column_that_was_dropped_and_made_again(self, path: Place, tmp_path: Path) -> None:
        """It is another one, and would be null in older rows."""
        at = Place(path.spark, str(tmp_path / "source"), path.kind)
        add(at, (0, 0))
        sql(at, "ALTER TABLE {} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
        task_ = reader(path, at)
        task_.run("1")
        add(at, (1, 1))
        sql(at, "ALTER TABLE {} DROP COLUMN x")
        sql(at, "ALTER TABLE {} ADD COLUMN x INT")
        add(at, (2, 2))
        with pytest.raises(RunError, match="has lost its columns `x`"):
            task_.run("2")


class TestStarting:
    """What a first run gets."""

    @pytest.mark.connect
    def test_none_of_what_is_there(self, place: Place, source: Place) -> None:
        """The table and the cursor are made by an empty frame, with the columns."""
        task_ = reader(place, source, Changes(starting="latest"))
        add(source, (1, 1))
        found = task_.plan("1")
        assert found.needs_table
        task_.run("1")
        assert task_.facts["new"].rows == 0
        assert rows_of(place) == []
        add(source, (2, 2))
        task_.run("2")
        assert rows_of(place) == [(2, 2)]

    @pytest.mark.slow
    def test_rows_of_unknown_origin_are_an_error(self, place: Place, source: Place) -> None:
        """Until a person says where it begins; the beginning may be a version."""
        add(place, (0, 0))
        add(source, (1, 1))
        add(source, (2, 2))
        task_ = reader(place, source)
        with pytest.raises(RunError, match="has rows, and nothing in its log says up to where the task `task` has"):
            task_.run("1")
        task_.run("1", adopted={"new": "0"})
        task_.run("2")
        assert rows_of(place) == [(0, 0), (2, 2)]

    def test_no_source_yet(self, place: Place, source: Place) -> None:
        """An optional parameter is None until there is one."""
        task_ = reader(place, source, optional=True)
        assert task_.sources["new"].manager.head(wanted(source.uri)) is None
        assert task_.plan("1").spans == {}


class TestRewrites:
    """Commits that do more than add rows."""

    @pytest.mark.slow
    def test_the_feed_tells_them(self, place: Place, source: Place) -> None:
        """Every change, in whatever order commits of both kinds came."""
        add(source, (1, 1), (2, 2))
        fed(source)
        task_ = reader(place, source, FEED)
        keep = "k", "x", "_change_type", "_commit_version"
        task_.run("1", make=lambda new: new.select(*keep))
        add(source, (3, 3))
        sql(source, "UPDATE {} SET x = 9 WHERE k = 1")
        add(source, (4, 4))
        sql(source, "DELETE FROM {} WHERE k = 2")
        task_.run("2", make=lambda new: new.select(*keep))
        assert rows_of(place) == sorted(
            [
                (1, 1, "insert", 1),
                (2, 2, "insert", 1),
                (3, 3, "insert", 2),
                (1, 1, "update_preimage", 3),
                (1, 9, "update_postimage", 3),
                (4, 4, "insert", 4),
                (2, 2, "delete", 5),
            ],
            key=repr,
        )

    @pytest.mark.slow
    def test_rows_are_what_was_added(self, path: Place, tmp_path: Path) -> None:
        """And what an update has made of others."""
        at = other(path, "source")
        add(at, (1, 1), (2, 2))
        fed(at)
        task_ = reader(path, at)
        task_.run("1")
        add(at, (3, 3))
        sql(at, "UPDATE {} SET x = 9 WHERE k = 1")
        sql(at, "DELETE FROM {} WHERE k = 2")
        task_.run("2")
        assert rows_of(path) == [(1, 1), (1, 9), (2, 2), (3, 3)]

    @pytest.mark.slow
    @pytest.mark.connect
    def test_without_a_feed_they_are_an_error_or_left_out(self, place: Place, source: Place) -> None:
        """Each is named; what compaction does is none of them."""
        add(source, (1, 1), (2, 2))
        strict, lenient = reader(place, source), reader(place, source, Changes(on_rewrite="skip"))
        strict.run("1")
        add(source, (3, 3))
        sql(source, "DELETE FROM {} WHERE k = 1")
        with pytest.raises(RunError, match=r"version 2 of \S+ is a DELETE that did more than add rows"):
            strict.run("2")
        lenient.run("2")
        assert rows_of(place) == [(1, 1), (2, 2), (3, 3)]

    @pytest.mark.slow
    def test_a_feed_of_a_part_of_the_time(self, path: Place) -> None:
        """What came before it was on is read by files; a rewrite before it is refused."""
        at = other(path, "source")
        add(at, (1, 1))
        task_ = reader(path, at)
        task_.run("1")
        add(at, (2, 2))
        fed(at)
        sql(at, "UPDATE {} SET x = 9 WHERE k = 1")
        task_.run("2")
        assert rows_of(path) == [(1, 1), (1, 9), (2, 2)]
        sql(at, "ALTER TABLE {} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'false')")
        sql(at, "UPDATE {} SET x = 8 WHERE k = 1")
        fed(at)
        with pytest.raises(RunError, match=r"version 5 of .* is a UPDATE that did more"):
            task_.run("3")

    @pytest.mark.slow
    def test_an_older_copy_that_has_grown_is_an_error(self, path: Place) -> None:
        """It has the id of the table and as many versions, but other commits; a person says where it goes on."""
        at = other(path, "source")
        task_ = reader(path, at)
        add(at, (0, 0))
        shutil.copytree(at.uri, f"{at.uri}_copy")
        add(at, (1, 1))
        task_.run("1")
        shutil.rmtree(at.uri)
        shutil.copytree(f"{at.uri}_copy", at.uri)
        forget(at)
        add(at, (2, 2))
        add(at, (3, 3))
        with pytest.raises(RunError, match=r"version 1 of .*source is another commit than the one up to which"):
            task_.run("2")
        task_.run("2", adopted={"new": "0"})
        add(at, (4, 4))
        task_.run("3")
        assert rows_of(path) == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]

    @pytest.mark.slow
    def test_a_merge_that_only_inserts_adds_rows(self, path: Place) -> None:
        """It needs no feed."""
        at = other(path, "source")
        add(at, (1, 1))
        task_ = reader(path, at)
        task_.run("1")
        at.pairs((2, 2)).createOrReplaceTempView("more")
        sql(at, "MERGE INTO {} t USING more s ON t.k = s.k WHEN NOT MATCHED THEN INSERT *")
        task_.run("2")
        assert rows_of(path) == [(1, 1), (2, 2)]

    @pytest.mark.slow
    def test_a_source_that_is_restored_or_replaced(self, place: Place, source: Place) -> None:
        """It has done more than add rows, even where only files came back."""
        add(source, (1, 1))
        add(source, (2, 2))
        task_ = reader(place, source)
        task_.run("1")
        sql(source, "DELETE FROM {} WHERE k = 2")
        sql(source, "RESTORE TABLE {} TO VERSION AS OF 1")
        with pytest.raises(RunError) as caught:
            task_.run("2")
        assert [problem.message.split(" that ")[0][-9:] for problem in caught.value.problems] == [
            " a DELETE",
            "a RESTORE",
        ]
        reader(place, source, Changes(on_rewrite="skip")).run("2")
        sql(source, "CREATE OR REPLACE TABLE {} USING delta AS SELECT 7 AS k, 7 AS x")
        with pytest.raises(RunError, match="is another table than the one that `new`"):
            task_.run("3")

    @pytest.mark.slow
    def test_a_source_that_was_deleted_and_made_again(self, path: Place) -> None:
        """It is another table, whatever its version."""
        at = other(path, "source")
        add(at, (1, 1))
        task_ = reader(path, at)
        task_.run("1")
        shutil.rmtree(at.uri)
        with pytest.raises(RunError, match=r"there is nothing at .* any more"):
            task_.run("2")
        add(at, (1, 1))
        add(at, (2, 2))
        with pytest.raises(RunError, match="is another table than the one that `new` of the task `task` has read"):
            task_.run("2")

    @pytest.mark.slow
    def test_a_vacuumed_feed_is_named(self, path: Place) -> None:
        """Before the function is called."""
        at = other(path, "source")
        add(at, (1, 1), (2, 2))
        fed(at)
        task_ = reader(path, at, FEED)
        task_.run("1", make=lambda new: new.select("k"))
        sql(at, "UPDATE {} SET x = 9 WHERE k = 1")
        shutil.rmtree(Path(at.uri, "_change_data"))
        with pytest.raises(RunError, match=r"version 2 of .* has been vacuumed"):
            task_.run("2")


def following(new: Any) -> DeltaMerge:
    """A merge that does to the target what the source's keys have become."""
    assert new.columns == ["k", "x", "_change_type"]
    gone = "source._change_type = 'delete'"
    merge = DeltaMerge(new, on="k").when_matched_delete(gone).when_matched_update_all()
    return merge.when_not_matched_insert_all(f"NOT {gone}")


class TestLatest:
    """The last change of each key."""

    def test_keys_that_change_often(self, place: Place, source: Place) -> None:
        """Twice, deleted, deleted and inserted again; the merge that follows them keeps the table the same."""
        add(source, (1, 1), (2, 2), (3, 3))
        fed(source)
        task_ = reader(place, source, LATEST)
        task_.changes = Changes("latest", by=("k",), at_least_once=IS_CONNECT)
        task_.run("1", make=following)
        sql(source, "UPDATE {} SET x = 5 WHERE k = 1")
        sql(source, "UPDATE {} SET x = 6 WHERE k = 1")
        sql(source, "DELETE FROM {} WHERE k > 1")
        add(source, (3, 7), (4, 4))
        seen: list[Any] = []
        task_.run("2", make=then(seen, following, rows))
        assert seen == [
            [(1, 6, "update_postimage"), (2, 2, "delete"), (3, 7, "insert"), (4, 4, "insert")],
        ]
        assert rows_of(place) == rows_of(source) == [(1, 6), (3, 7), (4, 4)]

    @pytest.mark.slow
    def test_runs_without_a_change_leave_the_table_as_it_is(self, place: Place, source: Place) -> None:
        add(source, (1, 1), (2, 2), (3, 3))
        fed(source)
        task_ = reader(place, source, LATEST)
        task_.changes = Changes("latest", by=("k",), at_least_once=IS_CONNECT)
        for run in ("1", "2", "3"):
            task_.run(run, make=following)
            assert rows_of(place) == [(1, 1), (2, 2), (3, 3)]
        assert len(facts_of(place)) == 3 or IS_CONNECT

    @pytest.mark.slow
    def test_a_null_key_is_a_key(self, path: Place) -> None:
        """Rows whose key is null have a last change, too: one, as through Polars."""
        at = other(path, "source")
        task_ = reader(path, at, LATEST)
        add(at, (0, 0))
        task_.run("1", make=lambda new: new.select("x"))
        for value in (1, 2):
            path.spark.sql(f"SELECT CAST(NULL AS INT) AS k, {value} AS x").write.format("delta").mode("append").save(
                at.uri
            )
        seen: list[Any] = []
        task_.run("2", make=then(seen, lambda new: new.select("x"), rows))
        assert seen == [[(None, 2, "insert")]]

    @pytest.mark.slow
    def test_several_changes_of_a_key_in_one_commit_are_refused(self, path: Place) -> None:
        """By its name, when the query runs, whatever columns the task keeps."""
        at = other(path, "source")
        task_ = reader(path, at, LATEST)
        add(at, (0, 0))
        task_.run("1", make=lambda new: new.select("x"))
        add(at, (1, 1), (1, 2))
        with pytest.raises(RunError) as caught:
            task_.run("2", make=lambda new: new.select("x"))
        (problem,) = caught.value.problems
        assert "version 1 of" in problem.message
        assert "has several rows with the key k=1" in problem.message
        assert problem.hint is not None
        assert problem.hint.startswith("choose in the task")

    @pytest.mark.slow
    def test_names_of_the_feed_and_missing_keys(self, path: Place) -> None:
        """They are refused by name."""
        at = other(path, "source")
        path.spark.sql("SELECT 1 AS k, 'x' AS _change_type").write.format("delta").save(at.uri)
        with pytest.raises(RunError, match="has the column `_change_type`, which"):
            reader(path, at, LATEST).run("1")
        reader(path, at).run("1")
        second = other(path, "second")
        add(second, (1, 1))
        with pytest.raises(RunError, match="has no column `id`, by which `new` tells rows apart"):
            reader(other(path, "target"), second, Changes("latest", by=("id",))).run("1")


class TestTaken:
    """Of two runs that have read from the same place one commits."""

    @pytest.mark.slow
    @pytest.mark.connect
    @pytest.mark.parametrize("late", ["shorter", "longer"])
    def test_a_zombie_and_a_run_in_both_orders(self, place: Place, source: Place, late: str) -> None:
        """(0, 1] and (0, 2]: the second commit is refused, and the next run goes on behind the first one."""
        task_ = reader(place, source)
        add(source, (0, 0))
        task_.run("1")
        add(source, (1, 1))
        short = task_.plan("zombie")
        add(source, (2, 2))
        long = task_.plan("2")
        values = task_.read(short)["new"], task_.read(long)["new"]
        order = [("2", long, values[1]), ("zombie", short, values[0])]
        if late == "longer":
            order.reverse()
        task_.write(order[0][1], order[0][0], 1, order[0][2])
        with pytest.raises(RunError, match="another run has taken what the task `task` has read"):
            task_.write(order[1][1], order[1][0], 1, order[1][2])
        task_.run("3")
        assert rows_of(place) == [(0, 0), (1, 1), (2, 2)]

    @pytest.mark.slow
    @pytest.mark.parametrize("value", ["rows", "none", "merge"])
    def test_at_once(self, path: Place, value: str) -> None:
        """The other run commits while this one's query runs."""
        at = other(path, "source")
        add(at, (0, 0))
        task_ = reader(path, at)
        task_.run("1", make=lambda new: new.select("k"))
        add(at, (1, 1))
        zombie, run = task_.plan("zombie"), task_.plan("2")
        mine = task_.read(run)["new"].select("k")
        act = functools.partial(task_.write, run, "2", 1, mine)
        frame = path.midway("1", act).selectExpr("int(x) AS k")
        given: Any = frame
        if value == "merge" and not IS_CONNECT:
            given = DeltaMerge(frame, on="target.k = source.k").when_not_matched_insert_all()
        if value == "none":
            act()
            given = None
        with pytest.raises(RunError, match="another run has taken"):
            task_.write(zombie, "zombie", 1, given)
        assert rows_of(path) == [(0,), (1,)]

    @pytest.mark.slow
    @pytest.mark.parametrize("other", ["took it", "did something else"])
    def test_a_conflict_of_a_commit_without_rows(
        self, path: Place, other: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is told apart: another run took the number, or somebody else wrote and the commit is tried again."""
        from dbxdec.io_managers.delta.spark import write

        class ConcurrentTransactionException(Exception):  # noqa: N818
            """As Spark raises it."""

        at = Place(path.spark, f"{path.uri}_source", path.kind)
        add(at, (0, 0))
        task_ = reader(path, at)
        task_.run("1")
        zombie, run = task_.plan("zombie"), task_.plan("2")
        genuine = write.add_receipt

        def conflict(*arguments: Any, **options: Any) -> None:
            monkeypatch.setattr(write, "add_receipt", genuine)
            if other == "took it":
                task_.write(run, "2", 1, None)
            raise ConcurrentTransactionException

        monkeypatch.setattr(write, "add_receipt", conflict)
        if other == "took it":
            with pytest.raises(RunError, match="another run has taken"):
                task_.write(zombie, "zombie", 1, None)
        else:
            assert task_.write(zombie, "zombie", 1, None).note == "nothing to write"
        assert len(facts_of(path)) == 2

    @pytest.mark.slow
    def test_spark_drops_what_the_look_before_has_missed(self, path: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """The number in the commit decides, and the receipts say who has it."""
        from dbxdec.io_managers.delta.spark import cursors

        at = other(path, "source")
        add(at, (0, 0))
        task_ = reader(path, at)
        task_.run("1")
        add(at, (1, 1))
        zombie, run = task_.plan("zombie"), task_.plan("2")
        value = task_.read(zombie)["new"]
        task_.write(run, "2", 1, task_.read(run)["new"])
        genuine, looks = cursors.committed, [0]

        def blind(*arguments: Any) -> Any:
            looks[0] += 1
            return genuine(*arguments) if looks[0] > 1 else None

        for given in (value, None):
            looks[0] = 0
            monkeypatch.setattr(cursors, "committed", blind)
            with pytest.raises(RunError, match="another run has taken"):
                task_.write(zombie, "zombie", 1, given)
            monkeypatch.setattr(cursors, "committed", genuine)
        looks[0] = 0
        monkeypatch.setattr(cursors, "committed", blind)
        again = task_.write(run, "2", 2, value)
        assert again.note == "already written by attempt 1"
        assert rows_of(path) == [(0, 0), (1, 1)]

    @pytest.mark.slow
    def test_two_sources_in_one_commit(self, place: Place, source: Place) -> None:
        """A death before it reads both again, one after it reads none again."""
        second = other(source, "second")
        add(source, (1, 1))
        add(second, (10, 1))
        manager = source.manager()
        task_ = Consumer(
            {"return": Table(place.manager("append"), place.uri)},
            {"one": Table(manager, source.uri), "two": Table(manager, second.uri)},
        )

        def both(one: Any, two: Any) -> Any:
            return one.union(two)

        task_.run("1", make=both)
        add(second, (11, 1))
        found = task_.plan("2")
        task_.read(found)  # and it dies
        add(source, (2, 1))
        task_.run("2", attempt=2, make=both)
        assert task_.run("2", attempt=3, make=both) is None
        task_.run("3", make=both)
        assert [row[0] for row in rows_of(place)] == sorted([1, 10, 11, 2], key=lambda n: repr((n, 1)))
        if place.kind is not SparkDeltaIoManager:
            place.spark.sql(f"DROP TABLE {second.uri}")

    @pytest.mark.slow
    def test_a_death_between_two_outputs(self, path: Place) -> None:
        """The output that lacks the rows gets exactly those; what is new since is for the next run."""
        at, second = other(path, "source"), other(path, "second")
        add(at, (1, 1))
        manager = path.manager("append")
        task_ = Consumer(
            {"a": Table(manager, path.uri), "b": Table(manager, second.uri)}, {"new": Table(manager, at.uri)}
        )
        task_.run("1")
        add(at, (2, 2))
        found = task_.plan("2")
        task_.write(found, "2", 1, task_.read(found)["new"], "a")  # and it dies
        add(at, (3, 3))
        task_.run("2", attempt=2)
        assert (rows_of(path), rows_of(second)) == ([(1, 1), (2, 2)],) * 2
        task_.run("3")
        assert (rows_of(path), rows_of(second)) == ([(1, 1), (2, 2), (3, 3)],) * 2

    @pytest.mark.slow
    def test_a_reader_gets_what_an_earlier_run_has_stored(self, path: Place) -> None:
        """A run died between two outputs, and the next one writes the second alone."""
        at, second = other(path, "source"), other(path, "second")
        manager = path.manager("append")
        task_ = Consumer(
            {"a": Table(manager, path.uri), "b": Table(manager, second.uri)}, {"new": Table(manager, at.uri)}
        )
        for number in range(2):
            add(at, (number, number))
            found = task_.plan(str(number))
            task_.write(found, str(number), 1, task_.read(found)["new"], "a")
            if number == 0:
                task_.write(found, "0", 1, task_.read(found)["new"], "b")
        add(at, (2, 2))
        found = task_.plan("2")
        assert list(found.progress) == ["b"]
        for output_, version_ in found.same.items():
            manager.share(task_.context("2", 1, output_), version_)
        task_.write(found, "2", 1, task_.read(found)["new"], "b")
        for place_, output_ in ((path, "a"), (second, "b")):
            write = task_.context("2", 1, output_).receipt.id
            assert rows(manager.read(InputContext(place_.uri, producer=write))) == [(1, 1)]
        assert list(task_.plan("2", 2).progress) == []


class TestTargets:
    """What becomes of the table with the cursor."""

    @pytest.mark.slow
    def test_a_restore_takes_the_cursor_back(self, place: Place, source: Place) -> None:
        """What was undone comes again, under a new count; a writer from before the restore is refused."""
        task_ = reader(place, source)
        add(source, (0, 0))
        task_.run("1")
        before = version(place)
        add(source, (1, 1))
        task_.run("2")
        add(source, (2, 2))
        late = task_.plan("late")
        value = task_.read(late)["new"]
        sql(place, f"RESTORE TABLE {{}} TO VERSION AS OF {before}")
        with pytest.raises(RunError, match="was restored"):
            task_.write(late, "late", 1, value)
        task_.run("3")
        assert task_.facts["new"].note == "new in versions 1 to 2"
        add(source, (3, 3))
        task_.run("4")
        assert rows_of(place) == [(0, 0), (1, 1), (2, 2), (3, 3)]

    @pytest.mark.slow
    def test_a_cleaned_log_of_a_path_goes_on(self, path: Place) -> None:
        """By the identifiers in the checkpoint."""
        at = other(path, "source")
        task_ = reader(path, at)
        add(at, (0, 0))
        task_.run("1")
        add(at, (1, 1))
        task_.run("2")
        clean(path)
        add(at, (2, 2))
        task_.run("3")
        assert task_.facts["new"].note == "new in version 2"
        assert rows_of(path) == [(0, 0), (1, 1), (2, 2)]

    @pytest.mark.slow
    def test_a_restore_that_no_log_tells_of_is_not_passed_over(self, path: Place) -> None:
        """The checkpoint has the position of the newest commit, although its rows are gone."""
        at = other(path, "source")
        task_ = reader(path, at)
        for number in range(2):
            add(at, (number, number))
            task_.run(str(number))
        sql(path, "RESTORE TABLE {} TO VERSION AS OF 1")
        clean(path)
        with pytest.raises(RunError, match="no longer tells whether version 4 took that back") as raised:
            task_.run("2")
        assert "--adopt task.new=1" in str(raised.value)
        task_.run("2", adopted={"new": "0"})
        assert rows_of(path) == [(0, 0), (1, 1)]

    def test_a_table_by_another_name_is_not_its_own_source(self, table: Place) -> None:
        """Its own rows would be new in the next run; the path of a table of the catalog is another name."""
        add(table, (1, 1))
        (row,) = table.spark.sql(f"DESCRIBE DETAIL {table.uri}").collect()
        at = Place(table.spark, row["location"].removeprefix("file:"), SparkDeltaIoManager)
        with pytest.raises(RunError, match="is the table that it writes"):
            reader(table, at).run("1", adopted={"new": "latest"})

    @pytest.mark.slow
    def test_a_cleaned_log_of_a_name_is_an_error(self, table: Place, tmp_path: Path) -> None:
        """Spark shows no identifiers; a person says where it goes on, and the count begins anew."""
        at = Place(table.spark, str(tmp_path / "source"), SparkDeltaIoManager)
        task_ = reader(table, at)
        add(at, (0, 0))
        task_.run("1")
        clean(table)
        add(at, (1, 1))
        with pytest.raises(RunError, match="no longer tells how far the task `task` has read"):
            task_.run("2")
        task_.run("2", adopted={"new": "0"})
        add(at, (2, 2))
        task_.run("3")
        assert rows_of(table) == [(0, 0), (1, 1), (2, 2)]

    @pytest.mark.slow
    @pytest.mark.classic
    def test_a_builder_carries_the_cursor(self, place: Place, source: Place) -> None:
        """A merge of the task's own, which may change nothing; into another table it is refused."""
        add(place, (1, 0))
        add(source, (1, 1), (2, 2))
        task_ = reader(place, source)
        task_.run("1", make=lambda new: place.merge((1, 1), (2, 2)), adopted={"new": "snapshot"})
        add(source, (1, 5))
        task_.run("2", make=lambda new: place.merge((1, 5)))
        assert task_.facts["new"].note == "new in version 1"
        assert task_.run("2", attempt=2) is None
        task_.run("3", make=lambda new: place.merge((7, 7), insert=False))
        assert len(facts_of(place)) == 3
        assert rows_of(place) == [(1, 6), (2, 2)]
        with pytest.raises(RunError, match=r"returned a merge into .*, but how far it has read"):
            task_.run("4", make=lambda new: source.merge((1, 1)))

    @pytest.mark.slow
    @pytest.mark.connect
    def test_merges_that_change_nothing_commit_the_cursor(self, path: Place) -> None:
        """Alone, once for each run."""
        at = other(path, "source")
        add(at, (1, 1))
        task_ = reader(path, at, Changes(at_least_once=True))
        task_.run("1", make=lambda new: DeltaMerge(new, on="k"))
        add(at, (2, 2))
        nothing: Any = lambda new: DeltaMerge(new, on="k").when_matched_update_all()  # noqa: E731
        task_.run("2", make=nothing)
        add(at, (3, 3))
        task_.run("3", make=nothing)
        assert task_.facts["new"].note == "new in version 2"
        assert task_.run("3", attempt=2) is None
        assert rows_of(path) == [(1, 1)]

    @pytest.mark.slow
    def test_a_definition_makes_the_table_without_the_cursor(self, path: Place) -> None:
        """A death between the table and its rows loses none."""
        at = other(path, "source")
        add(at, (1, 1))
        manager = path.manager("append", properties={"delta.appendOnly": True}, comment="rows")
        task_ = Consumer.of(Table(manager, path.uri), Table(at.manager(), at.uri))
        found = task_.plan("1")
        value = task_.read(found)["new"]
        from dbxdec.io_managers.delta.spark import write

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(write, "append", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                task_.write(found, "1", 1, value)
        assert facts_of(path) == []
        task_.run("1", attempt=2)
        assert rows_of(path) == [(1, 1)]
        assert len(facts_of(path)) == 1


def forget(at: Place) -> None:
    """Have Spark look at a table anew, whose folder is another one by now."""
    if not IS_CONNECT:
        at.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def clean(at: Place) -> None:
    """Clean the log up to a checkpoint of now; the commit of its version stays, as Spark wants it."""
    sql(at, "COMMENT ON TABLE {} IS 'cleaned'")
    (row,) = at.spark.sql(f"DESCRIBE DETAIL {sql_name(at)}").collect()
    root = row["location"].removeprefix("file:")
    if not IS_CONNECT:
        jvm = at.spark._jvm
        jvm.org.apache.spark.sql.delta.DeltaLog.forTable(at.spark._jsparkSession, root).checkpoint()
    else:
        deltalake.DeltaTable(root).create_checkpoint()
    newest = version(at)
    for file in Path(root, "_delta_log").glob("*.json"):
        if int(file.stem) < newest:
            file.unlink()


class TestWithoutTheLog:
    """Where the files of the log may not be read by their paths, as of a managed table of Unity Catalog."""

    @pytest.fixture(autouse=True)
    def hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(source_log, "lines", lambda *_: {})

    @pytest.mark.slow
    @pytest.mark.connect
    def test_versions_are_compared(self, table: Place, tmp_path: Path) -> None:
        """Compaction is nothing new, a rewrite is an error, and older versions may have fewer columns."""
        at = other(table, "source")
        add(at, (0, 0))
        task_ = reader(table, at, FEED)
        keep = "k", "x", "_commit_version"
        task_.run("1", make=lambda new: new.select(*keep))
        add(at, (1, 1))
        add(at, (2, 2))
        sql(at, "OPTIMIZE {}")
        more = table.spark.sql("SELECT 3 AS k, 3 AS x, 'n' AS n")
        more.write.format("delta").mode("append").option("mergeSchema", "true").saveAsTable(at.uri)
        task_.run("2", make=lambda new: new.select(*keep))
        assert rows_of(table) == [(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 4)]
        sql(at, "DELETE FROM {} WHERE k = 1")
        with pytest.raises(RunError, match="is a DELETE that did more than add rows"):
            task_.run("3")
        table.spark.sql(f"DROP TABLE {at.uri}")

    @pytest.mark.slow
    def test_the_feed_tells_all(self, table: Place) -> None:
        """Where it is on."""
        at = other(table, "source")
        add(at, (0, 0))
        fed(at)
        task_ = reader(table, at)
        task_.run("1")
        add(at, (1, 1))
        sql(at, "OPTIMIZE {}")
        sql(at, "UPDATE {} SET x = 9 WHERE k = 0")
        task_.run("2")
        assert rows_of(table) == [(0, 0), (0, 9), (1, 1)]
        table.spark.sql(f"DROP TABLE {at.uri}")


class TestCrossing:
    """Polars and Spark read and continue each other's tables."""

    def test_ids_agree(self, path: Place) -> None:
        """In both directions."""
        add(path, (1, 1))
        polars, spark_ = PolarsDeltaIoManager("unused"), path.manager()
        assert polars.head(wanted(path.uri)) == spark_.head(wanted(path.uri))

    @pytest.mark.slow
    def test_a_consumer_changes_its_engine(self, path: Place) -> None:
        """The cursor of one is understood by the other, with rows of either for either's reader."""
        at = other(path, "source")
        add(at, (0, 0))
        polars: Any = PolarsDeltaIoManager("unused", mode="append")
        spark_: Any = path.manager("append")
        by_spark = Consumer.of(Table(spark_, path.uri), Table(polars, at.uri), annotation=DataFrame)
        by_polars = Consumer.of(Table(polars, path.uri), Table(spark_, at.uri), annotation=pl.LazyFrame)
        for number in range(1, 6):
            (by_spark if number % 2 else by_polars).run(str(number))
            add(at, (number, number))
        assert rows_of(path) == [(n, n) for n in range(5)]

    def test_a_whole_job(self, path: Place, tmp_path: Path) -> None:
        """A job that runs twice, as its author writes it; its optional parameter is None without new rows."""
        lake = SparkDeltaIoManager(str(tmp_path / "lake"), mode="append")
        seen: list[Any] = []

        @job
        def hourly() -> None:
            @task(io_manager=lake.table("clean"), spark_conf={})
            def clean(orders: DataFrame | None) -> DataFrame | None:
                seen.append(None if orders is None else orders.count())
                return orders

            clean(lake.table("orders").changes())

        at = Place(path.spark, str(tmp_path / "lake" / "orders"), SparkDeltaIoManager)
        add(at, (1, 1))
        run_job(hourly, in_memory=False)
        run_job(hourly, in_memory=False)
        add(
            at,
            (2, 2),
        )
        run_job(hourly, in_memory=False)
        assert seen == [1, None, 1]
        result = Place(path.spark, str(tmp_path / "lake" / "clean"), SparkDeltaIoManager)
        assert rows_of(result) == [(1, 1), (2, 2)]


def test_patterns_of_versions() -> None:
    """They match exactly the versions of a range."""
    import fnmatch

    for first, last in [(0, 0), (1, 10), (7, 123), (99, 100), (1000, 2345), (5, 5), (0, 999)]:
        parts = source_log.pattern(first, last)[1:-1].split(",")
        found = [n for n in range(3000) if any(fnmatch.fnmatch(f"{n:020}", part) for part in parts)]
        assert found == list(range(first, last + 1))


@pytest.mark.classic
def test_head_starts_no_job(path: Place) -> None:
    """The driver knows it."""
    from test_spark_cost import jobs

    add(path, (1, 1))
    path.manager().head(wanted(path.uri))
    assert jobs(path, lambda: path.manager().head(wanted(path.uri))) == 0
    assert log_files.definition_of(path.spark.range(1), path.spark) is None
    assert Name("p", "j", "t", "o").base
