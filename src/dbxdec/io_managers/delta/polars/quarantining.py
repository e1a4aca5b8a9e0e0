"""Rows that a table does not expect, kept in another one, by a commit before that of the write which drops them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dbxdec.io_managers.contexts import OutputContext
from dbxdec.io_managers.delta.expectations import RUN, TASK
from dbxdec.model import places

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import WriteId


def into(table: IoManager, context: OutputContext) -> Callable[[pl.LazyFrame], None]:
    """Return what stores dropped rows of the write of `context` in `table`, once for all attempts of a run.

    It stays when the write itself fails: these are the rows that tell why.
    """
    write = context.receipt.id

    def keep(rows: pl.LazyFrame) -> None:
        table.check_name()
        table.setup()
        uri = places.resolved(table.template(write.job, write.task) or "")
        own = replace(write, output=f"{write.output}/quarantine" if write.output else "quarantine", key="", slot="")
        receipt = replace(context.receipt, id=own, progress=None)
        told = marked(rows, write)
        table.write(OutputContext(uri, receipt, ("polars.LazyFrame",), context.parameters, has_readers=False), told)

    return keep


def marked(rows: pl.LazyFrame, write: WriteId) -> pl.LazyFrame:
    """Return rows with the run and the task that would have stored them."""
    import polars as pl

    return rows.with_columns(pl.lit(write.run).alias(RUN), pl.lit(write.task).alias(TASK))
