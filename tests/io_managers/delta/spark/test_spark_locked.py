"""Spark where nobody may read or set a setting that it doesn't know, as on serverless compute."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec import DeltaMerge
from dbxdec.errors import RunError, TargetExistsError
from dbxdec.io_managers import SparkDeltaIoManager
from dbxdec.io_managers.delta.spark import write
from spark_tools import Place, needs_spark, output, receipt, rows, wanted

pytestmark = needs_spark
spark, path, table, place = spark_tools.spark, spark_tools.path, spark_tools.table, spark_tools.place


@pytest.fixture(autouse=True, params=["get and set", "set"])
def locked(request: pytest.FixtureRequest, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the session refuse Delta's settings."""
    kind = type(spark.conf)
    for name in ("get", "set", "unset"):
        genuine = getattr(kind, name)
        if name == "get" and request.param == "set":
            continue

        def refuse(conf: Any, key: str, *values: Any, genuine: Any = genuine) -> Any:
            if key.startswith("spark.databricks.delta."):
                raise RuntimeError(f"[CONFIG_NOT_AVAILABLE] Configuration {key} is not available.")
            return genuine(conf, key, *values)

        monkeypatch.setattr(kind, name, refuse)


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


def test_merges_and_slices(place: Place) -> None:
    """A DeltaMerge runs, and says that it is done at least once; slices are read as such."""
    place.write("append", "0", place.pairs((1, 1), (2, 2)))
    result = place.manager().write(output(place.uri, receipt("1")), DeltaMerge(place.pairs((1, 5)), on="k"))
    assert "at least once" in result.note
    assert rows(place.manager().read(wanted(place.uri, receipt("1")))) == [(1, 5), (2, 2)]
    place.write("overwrite", "2", place.pairs((2, 7)), replace={"k": 2})
    assert rows(place.manager().read(wanted(place.uri, receipt("2")))) == [(2, 7)]


def test_partitions_are_replaced(place: Place) -> None:
    """Where the session can't say how it compares partitions."""
    place.write("append", "0", place.pairs((1, 1), (2, 2)), partition_by="k")
    place.write("overwrite", "1", place.pairs((2, 7)), partition_by="k")
    assert rows(place.manager().read(wanted(place.uri, receipt("1")))) == [(2, 7)]
    assert rows(place.manager().read(wanted(place.uri))) == [(1, 1), (2, 7)]


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
