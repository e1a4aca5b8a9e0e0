"""Rows that a table does not expect, kept in another one, by a commit before that of the write which drops them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dbxdec.io_managers.contexts import OutputContext
from dbxdec.io_managers.delta.expectations import RUN, TASK
from dbxdec.model import places
from dbxdec.support import digests

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import WriteId


def into(table: IoManager, context: OutputContext) -> Callable[[pl.LazyFrame], None]:
    """Return what stores dropped rows of the write of `context` in `table`: the same ones once in a run.

    They stay when the write itself fails: these are the rows that tell why. An attempt that drops other rows than one
    before, or is of another build, stores its own: a row that is dropped is never lost.
    """
    write = context.receipt.id

    def keep(rows: pl.LazyFrame) -> None:
        table.check_name()
        table.setup()
        uri = places.resolved(table.template(write.job, write.task) or "")
        told = marked(rows, write)
        digest = digests.of_text(f"{_content(told)} {context.receipt.build} {context.receipt.parameters}")
        parts = [*([write.output] if write.output else []), "quarantine", digest[:16]]
        receipt = replace(context.receipt, id=replace(write, output="/".join(parts), key="", slot=""), progress=None)
        table.write(OutputContext(uri, receipt, ("polars.LazyFrame",), context.parameters, has_readers=False), told)

    return keep


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
