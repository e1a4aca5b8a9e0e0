"""What becomes of a frame's columns in a Delta table, and how differences are told."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager, columns
from dbxdec.io_managers.delta.polars import checks, schemas
from delta_tools import output, receipt

MOMENT = dt.datetime(2024, 7, 1, 12, 0, 0, 5)
KEPT: dict[str, tuple[Any, Any]] = {
    "Boolean": (pl.Boolean(), True),
    "Int8": (pl.Int8(), -1),
    "Int64": (pl.Int64(), 2**62),
    "UInt8": (pl.UInt8(), 127),
    "UInt16": (pl.UInt16(), 1),
    "UInt32": (pl.UInt32(), 1),
    "UInt64": (pl.UInt64(), 2**62),
    "Float32": (pl.Float32(), 0.5),
    "Float64": (pl.Float64(), 0.1),
    "Decimal": (pl.Decimal(38, 10), Decimal("-1.5000000000")),
    "String": (pl.String(), "a"),
    "Binary": (pl.Binary(), b"\xff"),
    "Date": (pl.Date(), dt.date(1, 1, 1)),
    "ms": (pl.Datetime("ms"), MOMENT.replace(microsecond=1000)),
    "ns": (pl.Datetime("ns"), MOMENT),
    "zone": (pl.Datetime("ns", "Europe/Berlin"), MOMENT.replace(tzinfo=dt.UTC)),
    "Categorical": (pl.Categorical(), "a"),
    "Enum": (pl.Enum(["a", "b"]), "b"),
    "List": (pl.List(pl.Categorical()), ["a", None]),
    "Array": (pl.Array(pl.UInt8(), 2), [1, 2]),
    "Struct": (
        pl.Struct({"a": pl.UInt16(), "b": pl.List(pl.Datetime("ms"))}),
        {"a": 1, "b": [dt.datetime(2024, 1, 1)]},
    ),
}


@pytest.mark.parametrize("lazy", [False, True], ids=["DataFrame", "LazyFrame"])
@pytest.mark.parametrize("kind", KEPT)
def test_a_frame_can_be_appended_to_its_own_table(tmp_path: Path, kind: str, lazy: bool) -> None:
    """Every type that is taken comes back with the type that was foretold and the same value, null included."""
    dtype, value = KEPT[kind]
    data = pl.DataFrame({"c": pl.Series([value, None], dtype=dtype)})
    table = tmp_path / "table"
    for run in ("1", "2"):
        PolarsDeltaIoManager("unused", mode="append").write(output(table, receipt(run)), data.lazy() if lazy else data)
    got = pl.read_delta(str(table))
    assert got.schema == schemas.storable(data)[1]
    assert got["c"].drop_nulls().to_list() == [value, value]
    assert got["c"].null_count() == 2


@pytest.mark.parametrize(
    "dtype",
    [
        pl.Null(),
        pl.Time(),
        pl.Duration("us"),
        pl.Int128(),
        pl.UInt128(),
        pl.Float16(),
        pl.Object(),
        pl.Struct([]),
        pl.List(pl.Time()),
        pl.Struct({"inner": pl.Array(pl.Duration("us"), 1)}),
    ],
    ids=str,
)
def test_a_type_without_a_form_is_refused(dtype: pl.DataType) -> None:
    """The column is named with its type, wherever in it the type stands; the others are not."""
    data = pl.DataFrame(schema={"fine": pl.Int64(), "bad": dtype})
    with pytest.raises(RunError) as error:
        schemas.storable(data)
    assert f"bad: {dtype}" in str(error.value)
    assert "fine" not in str(error.value)


Map: Any = getattr(pl, "Map", None)
WITH_MAPS = pytest.mark.skipif(Map is None, reason="this Polars reads maps as lists of structs")


@WITH_MAPS
@pytest.mark.parametrize("lazy", [False, True])
def test_a_map_comes_back_and_is_added_and_merged(tmp_path: Path, lazy: bool) -> None:
    """Spark's tables have maps, and a task that reads one may store what it has read."""
    kind = Map(pl.String(), Map(pl.String(), pl.Array(pl.Categorical(), 1)))
    data = pl.DataFrame({"x": [1, 2, 3], "m": pl.Series([{"a": {"b": ["c"]}}, {}, None], dtype=kind)})
    table = tmp_path / "table"
    PolarsDeltaIoManager("unused").write(output(table, receipt("1")), pl.DataFrame({"x": [4]}))
    for run, rows in (("2", data[:1]), ("3", data[1:])):
        manager = PolarsDeltaIoManager("unused", mode="append", schema="add-columns")
        manager.write(output(table, receipt(run)), rows.lazy() if lazy else rows)
    there = pl.read_delta(str(table))
    assert there.schema["m"] == Map(pl.String(), Map(pl.String(), pl.List(pl.String())))
    merge = DeltaMerge(there.filter(pl.col("x") < 3).with_columns(pl.col("x") * 4), on="x")
    PolarsDeltaIoManager("unused").write(output(table, receipt("4"), ("dbxdec.DeltaMerge",)), merge)
    first = {"a": {"b": ["c"]}}
    assert pl.read_delta(str(table)).sort("x").rows() == [(1, first), (2, {}), (3, None), (4, first), (8, {})]


