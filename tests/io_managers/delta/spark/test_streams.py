"""Streams that tasks return: each row once whatever ends an attempt, and all commits of a run for its readers."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec import DeltaMerge, job, task
from dbxdec.errors import RunError
from dbxdec.io_managers import SparkDeltaIoManager, auto_loader
from dbxdec.io_managers.delta import key_log
from dbxdec.io_managers.delta.spark import checkpoints
from dbxdec.io_managers.delta.spark.log import SparkTable
from dbxdec.testing import run_job
from repository import TESTS
from spark_tools import IS_CONNECT, Place, needs_spark, output, receipt, rows, wanted

pytest.importorskip("pyspark")
from pyspark.sql import DataFrame

pytestmark = needs_spark
spark, path, table, place = spark_tools.spark, spark_tools.path, spark_tools.table, spark_tools.place


class Source:
    """A folder of files, of which a stream takes one for each batch."""

    def __init__(self, folder: Path, spark: Any) -> None:
        self.folder, self.spark = folder, spark
        self.count = 0
        folder.mkdir(exist_ok=True)

    def add(self, *batches: list[dict[str, Any]]) -> Source:
        for batch in batches:
            self.count += 1
            file = self.folder / f"{self.count:03}.json"
            file.write_text("".join(json.dumps(row) + "\n" for row in batch), encoding="utf-8")
            os.utime(file, (self.count, self.count))  # the oldest comes first
        return self

    def stream(self, schema: str = "x bigint") -> Any:
        reader = self.spark.readStream.schema(schema).option("maxFilesPerTrigger", 1)
        return reader.json(str(self.folder))


@pytest.fixture
def source(spark: Any, tmp_path: Path) -> Source:
    return Source(tmp_path / "arriving", spark)


def xs(*values: int) -> list[dict[str, Any]]:
    return [{"x": value} for value in values]


def read(at: Place, run: str, kind: Any = "run") -> list[tuple[Any, ...]]:
    return rows(at.manager().read(wanted(at.uri, receipt(run), rows=kind)))


class TestAppends:
    def test_each_run_adds_what_has_arrived_since_the_last_one(self, place: Place, source: Source) -> None:
        """A run stores all batches that are there, its readers get their rows, and a run without any leaves none."""
        source.add(xs(1, 2), xs(3))
        done = place.write("append", "1", source.stream())
        assert (done.rows, done.note) == (3, "stream: 2 batches")
        source.add(xs(4))
        assert place.write("append", "2", source.stream()).note == "stream: 1 batch"
        empty = place.write("append", "3", source.stream())
        assert (empty.rows, empty.note) == (0, "stream: nothing new")
        assert place.stored == [1, 2, 3, 4]
        assert [read(place, run) for run in ("1", "2", "3")] == [[(1,), (2,), (3,)], [(4,)], []]
        assert len(read(place, "3", "table")) == 4

    @pytest.mark.slow
    @pytest.mark.connect
    def test_a_retry_of_a_stream_that_has_ended_finds_nothing_new(self, path: Place, source: Source) -> None:
        """Its result is still that of the first attempt, and what has arrived meanwhile belongs to it too."""
        source.add(xs(1))
        path.write("append", "1", source.stream())
        assert (
            path.write("append", "1", source.stream(), attempt=2).note
            == "stream: 1 batch, 1 of them by earlier attempts"
        )
        source.add(xs(2))
        assert path.write("append", "1", source.stream(), attempt=3).rows == 2
        assert path.read("1") == path.stored == [1, 2]

    @pytest.mark.slow
    def test_rows_of_other_writers_between_the_batches_are_none_of_its_result(
        self, path: Place, source: Source
    ) -> None:
        """Neither of other runs nor of other programs, before, between and after."""
        path.write("append", "0", path.frame(90))
        source.add(xs(1))
        path.write("append", "1", source.stream())
        path.frame(91).write.format("delta").mode("append").save(path.uri)
        source.add(xs(2))
        path.write("append", "1", source.stream(), attempt=2)
        path.write("append", "2", path.frame(92))
        assert path.read("1") == [1, 2]
        assert path.read("2") == [92]

    @pytest.mark.slow
    def test_batches_with_other_columns_and_partitions_are_read_as_one(self, path: Place, source: Source) -> None:
        """Columns that came later are null in the rows before them."""
        source.add([{"k": "a", "n": 1}], [{"k": "b", "n": 2}])
        path.write("append", "1", source.stream("k string, n bigint"), partition_by="k")
        source.add([{"k": "a", "n": 3, "m": 4}])
        wider = source.stream("k string, n bigint, m bigint")
        path.write("append", "1", wider, attempt=2, partition_by="k", schema="add-columns")
        path.write("append", "2", wider.sparkSession.createDataFrame([("a", 9, 9)], "k string, n bigint, m bigint"))
        found = path.manager().read(wanted(path.uri, receipt("1")))
        assert rows(found) == [("a", 1, None), ("a", 3, 4), ("b", 2, None)]
        assert len(found.inputFiles()) == 3

    @pytest.mark.slow
    def test_a_reader_through_polars_gets_the_same_rows(self, path: Place, source: Source) -> None:
        """All commits of the stream count for it as well."""
        import polars as pl

        from dbxdec.io_managers import PolarsDeltaIoManager
        from dbxdec.io_managers.contexts import InputContext

        source.add(xs(1), xs(2))
        path.write("append", "0", path.frame(90))
        path.write("append", "1", source.stream())
        context = InputContext(path.uri, "frame", pl.DataFrame, receipt("1").id)
        frame = PolarsDeltaIoManager("unused").read(context)
        assert sorted(frame.lazy().collect()["x"].to_list()) == [1, 2]

    @pytest.mark.slow
    def test_the_table_is_made_as_it_is_wanted(self, place: Place, source: Source) -> None:
        """Partitions, a comment, properties and constraints, before the first row."""
        source.add([{"k": "a", "n": 1}, {"k": "b", "n": 2}])
        wishes: dict[str, Any] = {
            "comment": "what arrives",
            "constraints": {"positive": "n > 0"},
            "properties": {"delta.appendOnly": True},
        }
        stream = source.stream("k string, n bigint")
        place.write("append", "1", stream, partition_by="k", **wishes)
        detail = SparkTable(place.spark, place.uri, place.uri.startswith("spark_catalog")).detail()
        assert detail is not None
        assert (detail.partitions, detail.comment) == (("k",), "what arrives")
        assert detail.properties["delta.constraints.positive"] == "n > 0"
        assert read(place, "1") == [("a", 1), ("b", 2)]
        source.add([{"k": "c", "n": -1}])
        with pytest.raises(RunError, match="rows of the result violate a rule of"):
            place.write("append", "2", source.stream("k string, n bigint"), partition_by="k", **wishes)

    @pytest.mark.slow
    def test_other_columns_are_refused_or_added_before_the_stream_starts(self, path: Place, source: Source) -> None:
        """By the policy of the schema; refused, nothing of the source counts as read."""
        path.write("append", "0", path.frame(0))
        source.add([{"x": 1, "y": "a"}])
        with pytest.raises(RunError, match=r"(?s)does not fit|columns"):
            path.write("append", "1", source.stream("x bigint, y string"))
        path.write("append", "2", source.stream("x bigint, y string"), schema="add-columns")
        assert read(path, "2") == [(1, "a")]

    @pytest.mark.slow
    @pytest.mark.classic
    def test_vacuum_leaves_the_checkpoint_alone(self, path: Place, source: Source) -> None:
        """It lies in the table's folder, under a name that is left alone."""
        source.add(xs(1))
        path.write("append", "1", source.stream())
        check = "spark.databricks.delta.retentionDurationCheck.enabled"
        path.spark.conf.set(check, "false")
        try:
            path.spark.sql(f"VACUUM delta.`{path.uri}` RETAIN 0 HOURS")
        finally:
            path.spark.conf.unset(check)
        assert Path(path.uri, "_dbxdec", "streams", "job.task", "offsets", "0").is_file()
        assert path.write("append", "2", source.stream()).note == "stream: nothing new"


