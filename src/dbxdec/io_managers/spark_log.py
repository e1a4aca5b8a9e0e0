"""A Delta table as Spark sees it: what it is, what its log says of who wrote it, and its rows at one version.

Everything goes through SQL and the DataFrame reader, which classic sessions and Connect both have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.base import ANY_ITEM, Receipt
from dbxdec.io_managers.delta_log import Found
from dbxdec.io_managers.spark_session import condition, fail, first_line, is_gone, is_missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.io_managers.base import WriteId

# A run that starts where clocks differ must still find its own commits.
_CLOCK_SKEW_MS = 3_600_000
_FIRST_CHUNK = 20
_CHUNK_GROWTH = 8


@dataclass(frozen=True, slots=True)
class Detail:
    """What DESCRIBE DETAIL says of a Delta table."""

    location: str
    partitions: tuple[str, ...]
    features: frozenset[str]
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Commit(Found):
    """A commit with a receipt, what kind of operation it was, and the newest version of the table when it was found."""

    operation: str
    newest: int


@dataclass(frozen=True)
class SparkTable:
    """The Delta table at a path, or under a name of the catalog; it need not exist."""

    spark: Any
    uri: str
    named: bool
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """How a statement of SQL calls it."""
        return ".".join(map(quoted, self.uri.split("."))) if self.named else f"delta.{quoted(self.uri)}"

    def detail(self) -> Detail | None:
        """What the table is; None where there is none. Raises RunError where something else is there."""
        try:
            (row,) = self.spark.sql(f"DESCRIBE DETAIL {self.sql}").collect()
        except Exception as error:
            if is_missing(error):
                return None
            if condition(error).startswith("EXPECT_TABLE_NOT_VIEW"):
                raise RunError(
                    f"{self.uri} is a view, and a task can't write one", hint="give the task a table"
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
        )

    def frame(self, version: int | None = None) -> Any:
        """The rows, of the newest version or of one. Raises RunError where the version is gone."""
        options = dict(self.options) if version is None else {**self.options, "versionAsOf": str(version)}
        reader = self.spark.read.options(**options)
        try:
            frame = reader.table(self.sql) if self.named else reader.format("delta").load(self.uri)
            _ = frame.schema  # a Connect frame is looked up only now
        except Exception as error:
            if version is not None and is_gone(error):
                raise gone(self.uri, version, first_line(error)) from error
            if is_missing(error):
                raise
            fail(error, self.uri, "read")
        return frame

    def version(self) -> int:
        """The newest version."""
        (row,) = self.spark.sql(f"DESCRIBE HISTORY {self.sql} LIMIT 1").select("version").collect()
        return int(row[0])

    def find(self, write: WriteId, *, since: int = 0) -> Commit | None:
        """The newest commit of `write`, looking no further back than `since` (milliseconds since the epoch).

        Of many iterations it is the newest that wrote something, where any did.
        """
        empty: Commit | None = None
        for found in self.commits_of(write, since=since):
            if found.wrote or write.item != ANY_ITEM:
                return found
            empty = empty or found
        return empty

    def commits_of(self, write: WriteId, *, since: int = 0) -> Iterator[Commit]:
        """All commits of `write`, the newest first, as far back as `find` looks."""
        newest = 0
        for row in self._commits(since - _CLOCK_SKEW_MS):
            newest = max(newest, row["version"])
            proof = Receipt.from_metadata(row["userMetadata"])
            if proof is not None and write.covers(proof[0].id):
                metrics = {name: _number(text) for name, text in (row["operationMetrics"] or {}).items()}
                yield Commit(row["version"], *proof, metrics, row["operation"] or "", newest)

    def _commits(self, since: int) -> Iterator[Any]:
        """Commits, newest first, in growing chunks: the one asked for is nearly always among the newest."""
        limit, seen = _FIRST_CHUNK, None
        while True:
            history = self.spark.sql(f"DESCRIBE HISTORY {self.sql} LIMIT {limit}")
            columns = ["version", "unix_millis(timestamp) AS ms", "operation", "userMetadata", "operationMetrics"]
            rows = history.selectExpr(*columns).collect()
            rows.sort(key=lambda row: -row["version"])
            for row in rows:
                if seen is not None and row["version"] >= seen:
                    continue
                if row["ms"] is not None and row["ms"] < since:
                    return
                yield row
            # A commit without a file any more is left out: the log is read to its end when the oldest has been seen.
            oldest = rows[-1]["version"] if rows else 0
            if oldest == 0 or oldest == seen:
                return
            seen, limit = oldest, limit * _CHUNK_GROWTH


def quoted(name: str) -> str:
    """`name` as an identifier of Spark's SQL."""
    return "`" + name.replace("`", "``") + "`"


def gone(uri: str, version: int, why: str) -> RunError:
    """What a reader is told of a version that has been vacuumed, or whose log has been cleaned."""
    return RunError(
        f"version {version} of {uri}, which this run's producer wrote, can't be read any more: {why}",
        hint="it has been vacuumed, or its log cleaned: keep versions as long as runs are repaired, or run the "
        "producer again",
    )


def _number(text: Any) -> Any:
    try:
        return int(text)
    except (TypeError, ValueError):
        return text