@WITH_MAPS
@pytest.mark.parametrize("inner", [pl.UInt8(), pl.Datetime("us"), pl.Time(), pl.List(pl.UInt64())], ids=str)
def test_a_map_that_nobody_could_read_is_refused(inner: pl.DataType) -> None:
    """delta-rs stores unsigned numbers of a map as they are, and declares no feature for its timestamps."""
    for kind in (Map(pl.String(), inner), pl.List(Map(pl.String(), inner))):
        with pytest.raises(RunError, match="a Delta table can't hold these columns"):
            schemas.storable(pl.DataFrame(schema={"x": pl.Int64(), "m": kind}))


def test_all_that_can_not_be_stored_is_told_at_once() -> None:
    """Names that Delta takes for one, and types without a form, are in one error."""
    data = pl.DataFrame(schema={"id": pl.Int64(), "ID": pl.Int64(), "t": pl.Time(), "n": pl.Null()})
    with pytest.raises(RunError) as error:
        schemas.storable(data)
    assert len(error.value.problems) == 2
    assert "`id` and `ID` have the same name" in str(error.value)
    assert "t: Time" in str(error.value)
    assert "n: Null" in str(error.value)


@pytest.mark.parametrize(("dtype", "value"), [(pl.UInt8(), 200), (pl.UInt32(), 2**31), (pl.UInt64(), 2**63)], ids=str)
def test_unsigned_values_that_do_not_fit_are_never_wrapped(tmp_path: Path, dtype: pl.DataType, value: int) -> None:
    """A value beyond the signed type of the table is an error, not a negative number."""
    with pytest.raises(Exception, match=r"(?i)cast"):
        PolarsDeltaIoManager("unused").write(
            output(tmp_path / "table"), pl.DataFrame({"c": [value]}, schema={"c": dtype})
        )
    assert not (tmp_path / "table" / "_delta_log").exists()


ARRAYS: dict[str, tuple[pl.DataType, object]] = {
    "milliseconds": (pl.Datetime("ms"), dt.datetime(2024, 1, 1, 5)),
    "nanoseconds": (pl.Datetime("ns"), dt.datetime(2024, 1, 1, 5)),
    "a zone": (pl.Datetime("ms", "Europe/Berlin"), dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC)),
    "dates": (pl.Date(), dt.date(2024, 1, 1)),
    "categories": (pl.Categorical(), "a"),
    "an enum": (pl.Enum(["b", "a"]), "a"),
}


@pytest.mark.parametrize(("dtype", "value"), ARRAYS.values(), ids=ARRAYS)
def test_arrays_of_any_type_keep_their_values(tmp_path: Path, dtype: pl.DataType, value: object) -> None:
    """They become lists, also inside lists and structs, and not of the numbers behind their values."""
    array = pl.Series([[value]], dtype=pl.List(dtype)).cast(pl.Array(dtype, 1))
    data = pl.DataFrame({"c": array, "s": pl.DataFrame({"a": array}).to_struct("s")})
    PolarsDeltaIoManager("unused").write(output(tmp_path / "table"), data)
    (row,) = pl.read_delta(str(tmp_path / "table")).rows()
    assert row == ([value], {"a": [value]})


LOST: dict[str, pl.Series] = {
    "nanoseconds": pl.Series([1000, 1001]).cast(pl.Datetime("ns")),
    "before 1970": pl.Series([-1]).cast(pl.Datetime("ns", "UTC")),
    "in lists": pl.Series([[1], None]).cast(pl.List(pl.Datetime("ns"))),
    "in arrays": pl.Series([[1]], dtype=pl.Array(pl.Int64(), 1)).cast(pl.Array(pl.Datetime("ns"), 1)),
    "in structs": pl.Series([{"a": 1}]).cast(pl.Struct({"a": pl.Datetime("ns")})),
}


@pytest.mark.parametrize("lazy", [False, True], ids=["DataFrame", "LazyFrame"])
@pytest.mark.parametrize("kind", LOST)
def test_timestamps_that_are_not_whole_microseconds_are_refused(tmp_path: Path, kind: str, lazy: bool) -> None:
    """Rows with different timestamps never become equal: not in a write, and not as keys of a merge."""
    data = pl.DataFrame({"k": LOST[kind]})
    given = data.lazy() if lazy else data
    with pytest.raises(RunError, match="the column `k` has a timestamp that Delta can't hold"):
        PolarsDeltaIoManager("unused").write(output(tmp_path / "table"), given)
    with pytest.raises(RunError, match="the column `k` has a timestamp that Delta can't hold"):
        PolarsDeltaIoManager("unused").write(output(tmp_path / "table"), DeltaMerge(given, on="k"))
    assert not (tmp_path / "table" / "_delta_log").exists()


