"""The commits of a table that is read for what is new: by the files of its log, or else as its history tells them.

The driver reads a few commits itself. More of them, and those of a session of Connect, are read by one job.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta import source_commits, stored_names
from dbxdec.io_managers.delta.progress import Head
from dbxdec.io_managers.delta.receipts import made_at
from dbxdec.io_managers.delta.source_commits import SourceCommit
from dbxdec.io_managers.delta.spark import log_files
from dbxdec.io_managers.delta.spark.log import History
from dbxdec.io_managers.delta.spark.log_files import Definition
from dbxdec.io_managers.spark_frames import escaped, reader_of
from dbxdec.io_managers.spark_session import first_line, is_connect
from dbxdec.model.changes import FEED_PROPERTY
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from dbxdec.io_managers.contexts import InputContext
    from dbxdec.io_managers.delta.receipts import Commit
    from dbxdec.io_managers.delta.spark.log import SparkTable

_BY_DRIVER = 10
_DIGITS = 20
_DIFFERENCES = 100
"""The most versions that are compared with those before them where the log can't be read: each has its files listed."""
_STAY = frozenset({"OPTIMIZE", "REORG", "VACUUM START", "VACUUM END", "COMPUTE STATS", "ANALYZE"})
"""Operations that change no rows, whichever files they add."""
_UPDATED = ("numTargetRowsUpdated", "numTargetRowsDeleted", "numUpdatedRows", "numDeletedRows")


@dataclass(frozen=True)
class SourceLog:
    """The log of the table `table`, whose folder is at `location`."""

    table: SparkTable
    location: str
    context: InputContext

    @property
    def folder(self) -> str:
        """The folder of the log."""
        return f"{self.location.rstrip('/')}/_delta_log"

    def commits(self, first: int, last: int) -> list[SourceCommit] | None:
        """Return these commits; None if their files can't be read here, although they are there.

        Raises RunError for a commit that has been cleaned up.
        """
        found = lines(self.table.spark, self.folder, first, last)
        missing = [version for version in range(first, last + 1) if version not in found]
        if missing:
            self.refuse_cleaned(missing)
            return None
        return [SourceCommit.of_lines(version, found[version]) for version in range(first, last + 1)]

    def refuse_cleaned(self, versions: list[int]) -> None:
        """Raise RunError if the history has one of these commits no more."""
        known = self.history(min(versions))
        for version in versions:
            if version not in known:
                raise source_commits.gone(self.context, version, "its log has been cleaned up")

    def history(self, first: int) -> Mapping[int, Commit]:
        """Return the commits from the version `first` on, as the history tells them."""
        if first not in self._history:
            found: dict[int, Commit] = {}
            for commit in History(self.table).back():
                if commit.version < first:
                    break
                found[commit.version] = commit
            self._history[first] = found
        return self._history[first]

    @cached_property
    def _history(self) -> dict[int, dict[int, Commit]]:
        return {}

    def compared(self, first: int, last: int) -> list[SourceCommit]:
        """Return these commits by the files of each version and the one before, where nothing else tells them.

        Raises RunError if they are many.
        """
        history = self.history(first)
        self.refuse_cleaned(list(range(first, last + 1)))
        versions = [version for version in range(first, last + 1) if history[version].operation not in _STAY]
        if len(versions) > _DIFFERENCES:
            raise RunError(
                f"the log of {self.context.uri} can't be read by its path here, and `{self.context.parameter}` reads "
                f"{len(versions)} versions that are new: to compare the files of so many takes too long",
                hint=f"set `{FEED_PROPERTY}` on the table, which tells of later ones, and go on at the "
                "newest version (`--adopt TASK=latest`) or read all again (`--restart TASK`)",
            )
        log.info("the log of %s can't be read here, so the files of its versions are compared", self.context.uri)
        files: dict[int, frozenset[str]] = {}
        found = []
        for version in range(first, last + 1):
            commit = history[version]
            added, removed = frozenset[str](), frozenset[str]()
            if version in versions:
                for one in (version - 1, version):
                    if one not in files:
                        files[one] = frozenset(self.table.frame(one).inputFiles())
                added, removed = files[version] - files[version - 1], files[version - 1] - files[version]
            # Rows that are marked as deleted leave their file where it is.
            marked = any(commit.metrics.get(name) not in (None, 0) for name in _UPDATED)
            gone = [{"path": path} for path in removed] or ([{"path": ""}] if marked else [])
            found.append(
                SourceCommit(
                    version,
                    commit.timestamp,
                    commit.operation,
                    tuple({"path": path} for path in added),
                    tuple(gone),
                    (),
                    removed,
                )
            )
        return found

    def definition(self, version: int, frame: Any) -> Definition | None:
        """Return the definition of the table at a version, which `frame` reads; None if nobody can tell."""
        found = log_files.definition_of(frame, self.table.spark, [FEED_PROPERTY, stored_names.MODE])
        return found or defined(self.table.spark, self.folder, version)


