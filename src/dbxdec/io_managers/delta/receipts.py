"""Receipts in a Delta table's log: the result of each write, and which of them still count, for all engines.

The list of files of a commit is not what a task returned: an engine may rewrite rows of other writes in the same
commit. So the receipt states the kind of the result, and a reader follows that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.errors import RunError
from dbxdec.io_managers import outcomes
from dbxdec.io_managers.contexts import Receipt, WriteId
from dbxdec.io_managers.delta.expectations import EXPECT
from dbxdec.io_managers.delta.slices import Slice
from dbxdec.io_managers.other_lock import note_other_lock
from dbxdec.io_managers.positions import NUMBER
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from dbxdec.io_managers.contexts import InputContext

WRITE = "write"
"""The name under which a commit states the mark that tells its write from others of the same attempt."""

Kind = Literal["whole", "slice", "files", "merge", "kept", "none"]
"""The kind of a result.

`whole`: all rows of the version. `slice`: the rows of the version that have the slice's values. `files`: the rows of
the files that the commit adds and does not remove. `merge`: the table as a merge left it. `kept`: the table that
mode="ignore" left alone. `none`: nothing.
"""


@dataclass(frozen=True, slots=True)
class Left:
    """The result of one write in a table, as its receipt states it. `slice` is set only for the kind "slice".

    `own` says that the task's own code made the commit, with the properties that its manager gave it. `after` is set
    for a write of several commits, as that of a stream: the version of the table before the first of them.
    """

    kind: Kind
    slice: Slice | None = None
    own: bool = False
    after: int | None = None

    def facts(self) -> dict[str, Any]:
        """Return the form that stands beside the receipt in a commit's metadata."""
        facts: dict[str, Any] = {"kind": self.kind}
        if self.slice is not None:
            facts["slice"] = self.slice.json_form()
        if self.after is not None:
            facts["after"] = self.after
        return {**facts, "own": True} if self.own else facts

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Left | None:
        """Return the result that `facts` describe; None for facts of another shape."""
        kind, form = facts.get("kind"), facts.get("slice")
        slice_ = None if form is None else Slice.of_json_form(form)
        if kind not in ("whole", "slice", "files", "merge", "kept", "none") or (kind == "slice") != (
            slice_ is not None
        ):
            return None
        after = facts.get("after")
        return cls(kind, slice_, facts.get("own") is True, after if isinstance(after, int) else None)


