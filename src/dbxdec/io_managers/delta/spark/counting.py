"""Counts the rows of a frame that share their values with others, in few seconds for many millions of rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN = "own"
"""The column of a row that is 1 for those to be counted, and 0 for others."""
_INTEGERS = frozenset({"tinyint", "smallint", "int", "bigint"})
# Groups of as many rows fit into the memory of one core. Spark's own number would be two here, or two hundred.
_AT_ONCE = 1 << 19
# Numbers lie close together where a word of bits has, on average, as many of them.
_IN_A_WORD = 4


def sharing(rows: Any, keys: Sequence[str], number: int) -> int:
    """Return how many of the rows that have 1 in `OWN` have values in `keys` that other rows have, too.

    `number` says about how many rows there are.
    """
    from pyspark.sql import functions

    if number > _AT_ONCE and _are_distinct(rows, keys):
        return 0
    # Grouping rows before they are sent to each other, as Spark does by itself, is in vain where nearly all differ.
    sent = rows.repartition(math.ceil(number / _AT_ONCE) or 1, *keys)
    grouped = sent.groupBy(*keys).agg(functions.count(functions.lit(1)).alias("number"), functions.sum(OWN).alias(OWN))
    (row,) = grouped.where("number > 1").agg(functions.sum(OWN)).collect()
    return int(row[0] or 0)


def _are_distinct(rows: Any, keys: Sequence[str]) -> bool:
    """Return whether no two rows are known to be equal; False says nothing.

    Whole numbers that lie close together are told apart by a bit each: few words of 64 bits are sent instead of them.
    """
    from pyspark.sql import functions

    if len(keys) != 1 or dict(rows.dtypes)[keys[0]] not in _INTEGERS:
        return False
    (key,) = keys
    known = functions.count(key), functions.count(functions.lit(1))
    ((least, greatest, known_number, number),) = rows.agg(functions.min(key), functions.max(key), *known).collect()
    # A null has no bit. The difference is Python's, so it does not overflow.
    if known_number < number or (greatest - least) // 64 * _IN_A_WORD > number:
        return False
    words = rows.groupBy(functions.expr(f"shiftright({key}, 6)")).agg(
        functions.expr(f"bit_or(shiftleft(1L, CAST({key} & 63 AS INT)))").alias("bits")
    )
    (row,) = words.agg(functions.expr("sum(bit_count(bits))")).collect()
    return bool(row[0] == number)