class TestCheckpoints:
    @pytest.mark.slow
    def test_an_authors_own_place_is_taken(self, path: Place, source: Source, tmp_path: Path) -> None:
        """`{job}` and `{task}` are filled in; outputs and items have folders of their own below it."""
        source.add(xs(1))
        own = {"checkpointLocation": f"{tmp_path}/own/{{job}}/{{task}}"}
        path.write("append", "1", source.stream(), write_options=own)
        assert (tmp_path / "own" / "job" / "task" / "offsets" / "0").is_file()
        assert not Path(path.uri, "_dbxdec").exists()
        path.manager("append", write_options=own).write(
            output(path.uri, receipt("1", item="de")), source.stream().selectExpr("x + 10 AS x")
        )
        assert (tmp_path / "own" / "job" / "task" / "de" / "offsets" / "0").is_file()
        assert path.stored == [1, 11]

    @pytest.mark.slow
    def test_a_managed_table_of_unity_catalog_needs_one(self, path: Place, source: Source, monkeypatch: Any) -> None:
        """Only the platform writes its folder: the error says what to write."""
        source.add(xs(1))
        monkeypatch.setattr(checkpoints, "_FOLDER", "unused")
        genuine = SparkTable.detail

        def guarded(self: SparkTable) -> Any:
            import dataclasses

            found = genuine(self)
            return found and dataclasses.replace(found, is_guarded=True)

        monkeypatch.setattr(SparkTable, "detail", guarded)
        with pytest.raises(RunError, match="only the platform writes the folder of this table") as raised:
            path.write("append", "1", source.stream())
        assert "checkpointLocation" in str(raised.value)

    @pytest.mark.slow
    def test_one_that_is_older_than_its_table_is_refused(self, path: Place, source: Source, tmp_path: Path) -> None:
        """The table was removed, and the stream would not read again what it had."""
        own = {"checkpointLocation": f"{tmp_path}/own"}
        path.write("append", "1", source.add(xs(1)).stream(), write_options=own)
        shutil.rmtree(path.uri)
        for value in (source.stream(), DeltaMerge(source.stream(), on="x")):
            with pytest.raises(RunError, match=r"there is no table .* but the stream of the task `task` has read"):
                path.write("append", "2", value, write_options=own)

    @pytest.mark.slow
    def test_one_of_another_table_is_refused(self, path: Place, source: Source, tmp_path: Path) -> None:
        """The table was made again by another program, and lacks what the stream has read."""
        own = {"checkpointLocation": f"{tmp_path}/own"}
        path.write("append", "1", source.add(xs(1)).stream(), write_options=own)
        path.write("append", "2", source.add(xs(2)).stream(), write_options=own)
        shutil.rmtree(path.uri)
        path.frame(9).write.format("delta").save(path.uri)
        with pytest.raises(RunError, match="is another table than the one that the stream of the task `task` has"):
            path.write("append", "3", source.add(xs(3)).stream(), write_options=own)
        shutil.rmtree(tmp_path / "own")
        path.write("append", "3", source.stream(), write_options=own)
        assert path.stored == [1, 2, 3, 9]

    @pytest.mark.slow
    def test_a_checkpoint_without_a_note_goes_on(self, path: Place, source: Source) -> None:
        """It is of before there were notes."""
        path.write("append", "1", source.add(xs(1)).stream())
        shutil.rmtree(Path(path.uri, "_dbxdec", "streams", "job.task", "dbxdec"))
        path.write("append", "2", source.add(xs(2)).stream())
        assert path.stored == [1, 2]

    @pytest.mark.slow
    @pytest.mark.connect
    def test_a_stream_that_a_server_has_ended_for_another_run_is_not_done(
        self, path: Place, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its run has not read to the end, and says so. On this machine a lock would have kept the other one away."""
        if not IS_CONNECT:
            pytest.skip("connect: a classic session refuses the other run")
        from pyspark.sql import functions

        def wait(value: int) -> int:
            (tmp_path / "reached").touch()
            time.sleep(30)
            return value

        monkeypatch.setattr(checkpoints, "held", lambda *_: contextlib.nullcontext(False))
        source.add(xs(1))
        waiting = functions.udf(wait, "bigint", useArrow=False)
        with ThreadPoolExecutor(1) as pool:
            older = pool.submit(path.write, "append", "1", source.stream().select(waiting("x").alias("x")))
            while not (tmp_path / "reached").exists():
                assert not older.done()
                time.sleep(0.05)
            assert path.write("append", "2", source.stream()).rows == 1
            with pytest.raises(RunError, match="another run works with the checkpoint"):
                older.result()
        assert path.stored == [1]

    @pytest.mark.slow
    def test_a_renamed_task_does_not_read_all_rows_again(self, path: Place, source: Source) -> None:
        """It finds the checkpoint of another task alone; a table that several tasks write may have it."""
        path.write("append", "1", source.add(xs(1)).stream())
        renamed = receipt("2")
        renamed = replace(renamed, id=replace(renamed.id, task="other"))
        with pytest.raises(
            RunError, match="would begin from the start, but the table has rows of another one"
        ) as raised:
            path.manager("append").write(output(path.uri, renamed), source.stream())
        assert "rename that folder to job.other" in str(raised.value)
        Path(path.uri, "_dbxdec", "streams", "job.task").rename(Path(path.uri, "_dbxdec", "streams", "job.other"))
        path.manager("append").write(output(path.uri, renamed), source.stream())
        assert path.stored == [1]
        path.manager("append", shared=True).write(output(path.uri, receipt("3")), source.stream())
        assert path.stored == [1, 1]

    def test_two_runs_at_once_are_refused(self, path: Place, source: Source) -> None:
        """The second one ends with a sentence, and the first one is not disturbed."""
        source.add(xs(1))
        spot = f"{path.uri}/_dbxdec/streams/job.task"
        with checkpoints.held(path.spark, spot, "task") as alone:
            assert alone
            with pytest.raises(
                RunError, match="another run works with the checkpoint of the stream of the task `task`"
            ):
                path.write("append", "1", source.stream())
        assert path.write("append", "1", source.stream()).rows == 1

    @pytest.mark.slow
    @pytest.mark.classic
    def test_what_an_earlier_attempt_left_running_is_stopped(self, path: Place, source: Source) -> None:
        """On a cluster the JVM outlives a task that was killed; the stream of another run is left alone."""
        from pyspark.sql import functions

        source.add(xs(1))
        path.write("append", "0", source.stream())
        source.add(xs(2))

        def asleep(value: int) -> int:
            time.sleep(60)
            return value

        def left_behind(run: str) -> Any:
            slow = functions.udf(asleep, "bigint", useArrow=False)
            writer = source.stream().select(slow("x").alias("x")).writeStream.format("delta")
            writer = writer.option("checkpointLocation", f"{path.uri}/_dbxdec/streams/job.task")
            return writer.queryName(f"{receipt(run).id.transaction} 1 {uuid.uuid4().hex}").start(path.uri)

        query = left_behind("1")
        with pytest.raises(RunError, match="another run works with the checkpoint"):
            path.write("append", "2", source.stream())
        assert query.isActive
        assert path.write("append", "1", source.stream(), attempt=2).rows == 1
        assert not query.isActive
        assert path.stored == [1, 2]

    @pytest.mark.slow
    def test_a_key_is_there_once_its_stream_has_ended(self, path: Place, source: Source) -> None:
        """Not with its first batch: the run for the key may have died then."""
        from pyspark.sql import functions

        given = receipt("1")
        given = replace(given, id=replace(given.id, key="day=1"))

        def keys() -> set[str]:
            found = path.manager().key_log(path.uri)
            assert found is not None
            return key_log.done(found.standing(), "")[0]

        source.add(xs(1), xs(2))
        failing = functions.expr("IF(x = 2, raise_error('no'), x)").cast("bigint").alias("x")
        with pytest.raises(RunError):
            path.manager("append").write(output(path.uri, given), source.stream().select(failing))
        assert (path.stored, keys()) == ([1], set())
        path.manager("append").write(output(path.uri, replace(given, attempt=2)), source.stream())
        assert (path.stored, keys()) == ([1, 2], {"day=1"})
        given = replace(given, id=replace(given.id, run="2", key="day=2"))
        path.manager("append").write(output(path.uri, given), source.stream())
        assert keys() == {"day=1", "day=2"}


class TestConflicts:
    @pytest.mark.slow
    def test_a_stream_that_loses_against_another_writer_goes_on(self, path: Place, source: Source) -> None:
        """The table has got a new column in the midst of a batch; its rows are there once."""
        from pyspark.sql import functions

        meeting = Path(path.uri).parent
        path.write("append", "0", path.frame(0))

        def wait(value: int) -> int:
            (meeting / "reached").touch()
            while not (meeting / "done").exists():
                time.sleep(0.01)
            return value

        def change() -> None:
            while not (meeting / "reached").exists():
                time.sleep(0.01)
            path.spark.sql(f"ALTER TABLE delta.`{path.uri}` ADD COLUMN (y bigint)")
            (meeting / "done").touch()

        threading.Thread(target=change, daemon=True).start()
        waiting = functions.udf(wait, "bigint", useArrow=False)
        done = path.write(
            "append", "1", source.add(xs(1), xs(2)).stream().select(waiting("x").alias("x")), schema="add-columns"
        )
        assert done.rows == 2
        assert path.stored == [0, 1, 2]


class TestJobs:
    @pytest.mark.slow
    def test_a_job_from_landed_files_to_a_number(self, spark: Any, source: Source, tmp_path: Path) -> None:
        """A task takes a table and returns a stream that it has read itself; its reader gets this run's rows."""
        lake = SparkDeltaIoManager(str(tmp_path / "lake"), mode="append")

        @task(io_manager=SparkDeltaIoManager(str(tmp_path / "lake"), mode="overwrite"))
        def known() -> DataFrame:
            frame: DataFrame = spark.range(1, 3)
            return frame

        @task(io_manager=lake)
        def arrived(known: DataFrame) -> DataFrame:
            reader = spark.readStream.format("cloudFiles").option("cloudFiles.format", "json")
            stream = reader.option("cloudFiles.inferColumnTypes", "true").load(str(source.folder))
            frame: DataFrame = stream.drop("_rescued_data").join(known, stream["x"] == known["id"])
            return frame

        @task
        def count(arrived: DataFrame) -> int:
            found: int = arrived.count()
            return found

        @job
        def landing() -> None:
            count(arrived(known()))

        source.add(xs(1, 9))
        assert run_job(landing, in_memory=False)["count"].value == 1
        source.add(xs(1, 2))
        assert run_job(landing, in_memory=False)["count"].value == 2
        assert run_job(landing, in_memory=False)["count"].value == 0
        with pytest.raises(RunError, match="the stream that the task `arrived` returned needs a Delta table"):
            run_job(landing)


class TestRefusals:
    @pytest.mark.parametrize("mode", ["error", "overwrite", "ignore"])
    def test_a_stream_only_adds_rows(self, path: Place, source: Source, mode: str) -> None:
        """Other modes are refused with what to write instead, also where there is no table yet."""
        with pytest.raises(RunError, match=f'returned a stream, but its IoManager has mode="{mode}"') as raised:
            path.write(mode, "1", source.add(xs(1)).stream())
        assert 'use mode="append"' in str(raised.value)
        assert not Path(path.uri).exists()

    def test_a_stream_of_a_task_that_reads_what_is_new_is_refused(self, path: Place, source: Source) -> None:
        """Its first batch would say that all of it has been read."""
        from dbxdec.io_managers.positions import Progress, Span

        given = replace(receipt("1"), progress=Progress("consumer", -1, 1, {"orders": Span("source", -1, 3)}))
        for value in (source.stream(), DeltaMerge(source.stream(), on="x")):
            with pytest.raises(RunError, match="keeps what it has read itself"):
                path.manager("append").write(output(path.uri, given), value)

    @pytest.mark.slow
    def test_a_frame_after_a_stream_of_the_same_run_is_refused(self, path: Place, source: Source) -> None:
        """It would add rows beside those of the stream, which no reader told apart."""
        path.write("append", "1", source.add(xs(1)).stream())
        with pytest.raises(RunError, match="attempt 1 of the task `task` returned a stream"):
            path.write("append", "1", path.frame(5), attempt=2)
        assert path.stored == [1]

    @pytest.mark.slow
    @pytest.mark.connect
    def test_an_error_of_the_tasks_own_code_is_shown(self, path: Place, source: Source) -> None:
        """Spark's own message says only that a task failed; batches before it stay, and a retry goes on."""
        from pyspark.sql import functions

        def careful(value: int) -> int:
            if value == 2:
                raise ValueError("2 is too much for me")
            return value

        source.add(xs(1), xs(2), xs(3))
        mine = functions.udf(careful, "bigint", useArrow=False)
        with pytest.raises(RunError, match="failed in the task's own code: ValueError: 2 is too much for me") as raised:
            path.write("append", "1", source.stream().select(mine("x").alias("x")))
        assert "in careful" in str(raised.value)
        assert path.stored == [1]
        assert path.write("append", "1", source.stream(), attempt=2).rows == 3
        assert path.read("1") == [1, 2, 3]

    @pytest.mark.slow
    def test_a_query_that_can_only_be_written_whole_is_refused_in_one_sentence(
        self, path: Place, source: Source
    ) -> None:
        """Spark's analysis of it, without its plan."""
        source.add(xs(1))
        with pytest.raises(RunError, match=r"the stream of the task `task` into .* failed: ") as raised:
            path.write("append", "1", source.stream().groupBy("x").count())
        assert len(str(raised.value).splitlines()) < 4

    @pytest.mark.slow
    def test_other_sources_than_those_of_the_checkpoint_are_refused(self, path: Place, source: Source) -> None:
        """Spark's own sentence, without the ids of the query, and what to do."""
        path.write("append", "1", source.add(xs(1)).stream())
        with pytest.raises(RunError, match=r"table failed: .*There are \[1\] sources in the checkpoint") as raised:
            path.write("append", "2", source.stream().union(source.stream()))
        assert "needs a new checkpoint" in str(raised.value)


def pairs(*values: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"k": k, "x": x} for k, x in values]


