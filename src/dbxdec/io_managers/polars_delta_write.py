"""Frames into Delta tables: one write by its mode, exactly once, in one pass."""

from __future__ import annotations

import os
import random
import tempfile
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError, listed
from dbxdec.io_managers import (
    columns,
    delta_log,
    delta_once,
    delta_partitions,
    delta_storage,
    outcomes,
    polars_delta_stream,
    polars_schema,
)
from dbxdec.io_managers.base import WriteResult
from dbxdec.io_managers.delta_storage import refusals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl
    from deltalake import DeltaTable

    from dbxdec.io_managers.base import OutputContext, Receipt
    from dbxdec.io_managers.delta import Mode, SchemaPolicy


SCHEMA_MODES = {"strict": None, "add-columns": "merge", "replace": "overwrite"}
ATTEMPTS = 12
_MAX_PAUSE_S = 3
# delta-rs hands the rows of partitions to several writers, and as long as one of them waits it holds any number of rows
# for the others: memory grew with the data. One writer, few batches ahead, keeps it flat. It reads these once.
_BOUNDED = {"DELTARS_MAX_CONCURRENT_WRITERS": "1", "DELTARS_WRITER_BATCH_CHANNEL_SIZE": "1"}


@dataclass(frozen=True, slots=True)
class Target:
    """A table as one write sees it, its options resolved. `slice` is what `replace=` says, by column."""

    context: OutputContext
    mode: Mode
    schema: SchemaPolicy
    partitions: tuple[str, ...]
    slice: Mapping[str, Any] | None
    storage_options: dict[str, str] | None
    write_options: Mapping[str, Any]

    @property
    def receipt(self) -> Receipt:
        return self.context.receipt

    def open(self) -> DeltaTable | None:
        """The newest version, None where there is no table."""
        return delta_log.open_table(self.context.uri, self.storage_options)

    def check_partitions(self, table: DeltaTable) -> None:
        """Raise RunError where the table has other partition columns than `partition_by` says."""
        there = tuple(table.metadata().partition_columns)
        if self.partitions and there != self.partitions:
            is_ = f"is partitioned by {listed(there)}" if there else "is not partitioned"
            raise RunError(
                f"the table {self.context.uri} {is_}, and its task says partition_by={list(self.partitions)}",
                hint="write it with the partitions it has, or write another table",
            )


def pause(attempt: int) -> None:
    """Wait before the next try: longer each time up to a bound, and by chance, so that writers part."""
    time.sleep(random.uniform(0, min(_MAX_PAUSE_S, 0.05 * 2**attempt)))  # noqa: S311


@contextmanager
def once_only(frame: pl.DataFrame | pl.LazyFrame) -> Iterator[pl.DataFrame | pl.LazyFrame]:
    """`frame`, to be read as often as needed: a LazyFrame runs once, into local files next to the process.

    Running it twice would double the work, collecting it could exceed the memory.
    """
    import polars as pl

    if not isinstance(frame, pl.LazyFrame):
        yield frame
        return
    with tempfile.TemporaryDirectory(prefix="dbxdec-") as scratch:
        # Not Arrow's IPC: reading that again takes memory in proportion to it.
        spill = Path(scratch, "spill.parquet")
        frame.sink_parquet(spill, compression="lz4", statistics=False)
        yield pl.scan_parquet(spill)


def write_frame(target: Target, frame: pl.DataFrame | pl.LazyFrame) -> WriteResult:
    """Store `frame` by the mode. Raises RunError, with nothing written, where it can't be."""
    from deltalake.exceptions import CommitFailedError, DeltaError

    frame, schema = polars_schema.storable(frame)
    polars_schema.check_partitions(schema, target.partitions, task=target.receipt.id.task)
    if target.slice is not None:
        frame = polars_schema.refuse_rows_outside(frame, target.slice, task=target.receipt.id.task)
    for attempt in range(ATTEMPTS):
        table = target.open()
        try:
            return _write_once(target, frame, schema, table)
        except CommitFailedError as error:
            # Rows that are merely added may be written again whatever another writer did in between; so may those of a
            # table that somebody else has made first, by what the mode says of existing tables.
            if (table is not None and target.mode != "append") or attempt == ATTEMPTS - 1:
                raise outcomes.conflict(target.context, delta_storage.said(error)) from error
        except DeltaError:
            # Somebody else made the table in between.
            if table is not None or target.open() is None:
                raise
        pause(attempt)
    raise AssertionError("unreachable")


def write_nothing(target: Target) -> WriteResult:
    """Note in the table, where there is one, that the task had nothing to write."""
    table = target.open()
    if table is not None:
        # A retry of work that an earlier attempt has finished may find nothing left to do: that work counts.
        if (done := delta_once.done_before(table, target.receipt)) is not None:
            return done
        with refusals(target.context.uri, "write"):
            delta_log.add_receipt(table, target.receipt, once=False, wrote=False)
    return WriteResult(note="nothing to write")


