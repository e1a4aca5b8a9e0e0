"""SparkDeltaIoManager and SparkTableIoManager on real tables: modes, receipts, pinned reads, schemas, merges."""

from __future__ import annotations

import datetime as dt
import functools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec.errors import NotWrittenError, RunError, TargetExistsError
from dbxdec.io_managers.delta.spark.catalog import SparkTableIoManager
from dbxdec.io_managers.running import running
from dbxdec.io_managers.spark_session import settings
from dbxdec.model import places
from spark_tools import Place, needs_spark, output, receipt, rows, wanted

pytestmark = needs_spark
spark, path, table, place = spark_tools.spark, spark_tools.path, spark_tools.table, spark_tools.place


class TestModes:
    def test_overwrite_replaces(self, place: Place) -> None:
        """A second write in mode "overwrite" leaves only its own rows."""
        first = place.write("overwrite", "1", place.frame(1, 2))
        result = place.write("overwrite", "2", place.frame(3))
        assert place.stored == [3]
        assert first.version is not None
        assert (result.version, result.rows) == (first.version + 1, 1)

    @pytest.mark.connect
    def test_append_adds_once(self, place: Place) -> None:
        """Runs append in any order; a second attempt of one of them adds nothing and says which attempt wrote."""
        for run in ("9", "5"):
            place.write("append", run, place.frame(int(run)))
        assert place.write("append", "9", place.frame(9), attempt=2).note == "already written by attempt 1"
        assert place.write("append", "5", place.frame(5)).note == "already written by attempt 1"
        assert place.stored == [5, 9]
        assert (place.read("9", "append"), place.read("5", "append")) == ([9], [5])

    @pytest.mark.slow
    def test_error_refuses_an_existing_target_before_the_function_runs(self, place: Place) -> None:
        """In mode "error" preflight names what another run has written; the same run's retry passes."""
        io = place.manager("error")
        io.preflight(output(place.uri))
        io.write(output(place.uri), place.frame(1))
        with pytest.raises(TargetExistsError, match=place.uri):
            io.preflight(output(place.uri, receipt("2")))
        with pytest.raises(TargetExistsError, match=place.uri):
            io.write(output(place.uri, receipt("2")), place.frame(2))
        io.preflight(output(place.uri, receipt(attempt=2)))
        assert "already written by attempt 1" in io.write(output(place.uri, receipt(attempt=2)), place.frame(1)).note
        assert place.stored == [1]

    @pytest.mark.slow
    def test_ignore_keeps_what_is_there(self, place: Place) -> None:
        """Mode "ignore" makes a missing table and keeps an existing one, which readers of the run then get."""
        place.write("ignore", "1", place.frame(1))
        assert "kept" in place.write("ignore", "2", place.frame(2)).note
        assert place.read("2", "ignore") == [1]

    @pytest.mark.slow
    def test_none_writes_no_rows_and_says_so(self, path: Place) -> None:
        """None leaves the table as it is, a reader of the run learns of it, and what a first attempt wrote counts."""
        assert path.write("append", "1", None).note == "nothing to write"
        path.write("append", "1", path.frame(1))
        assert path.write("append", "2", None).note == "nothing to write"
        with pytest.raises(NotWrittenError):
            path.read("2")
        assert path.write("append", "1", None, attempt=2).note == "already written by attempt 1"
        assert path.read("1") == [1]

    def test_a_value_that_is_no_frame_is_refused_by_its_type(self, path: Place) -> None:
        """An unsupported result is named, and no table is made."""
        for value, name in (({"x": [1]}, r"builtins\.dict"), (dt.date(2024, 1, 1), r"datetime\.date")):
            with pytest.raises(RunError, match=name):
                path.write("overwrite", "1", value)
        assert not Path(path.uri).exists()