def adding(source: Source) -> Any:
    """A merge that adds to what is there, and so shows if a batch was merged twice."""
    merge = DeltaMerge(source.stream("k int, x int"), on="k").when_matched_update({"x": "target.x + source.x"})
    return merge.when_not_matched_insert_all()


class TestMerges:
    @pytest.mark.slow
    @pytest.mark.connect
    def test_each_batch_is_merged_once(self, place: Place, source: Source) -> None:
        """From a missing table on, in the order of arrival; the result is the table as the last batch left it."""
        source.add(pairs((1, 1), (2, 1)), pairs((1, 5)))
        done = place.write("error", "1", adding(source))
        assert done.note == "merged: 2 inserted, 1 updated, 0 deleted; stream: 2 batches"
        assert done.rows == 3
        assert read(place, "1") == [(1, 6), (2, 1)]
        source.add(pairs((2, 2)))
        place.write("error", "1", adding(source), attempt=2)
        assert place.write("error", "2", adding(source)).note.endswith("stream: nothing new")
        assert read(place, "1") == read(place, "2") == [(1, 6), (2, 3)]

    @pytest.mark.slow
    def test_the_rows_that_all_batches_have_changed(self, path: Place, source: Source) -> None:
        """`x.written` of a stream that merges is what each of its batches inserted or changed."""
        source.add(pairs((1, 1)), pairs((1, 5)))
        feed = {"delta.enableChangeDataFeed": True}
        path.write("error", "0", path.pairs((9, 9)), properties=feed)
        path.write("error", "1", adding(source), properties=feed)
        assert read(path, "1", "changed") == [(1, 1), (1, 6)]

    @pytest.mark.slow
    @pytest.mark.connect
    def test_a_batch_that_is_not_recorded_yet_is_not_merged_again(self, path: Place, source: Source) -> None:
        """The attempt was killed between the commit of the batch and the note of it."""
        source.add(pairs((1, 1)), pairs((1, 5)))
        path.write("error", "1", adding(source))
        noted = Path(path.uri, "_dbxdec", "streams", "job.task", "commits")
        for file in (noted / "1", noted / ".1.crc"):
            file.unlink()
        source.add(pairs((1, 10)))
        path.write("error", "1", adding(source), attempt=2)
        assert read(path, "1") == [(1, 16)]

    @pytest.mark.slow
    @pytest.mark.connect
    def test_equal_keys_in_a_batch_are_refused(self, path: Place, source: Source) -> None:
        """In one sentence, with the batches before it merged."""
        source.add(pairs((1, 1)), pairs((2, 1), (2, 2)))
        with pytest.raises(RunError, match="a batch of the stream of the task `task` has rows with equal keys"):
            path.write("error", "1", adding(source))
        assert path.stored == [1]

    def test_a_mistake_in_a_clause_is_told_before_the_stream_starts(self, path: Place, source: Source) -> None:
        """With nothing read and no checkpoint made."""
        stream = source.add(pairs((1, 1))).stream("k int, x int")
        merge = DeltaMerge(stream, on="k").when_matched_update({"x": "source.z"})
        with pytest.raises(RunError, match="Spark can't execute the DeltaMerge of the task `task`"):
            path.write("error", "1", merge)
        assert not Path(path.uri, "_dbxdec").exists()


