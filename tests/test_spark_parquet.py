"""SparkParquetIoManager: files without versions, replaced in one step, with their receipt."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec.errors import DbxdecError, NotWrittenError, RunError, TargetExistsError
from dbxdec.io_managers.spark_files import Files, HadoopFiles, LocalFiles
from dbxdec.io_managers.spark_parquet import SparkParquetIoManager
from spark_tools import needs_spark, output, receipt, rows, wanted

pytestmark = needs_spark
spark = spark_tools.spark


def manager(mode: Any = "overwrite", **options: Any) -> SparkParquetIoManager:
    return SparkParquetIoManager("unused", mode=mode, **options)


def folders(uri: str) -> list[str]:
    return sorted(path.name for path in Path(uri).iterdir() if path.is_dir())


def test_overwrite_replaces_in_one_step(spark: Any, tmp_path: Path) -> None:
    """A reader of a run gets its own rows or learns whose are there; one folder of data is left."""
    uri = str(tmp_path / "a b" / "ü")
    with pytest.raises(RunError, match="no Parquet files"):
        manager().read(wanted(uri))
    for run in ("1", "2"):
        manager().write(output(uri, receipt(run)), spark.range(int(run)))
        assert len(rows(manager().read(wanted(uri, receipt(run))))) == int(run)
    assert len(folders(uri)) == 1
    with pytest.raises(NotWrittenError, match="of the run 2 wrote, and not those of this run"):
        manager().read(wanted(uri, receipt("1")))
    assert len(rows(manager().read(wanted(uri)))) == 2
    assert "nothing" in manager().write(output(uri, receipt("3")), None).note
    with pytest.raises(NotWrittenError):
        manager().read(wanted(uri, receipt("3")))
    assert len(rows(manager().read(wanted(uri)))) == 2


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


def test_a_killed_or_late_attempt_changes_nothing(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files without the step that names them are not read, and a zombie gives way to its retry."""
    uri = str(tmp_path / "t")
    manager().write(output(uri, receipt("1")), spark.range(1))
    with monkeypatch.context() as patch:

        def die(self: HadoopFiles, uri: str, text: str) -> None:
            raise KeyboardInterrupt

        patch.setattr(HadoopFiles, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            manager().write(output(uri, receipt("2")), spark.range(2))
    assert len(rows(manager().read(wanted(uri, receipt("1"))))) == 1
    manager().write(output(uri, receipt("2", attempt=2)), spark.range(2))
    assert "already written by attempt 2" in manager().write(output(uri, receipt("2")), spark.range(3)).note
    assert len(rows(manager().read(wanted(uri, receipt("2"))))) == 2


def test_small_files_are_replaced_by_hadoop_and_by_python_alike(spark: Any, tmp_path: Path) -> None:
    """Both ways to a storage read, replace and remove, and know a missing file."""
    ways: list[Files] = [HadoopFiles(spark), LocalFiles()]
    for number, files in enumerate(ways):
        uri = str(tmp_path / str(number) / "x" / "f.json")
        assert files.read(uri) is None
        for text in ("one ü", "two"):
            files.replace(uri, text)
            assert files.read(uri) == text
        assert [path.name for path in Path(uri).parent.iterdir() if not path.name.startswith(".")] == ["f.json"]
        files.remove(str(Path(uri).parent))
        assert files.read(uri) is None