def of_partitions(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Left:
    """Return the result of an overwrite of these partitions, given by their values.

    If there are many, the files of the commit describe it.
    """
    slice_ = Slice.of_partitions(columns, rows)
    return Left("files") if slice_ is None else Left("slice", slice_)


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, as the log describes it. `timestamp` is the writer's clock, in milliseconds since the epoch.

    `parameters` are those of the operation. `metadata` is the string in the field `userMetadata`.
    """

    version: int
    timestamp: int | None = None
    operation: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metadata: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)


def made_at(info: Mapping[str, Any]) -> int | None:
    """Return when a commit was made, by its action `commitInfo`: in milliseconds, by the clock of its writer.

    A table may have a clock of its own (Delta protocol, "In-Commit Timestamps").
    """
    stamp = info.get("inCommitTimestamp", info.get("timestamp"))
    return stamp if isinstance(stamp, int) else None


def stamps(commits: Iterable[Commit | None]) -> dict[int, int]:
    """Return when commits were made, by their versions, without those of which the log does not say it."""
    return {one.version: one.timestamp for one in commits if one is not None and one.timestamp is not None}


SAME = "same"
"""The fact of a receipt without rows: the version of the commit that has what its write would have stored."""


@dataclass(frozen=True, slots=True)
class Found:
    """A commit with a receipt, and its result. `facts` are all facts beside the receipt.

    `earlier` are the other commits of a write that has several, newest first. `noted` is the version of a later commit
    which states how the expectations of its rows came out; None without one.
    """

    version: int
    receipt: Receipt
    left: Left
    facts: Mapping[str, Any]
    metrics: Mapping[str, Any]
    operation: str = ""
    earlier: tuple[Found, ...] = ()
    of_other: bool = False
    """True if another write has made the commit, whose result this one shares."""
    noted: int | None = None

    @property
    def last(self) -> int:
        """The version of the last commit that belongs to this one."""
        return self.version if self.noted is None else self.noted

    @property
    def expectations(self) -> Mapping[str, Any]:
        """The outcomes of the expectations of its rows, by their names."""
        found = self.facts.get(EXPECT)
        return found if isinstance(found, dict) else {}

    def with_note(self, note: Found) -> Found:
        """Return it with what a later commit of the same write states of its rows."""
        mark = self.facts.get(WRITE)
        if note.left.kind != "none" or mark is None or note.facts.get(WRITE) != mark or not note.expectations:
            return self
        return replace(self, facts={**self.facts, EXPECT: note.expectations}, noted=note.version)

    @property
    def parts(self) -> tuple[Found, ...]:
        """All commits of the write, oldest first."""
        return (*reversed(self.earlier), self)

    @classmethod
    def of_commit(cls, commit: Commit) -> Found | None:
        """Return the receipt in `commit`; None for a commit of another writer."""
        proof = Receipt.from_metadata(commit.metadata or _mark_in(commit))
        left = Left.of_facts(proof[1]) if proof is not None else None
        if proof is None or left is None:
            return None
        return cls(commit.version, proof[0], left, proof[1], commit.metrics, commit.operation)

    @property
    def ends_it(self) -> bool:
        """True if the write has nothing left to do: one that left the table alone may still store something.

        A write that has noted how far its task has read what is new is done, even if that gave no rows.
        """
        return self.left.kind not in ("kept", "none") or NUMBER in self.facts


_MARK = "dbxdec:"


def marking(metadata: str) -> str:
    """Return the name of the column that marks a merge whose commit can't have metadata of its own."""
    # Spark would replace `${...}` in the SQL of the merge.
    return _MARK + metadata.replace("$", "\\u0024")


def _mark_in(commit: Commit) -> str | None:
    """Return the metadata in the condition of a merge, as Spark shows it: `... AND dbxdec:{...}#12`."""
    predicate = commit.parameters.get("predicate")
    if commit.operation != "MERGE" or not isinstance(predicate, str) or _MARK not in predicate:
        return None
    try:
        text = " ".join(json.loads(predicate))
        start = text.index(_MARK) + len(_MARK)
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, TypeError):
        return None
    return text[start:end]


@dataclass()
class Trail:
    """The outcome of a search: the result of each write that still counts, and the results that a RESTORE has undone.

    `unclear` is the version of a RESTORE that does not state the version it went back to, if the search found receipts
    of the writes below it; otherwise None. `newest` is the newest version that the search saw. `cut` are writes of
    several commits of which the search did not see all.
    """

    newest: int = -1
    found: dict[WriteId, Found] = field(default_factory=dict)
    undone: dict[WriteId, tuple[Found, int]] = field(default_factory=dict)
    unclear: int | None = None
    cut: set[WriteId] = field(default_factory=set)


def judged(commits: Iterable[Commit]) -> Iterator[tuple[Commit, Commit | None, bool]]:
    """Yield each commit with the RESTORE that has undone it, None for one that counts, and whether that is in doubt.

    The commits come newest first. A RESTORE voids all commits between itself and the version that it went back to.
    """
    restore: Commit | None = None
    floor: int | None = None  # commits above it are undone
    for commit in commits:
        if floor is not None and commit.version <= floor:
            restore = floor = None
        age = _age(commit, restore) if restore is not None and floor is None else None
        if age is not None and age > _DOUBT_MS:
            restore = age = None
        if restore is None and commit.operation == "RESTORE":
            yield commit, None, False
            restore, floor = commit, restored_version(commit)
            continue
        yield commit, restore, restore is not None and floor is None and (age is None or age > -_DOUBT_MS)