class TestAutoLoader:
    """`cloudFiles` where there is no Auto Loader."""

    @pytest.fixture
    def reading(self, spark: Any) -> Iterator[Any]:
        """A session as a task is given it."""
        genuine = type(spark).__dict__["readStream"]
        auto_loader.provide(spark)
        auto_loader.provide(spark)  # a second time changes nothing
        yield spark
        type(spark).readStream = genuine
        auto_loader._told.clear()

    def test_its_files_are_read_as_a_plain_stream(
        self, path: Place, source: Source, reading: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With the options that both know and a schema inferred as it does; what is left out is said once."""
        source.add(pairs((1, 1)), pairs((2, 2)))
        with caplog.at_level(logging.INFO):
            for run in ("1", "2"):
                reader = reading.readStream.format("cloudFiles").option("cloudFiles.format", "json")
                reader = reader.options(**{"cloudFiles.maxFilesPerTrigger": 1, "cloudFiles.schemaHints": "x int"})
                stream = reader.option("cloudFiles.schemaLocation", f"{path.uri}/_schema").load(str(source.folder))
                path.write("append", run, stream)
        assert read(path, "1") == [("1", 1, None), ("2", 2, None)]
        assert [field.simpleString() for field in stream.schema] == ["k:string", "x:int", "_rescued_data:string"]
        said = [record.getMessage() for record in caplog.records if "Auto Loader" in record.getMessage()]
        assert len(said) == 1
        assert said[0].endswith("read as a plain stream; left out: cloudFiles.schemaLocation")
        assert len([*Path(path.uri, "_delta_log").glob("*.json")]) == 4  # the table, two batches, nothing new

    def test_a_schema_of_the_author_is_taken(self, source: Source, reading: Any) -> None:
        """Then there is no column of rescued data, unless it is asked for by its name."""
        source.add(pairs((1, 1)))
        reader = reading.readStream.schema("k int").option("cloudFiles.format", "json")
        assert reader.load(str(source.folder), format="cloudFiles").columns == ["k"]
        frame = reader.option("rescuedDataColumn", "rest").load(str(source.folder))
        assert frame.columns == ["k", "rest"]

    def test_types_are_inferred_if_that_is_asked_for(self, source: Source, reading: Any) -> None:
        """`cloudFiles.inferColumnTypes`; without evolution of the schema nothing is rescued."""
        source.add(pairs((1, 1)))
        options = {"format": "json", "inferColumnTypes": "true", "schemaEvolutionMode": "none"}
        reader = reading.readStream.format("cloudFiles").options(**{f"cloudFiles.{k}": v for k, v in options.items()})
        assert reader.load(str(source.folder)).schema.simpleString() == "struct<k:bigint,x:bigint>"

    def test_what_it_needs_is_said(self, source: Source, reading: Any) -> None:
        """The format, and a file to infer the schema of."""
        with pytest.raises(RunError, match="needs the format of the files"):
            reading.readStream.format("cloudFiles").load(str(source.folder))
        with pytest.raises(RunError, match=r"the schema of the files for Auto Loader in .* can't be inferred"):
            reading.readStream.format("cloudFiles").option("cloudFiles.format", "json").load(str(source.folder))

    def test_other_streams_are_read_as_ever(self, source: Source, reading: Any) -> None:
        """The reader is Spark's own but for the name of Auto Loader."""
        source.add(xs(1))
        assert reading.readStream.schema("x bigint").format("json").load(str(source.folder)).columns == ["x"]
        assert reading.readStream.json(str(source.folder), schema="x int").isStreaming
        assert isinstance(reading.readStream, type(reading.readStream).__mro__[2])

    def test_databricks_has_its_own(self, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """There the session is left as it is."""
        monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "16.4")
        genuine = type(spark).__dict__["readStream"]
        auto_loader.provide(spark)
        assert type(spark).__dict__["readStream"] is genuine


# The JVM is in the process group of the Python that started it: both die at once.
PROGRAM = textwrap.dedent(
    """
    import json, os, sys, time
    from pathlib import Path
    tools, lake, where, kind = sys.argv[1:]
    sys.path[:0] = [tools, tools + "/io_managers/delta/spark"]
    import spark_tools
    from dbxdec import DeltaMerge, job, task
    from dbxdec.io_managers import SparkDeltaIoManager
    from pyspark.sql import functions
    from test_streams import Source, adding

    def wait(value):
        # The third batch has begun, and does not end.
        if value == 3:
            Path(lake, kind + ".reached").touch()
            time.sleep(30)
        return value

    if where.startswith("sc://"):
        from pyspark.sql import SparkSession

        spark = SparkSession.builder.remote(where).getOrCreate()
        spark_tools.lock(spark)
    else:
        spark = spark_tools.start(Path(lake, "warehouse-" + kind), where)
    place = spark_tools.Place(spark, f"{lake}/{kind}", SparkDeltaIoManager)
    source = Source(Path(lake, "arriving"), spark)
    waiting = functions.udf(wait, "int", useArrow=False)
    genuine = source.stream
    source.stream = lambda schema: genuine(schema).withColumn("x", waiting("x"))
    try:
        place.write("append", "1", adding(source) if kind == "merged" else source.stream("k int, x int"))
    except KeyboardInterrupt:
        print("interrupted", [query.name for query in spark.streams.active], flush=True)
        os._exit(130)
    """
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["appended", "merged", "interrupted"])
def test_a_stream_that_dies_in_its_third_batch_is_retried_to_its_end(path: Place, source: Source, kind: str) -> None:
    """Killed, an append and a merge leave each row once; interrupted, the query is stopped.

    A server of Spark Connect outlives its client, and goes on with the batch until the retry begins.
    """
    lake = Path(path.uri).parent
    lake.mkdir()
    if IS_CONNECT:
        where = f"sc://{path.spark.client._builder.endpoint}"
    else:
        where = path.spark.sparkContext.getConf().get("spark.jars")
    source.folder.rename(lake / "arriving")
    source.folder = lake / "arriving"
    source.add(pairs((1, 1)), pairs((1, 2), (2, 2)), pairs((1, 3), (3, 3)))
    writer = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(TESTS), str(lake), where, kind],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    while not (lake / f"{kind}.reached").exists():
        assert writer.poll() is None
        time.sleep(0.05)
    if kind == "interrupted":
        writer.send_signal(signal.SIGINT)
        assert "interrupted []" in writer.communicate()[0]
    else:
        os.killpg(writer.pid, signal.SIGKILL)
        writer.communicate()
    at = Place(path.spark, f"{lake}/{kind}", path.kind)
    first = [(1, 3), (2, 2)] if kind == "merged" else [(1, 1), (1, 2), (2, 2)]
    assert rows(at.manager().read(wanted(at.uri))) == first
    value = adding(source) if kind == "merged" else source.stream("k int, x int")
    assert at.write("append", "1", value, attempt=2).note.endswith("stream: 3 batches, 2 of them by earlier attempts")
    left = [(1, 6), (2, 2), (3, 3)] if kind == "merged" else [*first[:2], (1, 3), (2, 2), (3, 3)]
    assert read(at, "1") == read(at, "1", "table") == left
