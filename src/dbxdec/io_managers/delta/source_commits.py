"""The changes that the commits of a table have made to its rows, for a reader of what is new, for all engines.

A commit adds files, removes them, or does both (Delta protocol, "Actions"). Compaction says of its files that their
rows are no change.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, listed
from dbxdec.io_managers.delta import log_lines
from dbxdec.io_managers.delta.receipts import made_at
from dbxdec.model.changes import FEED_PROPERTY
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dbxdec.io_managers.contexts import InputContext
    from dbxdec.model.changes import Changes

_REDEFINES = ("CREATE OR REPLACE", "REPLACE TABLE")


@dataclass(frozen=True, slots=True)
class SourceCommit:
    """One commit of a source.

    `moment` is the writer's clock, in milliseconds since the epoch. `added`, `removed` and `changes` are the actions
    `add`, `remove` and `cdc` that concern rows; `dropped` are the paths of all files that it removed. `metadata` is the
    table's definition where the commit changed it.
    """

    version: int
    moment: int | None
    operation: str
    added: Sequence[Mapping[str, Any]]
    removed: Sequence[Mapping[str, Any]]
    changes: Sequence[Mapping[str, Any]]
    dropped: frozenset[str]
    metadata: Mapping[str, Any] | None = None

    @classmethod
    def of_lines(cls, version: int, lines: Iterable[str]) -> SourceCommit:
        """Return the commit whose actions are `lines`, a JSON document each."""
        actions = log_lines.actions(lines, "add", "remove", "cdc", "metaData", "commitInfo")

        def all_of(kind: str) -> list[Mapping[str, Any]]:
            return [one[kind] for one in actions if kind in one]

        info: Mapping[str, Any] = next(iter(all_of("commitInfo")), {})
        removed = all_of("remove")
        return cls(
            version,
            made_at(info),
            str(info.get("operation", "")),
            tuple(add for add in all_of("add") if add.get("dataChange") is True),
            tuple(remove for remove in removed if remove.get("dataChange") is True),
            tuple(all_of("cdc")),
            frozenset(remove["path"] for remove in removed),
            next(iter(all_of("metaData")), None),
        )

    @property
    def is_rewrite(self) -> bool:
        """True if it did more to rows than add some."""
        if self.operation.startswith(_REDEFINES) and self.version > 0:
            return True
        return bool(self.removed) or (self.operation == "RESTORE" and bool(self.added))

    @property
    def rows(self) -> int | None:
        """The number of rows of the added files; None where their statistics don't say it."""
        counts = [json.loads(add.get("stats") or "{}").get("numRecords") for add in self.added]
        return sum(counts) if all(isinstance(count, int) for count in counts) else None

    @property
    def marks_rows(self) -> bool:
        """True if it marks single rows of files as deleted (Delta protocol, "Deletion Vectors")."""
        return any(one.get("deletionVector") for one in (*self.added, *self.removed))


@dataclass(frozen=True)
class Reading:
    """The commits of a span, and how each of them is read. Their versions rise."""

    commits: Sequence[SourceCommit]
    by_files: Sequence[SourceCommit] = field(default=())
    by_feed: Sequence[SourceCommit] = field(default=())
    renamed: frozenset[int] = frozenset()
    """The versions of commits whose files have other names for columns than those of the end of the span."""

    @property
    def is_empty(self) -> bool:
        """True if none of the commits has a row for the reader."""
        return not self.by_files and not self.by_feed

    @property
    def rows(self) -> int | None:
        """The number of rows that the reader gets; None where it isn't known without reading them."""
        counts = [commit.rows for commit in self.by_files]
        known = [count for count in counts if count is not None]
        return sum(known) if not self.by_feed and len(known) == len(counts) else None


def reading(
    commits: Sequence[SourceCommit], context: InputContext, changes: Changes, fed: Mapping[int, bool]
) -> Reading:
    """Return how the commits of a span are read; `fed` says by version whether the change data feed was on.

    Raises RunError for commits that did more than add rows where no feed tells what, unless they are skipped.
    """
    by_files, by_feed, refused = [], [], []
    for commit in commits:
        if not commit.is_rewrite:
            if commit.added:
                by_files.append(commit)
        elif fed[commit.version]:
            by_feed.append(commit)
        elif changes.on_rewrite == "error":
            refused.append(commit)
    if refused:
        raise RunError([*_rewritten(refused, context)])
    return Reading(commits, by_files, by_feed)


_SHOWN = 3


def _rewritten(commits: Sequence[SourceCommit], context: InputContext) -> Iterator[Problem]:
    for commit in commits[:_SHOWN]:
        more = len(commits) - _SHOWN
        also = f" (and {more} more such versions)" if more > 0 and commit is commits[_SHOWN - 1] else ""
        yield Problem(
            f"version {commit.version} of {context.uri} is a {commit.operation or 'commit'} that did more than add "
            f"rows{also}, and `{context.parameter}` reads what is new there: no change data feed says what has changed",
            hint='leave such versions out (`.changes(on_rewrite="skip")`), go on after it (`--adopt TASK='
            f"{commit.version}`, once the table that the task writes is right), read all again (`--restart TASK`), or "
            f"set `{FEED_PROPERTY}` on the source, which tells of later ones",
        )


def feeds(commits: Sequence[SourceCommit], before: Mapping[str, Any] | None) -> dict[int, bool]:
    """Return by version whether the change data feed was on; `before` are the table's properties before the span."""
    on, found = _is_fed(before or {}), {}
    for commit in commits:
        if commit.metadata is not None:
            on = _is_fed(commit.metadata.get("configuration") or {})
        found[commit.version] = on
    return found