def search(commits: Iterable[Commit], writes: Collection[WriteId]) -> Trail:
    """Return the results of `writes` in `commits`, which come newest first and are read only as far as needed.

    The newest commit of a write counts; of a write of several commits, all of them. A commit that left nothing, and one
    that the task's own code made, count only if there is no other. A RESTORE voids all commits between itself and the
    version that it went back to. The result of a write may be that of another one (`SAME`).
    """
    trail, open_ = Trail(), set(writes)
    last: dict[WriteId, int] = {}  # of a write of several commits: where the search for them ends
    same: dict[int, WriteId] = {}
    for commit, restore, in_doubt in judged(commits):
        trail.newest = max(trail.newest, commit.version)
        found = None if commit.operation == "RESTORE" else Found.of_commit(commit)
        if found is not None and (shares := same.pop(commit.version, None)) in open_:
            found = replace(found, receipt=replace(found.receipt, id=shares), of_other=True)
        if found is not None and (write := found.receipt.id) in open_:
            if restore is None and isinstance(version := found.facts.get(SAME), int):
                same[version] = write
                continue
            if found.left.after is not None:
                last[write] = min(last.get(write, commit.version), found.left.after + 1)
            if restore is not None:
                before, _ = trail.undone.setdefault(write, (found, restore.version))
                if _rank(found) > _rank(before):  # only a result tells which number the next one must have
                    trail.undone[write] = (found.with_note(before), restore.version)
                if in_doubt:
                    trail.unclear = restore.version
            elif _counts(trail, found) and write not in last:
                open_.discard(write)
        for several in [one for one in last if commit.version <= last[one]]:
            open_.discard(several)
            del last[several]
        if not open_:
            break
    trail.cut.update(last)
    return trail


def _counts(trail: Trail, found: Found) -> bool:
    """Add a commit to what counts of its write. Return whether no earlier one may count in its place."""
    write = found.receipt.id
    before = trail.found.get(write)
    if before is None:
        trail.found[write] = found
    elif _rank(found) > _rank(before):
        trail.found[write] = found.with_note(before)
    elif found.left.after is not None and before.left.after is not None:
        trail.found[write] = replace(before, earlier=(*before.earlier, found))
    return _rank(trail.found[write]) == _FINAL


CLOCK_SKEW_MS = 24 * 3_600_000
"""The time by which a commit of a run may look older than the run: the clocks of writers differ."""
_FINAL = 2
# An engine goes by the timestamps of the storage, which has its own clock and may keep only whole seconds.
_DOUBT_MS = 60_000


def _rank(found: Found) -> int:
    """Return the weight of a receipt: a result over a commit of the task's own code over "nothing to write"."""
    return 0 if found.left.kind == "none" else 1 if found.left.own else _FINAL


def restored_version(restore: Commit) -> int | None:
    """Return the version that a RESTORE went back to; None if its commit does not state it."""
    return _number(restore, "version")


def _number(restore: Commit, name: str) -> int | None:
    text = str(restore.parameters.get(name, "")).strip('"')
    return int(text) if text.isdecimal() else None


def _age(commit: Commit, restore: Commit) -> int | None:
    """Return the age of `commit`, in ms, at the time that `restore` went back to; None if they don't state it."""
    moment = _number(restore, "datetime")
    return None if moment is None or commit.timestamp is None else moment - commit.timestamp