def test_a_frame_without_columns_is_refused(tmp_path: Path) -> None:
    """An empty result has no table to be; the message does not speak of partitions."""
    with pytest.raises(RunError, match="the result of the task `task` has no column\n"):
        PolarsDeltaIoManager("unused").write(output(tmp_path / "table"), pl.DataFrame())


def test_columns_in_another_order_go_where_they_belong(tmp_path: Path) -> None:
    """A frame's columns are matched by name, of DataFrames and LazyFrames."""
    io = PolarsDeltaIoManager("unused", mode="append")
    io.write(output(tmp_path, receipt("1")), pl.DataFrame({"a": [1], "b": [2]}))
    io.write(output(tmp_path, receipt("2")), pl.DataFrame({"b": [20], "a": [10]}))
    io.write(output(tmp_path, receipt("3")), pl.LazyFrame({"b": [200], "a": [100]}))
    assert sorted(pl.read_delta(str(tmp_path)).select("a", "b").rows()) == [(1, 2), (10, 20), (100, 200)]


HERE: dict[str, pl.DataType] = {"a": pl.Int64(), "b": pl.String()}


def compare(result: dict[str, pl.DataType], policy: str, table: dict[str, pl.DataType], **options: Any) -> None:
    columns.compare(schemas.shapes(result), schemas.shapes(table), policy=policy, uri="lake/t", **options)


@pytest.mark.parametrize(
    ("result", "policy", "lines"),
    [
        ({"b": pl.String(), "a": pl.Int64()}, "strict", []),
        ({"a": pl.Int32(), "b": pl.String()}, "strict", ["a Int64 Int32"]),
        ({"a": pl.Int64()}, "strict", ["b String -"]),
        ({**HERE, "c": pl.Date()}, "strict", ["c - Date"]),
        ({"a": pl.String(), "c": pl.Date()}, "strict", ["a Int64 String", "b String -", "c - Date"]),
        ({"a": pl.Int64(), "c": pl.Date()}, "add-columns", []),
        ({"a": pl.Int32(), "c": pl.Date()}, "add-columns", ["a Int64 Int32"]),
        ({"z": pl.Int64()}, "replace", []),
    ],
)
def test_every_difference_that_the_policy_forbids_has_its_line(
    result: dict[str, pl.DataType], policy: str, lines: list[str]
) -> None:
    """Column, type in the table and type in the result; a dash for a column that one of them lacks."""
    if not lines:
        compare(result, policy, HERE)
        return
    with pytest.raises(RunError, match="lake/t") as error:
        compare(result, policy, HERE)
    text = error.value.problems[0].message.splitlines()
    assert [" ".join(line.split()) for line in text[2:]] == lines


def test_a_list_is_told_by_its_whole_type_and_its_structs_field_by_field() -> None:
    """Elements have no name: a line with their type alone would be one of a column that is none."""
    table: dict[str, pl.DataType] = {
        "deep": pl.List(pl.List(pl.Int64())),
        "people": pl.List(pl.Struct({"age": pl.Int64(), "name": pl.String()})),
    }
    result: dict[str, pl.DataType] = {
        "deep": pl.List(pl.List(pl.Date())),
        "people": pl.List(pl.Struct({"age": pl.Date(), "name": pl.String()})),
    }
    with pytest.raises(RunError) as error:
        compare(result, "strict", table)
    text = error.value.problems[0].message.splitlines()
    assert [" ".join(line.split()) for line in text[2:]] == [
        "deep List(List(Int64)) List(List(Date))",
        "people.age Int64 Date",
    ]


def test_only_a_table_that_could_grow_is_advised_to() -> None:
    """`schema="add-columns"` is a hint where it helps: not for a type that differs."""
    with pytest.raises(RunError, match="add-columns"):
        compare({**HERE, "c": pl.Date()}, "strict", HERE)
    with pytest.raises(RunError) as error:
        compare({**HERE, "a": pl.Int8()}, "strict", HERE)
    assert "add-columns" not in str(error.value)


def test_everything_wrong_with_the_partitions_is_told_at_once() -> None:
    """A missing column and one of a type that is no partition are in one error."""
    schema: dict[str, pl.DataType] = {"raw": pl.Binary(), "x": pl.Int64()}
    with pytest.raises(RunError) as error:
        schemas.check_partitions(schema, ["raw", "day"], task="load")
    assert len(error.value.problems) == 2
    assert "no column `day`" in str(error.value)
    assert "raw: Binary" in str(error.value)


@pytest.mark.parametrize("lazy", [False, True], ids=["DataFrame", "LazyFrame"])
def test_decimals_that_are_not_negative_pass(lazy: bool) -> None:
    """Zero, positive and null decimals are partitions like others, and other columns may be negative."""
    data = pl.DataFrame(
        {"p": [Decimal("0.00"), Decimal("1.50"), None], "x": [Decimal(-1), None, None]},
        schema={"p": pl.Decimal(10, 2), "x": pl.Decimal(10, 2)},
    )
    checked = checks.refuse_negative_decimals(data.lazy() if lazy else data, ["p"])
    assert checked.lazy().collect().equals(data)
