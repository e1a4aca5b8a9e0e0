"""Rows in quarantine, as frames of Polars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.io_managers.delta import quarantining
from dbxdec.io_managers.delta.expectations import RUN, TASK

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import OutputContext, WriteId


_KIND = "polars.LazyFrame"


def refuse(table: IoManager, context: OutputContext) -> None:
    """Raise RunError where `table` can't get rows that the write of `context` drops."""
    quarantining.refuse(table, context, _KIND)


def into(table: IoManager, context: OutputContext) -> Callable[[pl.LazyFrame], None]:
    """Return what stores dropped rows of the write of `context` in `table`."""
    return quarantining.into(table, context, _KIND, marked, _content)


def _content(rows: pl.LazyFrame) -> tuple[int, int]:
    """Return what is the same for the same rows in any order: their number, and the sum of their hashes."""
    import polars as pl

    hashes = rows.select(pl.struct(pl.all()).hash().alias("of_row"))
    # In halves, whose sums fit.
    high, low = (pl.col("of_row") // 2**32).sum(), (pl.col("of_row") % 2**32).sum()
    asked = [pl.len().alias("number"), high.alias("high"), low.alias("low")]
    number, above, below = hashes.select(asked).collect(engine="streaming").row(0)
    return number, (above << 32) + below


def marked(rows: pl.LazyFrame, write: WriteId) -> pl.LazyFrame:
    """Return rows with the run and the task that would have stored them."""
    import polars as pl

    return rows.with_columns(pl.lit(write.run).alias(RUN), pl.lit(write.task).alias(TASK))
