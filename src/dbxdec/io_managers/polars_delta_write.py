"""Frames into Delta tables: one write by its mode, exactly once, in one pass."""

from __future__ import annotations

import random
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.errors import RunError, listed
from dbxdec.io_managers import delta_log, delta_once, delta_partitions, polars_schema
from dbxdec.io_managers.base import WriteResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl
    from deltalake import DeltaTable

    from dbxdec.io_managers.base import OutputContext, Receipt

Mode = Literal["error", "overwrite", "append", "ignore"]
SchemaPolicy = Literal["strict", "add-columns", "replace"]

SCHEMA_MODES = {"strict": None, "add-columns": "merge", "replace": "overwrite"}
ATTEMPTS = 8


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
    """Wait before the next try: longer each time, and by chance, so that writers part."""
    time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311


@contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Storage that refuses a write, in one sentence; files of the task's own query pass as they are."""
    try:
        yield
    except OSError as error:
        if type(error) is not OSError:
            raise
        raise RunError(
            f"the storage of {uri} refused the write: {error}",
            hint="Delta needs an atomic rename or put-if-absent, which mounts such as /Volumes and /dbfs lack: "
            "use the cloud path (s3://, abfss://, gs://), or check permissions and credentials",
        ) from error


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
        spill = Path(scratch, "spill.arrow")
        frame.sink_ipc(spill, compression="lz4")
        yield pl.scan_ipc(spill)


def write_frame(target: Target, frame: pl.DataFrame | pl.LazyFrame) -> WriteResult:
    """Store `frame` by the mode. Raises RunError, with nothing written, where it can't be."""
    import polars as pl
    from deltalake.exceptions import CommitFailedError, DeltaError

    frame, schema = polars_schema.storable(frame)
    polars_schema.check_partitions(schema, target.partitions, task=target.receipt.id.task)
    watch = polars_schema.Watch()
    if target.slice is not None:
        frame = polars_schema.refuse_rows_outside(frame, target.slice, watch, task=target.receipt.id.task)
    for attempt in range(ATTEMPTS):
        table = target.open()
        try:
            with storage_errors(target.context.uri):
                return _write_once(target, frame, schema, table, watch)
        except CommitFailedError as error:
            # Rows that are merely added may be written again whatever another writer did in between; so may those of a
            # table that somebody else has made first, by what the mode says of existing tables.
            if (table is not None and target.mode != "append") or attempt == ATTEMPTS - 1:
                raise delta_once.conflict(target.context, error) from error
        except (DeltaError, pl.exceptions.PolarsError):
            if watch.refusal is not None:
                raise watch.refusal from None
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
        delta_log.add_receipt(table, target.receipt, once=False, wrote=False)
    return WriteResult(note="nothing to write")


def _write_once(
    target: Target,
    frame: pl.DataFrame | pl.LazyFrame,
    schema: Mapping[str, pl.DataType],
    table: DeltaTable | None,
    watch: polars_schema.Watch,
) -> WriteResult:
    """One try, on the table as it was looked at: whatever happens to it meanwhile is a conflict."""
    import polars as pl

    if table is None:
        frame = polars_schema.refuse_negative_decimals(frame, target.partitions, watch)
        sink(target, frame, target.context.uri, mode="error")
        return delta_once.result_of(target.open(), target.receipt)
    if target.mode == "ignore":
        return WriteResult(table.version(), note='kept what is there (mode="ignore")')
    if target.mode in ("error", "append"):
        if (done := delta_once.done_before(table, target.receipt)) is not None:
            return done
        if target.mode == "error":
            raise delta_once.exists(target.context)
    target.check_partitions(table)
    there = pl.scan_delta(table).collect_schema()
    polars_schema.check(schema, there, policy=target.schema, uri=target.context.uri)
    # The table's own partitions: `partition_by` may be left out for a table that is there.
    partitions = table.metadata().partition_columns
    polars_schema.check_partitions(schema, partitions, task=target.receipt.id.task)
    frame = polars_schema.refuse_negative_decimals(frame, partitions, watch)
    if target.slice is not None:
        predicate = delta_partitions.slice_predicate(target.slice, partitions, *_texts_and_singles(schema))
        sink(target, frame, table, mode="overwrite", predicate=predicate)
    elif target.mode == "overwrite" and target.partitions:
        _replace_partitions(target, frame, table)
    else:
        sink(target, frame, table, mode=target.mode)
    return delta_once.result_of(target.open(), target.receipt)


def _replace_partitions(target: Target, frame: pl.DataFrame | pl.LazyFrame, table: DeltaTable) -> None:
    """Replace the partitions that are in the data, which delta-rs wants to know before the first row."""
    with once_only(frame) as kept:
        columns = list(target.partitions)
        tuples = kept.lazy().select(columns).unique().collect(engine="streaming").rows()
        if not tuples:
            delta_log.add_receipt(table, target.receipt, once=False)
            return
        predicate = delta_partitions.predicate(columns, tuples, *_texts_and_singles(kept.collect_schema()))
        sink(target, kept, table, mode="overwrite", predicate=predicate)


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
) -> None:
    """Commit `frame` with the receipt; a `place` that is a text is where a table is to be made."""
    import polars as pl

    new = isinstance(place, str)
    after = -1 if isinstance(place, str) else place.version()
    options = {
        **target.write_options,
        "partition_by": list(target.partitions) or None,
        "schema_mode": None if new else SCHEMA_MODES[target.schema],
        "commit_properties": delta_log.commit_properties(
            target.receipt, once=target.mode != "overwrite", creates=new, after=after
        ),
        "predicate": predicate,
    }
    given = {name: value for name, value in options.items() if value is not None}
    storage = target.storage_options if new else None
    if isinstance(frame, pl.LazyFrame):
        frame.sink_delta(place, mode=mode, storage_options=storage, delta_write_options=given)
    else:
        frame.write_delta(place, mode=mode, storage_options=storage, delta_write_options=given)