def _is_fed(properties: Mapping[str, Any]) -> bool:
    return str(properties.get(FEED_PROPERTY, "")).lower() == "true"


def refuse_lost_columns(earlier: Iterable[str], newest: str, context: InputContext) -> None:
    """Raise RunError if a column of a schema is gone, or has another type, in the one that followed it.

    Schemas are in JSON (Delta protocol, "Schema Serialization Format"), in the order of their versions. Rows of the
    span have the columns of its end: one that was dropped and made again under its name is not the one of before.
    """
    lost: dict[str, None] = {}
    other: dict[str, None] = {}
    known = [_fields(schema) for schema in (*earlier, newest)]
    for fields, now in itertools.pairwise(known):
        for name, kind in fields.items():
            if name not in now:
                lost[name] = None
            else:
                other |= dict.fromkeys(_changes(name, kind, now[name]))
    said = [f"has lost its columns {listed(list(lost))}"] if lost else []
    said += [f"has other types in some columns: {', '.join(other)}"] if other else []
    if said:
        raise RunError(
            f"{context.uri} {' and '.join(said)} since the task has read it, so `{context.parameter}` can't give old "
            "and new rows the same columns",
            hint="go on after the newest version, once the table that the task writes is right (`--adopt "
            "TASK=VERSION`), or read all again (`--restart TASK`)",
        )


def _fields(schema: str) -> dict[str, Any]:
    return {one["name"]: one["type"] for one in json.loads(schema)["fields"]}


def _changes(path: str, before: Any, now: Any) -> Iterator[str]:
    """Yield why values of the type `before` are no values of the type `now`: structs may have got fields."""
    if not isinstance(before, dict) or not isinstance(now, dict) or before["type"] != now["type"]:
        if before != now:
            yield f"`{path}` was {_shown(before)} and is {_shown(now)}"
        return
    if before["type"] == "struct":
        there = {one["name"]: one["type"] for one in now["fields"]}
        for one in before["fields"]:
            inside = f"{path}.{one['name']}"
            if one["name"] in there:
                yield from _changes(inside, one["type"], there[one["name"]])
            else:
                yield f"`{inside}` is gone"
        return
    for part in ("elementType", "keyType", "valueType"):
        if part in before:
            yield from _changes(f"{path}.{part.removesuffix('Type')}", before[part], now[part])


def _shown(kind: Any) -> str:
    return str(kind) if isinstance(kind, str) else str(kind["type"])


def gone(context: InputContext, version: int, why: str) -> RunError:
    """Return the error of a version in the span that can't be read any more."""
    return RunError(
        f"version {version} of {context.uri}, which is new to the parameter `{context.parameter}`, can't be read any "
        f"more: {why}",
        hint="a task that pauses longer than the source keeps its log and its files can't go on "
        "(`delta.logRetentionDuration`, `delta.deletedFileRetentionDuration`): read all again (`--restart TASK`), or "
        "go on after a newer version (`--adopt TASK=VERSION`)",
    )


def parted_otherwise(context: InputContext, version: int) -> RunError:
    """Return the error of a commit whose changes Spark's feed gives without the values of their partitions."""
    return RunError(
        f"version {version} of {context.uri} is of before the table got other partitions, and Spark's change data feed "
        f"has lost their values, so `{context.parameter}` can't have its changes",
        hint="annotate the parameter as a frame of Polars, which reads them; or go on after the version that has "
        "changed the partitions (`--adopt TASK=VERSION`), once the table that the task writes is right",
    )


def named_otherwise(context: InputContext, version: int) -> RunError:
    """Return the error of a commit whose files have other names for columns, which only Spark reads."""
    return RunError(
        f"version {version} of {context.uri} is of before the table lost its column mapping: its files have other "
        f"names for the columns, by which Polars can't read them for `{context.parameter}`",
        hint="annotate the parameter as a Spark DataFrame, which reads them; or go on after the version that has taken "
        "the mapping away (`--adopt TASK=VERSION`), once the table that the task writes is right",
    )


def untold(context: InputContext, version: int, path: str) -> RunError:
    """Return the error of a commit that removes a file without the values of its partition."""
    return RunError(
        f"version {version} of {context.uri} removes {path} and does not say of which partition it is, so "
        f"`{context.parameter}` can't have the rows that are gone",
        hint='read the rows that are new (`kind="rows"`), or go on after it (`--adopt TASK='
        f"{version}`, once the table that the task writes is right)",
    )


def refuse_taken_names(columns: Iterable[str], names: Sequence[str], context: InputContext, kind: str) -> None:
    """Raise RunError if the source has columns with the names of the feed's own ones."""
    if taken := [name for name in columns if name in names]:
        raise RunError(
            f'{context.uri} has the column {listed(taken)}, which `.changes(kind="{kind}")` adds itself',
            hint='read the rows (`kind="rows"`), or rename the column',
        )


def refuse_missing_keys(columns: Iterable[str], by: Sequence[str], context: InputContext) -> None:
    """Raise RunError if the source lacks a column of the key."""
    known = list(columns)
    if missing := [name for name in by if name not in known]:
        raise RunError(
            f"{context.uri} has no column {listed(missing)}, by which `{context.parameter}` tells rows apart",
            hint=f"its columns are {listed(known)}",
        )


def several(context: InputContext, key: str, version: int | str) -> RunError:
    """Return the error of a key that one commit changed several times: none of the changes is the last one."""
    return RunError(
        f'version {version} of {context.uri} has several rows with the key {key}, so `.changes(kind="latest")` can\'t '
        "tell which of them is the last change",
        hint='choose in the task: read `kind="rows"` or `kind="feed"`, and keep one row for each key',
    )
