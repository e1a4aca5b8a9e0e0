"""Tables whose files Polars writes: what their log says of them, and which tables are left to delta-rs."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.delta.polars import spilling
from dbxdec.io_managers.delta.polars.direct import parquet_files
from delta_tools import frame, output, receipt, stored
from thorough import examples

MOMENTS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=90)
KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "byte": (pl.Int8(), st.integers(-128, 127)),
    "long": (pl.Int64(), st.integers(-(2**63), 2**63 - 1)),
    "unsigned": (pl.UInt16(), st.integers(0, 2**15 - 1)),
    "single": (pl.Float32(), st.floats(width=32)),
    "double": (pl.Float64(), st.floats()),
    "text": (pl.String(), TEXTS | st.sampled_from(["\U0010ffff" * 70, "ä" * 70, "a" * 65])),
    "day": (pl.Date(), st.dates()),
    "moment": (pl.Datetime("us"), MOMENTS),
    "zoned": (pl.Datetime("us", "UTC"), MOMENTS.map(lambda m: m.replace(tzinfo=dt.UTC))),
    "price": (pl.Decimal(9, 2), st.decimals(-9_999_999, 9_999_999, places=2)),
    "long price": (pl.Decimal(38, 2), st.decimals("-1e35", "1e35", places=2)),
    "flag": (pl.Boolean(), st.booleans()),
    "bytes": (pl.Binary(), st.binary(max_size=3)),
    "struct": (pl.Struct({"n": pl.Int32()}), st.fixed_dictionaries({"n": st.none() | st.integers(-5, 5)})),
    "list": (pl.List(pl.Int32()), st.lists(st.integers(-5, 5), max_size=2)),
}


def manager(mode: Any = "overwrite", **options: Any) -> PolarsDeltaIoManager:
    return PolarsDeltaIoManager("unused", mode=mode, **options)


def log(table: Path, version: int) -> list[dict[str, Any]]:
    """The actions of one commit."""
    lines = (table / "_delta_log" / f"{version:020}.json").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def statistics(table: Path, version: int = 0) -> list[dict[str, Any]]:
    return [json.loads(action["add"]["stats"]) for action in log(table, version) if "add" in action]


def by_polars(table: Path, version: int) -> bool:
    """Whether dbxdec has had the files written: delta-rs adds more metrics than it does."""
    (info,) = (action["commitInfo"] for action in log(table, version) if "commitInfo" in action)
    return set(info["operationMetrics"]) == {"num_added_rows", "num_added_files"}


def value_of(bound: Any, like: Any) -> Any:
    """A bound in the log as the value that it stands for."""
    match like:
        case dt.datetime():
            return dt.datetime.fromisoformat(bound)
        case dt.date():
            return dt.date.fromisoformat(bound)
        case Decimal():
            return Decimal(str(bound))
        case _:
            return bound


@st.composite
def columns(draw: st.DrawFn) -> tuple[str, list[Any]]:
    kind = draw(st.sampled_from(sorted(KINDS)))
    return kind, draw(st.lists(st.none() | KINDS[kind][1], max_size=6))


@settings(max_examples=examples(150))
@given(case=columns(), lazy=st.booleans())
@example(case=("text", ["ÿ" * 40, "a"]), lazy=False)
@example(case=("text", ["\x85", "\u2028"]), lazy=False)
@example(case=("text", ["\U00020000"]), lazy=False)
@example(case=("double", [math.nan, 1.0]), lazy=False)
@example(case=("double", [math.inf, 1.0]), lazy=False)
@example(case=("long price", [Decimal("123456789012345678901234567890.25")]), lazy=True)
def test_bounds_in_the_log_hold_for_every_row(case: tuple[str, list[Any]], lazy: bool) -> None:
    """Readers skip files by them: no value is outside, null counts and row counts are exact."""
    kind, values = case
    data = pl.DataFrame(
        {"v": pl.Series(values, dtype=KINDS[kind][0]), "i": pl.Series(range(len(values)), dtype=pl.Int64)}
    )
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "t")
        manager().write(output(table), data.lazy() if lazy else data)
        found = statistics(table)
        back = pl.read_delta(str(table)).sort("i")
        if kind not in ("struct", "list"):
            for value in back["v"].drop_nulls().unique():
                wanted = pl.col("v") == pl.lit(value, dtype=back["v"].dtype)
                assert pl.scan_delta(str(table)).filter(wanted).collect().height == back.filter(wanted).height
    assert_frame_equal(back, data.cast(back.schema), check_exact=True)
    assert sum(stats["numRecords"] for stats in found) == len(values)
    for stats in found:
        if kind == "struct":
            inner = [None if value is None else value["n"] for value in values]
            check(stats["minValues"].get("v", {}).get("n"), stats["maxValues"].get("v", {}).get("n"), inner)
            assert stats["nullCount"]["v"]["n"] == inner.count(None)
        elif kind == "list":
            assert "v" not in stats["minValues"] | stats["maxValues"] | stats["nullCount"]
        else:
            check(stats["minValues"].get("v"), stats["maxValues"].get("v"), values)
            assert stats["nullCount"]["v"] == values.count(None)


def check(low: Any, high: Any, values: list[Any]) -> None:
    present = [value for value in values if value is not None and value == value]  # NaN is in no bounds
    for value in present:
        assert low is None or value_of(low, value) <= value
        assert high is None or value_of(high, value) >= value


def test_the_log_says_what_delta_rs_would_say(tmp_path: Path) -> None:
    """Schema, partition values and statistics are those of a table that delta-rs has written; bounds are as narrow."""
    data = pl.DataFrame(
        {
            "k": ["a", "b c"],
            "n": pl.Series([1, -2], dtype=pl.Int32),
            "x": [1.5, -2.25],
            "s": ["ä", "x"],
            "d": [dt.date(2024, 2, 29), None],
            "p": pl.Series([Decimal("1.50"), None], dtype=pl.Decimal(10, 2)),
            "o": [{"i": 1, "j": {"t": "z"}}, {"i": 2, "j": {"t": "y"}}],
            "l": [[1], []],
        }
    )
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    manager(partition_by="k").write(output(ours), data)
    data.write_delta(str(theirs), delta_write_options={"partition_by": ["k"]})

    def told(table: Path) -> dict[str, Any]:
        added = [action["add"] for action in log(table, 0) if "add" in action]
        return {json.dumps(add["partitionValues"]): json.loads(add["stats"]) for add in added}

    assert by_polars(ours, 0)
    assert told(ours) == told(theirs)
    tables = DeltaTable(str(ours)), DeltaTable(str(theirs))
    assert tables[0].schema().to_json() == tables[1].schema().to_json()
    assert tables[0].protocol() == tables[1].protocol()
    folders = [{Path(path).parent.name for path in table.file_uris()} for table in tables]
    assert folders[0] == folders[1]


def test_negative_decimals_can_part_a_table(tmp_path: Path) -> None:
    """Their values come back, and an overwrite replaces exactly theirs; delta-rs itself would break the table."""
    schema: dict[str, Any] = {"p": pl.Decimal(10, 2), "x": pl.Int64()}

    def prices(**rows: int) -> pl.DataFrame:
        return pl.DataFrame({"p": [Decimal(text) for text in rows], "x": list(rows.values())}, schema=schema)

    io = manager(partition_by="p")
    io.write(output(tmp_path / "t", receipt("1")), prices(**{"-1.50": 1, "1.50": 2}))
    io.write(output(tmp_path / "t", receipt("2")), prices(**{"-1.50": 3}))
    assert sorted(pl.read_delta(str(tmp_path / "t")).rows()) == [(Decimal("-1.50"), 3), (Decimal("1.50"), 2)]


def made(table: Path, properties: Mapping[str, str] = MappingProxyType({}), *, nullable: bool = True) -> DeltaTable:
    """An empty table with the column `x`."""
    field = Field("x", PrimitiveType("long"), nullable=nullable)
    configuration = {f"delta.{name}": value for name, value in properties.items()}
    return DeltaTable.create(str(table), Schema([field]), configuration=configuration)


class TestTablesLeftToDeltaRs:
    """Where delta-rs' own writer does more than to store rows, it writes."""

    @pytest.mark.parametrize(
        "properties",
        [{"enableChangeDataFeed": "true"}, {"dataSkippingNumIndexedCols": "1"}, {"targetFileSize": "1000"}],
        ids=lambda properties: next(iter(properties)),
    )
    def test_a_property_that_says_how_to_write_is_heeded(self, tmp_path: Path, properties: dict[str, str]) -> None:
        """Such a table is written by delta-rs, and gets the same rows."""
        made(tmp_path / "t", properties)
        manager("append").write(output(tmp_path / "t"), frame(1))
        assert not by_polars(tmp_path / "t", 1)
        assert stored(tmp_path / "t") == [1]

    def test_properties_that_say_how_long_to_keep_are_no_reason(self, tmp_path: Path) -> None:
        """A table with a retention is written in the quick way."""
        made(tmp_path / "t", {"logRetentionDuration": "interval 60 days"})
        manager("append").write(output(tmp_path / "t"), frame(1))
        assert by_polars(tmp_path / "t", 1)

    def test_a_constraint_is_checked(self, tmp_path: Path) -> None:
        """A row that a table's constraint forbids is refused, and nothing is written."""
        made(tmp_path / "t").alter.add_constraint({"positive": "x > 0"})
        with pytest.raises(RunError, match=r"rows of the result violate a rule of the table"):
            manager("append").write(output(tmp_path / "t"), frame(-1))
        manager("append").write(output(tmp_path / "t"), frame(1))
        assert stored(tmp_path / "t") == [1]

    def test_a_column_that_must_not_be_null_is_checked(self, tmp_path: Path) -> None:
        """A null in such a column is refused, and nothing is written."""
        made(tmp_path / "t", nullable=False)
        with pytest.raises(RunError, match="a column that must not be null"):
            manager("append").write(output(tmp_path / "t"), pl.DataFrame({"x": [1, None]}))
        assert stored(tmp_path / "t") == []

    def test_options_of_write_deltalake_are_heeded(self, tmp_path: Path) -> None:
        """They are options of delta-rs' writer: with them it writes."""
        data, io = frame(*range(1000)), manager(delta_write_options={"target_file_size": 100})
        io.write(output(tmp_path / "t"), data)
        assert not by_polars(tmp_path / "t", 0)

    def test_negative_decimals_are_refused_there(self, tmp_path: Path) -> None:
        """delta-rs would write a log that nobody can open: no commit is made."""
        io = manager("append", partition_by="p", delta_write_options={"target_file_size": 2**20})
        data = pl.DataFrame({"p": [Decimal("-1.50")], "x": 1}, schema={"p": pl.Decimal(10, 2), "x": pl.Int64()})
        for value in (data, data.lazy()):
            with pytest.raises(RunError, match="negative decimals"):
                io.write(output(tmp_path / "t"), value)
        assert not DeltaTable.is_deltatable(str(tmp_path / "t"))

    def test_a_new_column_is_no_reason(self, tmp_path: Path) -> None:
        """With schema="add-columns" a table grows first, and then gets the rows in the quick way."""
        io = manager("append", schema="add-columns")
        for run in range(3):
            io.write(
                output(tmp_path / "t", receipt(str(run))), frame(run) if run == 0 else frame(run).with_columns(y=run)
            )
        assert [by_polars(tmp_path / "t", version) for version in (0, 2, 3)] == [True, True, True]
        assert [action for action in log(tmp_path / "t", 1) if "add" in action] == []
        assert sorted(pl.read_delta(str(tmp_path / "t")).rows()) == [(0, None), (1, 1), (2, 2)]


