"""The files of one commit, as its JSON in the log names them, and their rows without any other file.

Spark's own ways to read a part of a version list all of its files, and open them too: a filter by a file's name prunes
nothing. Where the log, or the files themselves, can't be read by their paths, as those of a managed table of Unity
Catalog, callers go another way.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta import log_lines, stored_names
from dbxdec.io_managers.delta.spark import log_files
from dbxdec.io_managers.spark_frames import escaped, quoted, string_literal
from dbxdec.io_managers.spark_session import first_line
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dbxdec.io_managers.delta.spark.log import Detail, SparkTable

# Types whose partition values have one spelling (Delta protocol, "Partition Value Serialization").
_PLAIN = re.compile(r"string|tinyint|smallint|int|bigint|boolean|date|decimal\(\d+,\d+\)")
# Types whose smallest and largest values in a file are exact (Delta protocol, "Per-file Statistics").
_ORDERED = re.compile(r"tinyint|smallint|int|bigint|date")
_GLOB = re.compile(r"[*?{}\[\]\\]")
_MOST_PARTITIONS = 32


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that a commit added. `smallest` and `largest` are its statistics, by column."""

    uri: str
    partition: Mapping[str, str | None]
    smallest: Mapping[str, Any]
    largest: Mapping[str, Any]
    is_whole: bool

    @property
    def name(self) -> str:
        return self.uri.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class CommitFiles:
    """A commit's added and removed files. One that it removes and adds again, with other rows deleted, is neither."""

    added: tuple[DataFile, ...]
    removed: frozenset[str]

    def rows(self, table: SparkTable, detail: Detail, schema: Any) -> Any | None:
        """Return the rows of the added files, with the columns of `schema`; None if their paths can't be read."""
        kinds = {field.name: field.dataType.simpleString() for field in schema}
        groups: dict[tuple[str | None, ...], list[str]] = {}
        for file in self.added:
            groups.setdefault(tuple(file.partition.get(name) for name in detail.partitions), []).append(file.uri)
        if (
            not self.added
            or len(groups) > _MOST_PARTITIONS
            or not all(file.is_whole and not _GLOB.search(file.uri) for file in self.added)
            or not all(_PLAIN.fullmatch(kinds[name]) for name in detail.partitions)
            or not self._names_columns(detail)
        ):
            return None
        try:
            frames = [
                _read(table, schema, dict(zip(detail.partitions, values, strict=True)), uris)
                for values, uris in groups.items()
            ]
            found = functools.reduce(lambda one, other: one.unionAll(other), frames)
            _ = found.schema  # only this looks a Connect frame up
        except Exception as error:  # noqa: BLE001 - no permission, or a platform that guards the files of its tables
            log.debug("the files of %s can't be read by their paths: %s", table.uri, first_line(error))
            return None
        return found

    def predicate(self, detail: Detail, schema: Any) -> str | None:
        """Return a condition that all added rows meet, by which Delta skips other files; None if nothing is known."""
        if not self._names_columns(detail):
            return None
        kinds = {field.name: field.dataType.simpleString() for field in schema}
        parts = []
        for name in detail.partitions:
            values = {file.partition.get(name) for file in self.added}
            if len(values) <= _MOST_PARTITIONS and _PLAIN.fullmatch(kinds[name]):
                parts.append(" OR ".join(_is(name, value, kinds[name]) for value in sorted(values, key=str)))
        for name, kind in kinds.items():
            if _ORDERED.fullmatch(kind) and all(name in one.smallest and name in one.largest for one in self.added):
                least, most = (
                    min(one.smallest[name] for one in self.added),
                    max(one.largest[name] for one in self.added),
                )
                between = f"{quoted(name)} BETWEEN {_literal(least, kind)} AND {_literal(most, kind)}"
                parts.append(f"{between} OR {quoted(name)} IS NULL")
        return " AND ".join(f"({part})" for part in parts) or None

    def _names_columns(self, detail: Detail) -> bool:
        """Return whether the log has the names of columns; with column mapping it has others (Delta protocol)."""
        mapped = detail.properties.get(stored_names.MODE, stored_names.UNMAPPED) != stored_names.UNMAPPED
        return not mapped and all(file.partition.keys() == set(detail.partitions) for file in self.added)


def read(table: SparkTable, detail: Detail, version: int) -> CommitFiles | None:
    """Return the files of the commit `version`; None if its JSON is gone, or can't be read by its path."""
    root = detail.location.rstrip("/")
    lines = log_files.actions(table.spark, f"{root}/_delta_log", version) or _by_a_job(table, root, version)
    return None if lines is None else of_actions(root, lines)


_ACTIONS = ("add", "remove")


def _by_a_job(table: SparkTable, root: str, version: int) -> list[str] | None:
    try:
        lines = table.spark.read.text(escaped(log_files.commit_path(f"{root}/_delta_log", version)))
        wanted = [lines["value"].contains(f'"{action}"') for action in _ACTIONS]
        rows = lines.where(wanted[0] | wanted[1]).collect()
    except Exception as error:  # noqa: BLE001 - no permission, cleaned up, another kind of storage
        log.debug("commit %d of %s can't be read by its path: %s", version, table.uri, first_line(error))
        return None
    return [row["value"] for row in rows]


def of_actions(root: str, lines: Iterable[str]) -> CommitFiles:
    """Return the files that the actions of a commit name, of a table at `root`."""
    added, removed = {}, set()
    for action in log_lines.actions(lines, *_ACTIONS):
        if "add" in action:
            file = _data_file(root, action["add"])
            added[file.uri] = file
        else:
            removed.add(uri_of(root, action["remove"]["path"]))
    return CommitFiles(
        tuple(file for uri, file in added.items() if uri not in removed), frozenset(removed - added.keys())
    )


def _data_file(root: str, add: Mapping[str, Any]) -> DataFile:
    stats = json.loads(add.get("stats") or "{}")
    partition = {name: value or None for name, value in (add.get("partitionValues") or {}).items()}
    return DataFile(
        uri_of(root, add["path"]),
        partition,
        stats.get("minValues") or {},
        stats.get("maxValues") or {},
        add.get("deletionVector") is None,
    )


def uri_of(root: str, path: str) -> str:
    """Return the URI of a file, whose path may be relative (Delta protocol, "Add File and Remove File")."""
    plain = unquote(path)
    return plain if "://" in plain or plain.startswith(("/", "file:")) else f"{root}/{plain}"


def _read(table: SparkTable, schema: Any, partition: Mapping[str, str | None], uris: Sequence[str]) -> Any:
    from pyspark.sql import functions
    from pyspark.sql.types import StructType

    inside = StructType([field for field in schema if field.name not in partition])
    frame = table.spark.read.schema(inside).parquet(*map(escaped, uris))
    return frame.select(
        *(
            functions.lit(partition[field.name]).cast(field.dataType).alias(field.name)
            if field.name in partition
            else functions.col(quoted(field.name))
            for field in schema
        )
    )


def _is(name: str, value: str | None, kind: str) -> str:
    return f"{quoted(name)} IS NULL" if value is None else f"{quoted(name)} = {_literal(value, kind)}"


def _literal(value: Any, kind: str) -> str:
    return f"CAST({string_literal(str(value))} AS {kind})"
