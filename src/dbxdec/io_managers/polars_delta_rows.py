"""The rows of one write into a Delta table, stored in the way that the table needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.io_managers import (
    delta_log,
    delta_once,
    delta_partitions,
    polars_checks,
    polars_delta_commit,
    polars_delta_files,
    polars_delta_sink,
    polars_schema,
)
from dbxdec.io_managers.base import WriteResult
from dbxdec.io_managers.delta_once import ATTEMPTS, pause
from dbxdec.io_managers.delta_storage import refusals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from deltalake import CommitProperties, DeltaTable

    from dbxdec.io_managers.polars_delta_files import DataFile
    from dbxdec.io_managers.polars_delta_target import Target


class Rows:
    """A frame on its way into a table; each method commits it, with the receipt, and says what that did.

    Where the table is plain, Polars writes the files and delta-rs commits them; what is written stays for the next try.
    Otherwise delta-rs writes as well. The methods raise CommitFailedError where somebody else was quicker.
    """

    def __init__(self, target: Target, frame: pl.DataFrame | pl.LazyFrame, schema: Mapping[str, pl.DataType]) -> None:
        self.schema = schema
        self._target = target
        self._frame = frame
        self._stored: tuple[list[str], list[DataFile]] | None = None

    def create(self) -> WriteResult:
        """Make the table. Raises DeltaError where there is one."""
        target = self._target
        uri, partitions = target.context.uri, list(target.partitions)
        if not self._by_files(None):
            frame = polars_checks.for_delta_rs(self._frame, partitions, uri=uri)
            polars_delta_sink.sink(target, frame, uri, mode="error")
            return delta_once.result_of(target.open(), target.receipt, after=-1)
        files = self._files(uri, partitions)
        with refusals(uri, "write"):
            polars_delta_commit.create(
                uri, self.schema, files, partitions, target.storage_options, self._properties(files, -1, alone=True)
            )
        return committed(0, files)

    def append(self, table: DeltaTable) -> WriteResult:
        """Add the rows."""
        if not self._by_files(table):
            return self._through_delta_rs(table, mode=self._target.mode)
        files, after = self._files_of(table), table.version()
        with refusals(self._target.context.uri, "write"):
            polars_delta_commit.append(table, files, self._properties(files, after, alone=False))
        return delta_once.result_of(table, self._target.receipt, after=after)

    def overwrite(self, table: DeltaTable) -> WriteResult:
        """Put the rows in place of all others."""
        if not self._by_files(table):
            return self._through_delta_rs(table, mode="overwrite")
        files = self._files_of(table)
        with refusals(self._target.context.uri, "write"):
            polars_delta_commit.overwrite(table, files, self._properties(files, table.version(), alone=True))
        return committed(table.version() + 1, files)

    def replace_partitions(self, table: DeltaTable) -> WriteResult:
        """Put the rows in place of the partitions that are among them."""
        import polars as pl

        partitions = list(self._target.partitions)
        if not self._by_files(table):
            frame = polars_checks.for_delta_rs(self._frame, partitions, uri=self._target.context.uri)
            after = table.version()
            polars_delta_sink.replace_partitions(self._target, frame, table)
            return delta_once.result_of(table, self._target.receipt, after=after)
        files = self._files_of(table)
        kinds = {name: self.schema[name] for name in partitions}
        values = pl.DataFrame([file.partition for file in files], schema=kinds, orient="row")
        return self._replace(polars_delta_commit.Replacement(table, values), files)

    def replace_slice(self, table: DeltaTable, slice_: Mapping[str, Any]) -> WriteResult:
        """Put the rows in place of those with the values of `slice_`."""
        import polars as pl

        partitions = table.metadata().partition_columns
        if not slice_.keys() <= set(partitions):
            polars_checks.refuse_rewrites(table, self._target.context.uri)
        if not (slice_.keys() <= set(partitions) and self._by_files(table)):
            predicate = delta_partitions.slice_predicate(
                slice_, partitions, *polars_delta_sink.texts_and_singles(self.schema)
            )
            return self._through_delta_rs(table, mode="overwrite", predicate=predicate)
        files = self._files_of(table)
        values = pl.DataFrame({name: pl.Series([value], dtype=self.schema[name]) for name, value in slice_.items()})
        return self._replace(polars_delta_commit.Replacement(table, values), files)

    def _replace(self, replacement: polars_delta_commit.Replacement, files: Sequence[DataFile]) -> WriteResult:
        """Commit as often as others commit elsewhere in the table; what they do to these partitions is a conflict."""
        from deltalake.exceptions import CommitFailedError

        for attempt in range(ATTEMPTS):
            after = replacement.table.version()
            try:
                with refusals(self._target.context.uri, "write"):
                    replacement.commit(files, self._properties(files, after, alone=True))
            except CommitFailedError:
                if attempt == ATTEMPTS - 1 or not replacement.is_untouched():
                    raise
                pause(attempt)
            else:
                return committed(after + 1, files)
        raise AssertionError("unreachable")

    def _by_files(self, table: DeltaTable | None) -> bool:
        """Whether delta-rs' own writer would do nothing more than to store the rows."""
        import polars as pl

        if self._target.write_options or polars_schema.has_nested_unsigned(self._frame.collect_schema()):
            return False
        if table is None:
            return True
        return dict(pl.Schema(table.schema())) == dict(self.schema) and polars_delta_commit.is_plain(table)

    def _files_of(self, table: DeltaTable) -> list[DataFile]:
        return self._files(table, table.metadata().partition_columns)

    def _files(self, table: DeltaTable | str, partitions: list[str]) -> list[DataFile]:
        """The rows, stored once: again only where the table has got other partitions in between."""
        if self._stored is None or self._stored[0] != partitions:
            uri = self._target.context.uri
            folder = polars_delta_files.Folder(table, self._target.storage_options)
            frame = polars_checks.signed(self._frame, self.schema, uri=uri)
            frame = polars_checks.refuse_empty_texts(frame, partitions)
            folder.prepare()
            self._stored = partitions, polars_delta_files.write(frame.lazy(), folder, partitions)
        return self._stored[1]

    def _through_delta_rs(self, table: DeltaTable, *, mode: Any, predicate: str | None = None) -> WriteResult:
        uri = self._target.context.uri
        frame = polars_checks.for_delta_rs(self._frame, table.metadata().partition_columns, uri=uri)
        after = table.version()
        polars_delta_sink.sink(self._target, frame, table, mode=mode, predicate=predicate)
        return delta_once.result_of(table, self._target.receipt, after=after)

    def _properties(self, files: Sequence[DataFile], after: int, *, alone: bool) -> CommitProperties:
        return delta_log.commit_properties(
            self._target.receipt,
            once=self._target.mode != "overwrite",
            alone=alone,
            metrics={"num_added_rows": _rows(files), "num_added_files": len(files)},
            after=after,
        )


def committed(version: int, files: Sequence[DataFile]) -> WriteResult:
    """What a commit of `files` that must have become `version` did."""
    return WriteResult(version, _rows(files))


def _rows(files: Sequence[DataFile]) -> int:
    return sum(file.rows for file in files)
