"""Merges the batches of a stream, one by one, each exactly once.

Over Spark Connect the function of `foreachBatch` runs in a process of the server, which may have no dbxdec. So it is
sent by value, and uses nothing but what it is given and the libraries of Python and Spark. The checks, the statement
and the receipt are made before the stream starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

VIEW, BATCH = "dbxdec_view_of_the_batch", "dbxdec:the:batch"
"""The placeholders in a statement and a receipt for the batch's view, and for its name."""
STREAM, NUMBER = "dbxdec:id:of:the:stream", "dbxdec:number:of:the:batch"
"""The placeholders in settings for the two parts of that name."""
FAILED = "dbxdec stopped the stream: "
"""The start of the message of an error that the function itself raises."""


def merging(
    *,
    statement: str,
    mark: str,
    table: str,
    checks: Sequence[str],
    settings: Mapping[str, str],
    fence: tuple[str, str, int],
    query: Callable[[Any], str],
) -> Callable[[Any, int], None]:
    """Return the function of `foreachBatch` that merges a batch.

    A batch that was merged and then not recorded in the checkpoint comes again. Delta drops it by the identifier of the
    stream and the number of the batch, which are settings of the session. With `mark`, the name of a column, the
    session takes none, and the history of the table tells (see `marked_merge`).

    `checks` are the columns of the source. `fence` is the table property with the newest attempt, the transaction and
    the own attempt. `query` returns the id of the stream.
    """
    looked: list[bool] = []

    def merge(frame: Any, batch: int) -> None:
        import uuid

        spark = frame.sparkSession
        stream = query(spark)
        name_of = {STREAM: stream, NUMBER: str(batch), BATCH: f"{stream}:{batch};"}
        view = f"dbxdec_{uuid.uuid4().hex}"
        sql = filled(statement, {VIEW: view, **name_of})
        source = frame.selectExpr(*checks)
        if mark:
            refuse_fenced(spark)
            if not looked and is_merged(spark, name_of[BATCH]):
                looked.append(True)
                return
            looked.append(True)
            source = source.selectExpr("*", f"true AS `{filled(mark, name_of).replace('`', '``')}`")
        source.createOrReplaceTempView(view)
        before = {}
        try:
            for name, value in settings.items():
                before[name] = spark.conf.get(name, None)
                spark.conf.set(name, filled(value, name_of))
            spark.sql(sql).collect()
        finally:
            for name, was in before.items():
                if was is None:
                    spark.conf.unset(name)
                else:
                    spark.conf.set(name, was)
            spark.catalog.dropTempView(view)

    def filled(text: str, values: dict[str, str]) -> str:
        for place, value in values.items():
            text = text.replace(place, value)
        return text

    def is_merged(spark: Any, name: str) -> bool:
        # Only the first batch of a start may have been merged before.
        history = spark.sql(f"DESCRIBE HISTORY {table}").where("operation = 'MERGE'")
        told = history.selectExpr("operationParameters.predicate AS told").where("told IS NOT NULL")
        return bool(told.where(told["told"].contains(name)).limit(1).collect())

    def refuse_fenced(spark: Any) -> None:
        name, transaction, own = fence
        properties = {row["key"]: row["value"] for row in spark.sql(f"SHOW TBLPROPERTIES {table}").collect()}
        writer, _, attempt = properties.get(name, "").rpartition(" ")
        if writer == transaction and attempt.isdecimal() and int(attempt) > own:
            raise RuntimeError(f"{FAILED}attempt {attempt} of the task has taken over")

    return merge


def named(name: str) -> Callable[[Any], str]:
    """Return a function that finds the id of the stream with this name in a session."""

    def find(spark: Any) -> str:
        import time

        for _ in range(600):
            for query in spark.streams.active:
                if query.name == name:
                    return str(query.id)
            time.sleep(0.1)
        raise RuntimeError(f"the session has no stream {name}")

    return find
