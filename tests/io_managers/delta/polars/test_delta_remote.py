"""PolarsDeltaIoManager on an object storage, through its protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dbxdec.errors import NotWrittenError, RunError, TargetExistsError
from dbxdec.io_managers import DeltaMerge, PolarsDeltaIoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext, Receipt, Rows
from delta_tools import frame, receipt
from object_storage import ObjectStorage, object_storage


def out(uri: str, given: Receipt) -> OutputContext:
    return OutputContext(uri, given, ("polars.DataFrame",))


def manager(storage: ObjectStorage, mode: Any = "overwrite", **options: Any) -> PolarsDeltaIoManager:
    return PolarsDeltaIoManager("s3://bucket", mode=mode, storage_options=storage.options, **options)


def read(io: PolarsDeltaIoManager, uri: str, run: str | None = None) -> pl.DataFrame:
    found = io.read(InputContext(uri, "frame", pl.DataFrame, receipt(run).id if run else None))
    assert isinstance(found, pl.DataFrame)
    return found


@pytest.mark.sampled(1)
@pytest.mark.parametrize("folder", ["plain", "a b", "ü", "a%20c", "a+b"])
@pytest.mark.parametrize("partition_by", [None, "k"])
def test_a_run_reads_its_own_version_whatever_the_path_is_called(
    storage: ObjectStorage, folder: str, partition_by: str | None
) -> None:
    """Spaces, umlauts and percent signs in the table's path, and in its partitions, lead every reader to its rows."""
    io = manager(storage, partition_by=partition_by)
    uri = f"s3://bucket/{folder}/{partition_by}"
    for run in ("1", "2"):
        data = pl.DataFrame({"x": [int(run)] * 3, "k": ["a b", "ü%/", "z"]})
        io.preflight(out(uri, receipt(run)))
        io.write(out(uri, receipt(run)), data.lazy())
    for asked, expected in (("1", 1), ("2", 2), (None, 2)):
        found = read(io, uri, asked).sort("k")
        assert found["x"].to_list() == [expected] * 3
        assert found["k"].to_list() == ["a b", "z", "ü%/"]


@pytest.mark.slow
def test_an_append_and_its_retry_add_once(storage: ObjectStorage) -> None:
    """A second attempt adds nothing, another run adds its rows, a reader of what a run wrote gets only these."""
    io, uri = manager(storage, "append"), "s3://bucket/append"
    for run, attempt in (("1", 1), ("1", 2), ("2", 1)):
        io.write(out(uri, receipt(run, attempt=attempt)), frame(int(run)))
    assert sorted(read(io, uri)["x"]) == [1, 2]
    kinds: list[tuple[Rows, list[int]]] = [("run", [2]), ("table", [1, 2])]
    for rows, expected in kinds:
        found = io.read(InputContext(uri, "frame", pl.DataFrame, receipt("2").id, rows=rows))
        assert sorted(found.lazy().collect()["x"]) == expected
    with pytest.raises(RunError, match="another build"):
        io.write(out(uri, receipt("2", attempt=2, build="c" * 64)), frame(2))


@pytest.mark.slow
def test_error_refuses_and_merges_upsert(storage: ObjectStorage) -> None:
    """Mode "error" sees the table before the function runs; a DeltaMerge makes the table and then changes it."""
    uri = "s3://bucket/merged"
    io = manager(storage, "error")
    io.preflight(out(uri, receipt("1")))
    merge = DeltaMerge(pl.DataFrame({"k": [1, 2], "x": [1, 1]}), on="k")
    manager(storage, "append").write(out(uri, receipt("1")), merge)
    with pytest.raises(TargetExistsError):
        io.preflight(OutputContext(uri, receipt("2"), ("polars.DataFrame",)))
    merge = DeltaMerge(pl.DataFrame({"k": [2, 3], "x": [5, 5]}), on="k")
    for attempt in (1, 2):
        manager(storage, "append").write(out(uri, receipt("2", attempt=attempt)), merge)
    assert sorted(read(io, uri).rows()) == [(1, 1), (2, 5), (3, 5)]
    with pytest.raises(NotWrittenError):
        read(io, uri, "3")


def test_a_query_that_fails_leaves_nothing_on_the_storage(storage: ObjectStorage) -> None:
    """Files that were through before its error are removed again."""

    def fail(data: pl.DataFrame) -> pl.DataFrame:
        if data["x"].max() == 299_999:
            raise ValueError("the task's own")
        return data

    query = pl.LazyFrame({"x": range(300_000)}).with_columns(k=pl.col("x") // 1000).map_batches(fail, streamable=True)
    with pytest.raises(Exception, match="the task's own"):
        manager(storage, partition_by="k").write(out("s3://bucket/failed", receipt("1")), query)
    assert storage.keys("bucket/failed/") == []


@pytest.mark.slow
def test_hundreds_of_partitions_have_statistics_each(storage: ObjectStorage) -> None:
    """What each file says of itself is read from the storage again, many at a time."""
    data = pl.DataFrame({"k": range(300), "x": range(300)})
    uri = "s3://bucket/many"
    manager(storage, partition_by="k").write(out(uri, receipt("1")), data)
    log = storage.get(f"bucket/many/_delta_log/{0:020}.json")
    assert log is not None
    adds = [action["add"] for line in log.decode().split("\n") if line and "add" in (action := json.loads(line))]
    assert {add["partitionValues"]["k"]: json.loads(add["stats"])["minValues"] for add in adds} == {
        str(i): {"x": i} for i in range(300)
    }


def test_a_storage_that_refuses_the_files_is_said_in_one_sentence(tmp_path: Path) -> None:
    """One that goes while the query runs names the table; what the query itself can't read passes as it is."""
    with object_storage(tmp_path / "objects") as storage:

        def forbid(data: pl.DataFrame) -> pl.DataFrame:
            storage.forbid()
            return data

        io = manager(storage)
        with pytest.raises(RunError, match="no permission to write s3://bucket/refused"):
            io.write(out("s3://bucket/refused", receipt("1")), pl.LazyFrame({"x": [1]}).map_batches(forbid))
    missing = pl.scan_parquet(tmp_path / "missing.parquet", schema={"x": pl.Int64()})
    with pytest.raises(FileNotFoundError, match="missing"):
        PolarsDeltaIoManager("unused").write(out(str(tmp_path / "t"), receipt("1")), missing)