def head(table: SparkTable) -> Head:
    """Return what a table, which exists, is now."""
    frame = table.frame()
    files, found = log_files.of_frame(frame, table.spark), log_files.definition_of(frame, table.spark)
    if files is not None and found is not None:
        return Head(found.id, found.version, stamps=files.stamps)
    described = table.described()
    folder = f"{described['location'].rstrip('/')}/_delta_log"
    return Head(str(described["id"]), table.version(), stamps=lambda versions: _stamps(table.spark, folder, versions))


def _stamps(spark: Any, folder: str, versions: Collection[int]) -> dict[int, int]:
    """Return when these commits were made, by their files; nothing where these can't be read.

    Only the platform writes the folder of such a table, so nobody puts an older copy there.
    """
    names = ",".join(f"{version:0{_DIGITS}}" for version in versions)
    try:
        text = reader_of(spark, f"{{{names}}}.json").text(escaped(folder)).where("value LIKE '{\"commitInfo\"%'")
        rows = text.selectExpr("_metadata.file_name AS file", "value").collect()
    except Exception as error:  # noqa: BLE001 - no permission, cleaned up, another kind of storage
        log.debug("the log in %s can't be read by its path: %s", folder, first_line(error))
        return {}
    found = {int(row["file"].partition(".")[0]): made_at(json.loads(row["value"])["commitInfo"]) for row in rows}
    return {version: moment for version, moment in found.items() if moment is not None}


def lines(spark: Any, folder: str, first: int, last: int) -> dict[int, list[str]]:
    """Return the lines of commits by their versions, a JSON document each, without those that can't be read."""
    if not is_connect(spark) and last - first < _BY_DRIVER:
        by_driver = {version: log_files.actions(spark, folder, version) for version in range(first, last + 1)}
        return {version: found for version, found in by_driver.items() if found is not None}
    try:
        text = reader_of(spark, f"{pattern(first, last)}.json").text(escaped(folder))
        rows = text.selectExpr("_metadata.file_name AS file", "value").collect()
    except Exception as error:  # noqa: BLE001 - no permission, cleaned up, another kind of storage
        log.debug("the log in %s can't be read by its path: %s", folder, first_line(error))
        return {}
    found: dict[int, list[str]] = {}
    for row in rows:
        found.setdefault(int(row["file"].partition(".")[0]), []).append(row["value"])
    return found


def pattern(first: int, last: int) -> str:
    """Return a pattern of the names of the commits from `first` to `last`: one for all, so that one listing is enough.

    The names have 20 digits (Delta protocol, "Delta Log Entries").
    """
    return "{" + ",".join(_ranges(f"{first:0{_DIGITS}}", f"{last:0{_DIGITS}}")) + "}"


def _ranges(low: str, high: str) -> list[str]:
    """Return patterns of the numbers from `low` to `high`, which have the same number of digits."""
    if not low:
        return [""]
    if low[0] == high[0]:
        return [low[0] + rest for rest in _ranges(low[1:], high[1:])]
    found = []
    begin, end = int(low[0]), int(high[0])
    if low[1:].strip("0"):
        found += [low[0] + rest for rest in _ranges(low[1:], "9" * len(low[1:]))]
        begin += 1
    after = []
    if high[1:].strip("9"):
        after = [high[0] + rest for rest in _ranges("0" * len(high[1:]), high[1:])]
        end -= 1
    if begin <= end:
        found.append((f"[{begin}-{end}]" if begin < end else str(begin)) + "[0-9]" * len(low[1:]))
    return found + after


_METADATA = (
    "metaData STRUCT<id: STRING, configuration: MAP<STRING, STRING>, schemaString: STRING, "
    "partitionColumns: ARRAY<STRING>>"
)


def defined(spark: Any, folder: str, version: int) -> Definition | None:
    """Return the newest definition in the commits and the checkpoints up to a version; None if they can't be read."""
    reader, place = spark.read.schema(_METADATA), escaped(folder)
    number = "CAST(substring(_metadata.file_name, 1, 20) AS BIGINT)"
    rows: list[Any] = []
    for kind, name in ((reader.json, "*.json"), (reader.parquet, "*.checkpoint*.parquet")):
        try:
            there = kind(f"{place}/{name}").where(f"metaData IS NOT NULL AND {number} <= {version}")
            rows += there.selectExpr(f"{number} AS number", "metaData.*").collect()
        except Exception as error:  # noqa: BLE001 - no such file, no permission
            log.debug("the definition of a table in %s can't be read: %s", folder, first_line(error))
    if not rows:
        return None
    newest = max(rows, key=lambda row: row["number"])
    partitions = tuple(newest["partitionColumns"] or ())
    return Definition(newest["id"], version, newest["configuration"] or {}, newest["schemaString"], partitions)