class TestExactlyOnce:
    @pytest.mark.parametrize("changed", [{"build": "c" * 64}, {"parameters": "q"}], ids=["build", "parameters"])
    def test_a_repair_with_other_code_or_parameters_fails_loudly(self, path: Place, changed: dict[str, str]) -> None:
        """A repeated append whose result may differ is neither dropped in silence nor added."""
        io = path.manager("append")
        io.write(output(path.uri), path.frame(1))
        what = next(iter(changed)).removesuffix("s")
        with pytest.raises(RunError, match=f"already written.*another .*{what}"):
            io.preflight(output(path.uri, receipt(attempt=2, **changed)))
        # An attempt that takes itself for the first is told by Spark, which drops its rows.
        for attempt in (1, 2):
            with pytest.raises(RunError, match=f"already written.*another .*{what}"):
                io.write(output(path.uri, receipt(attempt=attempt, **changed)), path.frame(2))
        assert path.stored == [1]

    @pytest.mark.parametrize("exists", [True, False], ids=["existing table", "new table"])
    def test_zombies_beside_their_retry_add_once(self, place: Place, exists: bool) -> None:
        """Attempts of one append that commit at the same time add its rows once."""
        if exists:
            place.write("append", "0", place.frame(0))
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda attempt: place.write("append", "1", place.frame(1), attempt=attempt), (1, 2, 3)))
        assert place.stored == ([0, 1] if exists else [1])

    @pytest.mark.slow
    def test_a_zombie_that_commits_in_the_midst_of_its_retry_adds_once(self, path: Place) -> None:
        """A retry that looked at the table before the zombie committed to it adds nothing, on a new table too."""
        for run in ("1", "2"):
            late = path.midway(run, functools.partial(path.write, "append", run, path.frame(int(run))))
            assert path.write("append", run, late, attempt=2).note == "already written by attempt 1"
        assert path.stored == [1, 2]

    @pytest.mark.slow
    def test_runs_that_make_the_table_at_once_all_land(self, path: Place) -> None:
        """Appends of different runs that find no table all add their rows."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda run: path.write("append", str(run), path.frame(run)), range(4)))
        assert path.stored == [0, 1, 2, 3]

    @pytest.mark.slow
    def test_a_table_made_meanwhile_is_kept_or_refused_by_the_mode(self, path: Place) -> None:
        """Modes "error" and "ignore" add nothing to a table that another run makes while their query runs."""
        late = path.midway("2", lambda: path.write("append", "1", path.frame(1)))
        with pytest.raises(TargetExistsError):
            path.write("error", "2", late)
        other = Place(path.spark, path.uri + "2", path.kind)
        late = other.midway("2", lambda: other.write("append", "1", other.frame(1)))
        assert "kept" in other.write("ignore", "2", late).note
        assert path.stored == other.stored == [1]

    @pytest.mark.slow
    def test_a_concurrent_overwrite_is_an_error_that_a_retry_mends(self, path: Place) -> None:
        """An overwrite that another writer beats says so and writes nothing; the same task may try again."""
        path.write("overwrite", "1", path.frame(1))
        late = path.midway("2", lambda: path.write("overwrite", "3", path.frame(3)))
        with pytest.raises(RunError, match=r"(?s)another writer changed .*a retry"):
            path.write("overwrite", "2", late)
        assert path.stored == [3]
        path.write("overwrite", "2", path.frame(2), attempt=2)
        assert path.stored == [2]

    @pytest.mark.slow
    def test_a_retry_after_a_cleaned_log_adds_nothing(self, path: Place) -> None:
        """The transaction identifier outlives the commit that it came with."""
        path.write("append", "1", path.frame(1))
        path.spark.sql(f"ALTER TABLE delta.`{path.uri}` SET TBLPROPERTIES ('delta.checkpointInterval' = '1')")
        path.write("append", "2", path.frame(2))
        for version in (0, 1):
            Path(path.uri, "_delta_log", f"{version:020}.json").unlink()
        assert "receipt has been cleaned from the log" in path.write("append", "1", path.frame(1), attempt=2).note
        assert path.stored == [1, 2]

    @pytest.mark.slow
    @pytest.mark.classic
    def test_a_commit_without_its_entry_in_the_catalog_is_mended_by_a_retry(self, table: Place) -> None:
        """A managed table whose maker was killed before the catalog knew of it gets its entry, and no rows twice."""
        for mode in ("append", "error"):
            table.write(mode, "1", table.frame(1))
            table.forget()
            assert table.write(mode, "1", table.frame(1), attempt=2).note == "already written by attempt 1"
            assert table.stored == [1]
            table.forget()
            with pytest.raises(RunError, match="another build"):
                table.manager(mode).write(output(table.uri, receipt("1", attempt=2, build="c")), table.frame(1))
            table.write("overwrite", "2", table.frame(2))
            table.spark.sql(f"DROP TABLE {table.uri}")

    def test_a_tasks_own_write_with_commit_properties_is_not_repeated(self, path: Place) -> None:
        """With writer options from `commit_properties()` a write of the task's own is exactly once."""
        io = path.manager("append")
        assert io.commit_properties() == {}
        for _ in range(2):
            with running(receipt("1")):
                writer = path.frame(1).write.format("delta").mode("append")
                writer.options(**io.commit_properties()).save(path.uri)
        assert path.read("1") == [1]

    @pytest.mark.slow
    def test_what_a_task_returns_is_stored_beside_what_it_has_committed_itself(self, path: Place) -> None:
        """Neither is taken for the other, also where a kill in between has left only the first."""
        io = path.manager("append")
        for attempt in (1, 2, 3):
            with running(receipt("1", attempt=attempt)):
                writer = path.frame(1).write.format("delta").mode("append")
                writer.options(**io.commit_properties()).save(path.uri)
            if attempt > 1:
                path.write("append", "1", path.frame(2), attempt=attempt)
        assert path.stored == [1, 2]

    def test_what_a_function_of_the_tasks_own_raises_is_not_explained_away(self, path: Place) -> None:
        """Whatever words it holds, its traceback passes whole."""
        from pyspark.sql import functions

        def fail(_: int) -> int:
            raise ValueError("AccessDenied: java.net.ConnectException")

        rows_that_fail = path.frame(1).select(functions.udf(fail, "bigint", useArrow=False)("x").alias("x"))
        with pytest.raises(Exception, match="ValueError: AccessDenied") as raised:
            path.write("append", "1", rows_that_fail)
        assert not isinstance(raised.value, RunError)


