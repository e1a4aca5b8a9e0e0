"""A Delta table as Spark sees it: what it is, the writes in its log, and its rows at one version.

Everything goes through SQL and the DataFrame reader, which both classic sessions and Connect have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta.receipts import CLOCK_SKEW_MS, Commit, Trail, gone, search
from dbxdec.io_managers.spark_frames import quoted
from dbxdec.io_managers.spark_session import condition, fail, first_line, is_gone, is_missing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dbxdec.io_managers.contexts import WriteId

_FIRST_CHUNK = 20
_CHUNK_GROWTH = 8


@dataclass(frozen=True, slots=True)
class Detail:
    """The output of DESCRIBE DETAIL for a Delta table."""

    location: str
    partitions: tuple[str, ...]
    features: frozenset[str]
    properties: Mapping[str, str]
    comment: str = ""
    clustering: tuple[str, ...] = ()
    files: int | None = None


@dataclass(frozen=True)
class SparkTable:
    """The Delta table at a path, or under a name of the catalog. It need not exist."""

    spark: Any
    uri: str
    named: bool
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """The table's name in SQL statements."""
        return ".".join(map(quoted, self.uri.split("."))) if self.named else f"delta.{quoted(self.uri)}"

    def detail(self) -> Detail | None:
        """Return the details of the table; None if it doesn't exist. Raises RunError if it is something else."""
        try:
            (row,) = self.spark.sql(f"DESCRIBE DETAIL {self.sql}").collect()
        except Exception as error:
            if is_missing(error):
                return None
            if condition(error).startswith("EXPECT_TABLE_NOT_VIEW"):
                raise RunError(
                    f"{self.uri} is a view, which a task can't write", hint="give the task a table"
                ) from error
            fail(error, self.uri, "read")
        if row["format"] != "delta":
            raise RunError(f"{self.uri} is a table of the format {row['format']}", hint="give the task a Delta table")
        found = row.asDict()
        return Detail(
            found["location"],
            tuple(found.get("partitionColumns") or ()),
            frozenset(found.get("tableFeatures") or ()),
            dict(found.get("properties") or {}),
            found.get("description") or "",
            tuple(found.get("clusteringColumns") or ()),
            found.get("numFiles"),
        )

    def frame(self, version: int | None = None) -> Any:
        """Return the rows of the newest version, or of `version`. Raises RunError if that version is gone."""
        options = dict(self.options) if version is None else {**self.options, "versionAsOf": str(version)}
        reader = self.spark.read.options(**options)
        try:
            frame = reader.table(self.sql) if self.named else reader.format("delta").load(self.uri)
            _ = frame.schema  # only this looks a Connect frame up
        except Exception as error:
            if version is not None and is_gone(error):
                raise gone(self.uri, version, first_line(error)) from error
            if is_missing(error):
                raise
            fail(error, self.uri, "read")
        return frame

    def version(self) -> int:
        """Return the newest version."""
        (row,) = self.spark.sql(f"DESCRIBE HISTORY {self.sql} LIMIT 1").select("version").collect()
        return int(row[0])

    def find(self, write: WriteId, *, since: int = 0) -> Trail:
        """Return the receipts of `write` in the log, as `History.find` does."""
        return History(self).find([write], since=since)


class History:
    """The commits of a table, as DESCRIBE HISTORY lists them."""

    def __init__(self, table: SparkTable) -> None:
        self.reaches_start = False
        """True once all commits that a run may have made have been read."""
        self._table = table

    def find(self, writes: Collection[WriteId], *, since: int = 0) -> Trail:
        """Return the results of `writes` by commits since a moment (milliseconds since the epoch), newest first."""
        return search(self._commits(since), writes)

    def _commits(self, since: int) -> Iterator[Commit]:
        """Yield commits, newest first, in growing chunks: the wanted one is nearly always among the newest.

        The search ends after a whole chunk of commits that are much older than `since`. A single commit with an old
        time comes from a writer whose clock is behind.
        """
        self.reaches_start = False
        limit, seen = _FIRST_CHUNK, None
        while True:
            rows = [row for row in self._rows(limit) if seen is None or row["version"] < seen]
            old = bool(rows)
            for row in rows:
                yield _commit(row)
                old = old and row["ms"] is not None and row["ms"] < since - CLOCK_SKEW_MS
            # Commits whose files are gone are missing: the log was read to its end once the oldest commit was seen.
            oldest = rows[-1]["version"] if rows else seen
            if old or oldest in (0, None):
                self.reaches_start = True
                return
            if not rows:
                return
            seen, limit = oldest, limit * _CHUNK_GROWTH

    def _rows(self, limit: int) -> list[Any]:
        history = self._table.spark.sql(f"DESCRIBE HISTORY {self._table.sql} LIMIT {limit}")
        columns = ["version", "unix_millis(timestamp) AS ms", "operation", "operationParameters", "userMetadata"]
        rows = history.selectExpr(*columns, "operationMetrics").collect()
        return sorted(rows, key=lambda row: -row["version"])


def _commit(row: Any) -> Commit:
    metrics = {name: _number(text) for name, text in (row["operationMetrics"] or {}).items()}
    parameters = {name: text for name, text in (row["operationParameters"] or {}).items() if text is not None}
    return Commit(row["version"], row["ms"], row["operation"] or "", parameters, row["userMetadata"], metrics)


def _number(text: Any) -> Any:
    try:
        return int(text)
    except (TypeError, ValueError):
        return text
