"""What one write has added, and what all iterations of a for-each task have: reads that look into the commit."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from dbxdec.errors import NotWrittenError, RunError
from dbxdec.io_managers import PolarsDeltaIoManager, delta_written
from dbxdec.io_managers.base import ANY_ITEM, InputContext, OutputContext, Receipt, WriteId


def write_id(run: str = "1", item: str = "") -> WriteId:
    return WriteId("w", "job", run, "load", item)


def store(io: PolarsDeltaIoManager, uri: Path, value: Any, run: str = "1", item: str = "") -> None:
    io.write(OutputContext(str(uri), Receipt(write_id(run, item), 1, "build", "parameters")), value)


def added(io: PolarsDeltaIoManager, uri: Path, run: str = "1", item: str = "", *, written: bool = True) -> pl.DataFrame:
    found = io.read(InputContext(str(uri), "x", pl.DataFrame, write_id(run, item), 0, written))
    assert isinstance(found, pl.DataFrame)
    return found


VALUES = {
    "day": [dt.date(2024, 1, 1), None, dt.date(1900, 12, 31)],
    "at": [dt.datetime(2024, 1, 1, 3, 4, 5, 6), None, dt.datetime(1999, 1, 1)],
    "n": [1, None, -5],
    "d": [Decimal("1.50"), None, Decimal("0.01")],
    "flag": [True, None, False],
    "text": ["x y/%'\"ü=", None, "a:b"],
}


@pytest.mark.parametrize("column", VALUES)
def test_rows_of_one_append_with_their_partitions(tmp_path: Path, column: str) -> None:
    """Only the rows of that commit, with partition values of any type as they were written."""
    io = PolarsDeltaIoManager(tmp_path, mode="append", partition_by=column)
    frames = [pl.DataFrame({"id": [i, i + 10, i + 20], column: VALUES[column]}) for i in (1, 2)]
    for run, frame in enumerate(frames):
        store(io, tmp_path / "t", frame, str(run))
    for run, frame in enumerate(frames):
        assert_frame_equal(added(io, tmp_path / "t", str(run)), frame, check_row_order=False)


def test_columns_that_came_later_and_lazy_reads(tmp_path: Path) -> None:
    """An older write is read with the columns that its version had; a LazyFrame stays one."""
    io = PolarsDeltaIoManager(tmp_path, mode="append", schema="add-columns")
    store(io, tmp_path / "t", pl.DataFrame({"a": [1]}), "1")
    store(io, tmp_path / "t", pl.DataFrame({"b": ["x"]}), "2")
    assert added(io, tmp_path / "t", "1").to_dict(as_series=False) == {"a": [1]}
    assert added(io, tmp_path / "t", "2").to_dict(as_series=False) == {"a": [None], "b": ["x"]}
    lazy = io.read(InputContext(str(tmp_path / "t"), "x", pl.LazyFrame, write_id("2"), 0, True))
    assert isinstance(lazy, pl.LazyFrame)


def test_overwrites_and_empty_frames(tmp_path: Path) -> None:
    """What an overwrite has written is all of it, or its partitions; an empty frame keeps its columns."""
    whole = PolarsDeltaIoManager(tmp_path, mode="overwrite")
    store(whole, tmp_path / "a", pl.DataFrame({"a": [1, 2]}), "1")
    store(whole, tmp_path / "a", pl.DataFrame({"a": [3]}), "2")
    assert added(whole, tmp_path / "a", "2")["a"].to_list() == [3]
    parts = PolarsDeltaIoManager(tmp_path, mode="overwrite", partition_by="p")
    store(parts, tmp_path / "b", pl.DataFrame({"p": ["x", "y"], "a": [1, 2]}), "1")
    store(parts, tmp_path / "b", pl.DataFrame({"p": ["x"], "a": [3]}), "2")
    assert added(parts, tmp_path / "b", "2").rows() == [("x", 3)]
    assert added(parts, tmp_path / "b", "2", written=False).sort("p").rows() == [("x", 3), ("y", 2)]
    appending = PolarsDeltaIoManager(tmp_path, mode="append")
    store(appending, tmp_path / "c", pl.DataFrame({"a": [1]}), "1")
    store(appending, tmp_path / "c", pl.DataFrame(schema={"a": pl.Int64}), "2")
    assert_frame_equal(added(appending, tmp_path / "c", "2"), pl.DataFrame(schema={"a": pl.Int64}))


@pytest.mark.parametrize("feed", [True, False])
def test_a_merge_is_told_apart_by_its_change_data_feed(tmp_path: Path, feed: bool) -> None:
    """Inserted and updated rows where the table keeps a feed; elsewhere an error says how to get one."""
    uri = tmp_path / "t"
    properties = {"delta.enableChangeDataFeed": str(feed).lower()}
    pl.DataFrame({"id": [1, 2, 3], "v": [0, 0, 0]}).write_delta(uri, delta_write_options={"configuration": properties})
    io = PolarsDeltaIoManager(tmp_path, mode="append")
    source = pl.DataFrame({"id": [2, 9], "v": [5, 5]})
    merger = (
        DeltaTable(uri)
        .merge(source, "s.id = t.id", source_alias="s", target_alias="t")
        .when_matched_update_all()
        .when_not_matched_insert_all()
    )
    store(io, uri, merger)
    version = DeltaTable(uri).version()
    assert version >= 1
    if feed:
        assert delta_written.scan(DeltaTable(uri, version=1), 1, "x").collect().sort("id").rows() == [(2, 5), (9, 5)]
    else:
        with pytest.raises(RunError, match="a MERGE rewrites rows that were there before") as error:
            delta_written.scan(DeltaTable(uri, version=1), 1, "x")
        assert "delta.enableChangeDataFeed" in str(error.value)


def test_a_cleaned_log_says_so(tmp_path: Path) -> None:
    """Where the commit's own file is gone, the read ends with what to do."""
    io = PolarsDeltaIoManager(tmp_path, mode="append")
    store(io, tmp_path / "t", pl.DataFrame({"a": [1]}))
    table = DeltaTable(tmp_path / "t")
    (tmp_path / "t" / "_delta_log" / f"{0:020}.json").unlink()
    with pytest.raises(RunError, match="no longer holds version 0"):
        delta_written.scan(table, 0, "x")


