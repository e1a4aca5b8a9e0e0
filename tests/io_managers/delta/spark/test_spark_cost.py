"""What writes and reads cost beside Spark's own: jobs, and the files that a read opens."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec import DeltaMerge
from dbxdec.io_managers.delta.spark import commit_files
from spark_tools import Place, needs_spark, output, receipt, rows, wanted

pytestmark = [*needs_spark, pytest.mark.classic]
spark, path, table, place = spark_tools.spark, spark_tools.path, spark_tools.table, spark_tools.place


def jobs(at: Place, act: Callable[[], object]) -> int:
    """How many jobs of Spark `act` starts."""
    store = at.spark.sparkContext._jsc.sc().statusStore()
    before = int(store.jobsList(None).size())
    act()
    return int(store.jobsList(None).size()) - before


def opened(frame: Any) -> int:
    """How many files the query of `frame` opens, by the metrics of its plan."""
    plan, found = frame._jdf.queryExecution().executedPlan(), 0
    plan.executeCollect()
    waiting = [plan]
    while waiting:
        node = waiting.pop()
        if node.metrics().contains("numFiles"):
            found += int(node.metrics().apply("numFiles").value())
        waiting += [node.children().apply(i) for i in range(node.children().size())]
    return found


def written(at: Place, mode: str, run: str, value: Any, **options: Any) -> Callable[[], None]:
    """A task's whole write: the look at its target before its function runs, and the write itself."""
    manager, context = at.manager(mode, **options), output(at.uri, receipt(run))

    def act() -> None:
        manager.preflight(context)
        manager.write(context, value)

    return act


def test_writes_and_reads_start_few_jobs_more_than_spark_itself(path: Place) -> None:
    """An append one, since Delta looks its transaction up; the others none."""
    one, two = path.pairs((1, 1)), path.pairs((2, 2))
    path.write("append", "0", one)
    plain = path.uri + "_plain"
    one.write.format("delta").save(plain)
    append = jobs(path, lambda: one.write.format("delta").mode("append").save(plain))
    overwrite = jobs(path, lambda: one.write.format("delta").mode("overwrite").save(plain))
    assert jobs(path, written(path, "append", "1", two)) <= append + 1
    assert jobs(path, lambda: path.manager().read(wanted(path.uri, receipt("1"), rows="table"))) == 0
    assert jobs(path, lambda: path.manager().read(wanted(path.uri))) == 0
    assert jobs(path, written(path, "overwrite", "2", two)) <= overwrite


@pytest.mark.slow
def test_rows_are_judged_without_a_job_but_that_of_their_numbers(path: Place) -> None:
    """Spark counts them while it writes them; the numbers are a commit without rows."""
    one, rules = path.pairs((1, 1), (2, -2)), {"expect": {"a": "x > 0"}, "expect_or_drop": {"b": "k > 0"}}
    path.write("append", "0", one)
    plain = jobs(path, written(path, "append", "1", one))
    note = jobs(path, lambda: path.write("append", "2", None))
    assert jobs(path, written(path, "append", "3", one, **rules)) <= plain + note


@pytest.mark.slow
def test_a_merge_starts_no_more_jobs_than_sparks_own(path: Place) -> None:
    """None: receipt and equal keys are looked for without one."""
    path.write("append", "0", path.pairs((1, 1)))
    source = path.pairs((1, 2), (3, 3))
    source.createOrReplaceTempView("changes")
    plain = path.uri + "_plain"
    path.pairs((1, 1)).write.format("delta").save(plain)
    statement = (
        f"MERGE INTO delta.`{plain}` AS t USING changes AS s ON s.k = t.k "
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )
    own = jobs(path, lambda: path.spark.sql(statement).collect())
    assert jobs(path, written(path, "append", "1", DeltaMerge(source, on="k"))) <= own


