"""The data of the IoManagers' benchmarks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import polars as pl

PARTS = 16
_CHUNK = 250_000


def part(start: int, stop: int) -> pl.DataFrame:
    """Rows `start` to `stop`: an id, a float, a short text, and a partition of sixteen."""
    index = pl.int_range(start, stop)
    return pl.select(
        id=index,
        x=index.cast(pl.Float64).sin(),
        text=index.mod(997).cast(pl.String),
        part=index.mod(PARTS).cast(pl.Int32),
    )


def whole(rows: int) -> pl.DataFrame:
    """All rows, made in pieces, so that making them takes hardly more memory than having them."""
    return pl.concat([part(i, min(i + _CHUNK, rows)) for i in range(0, rows, _CHUNK)], rechunk=True)


def parquet(rows: int, folder: Path) -> Path:
    """The same rows as a file, for a LazyFrame."""
    path = folder / f"{rows}.parquet"
    whole(rows).write_parquet(path, row_group_size=_CHUNK)
    return path


def named(rows: int) -> str:
    """`1 M rows`."""
    return f"{rows / 1e6:g} M rows"


def numbers() -> Iterator[str]:
    """Run ids: each write is another run's."""
    return map(str, itertools.count())


def priced(lineitem: pl.LazyFrame) -> pl.LazyFrame:
    """TPC-H's lineitem with one more column, as a task makes it."""
    return lineitem.with_columns(total=pl.col("l_extendedprice") * (1 - pl.col("l_discount")))