def test_all_iterations_are_the_version_of_the_last_that_wrote(tmp_path: Path) -> None:
    """Another run that writes in between or later, and iterations with nothing to write, change nothing."""
    io = PolarsDeltaIoManager(tmp_path, mode="append")
    for item in ("0", "1"):
        store(io, tmp_path / "t", pl.DataFrame({"a": [int(item)]}), "1", item)
    store(io, tmp_path / "t", None, "1", "2")
    store(io, tmp_path / "t", pl.DataFrame({"a": [7]}), "2", "0")
    assert added(io, tmp_path / "t", "1", ANY_ITEM, written=False)["a"].sort().to_list() == [0, 1]
    assert added(io, tmp_path / "t", "1", "1")["a"].to_list() == [1]
    with pytest.raises(NotWrittenError):
        added(io, tmp_path / "t", "1", "2")
    with pytest.raises(NotWrittenError):
        added(io, tmp_path / "t", "3", ANY_ITEM)


def test_frames_of_iterations_are_put_together(tmp_path: Path) -> None:
    """One below the other, lazy unless a DataFrame is asked for, with null where a column lacks."""
    io = PolarsDeltaIoManager(tmp_path)
    frames = [pl.LazyFrame({"a": [1]}), pl.LazyFrame({"a": [2.5], "b": ["x"]})]
    lazy = io.combine(frames, InputContext("t", "x", pl.LazyFrame))
    assert isinstance(lazy, pl.LazyFrame)
    eager = io.combine(frames, InputContext("t", "x", pl.DataFrame))
    assert isinstance(eager, pl.DataFrame)
    assert eager.rows() == [(1.0, None), (2.5, "x")]


@pytest.mark.parametrize(
    ("options", "returns", "joins"),
    [
        ({"mode": "append"}, None, True),
        ({"mode": "overwrite", "partition_by": "p"}, ("polars.DataFrame",), True),
        ({"mode": "overwrite"}, None, False),
        ({"mode": "error"}, None, False),
        ({"mode": "ignore"}, None, False),
        ({"mode": "error"}, ("deltalake.TableMerger",), True),
    ],
)
def test_iterations_share_a_table_where_each_adds_its_part(
    options: dict[str, Any], returns: tuple[str, ...] | None, joins: bool
) -> None:
    """Appends, partitions and merges go to one table; whole tables are one for each iteration."""
    assert PolarsDeltaIoManager("/lake", **options).joins(returns) is joins
