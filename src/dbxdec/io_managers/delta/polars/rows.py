"""The rows of one write into a Delta table, stored in the way that the table needs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers import columns
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.delta import judging
from dbxdec.io_managers.delta.expectations import EXPECT
from dbxdec.io_managers.delta.patience import Patience
from dbxdec.io_managers.delta.polars import (
    bounds,
    checks,
    definition,
    delta_rs,
    lengths,
    once,
    predicates,
    scan,
    schemas,
    table_log,
)
from dbxdec.io_managers.delta.polars.direct import commit, parquet_files
from dbxdec.io_managers.delta.polars.spilling import once_only
from dbxdec.io_managers.delta.polars.storage import address, refusals
from dbxdec.io_managers.delta.receipts import Left, of_partitions
from dbxdec.io_managers.delta.slices import Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from deltalake import CommitProperties, DeltaTable

    from dbxdec.io_managers.contracts.structure import RuleOutcome
    from dbxdec.io_managers.delta.judging import Outcome
    from dbxdec.io_managers.delta.polars.direct.parquet_files import DataFile
    from dbxdec.io_managers.delta.polars.judging import Conditions
    from dbxdec.io_managers.delta.polars.target import Target


class Rows:
    """A frame on its way into a table. The methods that store it commit it with the receipt, and return the result.

    For a plain table Polars writes the files and delta-rs commits them; the files are kept for the next try. Otherwise
    delta-rs writes the files as well. Call `fit` first. All other methods raise CommitFailedError if another writer was
    faster.
    """

    def __init__(self, target: Target, frame: pl.DataFrame | pl.LazyFrame) -> None:
        self._target = target
        self._given = self._frame = frame
        self._schema: dict[str, pl.DataType] = {}
        self._slice: dict[str, Any] = {}
        self._lengths: dict[str, str] = {}
        self._stored: tuple[object, list[DataFile]] | None = None
        self._kept = ExitStack()
        self._conditions: Conditions | None = None
        self._judged: tuple[Conditions, pl.LazyFrame] | None = None
        self._returned = frame.collect_schema() if target.context.contract is not None else None
        self._accepted = False
        """True if the frame has only rows that the table expects."""

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def fit(self, table: DeltaTable | None) -> None:
        """Give the rows the form that `table` takes, or the form that they will have in a new table.

        Raises RunError, before anything is written, if there is no such form.
        """
        import polars as pl

        target, task = self._target, self._target.receipt.id.task
        there = None if table is None else pl.Schema(table.schema())
        computed = self._computed(table)
        # The table's own partitions: `partition_by` may be left out for an existing table.
        partitions = target.partitions if table is None else table.metadata().partition_columns
        names = there if there is not None else self._given.collect_schema()
        slice_ = None if target.slice is None else columns.spelled_as(target.slice, names)
        self._given = definition.with_generated(self._given, computed, [*partitions, *(slice_ or ())], task=task)
        checks.refuse_missing(list(self._given.collect_schema()), slice_ or (), task=task)
        frame, schema = schemas.storable(self._given, there, policy=target.schema)
        if there is not None:
            given = schemas.shapes(self._given.collect_schema())
            known = {name: kind for name, kind in there.items() if name in given or name not in computed}
            columns.compare(given, schemas.shapes(known), policy=target.schema, uri=target.context.uri)
        schemas.check_partitions(schema, partitions, task=task)
        self._lengths = {} if table is None or target.schema == "replace" else lengths.of_table(table)
        if slice_ is not None:
            self._slice = checks.exact_slice(slice_, schema, partitions)
            if not self._will_drop:
                frame = checks.refuse_rows_outside(frame, self._slice, task=task)
        if table is not None and there is not None and target.schema == "add-columns":
            frame = schemas.filled(frame, {name: kind for name, kind in there.items() if name not in computed})
        self._frame, self._schema = frame, dict(schemas.stored(frame.collect_schema()))
        if target.judge is not None and not self._accepted:
            self._conditions = target.judge.for_schema(pl.Schema(self._schema), self._returned)

    @property
    def _will_drop(self) -> bool:
        """True if rows may still be left out: the write asks nothing of those."""
        return self._target.judge is not None and self._target.judge.drops and not self._accepted

    def _computed(self, table: DeltaTable | None) -> dict[str, str]:
        """Return the columns that the table computes, or will compute, itself, with their expressions."""
        if table is not None:
            return definition.computed(table)
        wanted = self._target.definition.columns
        return {name: one.generated for name, one in wanted.items() if one.generated is not None}

    def _inside(self, frame: pl.LazyFrame, *, but: str | None = None) -> pl.LazyFrame:
        """Return `frame` with a check that its rows are in the slice, for a write that leaves some out."""
        task = self._target.receipt.id.task
        return checks.refuse_rows_outside(frame, self._slice, task=task, but=but).lazy() if self._slice else frame

    def make(self) -> DeltaTable:
        """Make the table without rows, as it is wanted, unless another writer does; return it."""
        return definition.create(self._target, self._schema, self._frame)

    def grow(self, table: DeltaTable) -> bool:
        """Give `table` the columns and fields that the rows have and it lacks, if it may grow. Return whether it grew.

        delta-rs could add them in the commit of the rows, but then lets all columns be null. The query runs first: if
        it fails, the table is unchanged.
        """
        import polars as pl

        new = schemas.added(self._schema, pl.Schema(table.schema()))
        if self._target.schema != "add-columns" or not new:
            return False
        if self._may_store(table):
            self._files_of(table)
        else:
            frame = self._for_delta_rs(table.metadata().partition_columns)
            self._given = self._kept.enter_context(once_only(frame))
        commit.grow(table, new, uri=self._target.context.uri)
        return True

    def create(self) -> WriteResult:
        """Make the table. Raises DeltaError if it exists."""
        target = self._target
        uri, partitions = address(target.context.uri), list(target.partitions)
        if not self._by_files(None):
            frame = self._for_delta_rs(partitions)  # before the target: it states how expectations came out
            delta_rs.sink(self._target, frame, uri, Left("whole"), mode="error")
            return once.result_of(target.open(), target.receipt, after=-1)
        files = self._files(uri, partitions)
        with refusals(uri, "write"):
            commit.create(
                uri,
                self._schema,
                files,
                partitions,
                target.storage_options,
                self._properties(files, Left("whole"), alone=True),
            )
        return committed(0, files, self._target)

    def append(self, table: DeltaTable) -> WriteResult:
        """Add the rows."""
        if self._judged is not None:  # others may have come since: this is another try
            conditions, kept = self._judged
            conditions.refuse_shared(kept)
        if not self._by_files(table):
            return self._through_delta_rs(table, Left("files"), mode="append")
        files, after = self._files_of(table), table.version()
        with refusals(self._target.context.uri, "write"):
            alone = self._target.watches_table
            commit.append(table, files, self._properties(files, Left("files"), alone=alone))
        return once.result_of(table, self._target.receipt, after=after)

    def overwrite(self, table: DeltaTable) -> WriteResult:
        """Replace all rows of the table."""
        if not self._by_files(table):
            before = definition.comments(table)
            written = self._through_delta_rs(table, Left("whole"), mode="overwrite")
            if before and self._target.schema == "replace":
                table.update_incremental()
                definition.keep_comments(table, before, uri=self._target.context.uri)
            return written
        files = self._files_of(table)
        with refusals(self._target.context.uri, "write"):
            commit.overwrite(table, files, self._properties(files, Left("whole"), alone=True))
        return committed(table.version() + 1, files, self._target)

    def replace_partitions(self, table: DeltaTable) -> WriteResult:
        """Replace the partitions that are in the data."""
        import polars as pl

        partitions = list(self._target.partitions)
        if not self._by_files(table):
            frame, after = self._for_delta_rs(partitions), table.version()
            delta_rs.replace_partitions(self._target, frame, table)
            return once.result_of(table, self._target.receipt, after=after)
        files = self._files_of(table)
        kinds = {name: self._schema[name] for name in partitions}
        values = pl.DataFrame([file.partition for file in files], schema=kinds, orient="row")
        left = of_partitions(partitions, [file.partition for file in files])
        return self._replace(commit.Replacement(table, values), files, left)

    def replace_slice(self, table: DeltaTable) -> WriteResult:
        """Replace the rows with the values of the slice."""
        import polars as pl

        slice_ = self._slice
        partitions = table.metadata().partition_columns
        left = Left("slice", Slice.of_values(slice_, partitions))
        if not slice_.keys() <= set(partitions):
            checks.refuse_rewrites(table, self._target.context.uri)
            in_files = {name: value for name, value in slice_.items() if name not in partitions}
            bounds.refuse_hidden(table, in_files, self._target.context.uri)
        if not (slice_.keys() <= set(partitions) and self._by_files(table)):
            predicate = predicates.slice_predicate(slice_, partitions, *delta_rs.texts_and_singles(self._schema))
            return self._through_delta_rs(table, left, mode="overwrite", predicate=predicate)
        files = self._files_of(table)
        values = pl.DataFrame({name: pl.Series([value], dtype=self._schema[name]) for name, value in slice_.items()})
        return self._replace(commit.Replacement(table, values), files, left)

    def _replace(self, replacement: commit.Replacement, files: Sequence[DataFile], left: Left) -> WriteResult:
        """Commit, and repeat as long as others commit elsewhere; a change to these partitions is a conflict."""
        from deltalake.exceptions import CommitFailedError

        patience = Patience()
        while True:
            after = replacement.table.version()
            try:
                with refusals(self._target.context.uri, "write"):
                    replacement.commit(files, self._properties(files, left, alone=True))
            except CommitFailedError:
                if not (replacement.is_untouched() and patience.lasts(replacement.table.version())):
                    raise
            else:
                return committed(after + 1, files, self._target)

    def _by_files(self, table: DeltaTable | None) -> bool:
        """Return whether delta-rs' own writer would do nothing more than store the rows."""
        import polars as pl

        return self._may_store(table) and (table is None or dict(pl.Schema(table.schema())) == self._schema)

    def _may_store(self, table: DeltaTable | None) -> bool:
        """Return whether Polars may write the files, apart from differences of columns."""
        if self._target.write_options or schemas.is_for_delta_rs(self._frame.collect_schema()):
            return False
        return table is None or commit.is_plain(table)

    def _for_delta_rs(self, partitions: Sequence[str]) -> pl.DataFrame | pl.LazyFrame:
        self.judge()
        uri = self._target.context.uri
        return lengths.refuse_longer(checks.for_delta_rs(self._frame, partitions, uri=uri), self._lengths, uri=uri)

    def judge(self) -> None:
        """Leave only rows that the table expects, before anything of it is written. The query runs once.

        Where Polars stores the files, that is done with these. Raises RunError if rows are not what they must be.
        """
        conditions = self._conditions
        if conditions is None or self._accepted:
            return
        frame = checks.signed(self._frame, self._schema, uri=self._target.context.uri)
        rows, outcomes = conditions.accepted(self._kept.enter_context(conditions.spilled(frame)))
        self._state(outcomes)
        self._judged = conditions, rows
        self._given = self._frame = self._inside(rows) if conditions.judge.drops else rows
        self._accepted = True

    def _files_of(self, table: DeltaTable) -> list[DataFile]:
        return self._files(table, table.metadata().partition_columns)

    def _files(self, table: DeltaTable | str, partitions: list[str]) -> list[DataFile]:
        """Return the rows as files.

        They are stored again only if the table's partitions or types changed in between.
        """
        if self._conditions is not None and self._conditions.together:
            self.judge()  # among other rows, and in another order, each might be judged otherwise
        form = partitions, self._schema
        if self._stored is None or self._stored[0] != form:
            uri = self._target.context.uri
            folder = parquet_files.Folder(table, self._target.storage_options)
            frame = checks.signed(self._frame, self._schema, uri=uri).lazy()
            folder.prepare()
            self._stored = form, self._write_expected(frame, folder, partitions)
        return self._stored[1]

    def _write_expected(
        self, frame: pl.LazyFrame, folder: parquet_files.Folder, partitions: list[str]
    ) -> list[DataFile]:
        """Store the rows, and return the files of those that the table expects."""
        import polars as pl

        judge, conditions = self._target.judge, self._conditions
        if judge is None or conditions is None or self._accepted:
            return parquet_files.write(frame, folder, partitions)
        flagged = self._inside(conditions.flagged(frame), but=conditions.bad) if judge.drops else frame
        with conditions.blamed(self._frame):
            files = parquet_files.write(flagged, folder, partitions, conditions.bad if judge.drops else None)
        kept = [file for file in files if not file.is_apart]
        bad = [file for file in files if file.is_apart]
        try:
            rows, dropped = (self._scanned(some, folder, partitions) for some in (kept, bad))
            everything = pl.concat([rows, dropped]) if bad else rows
            self._state(conditions.settled(everything, rows, dropped if bad else None))
            self._judged = conditions, rows
        except BaseException:
            parquet_files.remove(folder, kept)
            raise
        finally:
            parquet_files.remove(folder, bad)
        return kept

    def _scanned(self, files: Sequence[DataFile], folder: parquet_files.Folder, partitions: list[str]) -> pl.LazyFrame:
        """Return the rows of files that have been stored."""
        import polars as pl

        schema = pl.Schema(self._schema)
        if not files:
            return pl.LazyFrame(schema=schema)
        # Not as paths of a log, which are encoded once more: `g=a%20b` is the name of a folder.
        places = {"place": pl.Series([f"{folder.root}/{file.path}" for file in files], dtype=pl.String())}
        for i, name in enumerate(partitions):
            values = [file.partition[i] for file in files]
            places[scan.PARTITION + name] = pl.Series(values, dtype=schema[name])
        return scan.scan_places(pl.DataFrame(places), schema, folder.options)

    def _state(self, outcomes: Sequence[Outcome | RuleOutcome]) -> None:
        """Have the commit say how the expectations, and the rules of a contract, came out."""
        if not outcomes:
            return  # a contract may have no rules
        self._target = self._target.stating(**{EXPECT: judging.facts(outcomes)})

    def _through_delta_rs(
        self, table: DeltaTable, left: Left, *, mode: Any, predicate: str | None = None
    ) -> WriteResult:
        frame = self._for_delta_rs(table.metadata().partition_columns)
        after = table.version()
        delta_rs.sink(self._target, frame, table, left, mode=mode, predicate=predicate)
        return once.result_of(table, self._target.receipt, after=after)

    def _properties(self, files: Sequence[DataFile], left: Left, *, alone: bool) -> CommitProperties:
        return table_log.commit_properties(
            self._target.receipt,
            left,
            alone=alone,
            metrics={"num_added_rows": _rows(files), "num_added_files": len(files)},
        )


def committed(version: int, files: Sequence[DataFile], target: Target) -> WriteResult:
    """Return the result of a commit of `files` to `target` that must have become `version`."""
    return WriteResult(version, _rows(files), expectations=target.receipt.facts.get(EXPECT) or {})


def _rows(files: Sequence[DataFile]) -> int:
    return sum(file.rows for file in files)
