"""The rows of a Delta table that are new to a task, for a reader through Spark.

Rows of commits that only add some are read by the files that these have added, where their paths can be read. What
other commits have done to rows the table's change data feed tells.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta import source_commits, stored_names
from dbxdec.io_managers.delta.source_commits import Reading
from dbxdec.io_managers.delta.spark import column_names, commit_files, data_files, last_changes, log_files
from dbxdec.io_managers.delta.spark.data_files import File
from dbxdec.io_managers.delta.spark.reader import metadata_of, together
from dbxdec.io_managers.delta.spark.source_log import SourceLog
from dbxdec.io_managers.spark_frames import quoted
from dbxdec.io_managers.spark_session import first_line, is_gone
from dbxdec.model.changes import CHANGE, FEED, FEED_PROPERTY, MOMENT, VERSION
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dbxdec.io_managers.contexts import InputContext
    from dbxdec.io_managers.delta.source_commits import SourceCommit
    from dbxdec.io_managers.delta.spark.column_names import Stored
    from dbxdec.io_managers.delta.spark.log import Detail, SparkTable
    from dbxdec.io_managers.delta.spark.log_files import Definition
    from dbxdec.io_managers.positions import Span
    from dbxdec.model.changes import Changes

_INSERT = "insert"
_ADDED = f"{CHANGE} IN ('insert', 'update_postimage')"


@dataclass(frozen=True)
class NewRows:
    """The rows that a reader wants of a span of versions of `table`."""

    table: SparkTable
    context: InputContext
    changes: Changes
    span: Span

    def frame(self) -> Any:
        """Return the rows, and tell the reader's log line what they are. Raises RunError if they can't be read."""
        columns = self._end.columns
        if self.changes.kind != "rows":
            known = [name.lower() for name in columns]
            source_commits.refuse_taken_names(known, FEED, self.context, self.changes.kind)
            source_commits.refuse_missing_keys(known, [name.lower() for name in self.changes.by], self.context)
        if self.span.skips or self.span.is_empty:
            return self._told(self._nothing(), 0)
        if self.span.after is None:
            return self._told(self._shaped(self._with_feed(self._end)), None)
        commits = self._log.commits(self._after + 1, self.span.until)
        if commits is None:
            return self._without_log()
        reading = self._reading(commits)
        if reading.is_empty:
            return self._told(self._nothing(), 0)
        rows = reading.rows if self.changes.kind != "latest" else None
        return self._told(self._shaped(self._of(reading)), rows)

    @property
    def _after(self) -> int:
        """The version before the span, whose definition counts for its first commit."""
        return self.span.after or 0

    @cached_property
    def _end(self) -> Any:
        return self._at(self.span.until)

    def _at(self, version: int) -> Any:
        """Return the rows of a version. Raises RunError if it can't be read any more."""
        try:
            return self.table.frame(version)
        except RunError as error:
            if error.__cause__ is None or not is_gone(error.__cause__):
                raise
            raise source_commits.gone(self.context, version, "its log has been cleaned up") from error

    @cached_property
    def _detail(self) -> Detail:
        found = self.table.detail()
        assert found is not None  # noqa: S101 - its rows have just been looked up
        return found

    @cached_property
    def _log(self) -> SourceLog:
        return SourceLog(self.table, self._detail.location, self.context)

    def _told(self, frame: Any, rows: int | None) -> Any:
        self.context.tell(version=self.span.until, rows=rows, note=self.span.text)
        return frame

    def _nothing(self) -> Any:
        return self._shaped(self._with_feed(self._end.limit(0), moments=False))

    # What the commits say

    def _reading(self, commits: Sequence[SourceCommit]) -> Reading:
        """Return how the commits of the span are read. Raises RunError if one of them is gone or refused."""
        redefined = [commit.metadata for commit in commits if commit.metadata is not None]
        before, renamed = dict(self._detail.properties), frozenset[int]()
        if redefined:
            start = self._at(self._after)
            found = self._log.definition(self._after, start)
            before = dict(found.configuration) if found is not None else {}
            schemas = [start.schema.json(), *(str(one["schemaString"]) for one in redefined)]
            source_commits.refuse_lost_columns(schemas, self._end.schema.json(), self.context)
            renamed = stored_names.of_other_names(commits, _names(found, start), _names(self._defined, self._end))
        fed = source_commits.feeds(commits, before)
        return replace(source_commits.reading(commits, self.context, self.changes, fed), renamed=renamed)

    @cached_property
    def _defined(self) -> Definition | None:
        """The definition of the table at the end of the span; None if nobody can tell."""
        return self._log.definition(self.span.until, self._end)

    def _without_log(self) -> Any:
        """Return the rows where this session may not read the files of the log: by the feed, or by comparison."""
        first, last = self._after + 1, self.span.until
        start = self._at(first - 1)
        source_commits.refuse_lost_columns([start.schema.json()], self._end.schema.json(), self.context)
        if self._detail.properties.get(FEED_PROPERTY) == "true":
            return self._told(self._shaped(self._fed([(first, last)])), None)
        compared = self._log.compared(first, last)
        nowhere = {commit.version: False for commit in compared}
        reading = source_commits.reading(compared, self.context, self.changes, nowhere)
        if reading.is_empty:
            return self._told(self._nothing(), 0)
        return self._told(self._shaped(self._of_versions(reading.by_files)), None)

    # Rows

    def _of(self, reading: Reading) -> Any:
        """Return all changes of the span, with the columns of the feed; for `kind="rows"` only what was added."""
        frames = []
        if named := [commit for commit in reading.by_files if commit.version not in reading.renamed]:
            frames.append(self._of_files(named))
        if renamed := [commit for commit in reading.by_files if commit.version in reading.renamed]:
            frames.append(self._of_known_versions(renamed))
        if reading.by_feed:
            self._refuse_gone(reading.by_feed)
        moved = [commit for commit in reading.by_feed if self._is_parted_otherwise(commit, reading.renamed)]
        if moved:
            frames += self._of_moved(moved, reading.renamed)
        left = replace(reading, by_feed=[commit for commit in reading.by_feed if commit not in moved])
        if left.by_feed:
            frames.append(self._fed(_stretches(left), [commit.version for commit in left.by_feed]))
        return together(frames)

    def _is_parted_otherwise(self, commit: SourceCommit, renamed: Collection[int]) -> bool:
        """Return whether a commit has files of before the table got the partitions that it has."""
        stored = self._stored_then(commit.version) if commit.version in renamed else self._stored()
        if stored is None:
            return False
        now = {stored.name(name) for name in self._detail.partitions}
        told, removed = (
            [set(one["partitionValues"]) for one in actions if one.get("partitionValues") is not None]
            for actions in ((*commit.added, *commit.changes), commit.removed)
        )
        if any(names != now for names in told) or any(names - now for names in removed):
            return True
        if all(names == now for names in removed):
            return False
        # Spark leaves out nulls where it removes a file, so only the definition of before tells.
        before = self._log.definition(commit.version - 1, self._at(commit.version - 1))
        return before is None or {stored.name(name) for name in before.partitions} != now

    def _of_moved(self, commits: Sequence[SourceCommit], renamed: Collection[int]) -> list[Any]:
        """Return the changes of such commits by their files, since Spark's feed has null for their partitions."""
        stored, frames = self._stored(), []
        for commit in commits:
            if commit.changes or commit.marks_rows or stored is None or commit.version in renamed:
                raise source_commits.parted_otherwise(self.context, commit.version)
            for remove in commit.removed if self._kind is not None else ():
                if remove.get("partitionValues") is None:  # they are optional there
                    raise source_commits.untold(self.context, commit.version, remove["path"])
        kinds = {"added": _INSERT, "removed": "delete"}
        for action, kind in kinds.items() if self._kind is not None else [("added", None)]:
            if files := self._files(commits, action):
                schema, spark = self._end.schema, self.table.spark
                frames.append(data_files.read(spark, files, schema, kind=kind, stored=stored or data_files.AS_IT_IS))
        return frames

    def _of_files(self, commits: Sequence[SourceCommit]) -> Any:
        """Return the rows of the files that commits have added."""
        stored = self._stored()
        if stored is None or any(commit.marks_rows for commit in commits):
            return self._of_known_versions(commits)
        files = self._files(commits)
        try:
            return data_files.read(self.table.spark, files, self._end.schema, kind=self._kind, stored=stored)
        except Exception as error:
            if (gone := data_files.missing(error, files)) is not None:
                raise self._vacuumed(gone) from error
            if isinstance(error, DbxdecError):
                raise
            log.info("the files of %s can't be read by their paths: %s", self.context.uri, first_line(error))
            return self._of_versions(commits)

    def _stored(self) -> Stored | None:
        """Return the columns as the files have them; None if they can't be told by their names."""
        known = log_files.definition_of(self._end, self.table.spark, [stored_names.MODE])
        properties = self._detail.properties if known is None else known.configuration
        if properties.get(stored_names.MODE, stored_names.UNMAPPED) == stored_names.UNMAPPED:
            return data_files.AS_IT_IS
        return _stored_by(self._defined)

    def _stored_then(self, version: int) -> Stored | None:
        """Return the same of the files of a version, which has other names than the end."""
        return _stored_by(self._log.definition(version, self._at(version)))

    def _of_known_versions(self, commits: Sequence[SourceCommit]) -> Any:
        """Return the same of versions of the table. Raises RunError if a file is gone, before the query runs."""
        self._refuse_gone(commits)
        return self._of_versions(commits)

    def _of_versions(self, commits: Sequence[SourceCommit]) -> Any:
        """Return the same of versions of the table: of the newest where it has the files, of older ones where not."""
        there = {_name(uri) for uri in self._end.inputFiles()}
        groups: dict[int, list[File]] = {}
        for file in self._files(commits):
            groups.setdefault(self.span.until if file.name in there else file.version, []).append(file)
        # Older versions may have fewer columns.
        frames = [self._with_feed(self._end.limit(0), moments=False)]
        for version, files in groups.items():
            frame = self._at(version)
            names = sorted({file.told for file in files})
            chosen = frame.where(metadata_of(frame)["file_name"].isin(names))
            frames.append(data_files.labelled(chosen, files, frame.schema, (), kind=self._kind))
        return together(frames)

    @property
    def _kind(self) -> str | None:
        return None if self.changes.kind == "rows" else _INSERT

    def _files(self, commits: Iterable[SourceCommit], *actions: str) -> list[File]:
        """Return the files that commits name in these actions, by default those that they added."""
        return [
            File(
                commit_files.uri_of(self._detail.location.rstrip("/"), one["path"]),
                {name: value or None for name, value in (one.get("partitionValues") or {}).items()},
                commit.version,
                commit.moment,
            )
            for commit in commits
            for action in actions or ("added",)
            for one in getattr(commit, action)
        ]

    def _refuse_gone(self, commits: Sequence[SourceCommit]) -> None:
        """Raise RunError if the rows or the feed of a commit need a file that has been vacuumed."""
        files = self._files((one for one in commits if one.changes), "changes")
        files += self._files((one for one in commits if not one.changes), "added", "removed")
        try:
            data_files.refuse_missing(self.table.spark, files)
        except Exception as error:
            if (gone := data_files.missing(error, files)) is not None:
                raise self._vacuumed(gone) from error
            log.debug("the files of %s can't be looked up: %s", self.context.uri, first_line(error))

    def _vacuumed(self, file: File) -> RunError:
        return source_commits.gone(self.context, file.version, f"{file.uri} has been vacuumed")

    def _fed(self, stretches: Sequence[tuple[int, int]], only: Sequence[int] | None = None) -> Any:
        """Return the changes in stretches of versions by Spark's own change data feed; `only` of some of them."""
        frames = [self._feed(first, last) for first, last in stretches]
        feed = together(frames)
        missing = {name.lower() for name in self._end.columns} - {name.lower() for name in feed.columns}
        if missing:  # Spark gives the columns of the newest version
            newest = self.table.frame().schema.json()
            source_commits.refuse_lost_columns([self._end.schema.json()], newest, self.context)
        if only is not None:
            feed = feed.where(f"{VERSION} IN ({', '.join(map(str, only))})")
        kept = feed.where(_ADDED) if self.changes.kind == "rows" else feed
        columns = self._end.columns if self.changes.kind == "rows" else [*self._end.columns, *FEED]
        return kept.select(*map(quoted, columns))

    def _feed(self, first: int, last: int) -> Any:
        try:
            frame = self.table.feed(first, last)
            _plan(frame)
        except Exception as error:
            if is_gone(error):
                raise source_commits.gone(self.context, first, first_line(error)) from error
            raise RunError(
                f"Spark can't read the change data feed of {self.context.uri} from version {first} to {last}, which "
                f"`{self.context.parameter}` reads: {first_line(error)}",
                hint="go on at the newest version, once the table that the task writes is right "
                "(`--adopt TASK=latest`), or read all again (`--restart TASK`)",
            ) from error
        return frame

    def _with_feed(self, frame: Any, *, moments: bool = True) -> Any:
        """Return rows of the end version as changes of that version."""
        if self.changes.kind == "rows":
            return frame
        moment = None
        if moments and self.changes.kind == "feed":
            commit = self._log.history(self.span.until).get(self.span.until)
            moment = None if commit is None else commit.timestamp
        return frame.selectExpr(
            *map(quoted, frame.columns),
            f"'{_INSERT}' AS {CHANGE}",
            f"CAST({self.span.until} AS BIGINT) AS {VERSION}",
            f"timestamp_millis(CAST({'NULL' if moment is None else moment} AS BIGINT)) AS {MOMENT}",
        )

    def _shaped(self, frame: Any) -> Any:
        """Return the changes as the reader's `kind` has them."""
        columns = self._end.columns
        match self.changes.kind:
            case "rows":
                return frame.select(*map(quoted, columns))
            case "feed":
                return frame.select(*map(quoted, [*columns, *FEED]))
            case _:
                last = last_changes.of(frame, self.changes.by, self.context)
                return last.select(*map(quoted, [*columns, CHANGE]))


