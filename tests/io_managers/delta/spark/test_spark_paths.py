"""What Spark's readers are given as the path of a file: they take brackets, braces and stars as those of a pattern."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from dbxdec.io_managers import SparkParquetIoManager
from dbxdec.io_managers.contexts import WriteId
from dbxdec.io_managers.delta.spark import checkpoints, commit_files, computed, source_log
from dbxdec.io_managers.files import spark as spark_files

if TYPE_CHECKING:
    from collections.abc import Callable

pytest.importorskip("pyspark")

ROOT = "file:/lake [1]{a}*"
ESCAPED = r"file:/lake \[1\]\{a\}\*"


class Reader:
    """A reader of Spark's that notes the paths it is given, and finds nothing there."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.names: list[str] = []

    def found(self, *paths: str) -> Any:
        self.paths += paths
        raise FileNotFoundError

    text = parquet = found

    def options(self, **given: Any) -> Any:
        self.names += [value for name, value in given.items() if name == "pathGlobFilter"]
        return self

    def schema(self, _: Any) -> Any:
        return self


def computed_columns(table: Any) -> None:
    computed._rules(table, SimpleNamespace(location=f"{ROOT}/t"))  # type: ignore[arg-type]


def commit(table: Any) -> None:
    commit_files._by_a_job(table, f"{ROOT}/t", 3)


def data_files(table: Any) -> None:
    with pytest.raises(FileNotFoundError):
        commit_files._read(table, [], {}, [f"{ROOT}/t/part-0.parquet"])


def checkpoint(table: Any) -> None:
    write = WriteId(workspace="w", job="j", run="r", task="t")
    checkpoints.refuse_used(table, write, f"{ROOT}/c")


@pytest.mark.parametrize("reads", [computed_columns, commit, data_files, checkpoint])
def test_the_folder_of_a_table_is_no_pattern(reads: Callable[[Any], None]) -> None:
    """The files that are read are those of the table, whatever its folder is called."""
    reader = Reader()
    table = SimpleNamespace(spark=SimpleNamespace(read=reader), uri=f"{ROOT}/t", named=False)
    reads(table)
    assert reader.paths
    assert all(path.startswith(ESCAPED) for path in reader.paths), reader.paths


@pytest.mark.parametrize(
    ("reads", "names"),
    [
        (computed_columns, "*.json"),
        (lambda table: source_log._stamps(table.spark, f"{ROOT}/t/_delta_log", [3]), "{00000000000000000003}.json"),
        (
            lambda table: source_log.lines(table.spark, f"{ROOT}/t/_delta_log", 0, 10**6),
            f"{source_log.pattern(0, 10**6)}.json",
        ),
    ],
)
def test_the_files_of_a_log_are_chosen_by_their_names(reads: Callable[[Any], None], names: str) -> None:
    """For a pattern in a path Spark prints a Java stack trace."""
    reader = Reader()
    reads(SimpleNamespace(spark=SimpleNamespace(read=reader), uri=f"{ROOT}/t", named=False))
    assert reader.paths == [f"{ESCAPED}/t/_delta_log"]
    assert reader.names == [names]


def test_the_folder_of_parquet_files_is_no_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds for files without versions."""
    reader = Reader()
    monkeypatch.setattr(spark_files, "session", lambda: SimpleNamespace(read=reader))
    monkeypatch.setattr(spark_files, "fail", lambda *_: None)
    SparkParquetIoManager("lake").scan(f"{ROOT}/t", None, None)  # type: ignore[arg-type]
    assert reader.paths == [f"{ESCAPED}/t"]
