"""Delta tables through Polars and delta-rs: DataFrames and LazyFrames in, DataFrames and LazyFrames out."""

from __future__ import annotations

import os
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dbxdec.errors import DbxdecError, NotWrittenError, Problem, RunError, TargetExistsError, did_you_mean, listed
from dbxdec.io_managers import delta_log, delta_partitions, delta_written, polars_schema
from dbxdec.io_managers.base import InputContext, IoManager, OutputContext, WriteResult, current_receipt, log
from dbxdec.variables import BundleVariable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from deltalake import CommitProperties, DeltaTable
    from deltalake.table import TableMerger

    from dbxdec.io_managers.base import Receipt
    from dbxdec.secrets import Secret

Mode = Literal["error", "overwrite", "append", "ignore"]
SchemaPolicy = Literal["strict", "add-columns", "replace"]

_MODES = ("error", "overwrite", "append", "ignore")
_SCHEMA_MODES = {"strict": None, "add-columns": "merge", "replace": "overwrite"}
# Options of write_deltalake that dbxdec sets itself, and what the author writes instead.
_OWN_OPTIONS = {
    "mode": "`mode=`",
    "partition_by": "`partition_by=`",
    "schema_mode": "`schema=`",
    "storage_options": "`storage_options=`",
    "predicate": '`mode="overwrite"` with `partition_by=`',
    "commit_properties": "nothing: the commit carries the receipt of the task",
}
_MERGER = "deltalake.TableMerger"
_ATTEMPTS = 8