def _stored_by(found: Definition | None) -> Stored | None:
    """Return the columns as files by a definition have them; None if nobody can tell them by their names."""
    mode = None if found is None else found.configuration.get(stored_names.MODE, stored_names.UNMAPPED)
    if found is None or mode not in ("name", stored_names.UNMAPPED):
        return None
    return data_files.AS_IT_IS if mode == stored_names.UNMAPPED else column_names.of_schema(found.schema)


def _names(found: Definition | None, frame: Any) -> Mapping[tuple[str, ...], str]:
    """Return the names of columns in files by a definition; by the rows of the version where nobody can tell it."""
    if found is None:
        return stored_names.of_definition(frame.schema.json(), {})
    return stored_names.of_definition(found.schema, found.configuration)


def _stretches(reading: Reading) -> list[tuple[int, int]]:
    """Return stretches of versions, as few as possible, of those that are read by the feed.

    Between two of them may be others, but none without a feed, which Spark would refuse: a commit that changes the
    table's definition may have turned it on or off.
    """
    wanted = {commit.version for commit in reading.by_feed}
    found: list[tuple[int, int]] = []
    is_open = False
    for commit in reading.commits:
        if commit.metadata is not None:
            is_open = False
        if commit.version in wanted:
            first = found.pop()[0] if is_open else commit.version
            found.append((first, commit.version))
            is_open = True
    return found


def _name(uri: str) -> str:
    """Return the name of a file, whose URI is encoded."""
    return unquote(uri.rpartition("/")[2])


def _plan(frame: Any) -> None:
    """Let Spark plan the query, which finds what it would refuse when it runs."""
    with contextlib.redirect_stdout(io.StringIO()):
        frame.explain()