class TestReading:
    @pytest.mark.slow
    def test_the_newest_version_stays_the_same_for_as_long_as_it_is_read(self, place: Place) -> None:
        """What others write meanwhile does not come into a frame that a task has; a view is read as it is."""
        place.write("append", "1", place.frame(1))
        frame = place.manager().read(wanted(place.uri))
        assert frame.count() == 1
        place.write("append", "2", place.frame(2))
        assert frame.count() == 1
        if place.kind is SparkTableIoManager:
            place.spark.table(place.uri).createOrReplaceTempView("seen")
            assert place.manager().read(wanted("seen")).count() == 2

    @pytest.mark.slow
    def test_a_run_that_kept_a_table_reads_it_and_one_that_did_not_run_does_not(self, path: Place) -> None:
        """With mode="ignore" too a reader gets nothing of a producer that was left out."""
        path.write("append", "1", path.frame(1))
        with pytest.raises(NotWrittenError):
            path.read("2", mode="ignore")
        path.write("ignore", "2", path.frame(2))
        path.write("append", "3", path.frame(3))
        assert path.read("2", mode="ignore") == [1]

    def test_a_reader_gets_the_version_that_this_run_wrote(self, place: Place) -> None:
        """What other runs write later is not seen by this run's readers; without a producer the newest is read."""
        for run in ("1", "2"):
            place.write("overwrite", run, place.frame(int(run)))
        assert place.read("1") == [1]
        assert place.stored == [2]

    @pytest.mark.slow
    def test_the_newest_write_of_a_run_counts(self, path: Place) -> None:
        """After a repair readers get what the repair wrote."""
        path.write("overwrite", "1", path.frame(1))
        path.write("overwrite", "2", path.frame(2))
        path.write("overwrite", "1", path.frame(3), attempt=2)
        assert path.read("1") == [3]

    @pytest.mark.slow
    def test_an_older_runs_table_is_never_read_by_accident(self, table: Place) -> None:
        """Where this run's producer wrote nothing, neither an older run's table nor a missing one is a result."""
        for _ in range(2):
            with pytest.raises(NotWrittenError, match="the task `task` wrote nothing"):
                table.read("2")
            table.write("overwrite", "1", table.frame(1))

    def test_a_missing_table_is_an_error_that_names_it(self, place: Place) -> None:
        """A table given as an input that is not there is named with its parameter."""
        with pytest.raises(NotWrittenError, match=f"nothing at {place.uri}.*`frame`"):
            place.manager().read(wanted(place.uri))

    @pytest.mark.slow
    def test_receipts_are_found_among_many_commits(self, path: Place) -> None:
        """A commit deep in the log is found, and a search that finds none is one of the whole log."""
        path.write("overwrite", "1", path.frame(1))
        for version in range(1, 31):
            action = {"txn": {"appId": "another", "version": version}}
            Path(path.uri, "_delta_log", f"{version:020}.json").write_text(json.dumps(action) + "\n")
        assert path.read("1") == [1]
        with pytest.raises(NotWrittenError):
            path.read("2")

    @pytest.mark.classic
    @pytest.mark.slow
    def test_a_vacuumed_version_says_so(self, path: Place) -> None:
        """A version whose files are gone, or whose log is, is an error before the task's query runs."""
        path.write("overwrite", "1", path.pairs((1, 1)), partition_by="k")
        path.write("overwrite", "2", path.pairs((1, 2)))
        for file in Path(path.uri).glob("k=1/*.parquet"):
            if file.name in path.spark.read.format("delta").option("versionAsOf", 0).load(path.uri).inputFiles()[0]:
                file.unlink()
        with pytest.raises(RunError, match=r"(?s)version 0 of .* can't be read any more.*vacuumed"):
            path.read("1")
        assert rows(path.manager().read(wanted(path.uri, receipt("2")))) == [(1, 2)]

    def test_a_table_can_be_read_by_hand(self, table: Place) -> None:
        """`.read()` of a bound table gives its newest version in a notebook or test."""
        table.write("overwrite", "1", table.frame(7))
        assert rows(table.bound().read()) == [(7,)]

    @pytest.mark.slow
    @pytest.mark.classic
    def test_a_task_gets_the_engines_own_handle(self, place: Place) -> None:
        """Of the table that counts where the task runs: in a local run a table of the catalog lies below a folder."""
        with pytest.raises(NotWrittenError):
            place.bound().delta_table()
        place.write("append", "1", place.frame(1))
        place.bound().delta_table().delete("x = 1")
        assert place.stored == []

    @pytest.mark.slow
    @pytest.mark.classic
    def test_a_merge_that_a_task_builds_on_a_table_of_the_catalog_runs_locally(
        self, spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The handle and the manager's writes go to one place."""
        monkeypatch.setenv(places.ROOT, str(tmp_path))
        silver = SparkTableIoManager("main.silver", mode="append")
        seed = silver.table("seed")
        seed.write(output(seed.uri(), receipt("0")), spark.createDataFrame([(1, 1)], "k int, x int"))
        source = spark.createDataFrame([(1, 5), (2, 2)], "k int, x int")
        merge = silver.delta_table("seed").alias("t").merge(source.alias("s"), "s.k = t.k")
        merge = merge.whenMatchedUpdateAll().whenNotMatchedInsertAll()
        written = seed.write(output(seed.uri(), receipt("1")), merge)
        assert written is not None
        assert "1 inserted, 1 updated" in written.note
        assert rows(seed.read()) == [(1, 5), (2, 2)]


class TestSchemas:
    def test_strict_shows_every_difference_column_by_column(self, path: Place) -> None:
        """Types that differ, columns that are missing or new: all in one table, and nothing is written."""
        path.write("append", "1", path.sql("1L AS a, 'x' AS b, 1.0D AS c, array(1) AS l"))
        with pytest.raises(RunError) as error:
            path.write("append", "2", path.sql("'1' AS a, 2.0D AS C, true AS d, array('1') AS l"))
        lines = [line.split() for line in str(error.value).splitlines()]
        for line in (["a", "bigint", "string"], ["b", "string", "-"], ["d", "-", "boolean"]):
            assert line in lines
        assert ["l", "array<int>", "array<string>"] in lines
        assert not any(line[:1] in (["c"], ["C"]) for line in lines)
        assert len(rows(path.manager().read(wanted(path.uri)))) == 1

    @pytest.mark.slow
    @pytest.mark.parametrize("mode", ["append", "overwrite"])
    def test_add_columns_lets_the_table_grow(self, place: Place, mode: str) -> None:
        """A new column appears, a missing one is null, and another type is still refused."""
        place.write(mode, "1", place.sql("1 AS a, 1 AS b"), schema="add-columns")
        place.write(mode, "2", place.sql("2 AS a, 2 AS c"), schema="add-columns")
        frame = place.manager().read(wanted(place.uri))
        assert (2, None, 2) in rows(frame.select("a", "b", "c"))
        assert frame.count() == (2 if mode == "append" else 1)
        with pytest.raises(RunError, match="int"):
            place.write(mode, "3", place.sql("'x' AS a, 1 AS b, 1 AS c"), schema="add-columns")

    @pytest.mark.slow
    def test_replace_gives_the_table_a_new_schema(self, place: Place) -> None:
        """`schema="replace"` overwrites columns and types with the rows."""
        place.write("overwrite", "1", place.sql("1 AS a"))
        place.write("overwrite", "2", place.sql("'x' AS b"), schema="replace")
        assert [row.asDict() for row in place.manager().read(wanted(place.uri)).collect()] == [{"b": "x"}]

    def test_what_no_table_can_hold_is_named(self, path: Place) -> None:
        """Void and interval columns, names that are one, and unfit partitions are refused before the write."""
        with pytest.raises(RunError, match=r"(?s)`a` and `A` have the same name.*n: void.*i: interval day"):
            path.write("append", "1", path.sql("1 AS a, 2 AS A, null AS n, interval '1' day AS i"))
        with pytest.raises(RunError, match=r"(?s)no column `q`.*l: array<int>.*no column other than"):
            path.write("append", "1", path.sql("array(1) AS l"), partition_by=["q", "l"])
        assert not Path(path.uri).exists()


class TestMerges:
    @pytest.mark.classic
    def test_a_returned_merge_is_executed_once_whatever_the_mode(self, place: Place) -> None:
        """It gets the receipt and the transaction of the task, and leaves the session as it was."""
        place.write("append", "0", place.pairs((1, 10)))
        key = "spark.databricks.delta.write.txnVersion"
        with settings(place.spark, {key: "5"}):
            for attempt, note in ((1, "merged: 1 inserted, 1 updated, 0 deleted"), (2, "already written by attempt 1")):
                context = output(place.uri, receipt("1", attempt=attempt), ("delta.DeltaMergeBuilder",))
                place.manager("error").preflight(context)
                result = place.manager("error").write(context, place.merge((1, 1), (2, 2)))
                assert result.note == note
                assert (result.version, result.rows) == (1, 2 if attempt == 1 else None)
            assert place.spark.conf.get(key) == "5"
        assert place.spark.conf.get("spark.databricks.delta.commitInfo.userMetadata", None) is None
        assert rows(place.manager().read(wanted(place.uri, receipt("1")))) == [(1, 11), (2, 2)]

    @pytest.mark.slow
    @pytest.mark.classic
    def test_a_merge_that_changes_nothing_leaves_a_receipt(self, path: Place) -> None:
        """A reader behind a merge without effect gets the table as it is."""
        path.write("append", "0", path.pairs((1, 10)))
        merge = path.merge((7, 7), insert=False)
        assert path.manager().write(output(path.uri, receipt("1")), merge).rows == 0
        assert rows(path.manager().read(wanted(path.uri, receipt("1")))) == [(1, 10)]

    @pytest.mark.slow
    @pytest.mark.classic
    def test_a_merge_of_a_repair_with_other_code_fails_loudly(self, path: Place) -> None:
        """A merge that another build has done is not dropped in silence."""
        path.write("append", "0", path.pairs((1, 10)))
        path.manager().write(output(path.uri, receipt("1")), path.merge((1, 1)))
        with pytest.raises(RunError, match="another build"):
            path.manager().write(output(path.uri, receipt("1", attempt=2, build="c")), path.merge((1, 1)))
        assert rows(path.manager().read(wanted(path.uri))) == [(1, 11)]
