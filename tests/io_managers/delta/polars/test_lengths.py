"""Columns that Spark has made as `VARCHAR(n)` or `CHAR(n)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import ArrayType, PrimitiveType

from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from delta_tools import output, receipt

KEY = "__CHAR_VARCHAR_TYPE_STRING"
NAME = "*co de"


def table_of(folder: Path, kind: str = "varchar(3)") -> Path:
    """Make a table as Spark makes it: its strings have their type in the metadata of the column."""
    text: Any = ArrayType(PrimitiveType("string"), contains_null=True) if "<" in kind else PrimitiveType("string")
    fields = [Field("id", PrimitiveType("long")), Field(NAME, text, metadata={KEY: kind})]
    DeltaTable.create(str(folder), Schema(fields))
    return folder


def rows(*texts: str | None) -> pl.DataFrame:
    return pl.DataFrame({"id": range(len(texts)), NAME: texts}, schema={"id": pl.Int64, NAME: pl.String})


@pytest.mark.parametrize("kind", ["varchar(3)", "char(3)", "VARCHAR(3)"])
@pytest.mark.parametrize("way", ["append", "overwrite", "merge", "lazy"])
def test_strings_that_are_too_long_are_refused(tmp_path: Path, kind: str, way: str) -> None:
    """delta-rs does not look at them, and Spark would read what it lets nobody write."""
    table = table_of(tmp_path / "t", kind)
    io = PolarsDeltaIoManager("unused", mode="overwrite" if way == "overwrite" else "append")

    def value(frame: pl.DataFrame) -> Any:
        return DeltaMerge(frame, on="id") if way == "merge" else frame.lazy() if way == "lazy" else frame

    io.write(output(table), value(rows("abc", "", None, "äöü")))
    version = DeltaTable(str(table)).version()
    with pytest.raises(RunError, match=rf"of .* is a {kind.upper()[:-3]}.*but the result has 'abcd'"):
        io.write(output(table, receipt("2")), value(rows("a", None, "abcd")))
    assert DeltaTable(str(table)).version() == version


def test_rows_that_are_left_out_may_have_longer_ones(tmp_path: Path) -> None:
    """What is stored must fit."""
    table = table_of(tmp_path / "t")
    io = PolarsDeltaIoManager("unused", mode="append", expect_or_drop={"short": f'LENGTH("{NAME}") <= 3'})
    io.write(output(table), rows("abcd", "abc"))
    assert DeltaTable(str(table)).to_pyarrow_table()[NAME].to_pylist() == ["abc"]


def test_a_new_schema_has_strings_of_any_length(tmp_path: Path) -> None:
    table = table_of(tmp_path / "t")
    io = PolarsDeltaIoManager("unused", mode="overwrite", schema="replace")
    io.write(output(table), rows("abcd"))
    io.write(output(table, receipt("2")), rows("abcde"))


def test_lengths_inside_of_a_column_are_for_spark(tmp_path: Path) -> None:
    """Nobody would look at them."""
    table = table_of(tmp_path / "t", "array<varchar(3)>")
    io = PolarsDeltaIoManager("unused", mode="append")
    with pytest.raises(RunError, match=r"limits the strings inside of .*array<varchar\(3\)>"):
        io.write(output(table), pl.DataFrame({"id": [1], NAME: [["a"]]}))
    io.write(output(table_of(tmp_path / "u")), rows("a"))
