"""Rows that break conditions, and rows that share values, are counted as if each row were looked at."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from dbxdec.io_managers.delta.expectations import Expectation, Unique
from dbxdec.io_managers.delta.polars import counting, scan
from dbxdec.io_managers.delta.polars.judging import Judge
from dbxdec.io_managers.delta.sql import POLARS_SQL, Comparison

INTEGERS = [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64]
NUMBERS = [
    "n > 3",
    "n >= -1 AND n < 100",
    "n BETWEEN -1 AND 1",
    "n NOT BETWEEN 0 AND 5",
    "n IN (1, 2, 300)",
    "n NOT IN (-1, 0)",
    "n IS NOT NULL",
    "n IS NULL OR n <> 0",
    "n <= 0.5 OR n = 4",
    "n < 99999",
]
STRINGS = ["s > 'b'", "s IN ('a', '', 'ä')", "s <> ''", "s BETWEEN 'a' AND 'c'", "s IS NULL OR s < 'b'"]
MIXED = ["n > 0 AND s <> 'a'", "LENGTH(s) < 2", "n + 1 > 3", "COALESCE(n, 0) < 9", "NULLIF(n, 3) > 0"]


def _column(kind: Any) -> st.SearchStrategy[list[Any]]:
    if kind in (pl.Float32, pl.Float64):
        values: st.SearchStrategy[Any] = st.floats(width=32)
    else:
        values = st.integers(int(pl.select(kind.min()).item()), int(pl.select(kind.max()).item())) | st.integers(0, 6)
    return st.lists(st.none() | values, max_size=12)


def _judge(conditions: list[str]) -> Judge:
    return Judge(tuple(Expectation(one, one, "kept") for one in conditions), {}, "task", "uri")


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", [*[one for one in INTEGERS if one != pl.Int128], pl.Float32, pl.Float64], ids=str)
@given(data=st.data())
def test_each_condition_counts_the_rows_of_a_file_that_it_is_not_true_for(
    tmp_path_factory: pytest.TempPathFactory, kind: Any, data: st.DataObject
) -> None:
    numbers = data.draw(_column(kind))
    texts = data.draw(st.lists(st.none() | st.sampled_from(["", "a", "b", "bb", "ä", "z" * 70]), min_size=12))
    frame = pl.DataFrame({"n": pl.Series(numbers, dtype=kind), "s": pl.Series(texts[: len(numbers)], dtype=pl.String)})
    conditions = data.draw(st.lists(st.sampled_from([*NUMBERS, *STRINGS, *MIXED]), unique=True))
    place = tmp_path_factory.mktemp("rows") / "rows.parquet"
    frame.write_parquet(place, row_group_size=data.draw(st.integers(1, 5)))
    judge = _judge(conditions)
    found = judge.for_schema(frame.schema).outcomes(pl.scan_parquet(place), pl.scan_parquet(place))
    expected = {one: frame.height - frame.filter(pl.sql_expr(one)).height for one in conditions}
    assert {one.expectation.name: one.failed for one in found} == expected
    assert {one.total for one in found} <= {frame.height}


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
@given(data=st.data())
def test_numbers_are_distinct_where_no_two_are_the_same(kind: Any, data: st.DataObject) -> None:
    numbers = data.draw(_column(kind))
    frame = pl.LazyFrame({"n": pl.Series(numbers, dtype=kind)})
    assert counting.are_distinct(frame, ["n"]) == (len(set(numbers)) == len(numbers))


@given(st.lists(st.dates() | st.none()))
def test_days_are_distinct_where_no_two_are_the_same(days: list[dt.date | None]) -> None:
    frame = pl.LazyFrame({"day": pl.Series(days, dtype=pl.Date)})
    assert counting.are_distinct(frame, ["day"]) == (len(set(days)) == len(days))


def test_numbers_close_together_are_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_AT_ONCE", 7)
    numbers = pl.Series("n", range(-50, 50)).sample(fraction=1, shuffle=True, seed=1)
    assert counting.are_distinct(pl.LazyFrame([numbers]), ["n"])
    assert not counting.are_distinct(pl.LazyFrame([numbers.append(pl.Series([-50]))]), ["n"])


@pytest.mark.parametrize(("there", "shared"), [([], 0), ([1], 1), ([1, 2], 1)])
def test_a_column_that_is_new_to_the_table_is_null_in_as_many_rows_as_there_are(there: list[int], shared: int) -> None:
    rule = Expectation("once", Unique(("n",), of="table"), "failed")
    table = pl.LazyFrame({"m": there}, schema={"m": pl.Int64})
    rows = pl.LazyFrame({"n": [7, None]})
    judge = Judge((rule,), {}, "task", "uri", None, lambda: table)
    (found,) = judge.for_schema(rows.collect_schema()).outcomes(rows, rows)
    assert found.failed == shared


def test_row_groups_that_can_have_no_such_row_are_not_read(tmp_path: Path) -> None:
    # Their pages are overwritten: whoever reads them gets an error, or other rows.
    place = tmp_path / "rows.parquet"
    pl.DataFrame({"n": range(10_000)}).write_parquet(place, compression="uncompressed")
    held = bytearray(place.read_bytes())
    footer = int.from_bytes(held[-8:-4], "little") + 8
    held[4:-footer] = b"\xff" * (len(held) - footer - 4)
    place.write_bytes(held)
    judge = _judge(["n >= 0", "n IS NOT NULL", "n BETWEEN 0 AND 9999"])
    rows = pl.scan_parquet(place)
    found = judge.for_schema(rows.collect_schema()).outcomes(rows, rows)
    assert [(one.failed, one.total) for one in found] == [(0, 10_000)] * 3


def test_a_condition_is_not_evaluated_for_what_stands_in_a_file_in_place_of_null(tmp_path: Path) -> None:
    # Polars evaluates a filter for the empty text there, which is no number.
    place = tmp_path / "rows.parquet"
    frame = pl.DataFrame({"s": ["7", None]})
    frame.write_parquet(place)
    rows = pl.scan_parquet(place)
    (found,) = _judge(["CAST(s AS INT) > 5"]).for_schema(frame.schema).outcomes(rows, rows)
    assert (found.failed, found.total) == (1, 2)


@pytest.mark.parametrize("lazy", [True, False])
def test_a_row_that_is_dropped_is_no_error_of_what_the_others_must_meet(*, lazy: bool) -> None:
    # Of two filters one behind the other Polars makes one, and evaluates both for each row.
    frame = pl.DataFrame({"s": ["7", "x", "9"]})
    drop = Expectation("number", "s <> 'x'", "dropped")
    must = Expectation("late", lambda frame: pl.col("s").str.to_integer() > 5, "failed")
    conditions = Judge((drop, must), {}, "task", "uri").for_schema(frame.schema)
    with conditions.spilled(frame.lazy()) as rows:
        kept, found = conditions.accepted(rows if lazy else rows.lazy().collect())
        assert kept.collect()["s"].to_list() == ["7", "9"]
    assert [(one.failed, one.total) for one in found] == [(1, 3), (0, 2)]


@pytest.mark.parametrize("condition", ["n <= 9007199254740992", "n <> 9007199254740993", "n < 9007199254740993"])
def test_a_table_whose_log_has_decimals_less_exactly_than_its_files_is_counted_by_these(
    tmp_path: Path, condition: str
) -> None:
    # delta-rs writes the least and the greatest as floating-point numbers.
    frame = pl.DataFrame({"n": pl.Series([2**53 + 1], dtype=pl.Decimal(20, 0))})
    frame.write_delta(str(tmp_path))
    rows = scan.scan(DeltaTable(tmp_path))
    (found,) = _judge([condition]).for_schema(frame.schema).outcomes(rows, rows)
    assert (found.failed, found.total) == (1, 1)


def test_a_struct_is_counted_where_the_log_has_no_numbers_of_a_list_in_it(tmp_path: Path) -> None:
    kind = pl.Struct({"a": pl.Int64, "b": pl.List(pl.Int64)})
    frame = pl.DataFrame({"n": pl.Series([{"a": 1, "b": [1]}, None], dtype=kind)})
    frame.write_delta(str(tmp_path))
    _edit_statistics(tmp_path, lambda found: found["nullCount"].update(n={"a": 1}))  # as Spark writes it
    rows = scan.scan(DeltaTable(tmp_path))
    (found,) = _judge(["n IS NOT NULL"]).for_schema(frame.schema).outcomes(rows, rows)
    assert (found.failed, found.total) == (1, 2)


def _edit_statistics(place: Path, change: Callable[[dict[str, Any]], object]) -> None:
    (log,) = (place / "_delta_log").glob("*.json")
    actions = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for action in actions:
        if "add" in action:
            statistics = json.loads(action["add"]["stats"])
            change(statistics)
            action["add"]["stats"] = json.dumps(statistics)
    log.write_text("\n".join(map(json.dumps, actions)), encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("n >= 0", Comparison("n", "numbers")),
        (" n\nBETWEEN -1.5 and 2 ", Comparison("n", "numbers")),
        ("n IN (1, 2) OR n IS NULL", Comparison("n", "numbers")),
        ("\"a b\" NOT IN ('x', 'it''s')", Comparison("a b", "strings")),
        ("n IS NOT NULL", Comparison("n", None)),
        ("n > m", None),
        ("n > 1 AND m > 1", None),
        ("n > 1 OR n = 'x'", None),
        ("LENGTH(n) > 1", None),
        ("n + 1 > 1", None),
        ("n = NULL", None),
        ("n > :least", None),
        ("NOT n > 1", None),
        ("(n > 1)", None),
        ("n > 1 -- more", None),
        ("n > 1 BANANA", None),
        ("CAST(n AS INT) > 1", None),
        ("n / 0 > 1", None),
        ("CASE WHEN n > 1 THEN TRUE END", None),
    ],
)
def test_a_condition_that_is_null_only_where_its_column_is_is_known(text: str, found: Comparison | None) -> None:
    assert POLARS_SQL.comparison(text) == found