def _write_once(
    target: Target,
    frame: pl.DataFrame | pl.LazyFrame,
    schema: Mapping[str, pl.DataType],
    table: DeltaTable | None,
) -> WriteResult:
    """One try, on the table as it was looked at: whatever happens to it meanwhile is a conflict."""
    import polars as pl

    if table is None:
        frame = polars_schema.refuse_negative_decimals(frame, target.partitions)
        sink(target, frame, target.context.uri, mode="error")
        return delta_once.result_of(target.open(), target.receipt)
    if target.mode == "ignore":
        return _keep(target, table)
    if target.mode in ("error", "append"):
        if (done := delta_once.done_before(table, target.receipt)) is not None:
            return done
        if target.mode == "error":
            raise outcomes.exists(target.context)
    target.check_partitions(table)
    there = pl.Schema(table.schema())
    columns.compare(schema, there, policy=target.schema, uri=target.context.uri)
    # The table's own partitions: `partition_by` may be left out for a table that is there.
    partitions = table.metadata().partition_columns
    polars_schema.check_partitions(schema, partitions, task=target.receipt.id.task)
    frame = polars_schema.refuse_negative_decimals(frame, partitions)
    if target.slice is not None:
        predicate = delta_partitions.slice_predicate(target.slice, partitions, *_texts_and_singles(schema))
        sink(target, frame, table, mode="overwrite", predicate=predicate)
    elif target.mode == "overwrite" and target.partitions:
        _replace_partitions(target, frame, table)
    else:
        sink(target, frame, table, mode=target.mode)
    return delta_once.result_of(table, target.receipt)


def _keep(target: Target, table: DeltaTable) -> WriteResult:
    """Leave the rows alone, and note in the log that the task has run: its readers get the table as it is now."""
    note = 'kept what is there (mode="ignore")'
    if (done := delta_once.done_before(table, target.receipt)) is not None:
        return done
    try:
        with refusals(target.context.uri, "write"):
            delta_log.add_receipt(table, target.receipt, once=False, kept=True)
    except RunError as error:
        return WriteResult(table.version(), note=f"{note}, where no receipt can be left for readers: {error}")
    return WriteResult(table.version(), note=note)


def _replace_partitions(target: Target, frame: pl.DataFrame | pl.LazyFrame, table: DeltaTable) -> None:
    """Replace the partitions that are in the data, which delta-rs wants to know before the first row."""
    with once_only(frame) as kept:
        columns = list(target.partitions)
        tuples = kept.lazy().select(columns).unique().collect(engine="streaming").rows()
        if not tuples:
            with refusals(target.context.uri, "write"):
                delta_log.add_receipt(table, target.receipt, once=False)
            return
        predicate = delta_partitions.predicate(columns, tuples, *_texts_and_singles(kept.collect_schema()))
        sink(target, kept, table, mode="overwrite", predicate=predicate, spilled=True)


def _texts_and_singles(schema: Mapping[str, pl.DataType]) -> tuple[list[str], list[str]]:
    import polars as pl

    return [n for n, kind in schema.items() if kind == pl.String], [n for n, t in schema.items() if t == pl.Float32]


def sink(
    target: Target,
    frame: pl.DataFrame | pl.LazyFrame,
    place: str | DeltaTable,
    *,
    mode: Mode,
    predicate: str | None = None,
    spilled: bool = False,
) -> None:
    """Commit `frame` with the receipt; a `place` that is a text is where a table is to be made.

    One that is `spilled` is no query any more that could end halfway.
    """
    import polars as pl

    new = isinstance(place, str)
    after = -1 if isinstance(place, str) else place.version()
    # delta-rs would let rows stand that another writer has added since the table was looked at.
    whole = mode == "overwrite" and predicate is None
    options = {
        **target.write_options,
        "partition_by": list(target.partitions) or None,
        "schema_mode": None if new else SCHEMA_MODES[target.schema],
        "commit_properties": delta_log.commit_properties(
            target.receipt, once=target.mode != "overwrite", alone=new or whole, after=after
        ),
        "predicate": predicate,
    }
    given = {name: value for name, value in options.items() if value is not None}
    storage = target.storage_options if new else None
    if isinstance(frame, pl.LazyFrame):
        for name, value in _BOUNDED.items():
            os.environ.setdefault(name, value)
        # The errors of the query are the task's own, and come first.
        whole_frame = nullcontext(frame) if spilled else polars_delta_stream.whole_or_nothing(frame)
        with whole_frame as rows, refusals(target.context.uri, "write"):
            rows.sink_delta(place, mode=mode, storage_options=storage, delta_write_options=given)
    else:
        with refusals(target.context.uri, "write"):
            frame.write_delta(place, mode=mode, storage_options=storage, delta_write_options=given)
