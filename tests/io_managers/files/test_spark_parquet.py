"""SparkParquetIoManager: files without versions, replaced in one step, with their receipt."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import spark_tools
from dbxdec.errors import DbxdecError, NotWrittenError, RunError, TargetExistsError
from dbxdec.io_managers.contexts import InputContext
from dbxdec.io_managers.files.polars import PolarsParquetIoManager
from dbxdec.io_managers.files.spark import SparkParquetIoManager
from dbxdec.io_managers.files.spark_stores import HadoopStore
from dbxdec.io_managers.files.stores import LocalStore, Store
from spark_tools import IS_CONNECT, needs_spark, output, receipt, rows, wanted

pytestmark = needs_spark
spark = spark_tools.spark


def manager(mode: Any = "overwrite", **options: Any) -> SparkParquetIoManager:
    return SparkParquetIoManager("unused", mode=mode, **options)


@pytest.mark.connect
def test_a_run_reads_what_it_wrote_whatever_others_write_meanwhile(spark: Any, tmp_path: Path) -> None:
    """Each run's readers get its own rows, all others the newest; a run that wrote nothing learns so."""
    uri = str(tmp_path / "a b" / "ü")
    with pytest.raises(RunError, match="there is nothing at"):
        manager().read(wanted(uri))
    for run in ("1", "2"):
        manager().write(output(uri, receipt(run)), spark.range(int(run)))
    for run in ("1", "2"):
        assert len(rows(manager().read(wanted(uri, receipt(run))))) == int(run)
    assert len(rows(manager().read(wanted(uri)))) == 2
    assert "nothing" in manager().write(output(uri, receipt("3")), None).note
    with pytest.raises(NotWrittenError):
        manager().read(wanted(uri, receipt("3")))
    assert len(rows(manager().read(wanted(uri)))) == 2
    if IS_CONNECT:  # without a JVM nothing replaces files of a remote storage in one step
        with pytest.raises(RunError):
            manager().write(output("s3://bucket/files"), spark.range(1))


def test_error_and_ignore(spark: Any, tmp_path: Path) -> None:
    """Mode "error" refuses another run's files before the function runs, "ignore" keeps them; a retry writes once."""
    uri = str(tmp_path / "t")
    manager("error").write(output(uri), spark.range(1))
    with pytest.raises(TargetExistsError):
        manager("error").preflight(output(uri, receipt("2")))
    manager("error").preflight(output(uri, receipt(attempt=2)))
    assert (
        manager("error").write(output(uri, receipt(attempt=2)), spark.range(1)).note == "already written by attempt 1"
    )
    with pytest.raises(RunError, match="another build"):
        manager("error").preflight(output(uri, receipt(attempt=2, build="c")))
    assert "kept" in manager("ignore").write(output(uri, receipt("2")), spark.range(2)).note
    assert len(rows(manager("ignore").read(wanted(uri, receipt("2"))))) == 1
    with pytest.raises(DbxdecError, match=r"(?s)append.*SparkDeltaIoManager"):
        manager("append")


def test_partitions_keep_their_types(spark: Any, tmp_path: Path) -> None:
    """Texts that look like numbers, dates and nulls come back as they were."""
    uri = str(tmp_path / "t")
    frame = spark.sql("SELECT 1 AS x, '01' AS t, DATE '2024-02-29' AS d UNION ALL SELECT 2, NULL, NULL")
    manager(partition_by=["t", "d"]).write(output(uri), frame)
    assert rows(manager().read(wanted(uri)).select("x", "t", "d")) == [(1, "01", dt.date(2024, 2, 29)), (2, None, None)]


@pytest.mark.classic
def test_a_killed_or_late_attempt_changes_nothing(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files without the step that names them are not read, and a zombie gives way to its retry."""
    uri = str(tmp_path / "t")
    manager().write(output(uri, receipt("1")), spark.range(1))
    with monkeypatch.context() as patch:

        def die(self: HadoopStore, name: str, text: str) -> None:
            raise KeyboardInterrupt

        patch.setattr(HadoopStore, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            manager().write(output(uri, receipt("2")), spark.range(2))
    assert len(rows(manager().read(wanted(uri, receipt("1"))))) == 1
    manager().write(output(uri, receipt("2", attempt=2)), spark.range(2))
    assert "already written by attempt 2" in manager().write(output(uri, receipt("2")), spark.range(3)).note
    assert len(rows(manager().read(wanted(uri, receipt("2"))))) == 2


def test_polars_and_spark_read_what_the_other_has_written(spark: Any, tmp_path: Path) -> None:
    """A table of one engine is an input of the other, partitions included; so are files of neither."""
    theirs = PolarsParquetIoManager("unused", mode="overwrite", partition_by="k")
    by_polars, by_spark, foreign = (str(tmp_path / name) for name in ("polars", "spark", "foreign"))
    theirs.write(output(by_polars), pl.DataFrame({"x": [1, 2], "k": ["a", None]}))
    assert rows(manager().read(wanted(by_polars)).select("x", "k")) == [(1, "a"), (2, None)]
    manager(partition_by="k").write(output(by_spark), spark.sql("SELECT 1 AS x, 'a' AS k UNION ALL SELECT 2, 'b'"))
    read = theirs.read(InputContext(by_spark, annotation=pl.DataFrame))
    assert sorted(read.select("x", "k").rows()) == [(1, "a"), (2, "b")]
    Path(foreign).mkdir()
    pl.DataFrame({"x": [7]}).write_parquet(Path(foreign, "x.parquet"))
    assert rows(manager().read(wanted(foreign))) == [(7,)]


@pytest.mark.classic
def test_small_files_are_replaced_by_hadoop_and_by_python_alike(spark: Any, tmp_path: Path) -> None:
    """Both ways to a storage read, replace and remove, know a missing file, and pass over what is hidden."""
    for kind in ("hadoop", "python"):
        folder = tmp_path / kind
        store: Store = HadoopStore(str(folder), spark) if kind == "hadoop" else LocalStore(str(folder))
        assert store.read("x/f.json") is None
        assert not store.has_data()
        for text in ("one ü", "two"):
            store.replace("_x/f.json", text)
            assert store.read("_x/f.json") == text
        assert [path.name for path in (folder / "_x").iterdir() if not path.name.startswith(".")] == ["f.json"]
        assert not store.has_data()
        store.remove("_x")
        assert store.read("_x/f.json") is None
        store.replace("f.json", "")
        assert store.has_data()
