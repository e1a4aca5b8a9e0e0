"""Rows in quarantine, as frames of Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.delta import quarantining
from dbxdec.io_managers.delta.expectations import RUN, TASK

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import OutputContext, WriteId


# JSON would have milliseconds alone: rows that differ in less would be the same, and one of them lost.
_WHOLE = {
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
    "timeZone": "UTC",
}


_KIND = "pyspark.DataFrame"


def refuse(table: IoManager, context: OutputContext) -> None:
    """Raise RunError where `table` can't get rows that the write of `context` drops."""
    quarantining.refuse(table, context, _KIND)


def into(table: IoManager, context: OutputContext) -> Callable[[Any], None]:
    """Return what stores dropped rows of the write of `context` in `table`."""
    return quarantining.into(table, context, _KIND, marked, _content)


def marked(rows: Any, write: WriteId) -> Any:
    """Return rows with the run and the task that would have stored them."""
    from pyspark.sql import functions

    return rows.withColumns({RUN: functions.lit(write.run), TASK: functions.lit(write.task)})


def _content(rows: Any) -> tuple[int, int]:
    """Return what is the same for the same rows in any order: their number, and the sum of their hashes."""
    from pyspark.sql import functions

    # Spark hashes no maps, but writes them.
    text = functions.to_json(functions.struct(functions.col("*")), _WHOLE)
    hashed = functions.xxhash64(text).cast("decimal(38,0)")
    (row,) = rows.agg(functions.count(functions.lit(1)), functions.sum(hashed)).collect()
    return int(row[0]), int(row[1] or 0)
