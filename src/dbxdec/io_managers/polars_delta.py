"""Delta tables through Polars and delta-rs: DataFrames and LazyFrames in, DataFrames and LazyFrames out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from dbxdec import places
from dbxdec.errors import DbxdecError, Problem, RunError, did_you_mean
from dbxdec.io_managers import delta_log, delta_once, delta_written, polars_delta_features
from dbxdec.io_managers.base import (
    InputContext,
    IoManager,
    OutputContext,
    WriteResult,
    current_receipt,
    described,
    of_run,
    tell,
)
from dbxdec.io_managers.delta_merge import DeltaMerge
from dbxdec.io_managers.polars_delta_write import (
    SCHEMA_MODES,
    Mode,
    SchemaPolicy,
    Target,
    write_frame,
    write_nothing,
)
from dbxdec.literals import UnsupportedLiteralError
from dbxdec.variables import BundleVariable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl
    from deltalake import CommitProperties, DeltaTable

    from dbxdec.secrets import Secret

_MODES = ("error", "overwrite", "append", "ignore")
# Options of write_deltalake that dbxdec sets itself, and what the author writes instead.
_OWN_OPTIONS = {
    "mode": "`mode=`",
    "partition_by": "`partition_by=`",
    "schema_mode": "`schema=`",
    "storage_options": "`storage_options=`",
    "predicate": '`mode="overwrite"` with `partition_by=`',
    "commit_properties": "nothing: the commit carries the receipt of the task",
}
_MERGES = frozenset({"deltalake.TableMerger", "dbxdec.DeltaMerge"})


class PolarsDeltaIoManager(IoManager):
    """Stores Polars frames as Delta tables below `base_path`; the default table of a task is named by its key.

    `mode` says what a write does with what is there: "error" (the default) refuses, "overwrite" replaces the table,
    or with `partition_by` the partitions that are in the data, or with `replace={"day": day}` the rows of that day,
    also where the result is empty; "append" adds the rows exactly once, "ignore" keeps what is there. `schema` says
    what becomes of columns that differ: "strict" refuses, "add-columns" lets the table grow, "replace" gives it the new
    schema. `storage_options` go to delta-rs and never into the manifest; `delta_write_options` go to `write_deltalake`.
    A returned `DeltaMerge` or `TableMerger` is executed, whatever the mode.

    `base_path` may hold bundle variables, `{job}` and `{task}`. Parameters annotated `pl.DataFrame` get one, all
    others a LazyFrame. Raises DbxdecError, with every mistake, for options that are wrong.
    """

    reads: ClassVar[frozenset[str] | None] = frozenset({"polars.DataFrame", "polars.LazyFrame"})
    writes: ClassVar[frozenset[str] | None] = frozenset({"polars.DataFrame", "polars.LazyFrame"}) | _MERGES
    reads_written: ClassVar[bool] = True
    table_options: ClassVar[tuple[str, ...]] = (
        "mode",
        "partition_by",
        "replace",
        "schema",
        "shared",
        "delta_write_options",
    )

    def __init__(
        self,
        base_path: str | os.PathLike[str] | BundleVariable,
        *,
        mode: Mode = "error",
        partition_by: str | Sequence[str] | None = None,
        replace: Mapping[str, Any] | None = None,
        schema: SchemaPolicy = "strict",
        shared: bool = False,
        storage_options: Mapping[str, str | BundleVariable | Secret] | None = None,
        delta_write_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.base_path = base_path if isinstance(base_path, str | BundleVariable) else os.fspath(base_path)
        self.mode = mode
        self.partition_by = partition_by
        self.replace = replace
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
            for name, value, allowed in (("mode", self.mode, _MODES), ("schema", self.schema, tuple(SCHEMA_MODES)))
            if value not in allowed
        ]
        if not str(self.base_path):
            problems.append(Problem("`base_path` is empty", hint="give the folder or the URI that holds the tables"))
        partitions = list(self._partitions)
        if "" in partitions or len(set(partitions)) < len(partitions):
            problems.append(Problem(f"`partition_by` is {partitions}", hint="name each column once"))
        if self.replace is not None and (
            not isinstance(self.replace, dict) or not self.replace or not all(type(n) is str for n in self.replace)
        ):
            problems.append(Problem(f"`replace` is {self.replace!r:.60}", hint='name columns: replace={"day": day}'))
        else:
            problems += _undescribed(self.replace or {})
        if self.replace is not None and self.mode != "overwrite":
            problems.append(Problem(f'`replace` is given with mode="{self.mode}"', hint='use it with mode="overwrite"'))
        if self.schema == "replace" and (self.mode != "overwrite" or self.partition_by or self.replace):
            problems.append(
                Problem(
                    'schema="replace" gives the whole table a new schema, and this write replaces less than the table',
                    hint='use it with mode="overwrite", without `partition_by` and `replace`; "add-columns" adds',
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
        if self._partitions:
            settings["partition_by"] = list(self._partitions)
        if self.replace is not None:
            settings["replace"] = {name: described(value) for name, value in self.replace.items()}
        return settings

    def joins(self, returns: tuple[str, ...] | None) -> bool:
        """Appends, overwritten partitions and merges leave alone what others have written."""
        merges = returns is not None and not _MERGES.isdisjoint(returns)
        parts = self.mode == "overwrite" and bool(self._partitions) and self.replace is None
        return merges or self.mode == "append" or parts

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
        polars_delta_features.refuse_read(table, pl.scan_delta(table), context.uri)
        if context.producer is not None:
            self._pin(table, context)
        tell(version=table.version())
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
        return delta_once.not_written(context)

    def _pin(self, table: DeltaTable, context: InputContext) -> None:
        """Move `table` to the version that the producer wrote in this run."""
        assert context.producer is not None  # noqa: S101 - the caller has looked
        found = delta_log.find_receipt(table, context.producer, since=context.started)
        if found is None or not found.wrote:
            raise delta_once.not_written(context)
        delta_log.load_version(table, found.version, context.uri)

    # Writing

    def preflight(self, context: OutputContext) -> None:
        target = self._target(context)
        table = target.open()
        if table is None:
            return
        # A function that says nothing of what it returns may return a merge, which any mode executes.
        merges = context.returns is None or not _MERGES.isdisjoint(context.returns)
        if merges or self.mode != "ignore":
            polars_delta_features.refuse_write(table, context.uri, mode="merge" if merges else self.mode)
        if merges:
            return
        if self.mode == "error" and delta_once.done_before(table, context.receipt) is None:
            raise delta_once.exists(context)
        if self.mode == "append":
            delta_once.done_before(table, context.receipt)
        if self.mode in ("append", "overwrite"):
            target.check_partitions(table)

    def write(self, context: OutputContext, value: Any) -> WriteResult:
        """Store a DataFrame or LazyFrame by the mode, execute a merge, note that there was nothing to write."""
        import polars as pl
        from deltalake.table import TableMerger

        from dbxdec.io_managers import polars_delta_merge

        target = self._target(context)
        if value is None:
            return write_nothing(target)
        if isinstance(value, TableMerger):
            return polars_delta_merge.execute_merger(target, value)
        if isinstance(value, DeltaMerge):
            return polars_delta_merge.execute(target, value)
        if not isinstance(value, pl.DataFrame | pl.LazyFrame):
            kind = type(value)
            raise RunError(
                f"the task `{context.receipt.id.task}` returned a {kind.__module__}.{kind.__qualname__}, which "
                f"{type(self).__name__} can't store",
                hint="return a pl.DataFrame, a pl.LazyFrame, a DeltaMerge or a TableMerger",
            )
        return write_frame(target, value)

    def commit_properties(self) -> CommitProperties:
        """Commit properties for a merge that the task returns, so that a retry never repeats it.

        Give them where the merge is made: `table.merge(..., commit_properties=io.commit_properties())`. They put the
        receipt into a commit that the task makes itself as well, and two attempts that make it at once conflict; but
        delta-rs commits again in a retry. Outside a run they are empty.
        """
        from deltalake import CommitProperties

        receipt = current_receipt(self)
        return CommitProperties() if receipt is None else delta_log.commit_properties(receipt, once=True, own=True)

    def _target(self, context: OutputContext) -> Target:
        slice_ = self.replace and {name: of_run(value, context.parameters) for name, value in self.replace.items()}
        return Target(
            context=context,
            mode=self.mode,
            schema=self.schema,
            partitions=self._partitions,
            slice=self.resolve(slice_) if slice_ is not None else None,
            storage_options=self._storage_options(),
            write_options=self.resolve(dict(self.delta_write_options or {})),
        )

    @property
    def _partitions(self) -> tuple[str, ...]:
        return _columns(self.partition_by) or ()

    def _storage_options(self) -> dict[str, str] | None:
        if places.is_local_run():
            return None  # they are of the remote storage
        return self.resolve(dict(self.storage_options)) if self.storage_options is not None else None


def _columns(value: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def _undescribed(values: Mapping[str, Any]) -> Iterator[Problem]:
    """What no run could be given."""
    for name, value in values.items():
        try:
            described(value)
        except UnsupportedLiteralError as error:
            yield Problem(f"`replace` has a value for {name!r} that no run could be given: {error}", hint=error.hint)


def _hint(value: object, allowed: Sequence[str]) -> str:
    return did_you_mean(str(value), allowed) or f"allowed are {', '.join(map(repr, allowed))}"
