"""Timestamps before 1677 and after 2262 in files of Spark, which stores them in 96 bits."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.delta.polars.wide_timestamps import doubtful
from delta_tools import output, receipt, wanted

pytest.importorskip("pyarrow")
import pyarrow as pa
import pyarrow.parquet as pq

END = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
NOW = dt.datetime(2024, 2, 29, tzinfo=dt.UTC)
BOUNDS = pytest.mark.parametrize("has_bounds", [True, False], ids=["bounds", "no bounds"])


def spark_table(folder: Path, *moments: dt.datetime | None, has_bounds: bool = True) -> Path:
    """Make a table with one file, as Spark stores it; its bounds in the log are whole milliseconds."""
    DeltaTable.create(
        str(folder), pl.DataFrame(schema={"id": pl.Int64, "t": pl.Datetime("us", "UTC")}).to_arrow().schema
    )
    rows = pa.table({"id": range(len(moments)), "t": pa.array(moments, pa.timestamp("us", "UTC"))})
    pq.write_table(rows, folder / "f.parquet", use_deprecated_int96_timestamps=True, store_schema=False)
    known = [moment.isoformat(timespec="milliseconds") for moment in moments if moment is not None]
    stats: dict[str, Any] = {"numRecords": len(moments), "nullCount": {"t": len(moments) - len(known)}}
    if has_bounds and known:
        stats |= {"minValues": {"t": min(known)}, "maxValues": {"t": max(known)}}
    table = DeltaTable(str(folder))
    size = (folder / "f.parquet").stat().st_size
    added = AddAction("f.parquet", size, {}, 0, data_change=True, stats=json.dumps(stats))
    table.create_write_transaction([added], "append", table.schema())
    return folder


@BOUNDS
def test_they_are_read_as_they_are(tmp_path: Path, *, has_bounds: bool) -> None:
    """They would be of the year 2262 in nanoseconds, and so lost to a filter as well."""
    table = spark_table(tmp_path / "t", END, NOW, dt.datetime(1, 1, 1, tzinfo=dt.UTC), None, has_bounds=has_bounds)
    io = PolarsDeltaIoManager(str(tmp_path))
    found = io.read(wanted(table))
    assert found["t"].to_list() == [END, NOW, dt.datetime(1, 1, 1, tzinfo=dt.UTC), None]
    lazy = io.read(wanted(table, annotation=pl.LazyFrame))
    assert lazy.filter(pl.col("t") == END).collect()["id"].to_list() == [0]


@pytest.mark.parametrize("name", ["*", "^a$"])
def test_names_that_polars_takes_for_patterns_are_names(tmp_path: Path, name: str) -> None:
    """The bounds of other columns say nothing of this one."""
    rows = pl.DataFrame({"a": [NOW], "x": [END], "b": [NOW]})
    rows.columns = ["a", name, "b"]
    rows.write_delta(tmp_path / "t")
    assert len(doubtful(DeltaTable(str(tmp_path / "t")), rows.schema)) == 1
    assert PolarsDeltaIoManager(str(tmp_path)).read(wanted(tmp_path / "t")).rows() == [(NOW, END, NOW)]


@BOUNDS
@pytest.mark.parametrize("way", ["merge", "slice"])
def test_a_write_that_would_change_them_in_other_rows_is_refused(tmp_path: Path, way: str, *, has_bounds: bool) -> None:
    """delta-rs would store the end of 9999 as a day of 1816."""
    table = spark_table(tmp_path / "t", END, NOW, has_bounds=has_bounds)
    with pytest.raises(RunError, match="timestamps before 1677 or after 2262 in `t`"):
        write(table, way)
    assert DeltaTable(str(table)).version() == 1


@BOUNDS
@pytest.mark.parametrize("way", ["merge", "slice"])
def test_other_timestamps_in_96_bits_may_be_written_again(tmp_path: Path, way: str, *, has_bounds: bool) -> None:
    """Nanoseconds hold them."""
    table = spark_table(tmp_path / "t", NOW, NOW, None, has_bounds=has_bounds)
    write(table, way)
    assert sorted(map(str, pl.read_delta(str(table))["t"].to_list())) == sorted(map(str, [NOW, END, None]))


@pytest.mark.parametrize("way", ["merge", "slice"])
def test_the_end_of_days_in_files_of_polars_may_be_written_again(tmp_path: Path, way: str) -> None:
    """They are microseconds there."""
    table = tmp_path / "t"
    frame = pl.DataFrame({"id": [0, 1], "t": [END, NOW]}, schema_overrides={"t": pl.Datetime("us", "UTC")})
    PolarsDeltaIoManager(str(tmp_path)).write(output(table), frame)
    write(table, way)
    assert pl.read_delta(str(table))["t"].to_list() == [END, END]


def write(table: Path, way: str) -> None:
    """Give the row with the id 1 another timestamp."""
    frame = pl.DataFrame({"id": [1], "t": [END]}, schema_overrides={"t": pl.Datetime("us", "UTC")})
    options: dict[str, Any] = {"replace": {"id": 1}} if way == "slice" else {}
    io = PolarsDeltaIoManager(str(table.parent), mode="overwrite", **options)
    io.write(output(table, receipt("2")), frame if way == "slice" else DeltaMerge(frame, on="id"))
