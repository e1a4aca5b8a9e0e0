"""Numbers of rows of a frame, in as little reading as they take: rows that break conditions, rows that share values."""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import TYPE_CHECKING

from dbxdec.io_managers.polars_frames import named
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import polars as pl

# A bit for each number between the least and the greatest, where they take no more room than two bytes a row.
_BITS_PER_ROW = 16
# Rows, whose places in these bits are in memory.
_AT_ONCE = 1 << 20
# Each opens every file. A column with rows that break a condition has those of its scan read, too.
_SCANS = 4


@dataclass(frozen=True)
class Count:
    """A frame of one row: how many rows break each of the expectations `names`, in this order."""

    names: tuple[str, ...]
    frame: pl.LazyFrame


def compared(
    frame: pl.LazyFrame, conditions: Mapping[str, pl.Expr], comparisons: Mapping[str, str]
) -> tuple[list[Count], list[str]]:
    """Return counts that each read a few columns, or less, and the names of the conditions that they do not count.

    `comparisons` has the columns of conditions that compare nothing but one column with constants: they are null only
    where it is null, and no value is an error. Files and row groups whose statistics show that no row breaks them are
    not read. No other condition may be a filter: Polars evaluates it for rows that an earlier filter leaves out, and
    for what stands in a file in place of null.
    """
    import polars as pl

    columns = list(dict.fromkeys(comparisons[name] for name in conditions if name in comparisons))
    counts = []
    for number in range(min(len(columns), _SCANS)):
        some = columns[number::_SCANS]
        names = [name for name in conditions if comparisons.get(name) in some]
        missed = [named(column).is_null() for column in some] + [~conditions[name] for name in names]
        numbers = [(~holds(conditions[name])).sum().alias(str(i)) for i, name in enumerate(names)]
        counts.append(Count(tuple(names), frame.filter(pl.any_horizontal(missed)).select(numbers)))
    return counts, [name for name in conditions if name not in comparisons]


def together(frames: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    """Run small queries over one frame at the same time, since each may wait for a storage."""
    import polars as pl

    # One scan for all of them would read all columns, and would not skip by statistics.
    return pl.collect_all(frames, engine="streaming", optimizations=pl.QueryOptFlags(comm_subplan_elim=False))


def holds(condition: pl.Expr) -> pl.Expr:
    """Return whether a row meets a condition.

    Null is a violation, as in a CHECK constraint that asks for it and in the platform's own expectations.
    """
    return condition.fill_null(value=False)


def are_distinct(frame: pl.LazyFrame, columns: Sequence[str]) -> bool:
    """Return whether no two rows are known to be equal in these columns; False says nothing.

    Only numbers, or hashes, are in memory, eight bytes a row: the streaming engine takes twice as long to count them.
    """
    told = frame.select(_told_apart(frame.collect_schema(), columns))
    values = told.collect(engine="streaming").to_series()
    if (close := _close_together(values)) is not None:
        return close
    return values.n_unique() == values.len()


def _close_together(values: pl.Series) -> bool | None:
    """Return whether whole numbers differ that lie close together, which takes a third of sorting them.

    None for other values.
    """
    import polars as pl

    if values.null_count() or values.is_empty():
        return None
    numbers = values.to_physical()
    if not numbers.dtype.is_integer() or numbers.dtype in (pl.Int128, pl.UInt128):  # no table has the longer ones
        return None
    least, greatest = numbers.min(), numbers.max()
    assert isinstance(least, int)  # noqa: S101 - they are whole numbers, none of them null
    assert isinstance(greatest, int)  # noqa: S101
    width = greatest - least + 1
    if width > _BITS_PER_ROW * numbers.len():
        return None
    if numbers.dtype != pl.UInt64:
        numbers = numbers.cast(pl.Int64)  # the difference might not fit into less
    seen = pl.zeros(width, pl.Boolean, eager=True)
    for start in range(0, numbers.len(), _AT_ONCE):
        seen.scatter(numbers.slice(start, _AT_ONCE) - least, True)
    return int(seen.sum()) == numbers.len()


def _told_apart(schema: pl.Schema, columns: Sequence[str]) -> pl.Expr:
    """Return an expression of eight bytes a row at most; rows for which it differs have other values in the columns."""
    first = schema[columns[0]]
    if len(columns) == 1 and (first.is_integer() or first.is_float() or first.is_temporal()):
        return named(columns[0])  # counted several times faster than hashes
    # The hash of a struct takes four times as long. With one seed, equal values in two columns would cancel out.
    return reduce(xor, (named(name).hash(seed) for seed, name in enumerate(columns))).alias("hash")


def sharing(parts: Sequence[pl.LazyFrame], columns: Collection[str]) -> int:
    """Return how many rows of the first part have values in these columns that other rows, of any part, have, too."""
    import polars as pl

    free = "_" * (max(map(len, columns)) + 1)
    number, own = f"{free}n", f"{free}o"
    marked = [part.with_columns(pl.lit(i == 0).alias(own)) for i, part in enumerate(parts)]
    grouped = (
        pl.concat(marked, how="vertical_relaxed")
        .group_by(*map(named, columns))
        .agg(pl.len().alias(number), pl.col(own).sum())
    )
    shared = grouped.filter(pl.col(number) > 1).select(pl.col(own).sum()).collect(engine="streaming").item()
    return int(shared or 0)
