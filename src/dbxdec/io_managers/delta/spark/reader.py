"""The rows of a Delta table for a reader through Spark: the newest version, or what tasks of this run wrote."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta import stored_names
from dbxdec.io_managers.delta.reader import Results
from dbxdec.io_managers.delta.receipts import KEEP_VERSIONS, gone
from dbxdec.io_managers.delta.spark import commit_files, log_files, predicates, source_log
from dbxdec.io_managers.delta.spark.commit_files import CommitFiles
from dbxdec.io_managers.delta.spark.log import History
from dbxdec.io_managers.spark_frames import quoted
from dbxdec.io_managers.spark_session import first_line, is_connect, is_gone
from dbxdec.model.changes import FEED_PROPERTY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dbxdec.io_managers.contexts import InputContext, WriteId
    from dbxdec.io_managers.delta.receipts import Found, Trail
    from dbxdec.io_managers.delta.slices import Slice
    from dbxdec.io_managers.delta.spark.log import Detail, SparkTable

_LOOKED_AT = 100
# Operations after which the files of earlier commits have the names of columns that the table has now.
_OF_ROWS = frozenset(
    {"WRITE", "STREAMING UPDATE", "MERGE", "UPDATE", "DELETE", "OPTIMIZE", "VACUUM START", "VACUUM END"}
)


def newest(table: SparkTable, context: InputContext) -> Any:
    """Return the table at its current version; Delta would look for a newer one in each query over the frame.

    A view, and a table that can't be read at a version, are read anew in each query.
    """
    frame = table.frame()
    files = log_files.of_frame(frame, table.spark)
    try:
        version = table.version() if files is None else files.newest
        frame = table.frame(version)
    except Exception as error:  # noqa: BLE001 - each kind of view and table has an error of its own
        log.debug("%s is not read at one version: %s", table.uri, first_line(error))
    else:
        context.tell(version=version)
    return frame


class SparkResults(Results[Any]):
    """The results of a run's tasks in one table, as Spark DataFrames."""

    def __init__(self, table: SparkTable, context: InputContext) -> None:
        super().__init__(context)
        self._table = table
        self._newest = -1
        self._files: dict[int, set[str]] = {}
        self._commits: dict[int, CommitFiles | None] = {}

    def trail(self, writes: Sequence[WriteId]) -> Trail:
        history = History(self._table)
        trail = history.find(writes, since=self.context.started)
        self._newest, self.reaches_start = trail.newest, history.reaches_start
        return trail

    def is_committed(self, write: WriteId) -> bool:
        """Return False: SQL does not show transaction identifiers.

        A log that has been cleaned is an error nevertheless.
        """
        return False

    @functools.cached_property
    def _detail(self) -> Detail:
        found = self._table.detail()
        assert found is not None  # noqa: S101 - a receipt has been found in it
        return found

    def _detail_of(self, rows: Any, version: int) -> Detail | None:
        """Return the details of the version that `rows` reads: its files are named and parted as it was then.

        None if nobody can tell them.
        """
        known = log_files.definition_of(rows, self._table.spark, [stored_names.MODE])
        if known is None:
            if not self._is_redefined_after(version):
                return self._detail
            folder = f"{self._detail.location.rstrip('/')}/_delta_log"
            known = source_log.defined(self._table.spark, folder, version)
        if known is None:
            return None
        return replace(self._detail, partitions=known.partitions, properties=known.configuration)

    def _is_redefined_after(self, version: int) -> bool:
        """Return whether a later commit may have changed the names that files have for columns."""
        later = itertools.takewhile(lambda commit: commit.version > version, History(self._table).known())
        return any(commit.operation not in _OF_ROWS for commit in later)

    def partitions(self) -> Sequence[str]:
        return self._detail.partitions

    def added(self, found: Found) -> set[str]:
        if (commit := self._commit(found)) is not None:
            return {file.name for file in commit.added}
        return self._paths(found.version) - self._paths(found.version - 1)

    def removed(self, found: Found) -> set[str]:
        if (commit := self._commit(found)) is not None:
            return {uri.rpartition("/")[2] for uri in commit.removed}
        return self._paths(found.version - 1) - self._paths(found.version)

    def _commit(self, found: Found) -> CommitFiles | None:
        if found.version not in self._commits:
            self._commits[found.version] = commit_files.read(self._table, self._detail, found.version)
        return self._commits[found.version]

    def _paths(self, version: int) -> set[str]:
        """Return the names of the files of a version; they are unique in a table, whatever their partition."""
        if version < 0:
            return set()
        if version not in self._files:
            try:
                uris = self._table.frame(version).inputFiles()
            except RunError as error:
                if error.__cause__ is None or not is_gone(error.__cause__):
                    raise
                raise RunError(
                    f"the log of {self._table.uri} no longer has version {version}, but the parameter "
                    f"`{self.context.parameter}` reads what a later one added",
                    hint=KEEP_VERSIONS,
                ) from error
            self._files[version] = {uri.rpartition("/")[2] for uri in uris}
        return self._files[version]

    def at(self, found: Found) -> Any:
        frame = self._table.frame(found.version)
        if found.version < self._newest and not is_connect(self._table.spark):
            # Only files that a later version dropped can be gone. Spark would report that in the task's own query.
            dropped = set(frame.inputFiles()) - set(self._table.frame().inputFiles())
            self._refuse_gone(dropped, found.version)
        return frame

    def _refuse_gone(self, uris: Iterable[str], version: int) -> None:
        for uri in sorted(uris)[:_LOOKED_AT]:
            if not _exists(self._table.spark, uri):
                raise gone(self._table.uri, version, f"{uri} does not exist")

    def slice(self, found: Found, slice_: Slice) -> Any:
        frame = self.at(found)
        if not slice_.rows:
            return frame.limit(0)
        kinds = {field.name: field.dataType.simpleString() for field in frame.schema}
        return frame.where(predicates.receipt_predicate(slice_, kinds, self.partitions()))

    def files(self, results: Sequence[Found]) -> Any:
        if len(results) > 1 and (rows := self._of_several(results)) is not None:
            return rows
        return self.together([self._files_of(found) for found in results])

    def _of_several(self, results: Sequence[Found]) -> Any | None:
        """Return the rows of several commits by one read of their files; None if their paths can't be read.

        A stream makes a commit for each batch, and a union of thousands is too much for Spark.
        """
        commits = [self._commit(found) for found in results]
        if any(commit is None for commit in commits):
            return None
        both = CommitFiles(tuple(file for commit in commits if commit for file in commit.added), frozenset())
        oldest, newest = (chosen(results, key=lambda found: found.version) for chosen in (min, max))
        whole = self._table.frame(newest.version)
        detail = self._detail_of(whole, newest.version)
        if detail is None or detail != self._detail_of(self._table.frame(oldest.version), oldest.version):
            return None
        rows = both.rows(self._table, detail, whole.schema)
        if rows is not None and not is_connect(self._table.spark):
            self._refuse_gone([file.uri for file in both.added], newest.version)
        return rows

    def _files_of(self, found: Found) -> Any:
        """Return the rows that an append stored, without a look into other files where Spark allows that."""
        table = self._table
        whole = table.frame(found.version)
        if found.version == 0:
            return self.at(found)
        if (commit := self._commit(found)) is not None:
            if not commit.added:
                return whole.limit(0)
            if (detail := self._detail_of(whole, found.version)) is None:
                return _of_files(self.at(found), self.added(found))
            if (rows := commit.rows(table, detail, whole.schema)) is not None:
                if found.version < self._newest and not is_connect(table.spark):
                    self._refuse_gone([file.uri for file in commit.added], found.version)
                return rows
            pruned = commit.predicate(detail, whole.schema)
            frame = self.at(found).where(pruned) if pruned else self.at(found)
            return _of_files(frame, self.added(found))
        if (rows := self._fed(found, whole)) is not None:
            return rows
        log.info("the log of %s can't be read here, so all files of version %d are listed", table.uri, found.version)
        return _of_files(self.at(found), self.added(found))

    def _fed(self, found: Found, whole: Any) -> Any | None:
        """Return the rows of an append by the change data feed; None without a feed, or if it has other columns."""
        if self._detail.properties.get(FEED_PROPERTY) != "true":
            return None
        feed = self._feed(found).where("_change_type = 'insert'")
        return feed.select(*map(quoted, whole.columns)) if set(whole.columns) <= set(feed.columns) else None

    def changes(self, found: Found) -> Any:
        """Return the rows of the table's change data feed (Delta protocol, "Change Data Files")."""
        if self._detail.properties.get(FEED_PROPERTY) != "true":
            raise self.no_feed(found)
        feed = self._feed(found)
        columns = [name for name in feed.columns if not name.startswith(("_change_type", "_commit_"))]
        return feed.where("_change_type IN ('insert', 'update_postimage')").select(*map(quoted, columns))

    def _feed(self, found: Found) -> Any:
        try:
            return self._table.feed(found.version, found.version)
        except Exception as error:
            if is_gone(error):
                raise gone(self._table.uri, found.version, first_line(error)) from error
            raise

    def cleared(self, frame: Any) -> Any:
        return frame.limit(0)

    def together(self, frames: Sequence[Any]) -> Any:
        return together(frames)


def together(frames: Sequence[Any]) -> Any:
    """Return all frames concatenated. A column that a frame lacks is null in its rows."""
    return functools.reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)


def _of_files(frame: Any, names: Iterable[str]) -> Any:
    return frame.where(metadata_of(frame)["file_name"].isin(sorted(names)))


def metadata_of(frame: Any) -> Any:
    """Return the column of Spark's own metadata; a column of the table may have its name too."""
    if hasattr(type(frame), "metadataColumn"):
        return frame.metadataColumn("_metadata")
    from pyspark.sql import Column, functions

    # PySpark before 4.0 can't tell them apart by itself.
    own = any(name.lower() == "_metadata" for name in frame.columns)
    if own and is_connect(frame):
        raise RunError(
            "Spark Connect before 4.0 can't read single files of a table with a column `_metadata`",
            hint="rename the column, or run the task with a newer Spark",
        )
    return Column(frame._jdf.metadataColumn("_metadata")) if own else functions.col("_metadata")


def _exists(spark: Any, uri: str) -> bool:
    path = spark._jvm.org.apache.hadoop.fs.Path(spark._jvm.java.net.URI(uri))
    return bool(path.getFileSystem(spark._jsc.hadoopConfiguration()).exists(path))