class PolarsDeltaIoManager(IoManager):
    """Stores Polars frames as Delta tables below `base_path`; the default table of a task is named by its key.

    `mode` says what a write does with what is there: "error" (the default) refuses, "overwrite" replaces the table,
    or with `partition_by` the partitions that are in the data, "append" adds the rows exactly once, "ignore" keeps
    what is there. `schema` says what becomes of columns that differ: "strict" refuses, "add-columns" lets the table
    grow, "replace" gives it the new schema. `storage_options` go to delta-rs and never into the manifest;
    `delta_write_options` go to `write_deltalake`. A returned `TableMerger` is executed, whatever the mode.

    `base_path` may hold bundle variables, `{job}` and `{task}`. Parameters annotated `pl.DataFrame` get one, all
    others a LazyFrame. Raises DbxdecError, with every mistake, for options that are wrong.
    """

    reads: ClassVar[frozenset[str] | None] = frozenset({"polars.DataFrame", "polars.LazyFrame"})
    writes: ClassVar[frozenset[str] | None] = frozenset({"polars.DataFrame", "polars.LazyFrame", _MERGER})
    reads_written: ClassVar[bool] = True
    table_options: ClassVar[tuple[str, ...]] = ("mode", "partition_by", "schema", "shared", "delta_write_options")

    def __init__(
        self,
        base_path: str | os.PathLike[str] | BundleVariable,
        *,
        mode: Mode = "error",
        partition_by: str | Sequence[str] | None = None,
        schema: SchemaPolicy = "strict",
        shared: bool = False,
        storage_options: Mapping[str, str | BundleVariable | Secret] | None = None,
        delta_write_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.base_path = base_path if isinstance(base_path, str | BundleVariable) else os.fspath(base_path)
        self.mode = mode
        self.partition_by = partition_by
        self.schema = schema
        self.shared = shared
        self.storage_options = storage_options
        self.delta_write_options = delta_write_options
        self.check_options()

    def __repr__(self) -> str:
        table = f", table={self._table!r}" if self._table is not None else ""
        return f"{type(self).__name__}({str(self.base_path)!r}, mode={self.mode!r}{table})"

    def check_options(self) -> None:
        self.partition_by = _columns(self.partition_by)
        problems = [
            Problem(f"`{name}` of {type(self).__name__} is {value!r}", hint=_hint(value, allowed))
            for name, value, allowed in (("mode", self.mode, _MODES), ("schema", self.schema, tuple(_SCHEMA_MODES)))
            if value not in allowed
        ]
        if not str(self.base_path):
            problems.append(Problem("`base_path` is empty", hint="give the folder or the URI that holds the tables"))
        partitions = list(self._partitions)
        if "" in partitions or len(set(partitions)) < len(partitions):
            problems.append(Problem(f"`partition_by` is {partitions}", hint="name each column once"))
        if self.schema == "replace" and (self.mode != "overwrite" or self.partition_by):
            problems.append(
                Problem(
                    'schema="replace" gives the whole table a new schema, and this write replaces less than the table',
                    hint='use it with mode="overwrite" and without `partition_by`; "add-columns" lets a table grow',
                )
            )
        problems += [
            Problem(f"`delta_write_options` has `{name}`, which dbxdec sets", hint=f"use {instead}")
            for name, instead in _OWN_OPTIONS.items()
            if name in (self.delta_write_options or {})
        ]
        if problems:
            raise DbxdecError(problems)

    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"mode": self.mode, "schema": self.schema}
        return {**settings, "partition_by": list(self._partitions)} if self._partitions else settings

    def joins(self, returns: tuple[str, ...] | None) -> bool:
        """Appends, overwritten partitions and merges leave alone what others have written."""
        merges = returns is not None and _MERGER in returns
        return merges or self.mode == "append" or (self.mode == "overwrite" and bool(self._partitions))

    def combine(self, values: list[Any], context: InputContext) -> pl.DataFrame | pl.LazyFrame:
        """All frames, one below the other; a column that some lack is null there."""
        import polars as pl

        frames: list[pl.LazyFrame] = [value.lazy() for value in values]
        together = pl.concat(frames, how="diagonal_relaxed")
        return together.collect() if context.annotation is pl.DataFrame else together

    # Reading

    def read(self, context: InputContext | None = None) -> pl.DataFrame | pl.LazyFrame:
        """The table as a LazyFrame, or as a DataFrame where the parameter is annotated so.

        With a producer it is exactly the version that this write made; without, the newest. Called by hand it reads
        the table that this manager is bound to.
        """
        import polars as pl

        context = context or InputContext(self.uri())
        table = delta_log.open_table(context.uri, self._storage_options())
        if table is None:
            raise self._missing(context)
        if table.table_uri.startswith("file:") and "%" in table.table_uri:
            # Polars 2.1 looks for the percent-encoded path, and would fail inside the task's own query.
            raise RunError(
                f"Polars can't read a Delta table at {context.uri}: the local path {table.table_uri} has spaces, or "
                "letters other than ASCII",
                hint="work in another folder, or give `base_path` one without them",
            )
        if context.producer is not None:
            self._pin(table, context)
        frame = (
            delta_written.scan(table, table.version(), context.parameter) if context.written else pl.scan_delta(table)
        )
        return frame.collect() if context.annotation is pl.DataFrame else frame

    def _missing(self, context: InputContext) -> RunError:
        if context.producer is None:
            return RunError(
                f"there is no Delta table at {context.uri}, which `{context.parameter}` reads",
                hint="check the path, and that whoever writes the table has run",
            )
        return _not_written(context)

    def _pin(self, table: DeltaTable, context: InputContext) -> None:
        """Move `table` to the version that the producer wrote in this run."""
        assert context.producer is not None  # noqa: S101 - the caller has looked
        found = delta_log.find_receipt(table, context.producer, since=context.started)
        if found is None and self.mode == "ignore" and not context.written:
            log.info('read %s: mode="ignore" kept the table of an earlier run', context.parameter)
            return
        if found is None or not found.wrote:
            raise _not_written(context)
        if found.version != table.version():
            table.load_as_version(found.version)

    # Writing

    def preflight(self, context: OutputContext) -> None:
        # A function that says nothing of what it returns may return a merge, which any mode executes.
        if context.returns is None or _MERGER in context.returns:
            return
        table = delta_log.open_table(context.uri, self._storage_options())
        if table is None:
            return
        if self.mode in ("error", "append") and self._done(table, context.receipt) is None and self.mode == "error":
            raise _exists(context)
        if self.mode in ("append", "overwrite"):
            self._check_partitions(table, context)

    def write(self, context: OutputContext, value: Any) -> WriteResult:
        """Store a DataFrame or LazyFrame by the mode, execute a TableMerger, note that there was nothing to write."""
        import polars as pl
        from deltalake.table import TableMerger

        if value is None:
            return self._write_nothing(context)
        if isinstance(value, TableMerger):
            return self._merge(context, value)
        if not isinstance(value, pl.DataFrame | pl.LazyFrame):
            kind = type(value)
            raise RunError(
                f"the task `{context.receipt.id.task}` returned a {kind.__module__}.{kind.__qualname__}, which "
                f"{type(self).__name__} can't store",
                hint="return a pl.DataFrame, a pl.LazyFrame or a TableMerger",
            )
        return self._write_frame(context, value)

    def commit_properties(self) -> CommitProperties:
        """Commit properties for a merge or a write that the task does itself, so that a retry never repeats it.

        Give them where the merge is made: `table.merge(..., commit_properties=io.commit_properties())`. Outside a run
        they are empty.
        """
        from deltalake import CommitProperties

        receipt = current_receipt()
        return CommitProperties() if receipt is None else delta_log.commit_properties(receipt, once=True)

    def _write_frame(self, context: OutputContext, frame: pl.DataFrame | pl.LazyFrame) -> WriteResult:
        from deltalake.exceptions import CommitFailedError, DeltaError

        frame, schema = polars_schema.storable(frame)
        polars_schema.check_partitions(schema, self._partitions, task=context.receipt.id.task)
        for attempt in range(_ATTEMPTS):
            table = delta_log.open_table(context.uri, self._storage_options())
            try:
                return self._write_once(context, frame, schema, table)
            except CommitFailedError as error:
                # Rows that are merely added may be written again whatever another writer did in between; so may those
                # of a table that somebody else has made first, by what the mode says of existing tables.
                if (table is not None and self.mode != "append") or attempt == _ATTEMPTS - 1:
                    raise _conflict(context, error) from error
            except OSError as error:
                if type(error) is not OSError:  # a file of the task's own query
                    raise
                raise RunError(
                    f"the storage of {context.uri} refused the write: {error}",
                    hint="Delta needs an atomic rename or put-if-absent, which mounts such as /Volumes and /dbfs lack: "
                    "use the cloud path (s3://, abfss://, gs://), or check permissions and credentials",
                ) from error
            except DeltaError:
                # Somebody else made the table in between.
                if table is not None or not delta_log.open_table(context.uri, self._storage_options()):
                    raise
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, so that writers part
        raise AssertionError("unreachable")

    def _write_once(
        self,
        context: OutputContext,
        frame: pl.DataFrame | pl.LazyFrame,
        schema: Mapping[str, pl.DataType],
        table: DeltaTable | None,
    ) -> WriteResult:
        """One try, on the table as it was looked at: whatever happens to it meanwhile is a conflict."""
        import polars as pl

        if table is None:
            frame = polars_schema.refuse_negative_decimals(frame, self._partitions)
            self._sink(context, frame, context.uri, mode="error")
            return self._written(context)
        if self.mode == "ignore":
            return WriteResult(table.version(), note='kept what is there (mode="ignore")')
        if self.mode in ("error", "append"):
            if (done := self._done(table, context.receipt)) is not None:
                return done
            if self.mode == "error":
                raise _exists(context)
        self._check_partitions(table, context)
        polars_schema.check(schema, pl.scan_delta(table).collect_schema(), policy=self.schema, uri=context.uri)
        # The table's own partitions: `partition_by` may be left out for a table that is there.
        partitions = table.metadata().partition_columns
        polars_schema.check_partitions(schema, partitions, task=context.receipt.id.task)
        frame = polars_schema.refuse_negative_decimals(frame, partitions)
        if self.mode == "overwrite" and self._partitions:
            self._replace_partitions(context, frame, table)
        else:
            self._sink(context, frame, table, mode=self.mode)
        return self._written(context)

    def _replace_partitions(
        self, context: OutputContext, frame: pl.DataFrame | pl.LazyFrame, table: DeltaTable
    ) -> None:
        """Replace the partitions that are in the data.

        delta-rs wants to know them before the first row. A LazyFrame runs once, into local files next to the process,
        and is written from there: running it twice would double the work, collecting it could exceed the memory.
        """
        import polars as pl

        with tempfile.TemporaryDirectory(prefix="dbxdec-") as scratch:
            if isinstance(frame, pl.LazyFrame):
                spill = Path(scratch, "spill.arrow")
                frame.sink_ipc(spill, compression="lz4")
                frame = pl.scan_ipc(spill)
            columns = list(self._partitions)
            schema = frame.collect_schema()
            texts = [name for name in columns if schema[name] == pl.String]
            singles = [name for name in columns if schema[name] == pl.Float32]
            tuples = frame.lazy().select(columns).unique().collect(engine="streaming").rows()
            if not tuples:
                delta_log.add_receipt(table, context.receipt, once=False)
                return
            predicate = delta_partitions.predicate(columns, tuples, texts, singles)
            self._sink(context, frame, table, mode="overwrite", predicate=predicate)

    def _sink(
        self,
        context: OutputContext,
        frame: pl.DataFrame | pl.LazyFrame,
        target: str | DeltaTable,
        *,
        mode: Mode,
        predicate: str | None = None,
    ) -> None:
        import polars as pl

        new = isinstance(target, str)
        after = -1 if isinstance(target, str) else target.version()
        options = {
            **self.resolve(dict(self.delta_write_options or {})),
            "partition_by": list(self._partitions) or None,
            "schema_mode": None if new else _SCHEMA_MODES[self.schema],
            "commit_properties": delta_log.commit_properties(
                context.receipt, once=self.mode != "overwrite", creates=new, after=after
            ),
            "predicate": predicate,
        }
        given = {name: value for name, value in options.items() if value is not None}
        storage = self._storage_options() if new else None
        if isinstance(frame, pl.LazyFrame):
            frame.sink_delta(target, mode=mode, storage_options=storage, delta_write_options=given)
        else:
            frame.write_delta(target, mode=mode, storage_options=storage, delta_write_options=given)

    def _write_nothing(self, context: OutputContext) -> WriteResult:
        table = delta_log.open_table(context.uri, self._storage_options())
        if table is not None:
            # A retry of work that an earlier attempt has finished may find nothing left to do: that work counts.
            if (done := self._done(table, context.receipt)) is not None:
                return done
            delta_log.add_receipt(table, context.receipt, once=False, wrote=False)
        return WriteResult(note="nothing to write")

    def _merge(self, context: OutputContext, merger: TableMerger) -> WriteResult:
        """Execute a merge that the author has made, unless an earlier attempt of this write has done so."""
        from deltalake.exceptions import CommitFailedError

        target = _uri_of(merger) or context.uri
        options = self._storage_options()
        before = delta_log.open_table(target, options)
        if before is not None and (done := self._done(before, context.receipt)) is not None:
            return done
        started = time.time_ns() // 1_000_000
        try:
            metrics = merger.execute()
        except CommitFailedError as error:
            now = delta_log.open_table(target, options)
            if now is None or (done := self._done(now, context.receipt)) is None:
                raise _conflict(context, error) from error
            return done  # another attempt of this write was quicker
        table = delta_log.open_table(target, options)
        assert table is not None  # noqa: S101 - a merge has just been committed to it
        rows = sum(metrics.get(f"num_target_rows_{kind}", 0) for kind in ("inserted", "updated", "deleted"))
        found = delta_log.find_receipt(table, context.receipt.id, since=started)
        note = "merged" if target.rstrip("/").endswith(context.uri.rstrip("/")) else f"merged into {target}"
        if found is None or found.receipt != context.receipt:
            # The receipt comes behind the data; a kill in between makes the retry merge again.
            delta_log.add_receipt(table, context.receipt, once=True, merge=metrics)
            if metrics.get("num_target_files_added") or metrics.get("num_target_files_removed"):
                note += "; at least once: give the merge `commit_properties=io.commit_properties()` for exactly once"
            return WriteResult(table.version() + 1, rows, note)
        return WriteResult(found.version, rows, note)

    def _done(self, table: DeltaTable, receipt: Receipt) -> WriteResult | None:
        """What an earlier attempt of this same write has committed, None where there is none.

        Raises RunError where it was done by another build or with other parameters: dropping the new result would
        lose it in silence, and adding it would double the rows.
        """
        if not delta_log.committed(table, receipt.id):
            return None
        found = delta_log.find_receipt(table, receipt.id)
        if found is None:  # the log has been cleaned since; the transaction identifier remains
            return WriteResult(note="written by an earlier attempt")
        if (found.receipt.build, found.receipt.parameters) != (receipt.build, receipt.parameters):
            what = "build" if found.receipt.build != receipt.build else "parameters"
            raise RunError(
                f"the task `{receipt.id.task}` of this run has already written {table.table_uri} (version "
                f"{found.version}) with another {what.removesuffix('s') if what == 'build' else 'set of parameters'}",
                hint=f"restore the table to version {found.version - 1} and repair again, or start a new run",
            )
        return WriteResult(found.version, note=f"already written by attempt {found.receipt.attempt}")

    def _written(self, context: OutputContext) -> WriteResult:
        table = delta_log.open_table(context.uri, self._storage_options())
        found = delta_log.find_receipt(table, context.receipt.id) if table is not None else None
        return WriteResult(found.version, found.metrics.get("num_added_rows")) if found else WriteResult()

    def _check_partitions(self, table: DeltaTable, context: OutputContext) -> None:
        there = tuple(table.metadata().partition_columns)
        if self._partitions and there != self._partitions:
            is_ = f"is partitioned by {listed(there)}" if there else "is not partitioned"
            raise RunError(
                f"the table {context.uri} {is_}, and its task says partition_by={list(self._partitions)}",
                hint="write it with the partitions it has, or write another table",
            )

    @property
    def _partitions(self) -> tuple[str, ...]:
        return _columns(self.partition_by) or ()

    def _storage_options(self) -> dict[str, str] | None:
        return self.resolve(dict(self.storage_options)) if self.storage_options is not None else None


