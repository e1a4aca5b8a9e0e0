"""Rows that say of themselves which conditions they don't meet, through Spark.

The marks of a row are whole numbers with a bit for each condition: beside a hundred columns of truths a row would be
larger than what it stores.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.delta import judging
from dbxdec.io_managers.delta.expectations import FAILED, Expectation, Fraction, Unique
from dbxdec.io_managers.delta.spark import counting
from dbxdec.io_managers.spark_frames import quoted, string_literal
from dbxdec.io_managers.spark_session import CHECK
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.io_managers.delta.judging import Outcome

BROKEN = "expectations that a row does not meet: "
"""The start of the message of the error by which a row fails its query; the places of the expectations follow."""
_BITS = 62
"""The number of conditions that a `bigint` holds, its sign left out."""


def marked(judge: judging.Judge, frame: Any, broken: Mapping[str, Any], *, drops: bool) -> Marked:
    """Return `frame` with marks for what its rows don't meet: `broken` are columns by the names of expectations.

    Those columns are true or false for each row. With `drops` rows may be left out, and those have no mark of what the
    others must meet.
    """
    musts = {one.name for one in judge.expectations if one.action == "failed"} if drops else set()
    found = Marked(judge, frame, {}, drops).having({name: one for name, one in broken.items() if name not in musts})
    # Of a row that is left out they may be an error, such as a division by zero.
    return found.having({name: one for name, one in broken.items() if name in musts}, of_kept=True)


@dataclass(frozen=True)
class Marked:
    """A frame with marks: `bits` are the column and the bit of each condition, by the names of expectations.

    A bit is set where the row does not meet its condition. `drops` says whether rows may be left out: those have no
    bit of what the others must meet.
    """

    judge: judging.Judge
    frame: Any
    bits: Mapping[str, tuple[str, int]]
    drops: bool

    def at(self, frame: Any) -> Marked:
        """Return the same rows, as they are stored elsewhere."""
        return replace(self, frame=frame)

    def having(self, broken: Mapping[str, Any], *, of_kept: bool = False) -> Marked:
        """Return the rows with more marks; `of_kept` says that only those have them which are not dropped."""
        from pyspark.sql import functions

        free = "_" * (max(map(len, self.frame.columns), default=0) + 1)
        columns: dict[str, Any] = {}
        bits: dict[str, tuple[str, int]] = {}
        for number, group in enumerate(_groups(list(broken), _BITS)):
            column = f"{free}{number}"
            own = {name: (column, 1 << i) for i, name in enumerate(group)}
            parts = [functions.when(broken[name], bit).otherwise(0) for name, (_, bit) in own.items()]
            mark = in_few_levels(parts, lambda one, other: one.bitwiseOR(other))
            if of_kept:
                mark = functions.when(self.drop, 0).otherwise(mark)
            columns[column] = mark.cast("bigint")
            bits |= own
        return replace(self, frame=self.frame.withColumns(columns), bits={**self.bits, **bits}) if columns else self

    @property
    def rows(self) -> Any:
        """All rows, without their marks."""
        return self._plain(self.frame)

    @property
    def kept(self) -> Any:
        """The rows that are not dropped."""
        return self._plain(self.frame.where(~self.drop)) if self.drops else self.rows

    @property
    def rejected(self) -> Any:
        """The rows that are dropped, with the names of the expectations that they don't meet."""
        from pyspark.sql import functions

        names = [functions.when(self._breaks([one]), functions.lit(one.name)) for one in self.judge.droppers]
        told = functions.filter(functions.array(*names), lambda name: name.isNotNull())
        return self._plain(self.frame.where(self.drop).withColumn(FAILED, told))

    def _plain(self, frame: Any) -> Any:
        return frame.drop(*{column for column, _ in self.bits.values()}) if self.bits else frame

    @property
    def drop(self) -> Any:
        """A column that is true for a row that is dropped."""
        return self._breaks(self.judge.droppers)

    def _breaks(self, some: Collection[Expectation]) -> Any:
        """Return whether a row does not meet all of them."""
        sums: dict[str, int] = {}
        for column, bit in (self.bits[one.name] for one in some):
            sums[column] = sums.get(column, 0) | bit
        return in_few_levels([_has(column, bits) for column, bits in sums.items()], operator.or_)

    def guarded(self) -> Any:
        """Return the rows that are not dropped; the query fails by one that does not meet what it must."""
        from pyspark.sql import functions

        musts = [(i, one) for i, one in enumerate(self.judge.expectations) if one.action == "failed"]
        if not musts:
            return self.kept
        numbers = [functions.when(self._breaks([one]), functions.lit(str(i))) for i, one in musts]
        told = functions.concat(functions.expr(string_literal(CHECK + BROKEN)), functions.concat_ws(",", *numbers))
        # The order of these counts: a row that is dropped need not meet anything.
        passes = functions.when(self._breaks([one for _, one in musts]), functions.raise_error(told).cast("boolean"))
        passes = passes.otherwise(functions.lit(True))
        if self.drops:
            passes = functions.when(self.drop, functions.lit(False)).otherwise(passes)
        return self._plain(self.frame.where(passes))

    def counts(self) -> list[Any]:
        """Return the aggregates that `came_out` takes, by their place as `c0`, `c1` and so on."""
        from pyspark.sql import functions

        one = functions.lit(1)

        def number(condition: Any) -> Any:
            return functions.count(functions.when(condition, one))

        found = [functions.count(one)]
        if self.drops:
            found.append(number(~self.drop))
        for expectation in self._conditions():
            asked = self._breaks([expectation])
            if isinstance(expectation.rule, Fraction):
                asked = ~asked
                if self.drops and expectation.action == "failed":  # a row that is dropped has no bit of it
                    asked &= ~self.drop
            found.append(number(asked))
        return [column.alias(f"c{i}") for i, column in enumerate(found)]

    def _conditions(self) -> list[Expectation]:
        return [one for one in self.judge.expectations if one.condition is not None]

    def came_out(self, numbers: Sequence[int], shared: Callable[[Unique], int]) -> list[Outcome]:
        """Return how all expectations came out, by the values of `counts`."""
        total, *rest = map(int, numbers)
        kept = rest.pop(0) if self.drops else total
        counts = {one.name: number for one, number in zip(self._conditions(), rest, strict=True)}
        return self.judge.came_out(total, kept, counts, shared)

    def outcomes(self) -> list[Outcome]:
        """Return how all expectations came out, by a query. The frame must give the same rows each time."""
        (row,) = self.frame.agg(*self.counts()).collect()
        kept = self.kept
        return self.came_out(tuple(row), lambda rule: self._shared(kept, rule, row[0]))

    def shared(self, rule: Unique) -> tuple[int, int]:
        """Return how many of the rows that are kept have values that others have, too, and of how many."""
        kept = self.kept
        number = kept.count()
        return self._shared(kept, rule, number), number

    def _shared(self, kept: Any, rule: Unique, number: int) -> int:
        """Return how many rows, of about as many, have values that other rows have, too."""
        from pyspark.sql import functions

        keys = [f"c{i}" for i in range(len(rule.columns))]
        columns = [functions.col(quoted(name)).alias(key) for key, name in zip(keys, rule.columns, strict=True)]
        rows = kept.select(*columns, functions.lit(1).alias(counting.OWN))
        there = self.judge.there() if rule.of == "table" else None
        if there is not None:
            known = {name.lower() for name in there.columns}
            # A column that is new to the table is null in the rows that are there.
            others = [
                (functions.col(quoted(name)) if name.lower() in known else functions.lit(None)).alias(key)
                for key, name in zip(keys, rule.columns, strict=True)
            ]
            rows = rows.unionAll(there.select(*others, functions.lit(0).alias(counting.OWN)))
            number += there.count()
        return counting.sharing(rows, keys, number)

    def settled(self) -> list[Outcome]:
        """Return how the expectations came out, and store the dropped rows where they are kept.

        The frame must give the same rows each time. Raises RunError if rows are not what they must be.
        """
        found = self.outcomes()
        dropped = any(one.failed for one in found if one.expectation in self.judge.droppers)
        self.judge.settle(found, self.rejected if dropped else None)
        return found


def in_few_levels(columns: Sequence[Any], joined: Callable[[Any, Any], Any]) -> Any:
    """Return all columns as one: over Connect an expression may have a hundred levels."""
    if len(columns) == 1:
        return columns[0]
    half = len(columns) // 2
    return joined(in_few_levels(columns[:half], joined), in_few_levels(columns[half:], joined))


def _has(column: str, bits: int) -> Any:
    from pyspark.sql import functions

    return functions.col(column).bitwiseAND(functions.lit(bits)) != 0


def _groups(names: Sequence[str], size: int) -> Iterator[list[str]]:
    some = iter(names)
    while group := list(islice(some, size)):
        yield group
