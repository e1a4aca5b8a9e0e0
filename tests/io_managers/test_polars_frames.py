"""Frames of several iterations in one."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from dbxdec.errors import RunError
from dbxdec.io_managers.polars_frames import together


def of(kind: Any, *values: Any) -> pl.DataFrame:
    return pl.DataFrame({"x": pl.Series(list(values), dtype=kind)})


DAY = dt.date(2024, 1, 1)
STRUCT = pl.Struct({"a": pl.Int64})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of(pl.Int64, 2**60 + 1), of(pl.Float64, 0.5)),
        (of(pl.Int64, 1), of(pl.String, "a")),
        (of(pl.Int64, 1), of(pl.Boolean, True)),
        (of(pl.Int64, 1), of(pl.UInt64, 2**63)),
        (of(pl.Date, DAY), of(pl.String, "a")),
        (of(pl.Date, DAY), of(pl.Datetime("us"), dt.datetime(2024, 1, 1, 5))),
        (of(pl.Datetime("us"), dt.datetime(2024, 1, 1)), of(pl.Datetime("ns"), dt.datetime(2024, 1, 1))),
        (of(pl.Decimal(10, 2), 1), of(pl.Decimal(10, 3), 1)),
        (of(pl.List(pl.Int64), [1]), of(pl.List(pl.Float64), [0.5])),
        (of(STRUCT, {"a": 1}), of(pl.Struct({"a": pl.String}), {"a": "x"})),
    ],
)
def test_types_whose_common_one_would_change_values_are_refused(one: pl.DataFrame, other: pl.DataFrame) -> None:
    """Each such column is named with its types."""
    with pytest.raises(RunError, match=r"columns of different types:\n    x: "):
        together([one, other]).collect()


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (of(pl.Int32, 1), of(pl.Int64, 2**40), [1, 2**40]),
        (of(pl.UInt32, 1), of(pl.Int32, -1), [1, -1]),
        (of(pl.Null, None), of(pl.String, "a"), [None, "a"]),
        (of(pl.Categorical, "a"), of(pl.String, "b"), ["a", "b"]),
        (of(pl.Float32, 0.5), of(pl.Float64, 0.25), [0.5, 0.25]),
        (of(pl.List(pl.Null), []), of(pl.List(pl.Int64), [1]), [[], [1]]),
        (of(STRUCT, {"a": 1}), of(pl.Struct({"a": pl.Int64, "b": pl.String}), {"a": 2, "b": "x"}), None),
    ],
)
def test_types_that_widen_keep_all_values(one: pl.DataFrame, other: pl.DataFrame, expected: list[Any] | None) -> None:
    """Narrow numbers, texts of any kind, and what is null everywhere; fields that some lack are null there."""
    found = together([one, other]).collect()
    assert isinstance(found, pl.DataFrame)
    assert found["x"].to_list() == (expected or [{"a": 1, "b": None}, {"a": 2, "b": "x"}])


def test_a_column_that_some_lack_is_null_there() -> None:
    """In the order in which columns first appear."""
    found = together([pl.DataFrame({"a": [1]}), pl.DataFrame({"b": ["x"]})]).collect()
    assert isinstance(found, pl.DataFrame)
    assert found.to_dicts() == [{"a": 1, "b": None}, {"a": None, "b": "x"}]
