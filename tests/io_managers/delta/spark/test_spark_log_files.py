"""The commits of a table, read from the files of its log instead of its history."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

import spark_tools
from dbxdec import DeltaMerge
from dbxdec.io_managers.delta.receipts import Commit
from dbxdec.io_managers.delta.spark import log_files
from dbxdec.io_managers.delta.spark.log import History, SparkTable
from spark_tools import Place, needs_spark, receipt, rows, wanted

pytestmark = [*needs_spark, pytest.mark.classic]
spark, path, place = spark_tools.spark, spark_tools.path, spark_tools.place


def table_of(at: Place) -> SparkTable:
    return SparkTable(at.spark, at.uri, at.uri.count("/") == 0)


def untimed(commits: list[Commit]) -> list[Commit]:
    """The history has the storage's time of a commit, its file that of the writer."""
    return [replace(commit, timestamp=None) for commit in commits]


def by_files(at: Place) -> list[Commit]:
    files = table_of(at).log_files()
    return list(files.commits()) if files is not None else []


def by_history(at: Place, monkeypatch: pytest.MonkeyPatch) -> list[Commit]:
    with monkeypatch.context() as patch:
        patch.setattr(log_files, "of_frame", lambda *_: None)
        return list(History(table_of(at)).known())


@pytest.mark.slow
def test_files_tell_the_same_of_all_kinds_of_commits_as_the_history(
    path: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write("append", "0", path.pairs((1, 1), (2, 2)))
    path.write("append", "1", DeltaMerge(path.pairs((1, 7), (3, 3)), on="k"))
    path.write("overwrite", "2", path.pairs((4, 4), (5, 5)))
    pl.DataFrame({"k": [6], "x": [6]}, schema={"k": pl.Int32, "x": pl.Int32}).write_delta(path.uri, mode="append")
    for statement in (
        "DELETE FROM {} WHERE k = 4",
        "UPDATE {} SET x = 8 WHERE k = 5",
        "OPTIMIZE {}",
        "ALTER TABLE {} SET TBLPROPERTIES ('a' = 'b')",
        "INSERT INTO {} VALUES (9, 9)",
    ):
        path.spark.sql(statement.format(f"delta.`{path.uri}`")).collect()
    found = by_files(path)
    assert [commit.version for commit in found] == list(range(len(found) - 1, -1, -1))
    assert len(found) >= 9
    assert untimed(found) == untimed(by_history(path, monkeypatch))
    assert all(isinstance(commit.timestamp, int) for commit in found)


@pytest.mark.slow
def test_a_restore_and_what_is_below_it_are_told_by_the_history(path: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for run in range(3):
        path.write("append", str(run), path.frame(run))
    path.spark.sql(f"RESTORE TABLE delta.`{path.uri}` TO VERSION AS OF 0").collect()
    path.write("append", "3", path.frame(3))
    assert [commit.version for commit in by_files(path)] == [4]
    assert [c.version for c in History(table_of(path)).known()] == [4, 3, 2, 1, 0]
    trail = table_of(path).find(receipt("2").id)
    assert (trail.found, trail.undone[receipt("2").id][1]) == ({}, 3)
    assert untimed(list(History(table_of(path)).known())) == untimed(by_history(path, monkeypatch))


@pytest.mark.slow
def test_a_table_that_lacks_commit_files_is_read_by_its_history(path: Place) -> None:
    """As where other tools keep the newest commits elsewhere, or the user may not open the log."""
    for run in range(2):
        path.write("append", str(run), path.frame(run))
    files = table_of(path).log_files()
    assert files is not None
    assert list(replace(files, newest=7).commits()) == []
    assert log_files.actions(path.spark, files.folder, 7) is None


@pytest.mark.slow
def test_more_commits_than_are_read_one_by_one_are_found_by_the_history(path: Place) -> None:
    for run in range(14):
        path.write("append", str(run), path.frame(run))
    assert len(by_files(path)) < 14
    assert rows(path.manager().read(wanted(path.uri, receipt("1")))) == [(1,)]
    assert [c.version for c in History(table_of(path)).known()] == list(range(13, -1, -1))


@pytest.mark.slow
def test_a_view_has_no_log_of_its_own(path: Place) -> None:
    path.write("append", "0", path.frame(1))
    path.spark.sql("DROP VIEW IF EXISTS of_one_table")
    of_the_table = f"SELECT * FROM delta.`{path.uri}`"  # noqa: S608 - a path of the test
    path.spark.sql(f"CREATE VIEW of_one_table AS {of_the_table}")
    assert log_files.of_frame(path.spark.read.table("of_one_table"), path.spark) is None
    path.spark.sql("DROP VIEW of_one_table")