def result(
    trail: Trail,
    write: WriteId,
    context: InputContext,
    *,
    committed: bool,
    complete: bool,
) -> Found:
    """Return the result of `write`. Raises NotWrittenError only with proof that the write left nothing.

    `committed` says whether the table has the write's transaction identifier, which outlives its receipt. `complete`
    says whether the log was read back to the run's start. Without proof the error is a RunError.
    """
    found = trail.found.get(write)
    _refuse_partial(trail, write, context)
    if found is not None and found.left.kind != "none":
        note_other_lock(found.receipt, context)
        return found
    # An attempt that wrote nothing proves nothing about later ones.
    nothing = -1 if found is None else found.version
    if trail.unclear is not None and trail.unclear > nothing:
        raise unclear(trail.unclear, context.uri, write.task)
    undone, restore = trail.undone.get(write, (None, -1))
    if undone is not None and restore > nothing:
        raise RunError(
            f"the task `{write.task}` of this run wrote version {undone.version} of {context.uri}, which "
            f"the parameter `{context.parameter}` reads, but the RESTORE of version {restore} has undone it",
            hint=f"run the task again: a repair of `{write.task}` writes its rows again",
        )
    if found is not None:
        raise outcomes.not_written(context)
    if committed:
        raise RunError(
            f"the task `{write.task}` of this run has written {context.uri}, which the parameter "
            f"`{context.parameter}` reads, but the commit with its receipt has been cleaned from the log",
            hint="keep the log as long as runs are repaired (`delta.logRetentionDuration`), or start a new run",
        )
    if not complete:
        raise RunError(
            f"the log of {context.uri} no longer reaches back to the start of this run, so the parameter "
            f"`{context.parameter}` can't tell whether the task `{write.task}` has written there",
            hint="keep the log as long as runs are repaired (`delta.logRetentionDuration`), or start a new run",
        )
    raise outcomes.not_written(context)


def _refuse_partial(trail: Trail, write: WriteId, context: InputContext) -> None:
    """Raise RunError if only some commits of a write of several are there: a part of the rows is no result."""
    undone, restore = trail.undone.get(write, (None, -1))
    if undone is not None and undone.left.after is not None:
        raise RunError(
            f"the stream of the task `{write.task}` of this run wrote version {undone.version} of {context.uri}, which "
            f"the parameter `{context.parameter}` reads, but the RESTORE of version {restore} has undone it",
            hint="the stream does not read these rows again by itself: start a new run, and give the stream a new "
            "checkpoint if it is to read them again",
        )
    if write in trail.cut:
        raise RunError(
            f"the log of {context.uri} no longer has all commits of the stream of the task `{write.task}` of this run, "
            f"which the parameter `{context.parameter}` reads",
            hint="keep the log as long as runs are repaired (`delta.logRetentionDuration`), or start a new run",
        )


def unclear(restore: int, uri: str, task: str) -> RunError:
    """Return the error of a RESTORE that may or may not have undone what a task wrote."""
    return RunError(
        f"version {restore} of {uri} is a RESTORE that does not say which version it went back to, so it may have "
        f"undone what the task `{task}` wrote in this run",
        hint="start a new run; restore by version instead of by time to avoid this",
    )


def overlap(slices: Iterable[tuple[str, Slice]]) -> tuple[str, str] | None:
    """Return the labels of two slices that share a value: the later one replaced rows of the earlier one."""
    seen: list[tuple[str, Slice]] = []
    for label, slice_ in slices:
        for other, there in seen:
            if slice_.meets(there):
                return other, label
        seen.append((label, slice_))
    return None


def overwritten(context: InputContext, one: str, other: str) -> RunError:
    """Return the error of an iteration that overwrote rows of another one."""
    return RunError(
        f"the iterations for {one} and {other} wrote the same part of {context.uri}, so one has replaced the rows of "
        f"the other, but the parameter `{context.parameter}` reads both",
        hint="partition by a column that tells the items apart, or give each item its own rows",
    )


def mixed(context: InputContext) -> RunError:
    """Return the error of iterations of which some returned rows and some a merge, which has no rows of its own."""
    task = context.producer.task if context.producer is not None else ""
    return RunError(
        f"some iterations of the task `{task}` returned rows and some a merge, so the parameter `{context.parameter}` "
        "can't combine what they returned",
        hint="read the whole table, `x.table`, or return the same kind of result from all iterations",
    )


KEEP_VERSIONS = (
    "it has been vacuumed, or its log cleaned: keep files and log as long as runs are repaired "
    "(`delta.deletedFileRetentionDuration`, `delta.logRetentionDuration`); a repair of the producer writes again what "
    "it overwrites, but not what it appended or merged: if the table has lost these rows, start a new run"
)


def gone(uri: str, version: int, why: str) -> RunError:
    """Return the error of a version that has been vacuumed, or whose log has been cleaned."""
    return RunError(
        f"version {version} of {uri}, which this run's producer wrote, can't be read any more: {why}",
        hint=KEEP_VERSIONS,
    )
