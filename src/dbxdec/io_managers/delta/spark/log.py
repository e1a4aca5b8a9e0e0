"""A Delta table as Spark sees it: what it is, the writes in its log, and its rows at one version.

Everything goes through SQL and the DataFrame reader, which both classic sessions and Connect have.
"""

from __future__ import annotations

import json
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta.receipts import CLOCK_SKEW_MS, Commit, Trail, gone, search
from dbxdec.io_managers.delta.spark import log_files
from dbxdec.io_managers.spark_frames import quoted
from dbxdec.io_managers.spark_session import fail, first_line, is_gone, is_missing
from dbxdec.records import dataclass

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterator, Mapping

    from dbxdec.io_managers.contexts import WriteId

_FACTS, _PARTITIONS, _CLUSTERS = "# Detailed Table Information", "# Partition Information", "# Clustering Information"
_COLUMNS = "# col_name"
_FEATURE, _CLUSTERING = "delta.feature.", "clusteringColumns"
_BY_NAME = 7  # the version of the protocol that names its features
_IMPLIED = {
    2: ("appendOnly", "invariants"),
    3: ("checkConstraints",),
    4: ("changeDataFeed", "generatedColumns"),
    5: ("columnMapping",),
    6: ("identityColumns",),
}
_FIRST_CHUNK = 20
_CHUNK_GROWTH = 8


@dataclass(frozen=True, slots=True)
class Detail:
    """The details of a Delta table, as Spark tells them."""

    location: str
    partitions: tuple[str, ...]
    features: frozenset[str]
    properties: Mapping[str, str]
    comment: str = ""
    clustering: tuple[str, ...] = ()
    is_guarded: bool = False
    """True if only the platform may write files into the table's folder."""


@dataclass(frozen=True)
class SparkTable:
    """The Delta table at a path, or under a name of the catalog. It need not exist."""

    spark: Any
    uri: str
    named: bool
    options: Mapping[str, str] = field(default_factory=dict)
    newest: list[Commit] = field(default_factory=list, compare=False, repr=False)
    """The newest commits, as they were last read: reading the history again would start a job."""

    @property
    def sql(self) -> str:
        """The table's name in SQL statements."""
        return ".".join(map(quoted, self.uri.split("."))) if self.named else f"delta.{quoted(self.uri)}"

    def detail(self) -> Detail | None:
        """Return the details of the table; None if it doesn't exist. Raises RunError if it is something else.

        DESCRIBE DETAIL would start a job; these statements start none.
        """
        try:
            described = self.spark.sql(f"DESCRIBE TABLE EXTENDED {self.sql}").collect()
            properties = {
                row["key"]: row["value"] for row in self.spark.sql(f"SHOW TBLPROPERTIES {self.sql}").collect()
            }
        except Exception as error:  # noqa: BLE001 - it is raised again
            if is_missing(error):
                return None
            fail(error, self.uri, "read")
        sections = _sections(described)
        facts = {row["col_name"]: row["data_type"] for row in sections.get(_FACTS, ())}
        if "VIEW" in facts.get("Type", ""):
            raise RunError(f"{self.uri} is a view, which a task can't write", hint="give the task a table")
        if facts.get("Provider", "delta").lower() != "delta":
            raise RunError(
                f"{self.uri} is a table of the format {facts['Provider']}", hint="give the task a Delta table"
            )
        return Detail(
            facts.get("Location") or self.uri,
            tuple(_unquoted(row["col_name"]) for row in sections.get(_PARTITIONS, ())),
            _features(properties),
            {name: value for name, value in properties.items() if not _is_of_the_protocol(name)},
            facts.get("Comment", ""),
            self._clustering(properties, sections),
            self.named and _is_guarded(facts),
        )

    def _clustering(self, properties: Mapping[str, str], sections: Mapping[str, list[Any]]) -> tuple[str, ...]:
        """Return the columns that a table is clustered by; versions differ in where they say it."""
        if (text := properties.get(_CLUSTERING)) is not None:
            return tuple(".".join(path) for path in json.loads(text))
        if f"{_FEATURE}clustering" in properties and _CLUSTERS not in sections:
            return tuple(self.described()["clusteringColumns"] or ())
        return tuple(_unquoted(row["col_name"]) for row in sections.get(_CLUSTERS, ()))

    def is_empty(self) -> bool:
        """Return whether the table, which exists, has no file."""
        return bool(self.described()["numFiles"] == 0)

    def described(self) -> dict[str, Any]:
        """Return the details that only this statement has, which starts a job."""
        (row,) = self.spark.sql(f"DESCRIBE DETAIL {self.sql}").collect()
        found: dict[str, Any] = {"clusteringColumns": None, **row.asDict()}
        return found

    def id(self) -> str:
        """Return the id of the table, which exists."""
        found = log_files.definition_of(self.frame(), self.spark)
        return found.id if found is not None else str(self.described()["id"])

    def created(self) -> int | None:
        """Return when the table was made, in milliseconds since the epoch."""
        found: dt.datetime | None = self.described().get("createdAt")
        return _milliseconds(found)

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

    def feed(self, first: int, last: int) -> Any:
        """Return the rows of the change data feed of these versions, with what Spark itself raises where it can't."""
        span = {"readChangeFeed": "true", "startingVersion": str(first), "endingVersion": str(last)}
        reader = self.spark.read.options(**self.options, **span)
        return reader.table(self.sql) if self.named else reader.format("delta").load(self.uri)

    def version(self) -> int:
        """Return the newest version."""
        if (files := self.log_files()) is not None:
            return files.newest
        (row,) = self.spark.sql(f"DESCRIBE HISTORY {self.sql} LIMIT 1").collect()
        return int(row["version"])

    def log_files(self) -> log_files.LogFiles | None:
        """Return the files of the log as it is now; None if this process can't tell them."""
        try:
            return log_files.of_frame(self.frame(), self.spark)
        except Exception:  # noqa: BLE001 - the history then says what is wrong
            return None

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
        """Yield commits, newest first: single files of the log, then the history in growing chunks.

        The wanted one is nearly always among the newest. The search ends after a whole chunk of commits that are much
        older than `since`. A single commit with an old time comes from a writer whose clock is behind.
        """
        self.reaches_start = False
        limit, seen = _FIRST_CHUNK, None
        newest = self._table.newest
        newest.clear()
        files = self._table.log_files()
        for commit in files.commits() if files is not None else ():
            newest.append(commit)
            seen = commit.version
            yield commit
        if seen == 0:
            self.reaches_start = True
            return
        while True:
            there = self._rows(limit)
            rows = [row for row in there if seen is None or row["version"] < seen]
            if limit == _FIRST_CHUNK:
                newest += map(_commit, rows)
            old = bool(rows)
            for row in rows:
                yield _commit(row)
                moment = _milliseconds(row["timestamp"])
                old = old and moment is not None and moment < since - CLOCK_SKEW_MS
            # Commits whose files are gone are missing: the log was read to its end once the oldest commit was seen.
            oldest = rows[-1]["version"] if rows else seen
            if old or oldest in (0, None):
                self.reaches_start = True
                return
            if not rows:
                return
            seen, limit = oldest, limit * _CHUNK_GROWTH

    def back(self) -> Iterator[Commit]:
        """Yield all commits, newest first, as far as the log has them and as far as they are asked for."""
        return self._commits(0)

    def known(self) -> Iterator[Commit]:
        """Yield all commits, newest first, beginning with those that were read last."""
        last = list(self._table.newest)
        yield from last
        if not last or last[-1].version > 0:
            below = last[-1].version if last else None
            yield from (commit for commit in self._commits(0) if below is None or commit.version < below)

    def _rows(self, limit: int) -> list[Any]:
        history = self._table.spark.sql(f"DESCRIBE HISTORY {self._table.sql} LIMIT {limit}")
        # A projection would start a second job.
        return sorted(history.collect(), key=lambda row: -row["version"])


