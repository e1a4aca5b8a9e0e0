"""Keys in the log of tables that Spark writes: in the transaction identifier of the commit of the rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

import spark_tools
from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers import SparkDeltaIoManager, SparkTableIoManager
from dbxdec.io_managers.delta import key_log
from dbxdec.io_managers.delta.spark import identifiers
from dbxdec.io_managers.delta.spark.log import SparkTable
from spark_tools import Place, needs_spark, output, receipt

pytestmark = needs_spark
spark, path, table = spark_tools.spark, spark_tools.path, spark_tools.table
RETURNS = ("pyspark.DataFrame", "dbxdec.DeltaMerge", "types.NoneType")


def write(place: Place, key: str, value: Any, mode: Any = "append", run: str = "", attempt: int = 1) -> None:
    """Store the result of the run for a key."""
    given = receipt(run or f"run-{key}", attempt=attempt)
    given = replace(given, id=replace(given.id, key=key))
    place.manager(mode).write(output(place.uri, given, RETURNS), value)


def done(place: Place) -> set[str]:
    """The keys that are there."""
    log = SparkDeltaIoManager("unused").key_log(place.uri)
    return set() if log is None else key_log.done(log.standing(), "")[0]


@pytest.mark.slow
def test_each_kind_of_write_says_its_key(path: Place) -> None:
    """Appends and their retries, merges, and results without rows."""
    write(path, "day=1", path.frame(1))
    write(path, "day=1", path.frame(1), attempt=2)
    write(path, "day=2", DeltaMerge(path.frame(2), on="x").when_not_matched_insert_all())
    write(path, "day=3", None)
    write(path, "", path.frame(4))
    assert done(path) == {"day=1", "day=2", "day=3"}
    assert path.stored == [1, 2, 4]


def test_a_repair_of_a_done_key_writes_again(path: Place) -> None:
    """Spark drops a commit whose identifier has no higher version: each run has an identifier of its own."""
    write(path, "day=1", path.frame(1), "overwrite", run="2")
    write(path, "day=1", path.frame(5), "overwrite", run="1")
    assert path.stored == [5]
    assert done(path) == {"day=1"}


@pytest.mark.slow
def test_what_another_program_replaces_has_no_key_until_it_is_restored(path: Place) -> None:
    """Spark keeps the identifiers; the log says that the table was replaced, and what a RESTORE has brought back."""
    write(path, "day=1", path.frame(1))
    path.frame(9).write.format("delta").mode("overwrite").save(path.uri)
    assert done(path) == set()
    write(path, "day=2", path.frame(2))
    assert done(path) == {"day=2"}
    path.spark.sql(f"RESTORE TABLE delta.`{path.uri}` TO VERSION AS OF 0")
    assert done(path) == {"day=1"}


@pytest.mark.slow
def test_what_takes_keys_away_is_noted_for_longer_than_the_log_has_it(path: Place) -> None:
    """By the next write with a key, in a commit of its own; ordinary writes make none."""
    write(path, "day=1", path.frame(1))
    write(path, "day=2", path.frame(2), "overwrite")
    assert DeltaTable(path.uri).version() == 1
    path.frame(9).write.format("delta").mode("overwrite").save(path.uri)
    write(path, "day=3", path.frame(3))
    kept = DeltaTable(path.uri).version()
    write(path, "day=4", path.frame(4))
    path.spark.sql(f"RESTORE TABLE delta.`{path.uri}` TO VERSION AS OF {kept}")
    write(path, "day=5", DeltaMerge(path.frame(5), on="x").when_not_matched_insert_all())
    assert done(path) == {"day=3", "day=5"}
    DeltaTable(path.uri).create_checkpoint()
    for file in sorted(Path(path.uri, "_delta_log").glob("*.json"))[:-1]:
        file.unlink()
    assert done(path) == {"day=3", "day=5"}


@pytest.mark.parametrize("policy", ["classic", "v2"])
@pytest.mark.parametrize("parts", [1, 1000])
@pytest.mark.slow
@pytest.mark.classic
def test_the_checkpoints_that_spark_makes_are_read(path: Place, policy: str, parts: int) -> None:
    """In one file, in parts, and in the form V2 with its sidecars."""
    for day in range(4):
        write(path, f"day={day}", path.frame(day))
    path.spark.sql(f"ALTER TABLE delta.`{path.uri}` SET TBLPROPERTIES ('delta.checkpointPolicy' = '{policy}')")
    size = "spark.databricks.delta.checkpoint.partSize"
    if parts > 1:
        path.spark.conf.set(size, "2")
    try:
        for day in range(4, 20):
            write(path, f"day={day}", path.frame(day))
    finally:
        path.spark.conf.unset(size)
    names = sorted(file.name for file in Path(path.uri, "_delta_log").glob("*.checkpoint*"))
    assert names
    for file in sorted(Path(path.uri, "_delta_log").glob("*.json"))[:10]:
        file.unlink()
    assert done(path) == {f"day={day}" for day in range(20)}


def location(place: Place) -> str:
    """The folder of a table of the catalog."""
    detail = SparkTable(place.spark, place.uri, named=True).detail()
    assert detail is not None
    return detail.location.removeprefix("file:")


def on_platform(place: Place, monkeypatch: pytest.MonkeyPatch) -> tuple[set[str], int | None]:
    """The keys that a task on the platform tells, and since when it can."""
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "18.0")
    log = SparkTableIoManager("unused").key_log(place.uri)
    assert log is not None
    return key_log.done(log.standing(), "")[0], log.since


@pytest.mark.slow
def test_the_platform_reads_the_log_of_a_table_of_the_catalog(table: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through Spark, its checkpoints too; elsewhere such a table can't be told."""
    for day in range(3):
        write(table, f"day={day}", table.frame(day))
    with pytest.raises(RunError, match="can't be read here"):
        SparkTableIoManager("unused").key_log(table.uri)
    assert on_platform(table, monkeypatch) == ({"day=0", "day=1", "day=2"}, None)
    folder = location(table)
    DeltaTable(folder).create_checkpoint()
    for file in sorted(Path(folder, "_delta_log").glob("*.json"))[:2]:
        file.unlink()
    assert on_platform(table, monkeypatch) == ({"day=0", "day=1", "day=2"}, None)


@pytest.mark.slow
def test_receipts_tell_where_nobody_may_read_the_log(table: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a managed table; once the history has been cleaned up, only since its first commit."""
    for day in range(3):
        write(table, f"day={day}", table.frame(day))
    monkeypatch.setattr(identifiers, "_in_files", lambda *_: 1 / 0)
    assert on_platform(table, monkeypatch) == ({"day=0", "day=1", "day=2"}, None)
    folder = location(table)
    DeltaTable(folder).create_checkpoint()
    for file in sorted(Path(folder, "_delta_log").glob("*.json"))[:-1]:
        file.unlink()
    done, since = on_platform(table, monkeypatch)
    assert done == {"day=2"}
    assert since is not None