class TestFiles:
    def test_a_query_that_fails_leaves_none(self, tmp_path: Path) -> None:
        """The rows that came before its error are in no file, and there is no table."""

        def fail(data: pl.DataFrame) -> pl.DataFrame:
            if data["x"].max() == 2_999_999:
                raise ValueError("the task's own")
            return data

        query = pl.LazyFrame({"x": range(3_000_000)}).map_batches(fail, streamable=True)
        with pytest.raises(Exception, match="the task's own"):
            manager().write(output(tmp_path / "t"), query)
        assert not [path for path in (tmp_path / "t").rglob("*") if path.is_file()]

    def test_a_storage_without_room_is_said_in_one_sentence(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Polars says it as an error of Parquet's, without a path."""

        def full(*_: Any, **__: Any) -> None:
            text = "parquet: File out of specification: underlying IO error: No space left on device (os error 28)"
            raise pl.exceptions.ComputeError(text)

        monkeypatch.setattr(pl.LazyFrame, "sink_parquet", full)
        with pytest.raises(RunError, match=f"no space to write {tmp_path}/t"):
            manager().write(output(tmp_path / "t"), frame(1))

    def test_they_are_written_once_whatever_others_commit_meanwhile(self, tmp_path: Path) -> None:
        """An overwrite of partitions goes on beside writers of other partitions, and its query runs once."""
        io, seen = manager(partition_by="k"), []
        io.write(output(tmp_path / "t", receipt("1")), pl.DataFrame({"k": [1, 2], "x": [1, 1]}))

        def look(data: pl.DataFrame) -> pl.DataFrame:
            seen.append(data.height)
            io.write(output(tmp_path / "t", receipt("2")), pl.DataFrame({"k": [2, 3], "x": [2, 2]}))
            return data

        query = pl.LazyFrame({"k": [1], "x": [3]}).map_batches(look)
        result = io.write(output(tmp_path / "t", receipt("3")), query)
        assert seen == [1]
        assert (result.version, result.rows) == (2, 1)
        assert sorted(pl.read_delta(str(tmp_path / "t")).rows()) == [(1, 3), (2, 2), (3, 2)]

    @pytest.mark.parametrize("how", ["overwrite", "append"])
    def test_partitions_that_another_writer_has_changed_are_a_conflict(self, tmp_path: Path, how: Any) -> None:
        """Its rows are neither lost in silence nor left standing beside those that were to replace them."""
        io = manager(partition_by="k")
        io.write(output(tmp_path / "t", receipt("1")), pl.DataFrame({"k": [1, 2], "x": [1, 1]}))

        def beaten(data: pl.DataFrame) -> pl.DataFrame:
            manager(how, partition_by="k").write(
                output(tmp_path / "t", receipt("2")), pl.DataFrame({"k": [1], "x": [2]})
            )
            return data

        with pytest.raises(RunError, match="another writer changed"):
            io.write(output(tmp_path / "t", receipt("3")), pl.LazyFrame({"k": [1], "x": [3]}).map_batches(beaten))
        assert 3 not in pl.read_delta(str(tmp_path / "t"))["x"]
        io.write(output(tmp_path / "t", receipt("3", attempt=2)), pl.DataFrame({"k": [1], "x": [3]}))
        assert sorted(pl.read_delta(str(tmp_path / "t")).rows()) == [(1, 3), (2, 1)]

    def test_large_tables_have_several(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No file holds more than its share, and each has statistics of its own."""
        monkeypatch.setattr(parquet_files, "_BYTES_PER_FILE", 400_000)
        for partition in (None, "k"):
            table = tmp_path / str(partition)
            data = pl.LazyFrame({"x": range(300_000)}).with_columns(k=pl.col("x") % 2)
            manager(partition_by=partition).write(output(table), data)
            assert len(statistics(table)) > 2
            assert stored(table) == list(range(300_000))
            assert sum(stats["numRecords"] for stats in statistics(table)) == 300_000
            assert min(stats["minValues"]["x"] for stats in statistics(table)) == 0

    @pytest.mark.parametrize("partition", [None, "k"])
    def test_a_frame_without_rows_makes_a_table_without_rows(self, tmp_path: Path, partition: str | None) -> None:
        """It has the columns, and later rows find it."""
        io = manager("append", partition_by=partition)
        io.write(output(tmp_path / "t", receipt("1")), pl.DataFrame(schema={"k": pl.String(), "x": pl.Int64()}))
        io.write(output(tmp_path / "t", receipt("2")), pl.LazyFrame({"k": ["a"], "x": [1]}))
        assert pl.read_delta(str(tmp_path / "t")).rows() == [("a", 1)]


def test_a_file_that_is_still_written_when_its_query_fails_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of such a file can't be removed at once: Polars writes on for a moment."""

    def still_there(path: str, **handlers: Any) -> None:
        try:
            raise OSError(39, "Directory not empty", path)
        except OSError as error:
            if "onerror" in handlers:
                handlers["onerror"](os.rmdir, path, sys.exc_info())
            else:
                handlers["onexc"](os.rmdir, path, error)

    def fail(frame: pl.DataFrame) -> pl.DataFrame:
        raise ValueError("of the query")

    monkeypatch.setattr("shutil.rmtree", still_there)
    query = pl.LazyFrame({"x": [1]}).map_batches(fail)
    with pytest.raises(Exception, match="of the query"), spilling.once_only(query):
        pass
