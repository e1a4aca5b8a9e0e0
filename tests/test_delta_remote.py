"""PolarsDeltaIoManager on an object storage, through its protocol."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from dbxdec.errors import NotWrittenError, RunError, TargetExistsError
from dbxdec.io_managers import DeltaMerge, PolarsDeltaIoManager
from dbxdec.io_managers.base import InputContext, OutputContext, Receipt
from delta_tools import frame, receipt
from object_storage import ObjectStorage


def out(uri: str, given: Receipt) -> OutputContext:
    return OutputContext(uri, given, ("polars.DataFrame",))


def manager(storage: ObjectStorage, mode: Any = "overwrite", **options: Any) -> PolarsDeltaIoManager:
    return PolarsDeltaIoManager("s3://bucket", mode=mode, storage_options=storage.options, **options)


def read(io: PolarsDeltaIoManager, uri: str, run: str | None = None) -> pl.DataFrame:
    found = io.read(InputContext(uri, "frame", pl.DataFrame, receipt(run).id if run else None))
    assert isinstance(found, pl.DataFrame)
    return found


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


def test_an_append_and_its_retry_add_once(storage: ObjectStorage) -> None:
    """A second attempt adds nothing, another run adds its rows, a reader of what a run wrote gets only these."""
    io, uri = manager(storage, "append"), "s3://bucket/append"
    for run, attempt in (("1", 1), ("1", 2), ("2", 1)):
        io.write(out(uri, receipt(run, attempt=attempt)), frame(int(run)))
    assert sorted(read(io, uri)["x"]) == [1, 2]
    written = io.read(InputContext(uri, "frame", pl.DataFrame, receipt("2").id, written=True))
    assert written.lazy().collect()["x"].to_list() == [2]
    with pytest.raises(RunError, match="another build"):
        io.write(out(uri, receipt("2", attempt=2, build="c" * 64)), frame(2))


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