def _columns(value: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def _hint(value: object, allowed: Sequence[str]) -> str:
    return did_you_mean(str(value), allowed) or f"allowed are {', '.join(map(repr, allowed))}"


def _exists(context: OutputContext) -> TargetExistsError:
    return TargetExistsError(
        f"the target of the task `{context.receipt.id.task}`, {context.uri}, exists already",
        hint='mode="error" never touches what is there: use "overwrite", "append" or "ignore", or remove the table',
    )


def _conflict(context: OutputContext, error: Exception) -> RunError:
    return RunError(
        f"another writer changed {context.uri} while the task `{context.receipt.id.task}` wrote it: {error}",
        hint="nothing was written; a retry (`max_retries=`) starts from the table as it is then",
    )


def _not_written(context: InputContext) -> NotWrittenError:
    assert context.producer is not None  # noqa: S101 - only reads with a producer come here
    return NotWrittenError(
        f"the task `{context.producer.task}` wrote nothing to {context.uri} in this run, and `{context.parameter}` "
        "needs it",
        hint=f"annotate `{context.parameter}` with `| None` if that may happen, or pass the table itself "
        "(`io.table(...)`) to read its newest version",
    )


def _uri_of(merger: TableMerger) -> str | None:
    """Where a merge goes; delta-rs has no public way to ask."""
    uri = getattr(getattr(merger, "_table", None), "table_uri", None)
    return str(uri()) if callable(uri) else None
