"""Files of other writers whose columns differ from those of their table in upper and lower case."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.delta.polars import spellings
from dbxdec.io_managers.positions import Span
from dbxdec.model.changes import Changes
from delta_tools import output, receipt, wanted

SCHEMA = {"id": pl.Int64, "region": pl.String, "v": pl.String}
COUNTS = pytest.mark.parametrize("counts", [None, {"numRecords": 1}, {"numRecords": 1, "nullCount": {"ID": 0, "v": 0}}])


def table_of(folder: Path, *frames: pl.DataFrame, counts: Any = None, by: str | None = None, **options: Any) -> Path:
    """Make a table with a row of its own writer, to which another one adds a file for each frame."""
    first = pl.DataFrame({"id": [1], "region": ["eu"], "v": ["own"]}, schema=SCHEMA)
    first.write_delta(folder, delta_write_options={"partition_by": by, **options})
    for number, frame in enumerate(frames):
        frame.write_parquet(folder / f"{number}.parquet")
        size = (folder / f"{number}.parquet").stat().st_size
        stats = json.dumps(counts or {})
        parts = {} if by is None else {by: "eu"}
        table = DeltaTable(str(folder))
        added = AddAction(
            f"{number}.parquet", size, parts, table.metadata().created_time, data_change=True, stats=stats
        )
        table.create_write_transaction([added], "append", table.schema(), partition_by=[by] if by else None)
    return folder


@COUNTS
@pytest.mark.parametrize("by", [None, "region"])
def test_they_are_read_as_the_table_spells_them(tmp_path: Path, counts: Any, by: str | None) -> None:
    """Also by a filter, and beside files that spell other columns otherwise, or none."""
    one = pl.DataFrame({"ID": [2], "v": ["b"]})
    other = pl.DataFrame({"id": [3], "V": ["c"]})
    table = table_of(tmp_path / "t", one, other, counts=counts, by=by)
    found = PolarsDeltaIoManager(str(tmp_path)).read(wanted(table, annotation=pl.LazyFrame))
    assert sorted(found.collect().rows()) == sorted(
        [(1, "eu", "own"), (2, "eu" if by else None, "b"), (3, "eu" if by else None, "c")]
    )
    assert found.filter(pl.col("id") == 2).select("v").collect().rows() == [("b",)]
    assert found.select(pl.col("v").sort()).collect()["v"].to_list() == ["b", "c", "own"]


def test_files_that_are_older_than_their_table_are_looked_at(tmp_path: Path) -> None:
    """The conversion of a folder counts nulls by the names of the table."""
    table = table_of(tmp_path / "t", pl.DataFrame({"ID": [2], "region": ["us"], "v": ["b"]}))
    log = table / "_delta_log" / f"{1:020}.json"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if "add" in line:
            counted = {"numRecords": 1, "nullCount": dict.fromkeys(SCHEMA, 0)}
            line["add"] |= {"modificationTime": 0, "stats": json.dumps(counted)}
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    found = PolarsDeltaIoManager(str(tmp_path)).read(wanted(table))
    assert sorted(found.rows()) == [(1, "eu", "own"), (2, "us", "b")]


@COUNTS
@pytest.mark.parametrize("kind", ["rows", "feed", "latest"])
def test_new_rows_are_as_the_table_spells_them(tmp_path: Path, counts: Any, kind: Any) -> None:
    """Each kind of `.changes()` reads the files of commits."""
    table = table_of(tmp_path / "t", pl.DataFrame({"ID": [2], "v": ["b"]}), counts=counts)
    changes = Changes(kind, by=("id",) if kind == "latest" else ())
    context = wanted(table)
    io = PolarsDeltaIoManager(str(tmp_path))
    head = io.head(context)
    assert head is not None
    span = Span(head.id, 0, head.version)
    found = io.read(replace(context, changes=changes, span=span))
    assert found.select("id", "v").rows() == [(2, "b")]


@pytest.mark.parametrize("way", ["merge", "slice"])
def test_no_write_rewrites_them_through_delta_rs(tmp_path: Path, way: str) -> None:
    """delta-rs would store nulls in place of their values."""
    table = table_of(tmp_path / "t", pl.DataFrame({"ID": [2, 3], "region": ["eu", "us"], "v": ["b", "c"]}))
    frame = pl.DataFrame({"id": [1], "region": ["us"], "v": ["x"]})
    io = PolarsDeltaIoManager(str(tmp_path), mode="overwrite", replace={"region": "us"})
    value = DeltaMerge(frame, on="id") if way == "merge" else frame
    with pytest.raises(RunError, match="has the column `id` as `ID`"):
        io.write(output(table, receipt("9")), value)
    assert DeltaTable(str(table)).version() == 1


@pytest.mark.parametrize("stored", [{"A": 1}, {"b": [{"C": 1}], "A": 2}])
def test_fields_that_are_spelled_otherwise_are_refused(tmp_path: Path, stored: Any) -> None:
    """Polars would read them as null."""
    kind = pl.Struct({"a": pl.Int64, "b": pl.List(pl.Struct({"c": pl.Int64}))})
    pl.DataFrame({"s": [None]}, schema={"s": kind}).write_delta(tmp_path / "t")
    pl.DataFrame({"s": [stored]}).write_parquet(tmp_path / "t" / "f.parquet")
    table = DeltaTable(str(tmp_path / "t"))
    added = AddAction("f.parquet", (tmp_path / "t" / "f.parquet").stat().st_size, {}, 0, data_change=True, stats="{}")
    table.create_write_transaction([added], "append", table.schema())
    with pytest.raises(RunError, match=r"field `.` of the column `s` as `.`, which Polars would read as null"):
        PolarsDeltaIoManager(str(tmp_path)).read(wanted(tmp_path / "t"))


def test_two_columns_for_one_are_refused(tmp_path: Path) -> None:
    """Nobody can say which of them is meant."""
    table = table_of(tmp_path / "t", pl.DataFrame({"ID": [2], "Id": [3], "v": ["b"]}))
    with pytest.raises(RunError, match="has the column `id` several times, as ID and Id"):
        PolarsDeltaIoManager(str(tmp_path)).read(wanted(table))


def test_no_footer_is_read_of_files_that_the_log_vouches_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table may have many thousands of them."""
    asked: list[str] = []

    def of_files(places: Iterable[str], *_: object) -> dict[str, Any]:
        asked.extend(places)
        return {}

    monkeypatch.setattr(spellings, "of_files", of_files)
    io = PolarsDeltaIoManager(str(tmp_path), mode="append")
    frame = pl.DataFrame({"id": [1], "*": [1], "^id$": [1], "b": [b"x"], "l": [[1]], "s": [{"x": 1, "y": {"z": 2}}]})
    for run in ("1", "2"):
        io.write(output(tmp_path / "t", receipt(run)), frame)
    frame.write_delta(tmp_path / "t", mode="append")
    io.read(wanted(tmp_path / "t"))
    assert asked == []