def _commit(row: Any) -> Commit:
    metrics = {name: log_files.number(text) for name, text in (row["operationMetrics"] or {}).items()}
    parameters = {name: text for name, text in (row["operationParameters"] or {}).items() if text is not None}
    return Commit(
        row["version"],
        _milliseconds(row["timestamp"]),
        row["operation"] or "",
        parameters,
        row["userMetadata"],
        metrics,
    )


def _milliseconds(moment: dt.datetime | None) -> int | None:
    """Return a moment as milliseconds since the epoch; Spark gives it in the time zone of this process."""
    return None if moment is None else int(moment.timestamp() * 1000)


def _sections(rows: list[Any]) -> dict[str, list[Any]]:
    """Return the rows of DESCRIBE TABLE EXTENDED by the headings above them; those of the columns have none."""
    sections: dict[str, list[Any]] = {}
    heading = ""
    for row in rows:
        name = row["col_name"]
        if name.startswith("# ") and name != _COLUMNS and not row["data_type"]:
            heading = name
        elif name and name != _COLUMNS:
            sections.setdefault(heading, []).append(row)
    return sections


_OWN_CATALOGS = ("spark_catalog", "hive_metastore")


def _is_guarded(facts: Mapping[str, str]) -> bool:
    """Return whether a table is managed by Unity Catalog (docs.databricks.com, "Unity Catalog managed tables")."""
    location = facts.get("Location", "")
    managed = facts.get("Type") == "MANAGED" and facts.get("Catalog", "spark_catalog") not in _OWN_CATALOGS
    return managed or "/__unitystorage/" in location or "/" not in location


def _features(properties: Mapping[str, str]) -> frozenset[str]:
    """Return the features of a table, also those that an older protocol implies (Delta protocol, "Table Features")."""
    named = {name.removeprefix(_FEATURE) for name in properties if name.startswith(_FEATURE)}
    try:
        writer = int(properties.get("delta.minWriterVersion", 0))
    except ValueError:
        writer = 0
    return frozenset(named).union(*(names for version, names in _IMPLIED.items() if version <= writer < _BY_NAME))


def _is_of_the_protocol(name: str) -> bool:
    return name.startswith(_FEATURE) or name in ("delta.minReaderVersion", "delta.minWriterVersion", _CLUSTERING)


def _unquoted(name: str) -> str:
    """Return a name without the quotes that Spark puts around one with other characters than letters and digits."""
    return name[1:-1].replace("``", "`") if len(name) > 1 and name[0] == name[-1] == "`" else name