@pytest.mark.slow
@pytest.mark.parametrize("partitioned", [False, True])
def test_the_rows_of_an_append_are_read_without_a_look_at_other_files(path: Place, partitioned: bool) -> None:
    options: dict[str, Any] = {"partition_by": "x"} if partitioned else {}
    many = path.spark.range(40).selectExpr("CAST(id AS INT) AS k", "CAST(id % 2 AS INT) AS x").repartition(40, "k")
    path.write("append", "0", many, **options)
    path.write("append", "1", path.pairs((1, 7), (2, 8)).coalesce(1), **options)
    path.write("append", "2", path.pairs((3, 9)), **options)
    found = path.manager().read(wanted(path.uri, receipt("1")))
    assert (sorted(rows(found)), opened(found)) == ([(1, 7), (2, 8)], 2 if partitioned else 1)
    assert found.dtypes == [("k", "int"), ("x", "int")]


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["files", "log"])
def test_where_paths_can_not_be_read_the_rows_are_the_same(
    path: Place, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the files' paths Delta skips by their values; without the log all files are listed."""
    path.write("append", "0", path.spark.range(100, 140).selectExpr("CAST(id AS INT) AS k").repartition(20))
    path.write("append", "1", path.sql("CAST(7 AS INT) AS k").coalesce(1))
    path.write("append", "2", path.sql("CAST(8 AS INT) AS k"))
    with monkeypatch.context() as patch:
        if broken == "files":
            patch.setattr(commit_files.CommitFiles, "rows", lambda *_: None)
        else:
            patch.setattr(commit_files, "read", lambda *_: None)
        found = path.manager().read(wanted(path.uri, receipt("1")))
        assert (rows(found), found.columns) == ([(7,)], ["k"])
    assert opened(found) <= (2 if broken == "files" else 100)


@pytest.mark.slow
def test_the_change_data_feed_is_read_where_the_log_can_not_be(path: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"write_options": {"delta.enableChangeDataFeed": "true"}}
    path.write("append", "0", path.frame(1, 2), **options)
    path.write("append", "1", path.frame(7).coalesce(1))
    path.write("append", "2", path.frame(8))
    monkeypatch.setattr(commit_files, "read", lambda *_: None)
    assert rows(path.manager().read(wanted(path.uri, receipt("1")))) == [(7,)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("string", ["a b", "p/3", "%41", "{x}", "ü", None]),
        ("int", [1, -2, None]),
        ("date", [dt.date(2024, 1, 2), None]),
        ("boolean", [True, False]),
        ("decimal(10,2)", [Decimal("1.50"), Decimal("-7.00")]),
        ("timestamp", [dt.datetime(2024, 1, 2, 3, 4, 5)]),
        ("double", [0.1, -3.5]),
    ],
)  # fmt: skip
def test_partition_values_come_back_as_they_were(path: Place, kind: str, values: list[Any]) -> None:
    """Whether files are read by their paths or by the table."""
    frame = path.spark.createDataFrame([(i, value) for i, value in enumerate(values)], f"k int, p {kind}")
    path.write("append", "0", frame, partition_by="p")
    path.write("append", "1", frame, partition_by="p")
    assert read_pairs(path, "1") == list(enumerate(values))


def read_pairs(at: Place, run: str) -> list[tuple[Any, ...]]:
    found = at.manager().read(wanted(at.uri, receipt(run))).collect()
    return sorted((tuple(row) for row in found), key=lambda row: row[0])


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"delta.columnMapping.mode": "name"}, {"delta.enableDeletionVectors": "true"}])
def test_tables_with_other_forms_of_files_are_read_by_the_table(path: Place, options: dict[str, str]) -> None:
    given: dict[str, Any] = {"write_options": {**options, "delta.minReaderVersion": "3", "delta.minWriterVersion": "7"}}
    for run in ("0", "1", "2"):
        path.write("append", run, path.pairs((int(run), 1), (int(run), 2)).coalesce(1), **given)
    assert read_pairs(path, "1") == [(1, 1), (1, 2)]


@pytest.mark.parametrize("brace", ["{", "{ ", '{"txn":null,'])
def test_a_file_that_a_commit_removes_and_adds_again_is_none_of_its_rows(brace: str) -> None:
    """Its deletion vector has changed; a removed file of others is named. Each writer forms a line as it likes."""

    lines: list[dict[str, Any]] = [
        {"add": {"path": "same.parquet", "partitionValues": {}, "deletionVector": {"x": 1}}},
        {"remove": {"path": "same.parquet"}},
        {"add": {"path": "p=a%2520b/new.parquet", "partitionValues": {"p": "a b"}, "stats": '{"minValues":{"k":1}}'}},
        {"remove": {"path": "old.parquet"}},
    ]
    found = commit_files.of_actions("/lake/t", [brace + json.dumps(action)[1:] for action in lines])
    assert [(one.uri, one.partition, one.smallest) for one in found.added] == [
        ("/lake/t/p=a%20b/new.parquet", {"p": "a b"}, {"k": 1})
    ]
    assert found.removed == {"/lake/t/old.parquet"}
    assert Path(found.added[0].uri).name == found.added[0].name
