from __future__ import annotations

from typing import Any

import pytest

import spark_tools
from dbxdec.io_managers.delta.spark import counting
from spark_tools import needs_spark

pytestmark = needs_spark
spark = spark_tools.spark


@pytest.mark.parametrize("at_once", [2, 1 << 19], ids=["many", "few"])
def test_rows_that_share_their_values_are_counted_exactly(
    spark: Any, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Close together or far apart, below zero, null, of any type; of those that are to be counted alone."""
    monkeypatch.setattr(counting, "_AT_ONCE", at_once)
    most = 2**63 - 1
    for kind, values, shared in (
        ("bigint", [5, 6, 7, 8, 9], 0),
        ("bigint", [-65, -64, -63, -1, 0, 1, 63, 64], 0),
        ("bigint", [-64, 0, 64, -64, 128, 0], 4),
        ("bigint", [most, -most - 1, 0, 1], 0),
        ("bigint", [most, most, -most - 1], 2),
        ("bigint", [1, 2, 3, None], 0),
        ("bigint", [1, 2, None, None, None], 3),
        ("bigint", [None, None], 2),
        ("tinyint", [-128, 127, -1, 0], 0),
        ("int", [2**31 - 1, 2**31 - 1, -(2**31)], 2),
        ("string", ["a", "b", "A", ""], 0),
        ("double", [float("nan"), float("nan"), 0.0, -0.0, 1.0], 4),
        ("bigint", [], 0),
    ):
        rows = spark.createDataFrame([(value, 1) for value in values], f"c0 {kind}, own int")
        assert counting.sharing(rows, ["c0"], len(values)) == shared, (kind, values)
    pairs = [("a", 1, 1), ("a", 2, 1), ("a", 2, 0), ("b", 1, 0), ("b", 1, 0)]
    rows = spark.createDataFrame(pairs, "c0 string, c1 int, own int")
    assert counting.sharing(rows, ["c0", "c1"], len(pairs)) == 1
