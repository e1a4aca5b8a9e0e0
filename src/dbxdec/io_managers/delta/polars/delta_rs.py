"""The write of a frame into a Delta table by delta-rs' own writer.

It is for tables for which delta-rs does more than store rows: tables with constraints, generated columns or features,
tables that get other columns or lose single rows, and writes with options of delta-rs.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

from dbxdec.io_managers.delta.polars import predicates, stream, table_log
from dbxdec.io_managers.delta.polars.schemas import unsigned_field
from dbxdec.io_managers.delta.polars.spilling import once_only
from dbxdec.io_managers.delta.polars.storage import refusals, rules_of
from dbxdec.io_managers.delta.receipts import of_partitions
from dbxdec.io_managers.polars_frames import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from deltalake import DeltaTable

    from dbxdec.io_managers.delta.manager import Mode
    from dbxdec.io_managers.delta.polars.target import Target
    from dbxdec.io_managers.delta.receipts import Left

# delta-rs hands the rows of partitions to several writers. While one of them waits, it holds any number of rows for the
# others, so memory grew with the data. One writer, few batches ahead, keeps it flat. These settings are read once.
_BOUNDED = {"DELTARS_MAX_CONCURRENT_WRITERS": "1", "DELTARS_WRITER_BATCH_CHANNEL_SIZE": "1"}


def replace_partitions(target: Target, frame: pl.DataFrame | pl.LazyFrame, table: DeltaTable) -> None:
    """Replace the partitions that are in the data. delta-rs needs to know them before the first row."""
    with once_only(frame) as kept:
        columns = list(target.partitions)
        tuples = kept.lazy().select(map(named, columns)).unique().collect(engine="streaming").rows()
        left = of_partitions(columns, tuples)
        if not tuples:
            with refusals(target.context.uri, "write"):
                table_log.add_receipt(table, target.receipt, left)
            return
        predicate = predicates.predicate(columns, tuples, *texts_and_singles(kept.collect_schema()))
        sink(target, kept, table, left, mode="overwrite", predicate=predicate, spilled=True)


def texts_and_singles(schema: Mapping[str, pl.DataType]) -> tuple[list[str], list[str]]:
    import polars as pl

    return [n for n, kind in schema.items() if kind == pl.String], [n for n, t in schema.items() if t == pl.Float32]


def sink(
    target: Target,
    frame: pl.DataFrame | pl.LazyFrame,
    place: str | DeltaTable,
    left: Left,
    *,
    mode: Mode,
    predicate: str | None = None,
    spilled: bool = False,
) -> None:
    """Commit `frame` with a receipt that states the result `left`; a `place` that is a string is that of a new table.

    A `spilled` frame is no longer a query that could end halfway.
    """
    import polars as pl

    new = isinstance(place, str)
    # delta-rs would keep rows that another writer added since the table was opened.
    whole = mode == "overwrite" and predicate is None
    alone = new or whole or (mode == "append" and target.watches_table)
    options = {
        **target.write_options,
        "partition_by": list(target.partitions) or None,
        "schema_mode": "overwrite" if target.schema == "replace" and not new else None,
        "commit_properties": table_log.commit_properties(target.receipt, left, alone=alone),
        "predicate": predicate,
    }
    given = {name: value for name, value in options.items() if value is not None}
    storage = target.storage_options if new else None
    clear = refusals(target.context.uri, "write", lambda name: unsigned_field(frame.collect_schema(), name))
    if isinstance(frame, pl.LazyFrame):
        for name, value in _BOUNDED.items():
            os.environ.setdefault(name, value)
        # The errors of the query come from the task, and are raised first.
        whole_frame = nullcontext(frame) if spilled else stream.whole_or_nothing(frame)
        with whole_frame as rows, clear, rules_of(target.context.uri):
            rows.sink_delta(place, mode=mode, storage_options=storage, delta_write_options=given)
    else:
        with clear, rules_of(target.context.uri):
            frame.write_delta(place, mode=mode, storage_options=storage, delta_write_options=given)
