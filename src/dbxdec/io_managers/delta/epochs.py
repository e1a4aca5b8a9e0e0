"""The events that took keys away from a table as a whole, kept for longer than the log: replacements and RESTOREs.

Identifiers of writes outlive the clean-up of the log; the commit of a RESTORE does not. So each write with a key looks
at the commits since the one before it, and notes such an event as one more identifier, `dbxdec/epoch|AT` or
`dbxdec/epoch|AT|TO`, in milliseconds since the epoch. Who reads the log then knows by time which identifiers are void.
An event has an identifier of its own, for a RESTORE may go back to before another one.

Rows that no write with a key has left, of before the first one or of a replacement by another program, are noted as
well, by the time since which they are there: `dbxdec/rows|AT`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.io_managers.contexts import KEYED, Receipt
from dbxdec.io_managers.delta.receipts import Found, restored_version
from dbxdec.model.trigger import moment_of
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dbxdec.io_managers.delta.receipts import Commit

_NAME = "dbxdec/epoch"
_ROWS = "dbxdec/rows"
_NOTES = ("dbxdec/", f"{KEYED}|")  # how identifiers begin that are committed alone
_UNKNOWN = "?"
# What leaves no rows that were not there before. Of other operations that is known only where their metrics say it.
_ROWLESS = (
    "ADD COLUMN",
    "ADD CONSTRAINT",
    "ADD FEATURE",
    "CHANGE COLUMN",
    "CLUSTER BY",
    "DELETE",
    "DROP COLUMNS",
    "DROP CONSTRAINT",
    "OPTIMIZE",
    "RENAME COLUMN",
    "REORG",
    "SET ",
    "TRUNCATE",
    "UNSET ",
    "UPGRADE PROTOCOL",
    "VACUUM",
)
_MAKES_EMPTY = ("CREATE TABLE", "CREATE OR REPLACE TABLE", "REPLACE TABLE")
_REPLACES = ("CLONE", "CREATE OR REPLACE TABLE", "REPLACE TABLE", "TRUNCATE")
# Each write notes what came before it: it looks at what follows the one before the last, which may have been killed
# before it could.
_WRITES = 3


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """An event that took keys away, at `at` in milliseconds since the epoch: all, or for a RESTORE those since `to`."""

    at: int
    is_restore: bool = False
    to: int | None = None
    """None where the log does not say it."""

    @property
    def name(self) -> str:
        """The transaction identifier that notes it."""
        if not self.is_restore:
            return f"{_NAME}|{self.at}"
        return f"{_NAME}|{self.at}|{_UNKNOWN if self.to is None else self.to}"

    @classmethod
    def of_name(cls, name: str | None) -> Event | None:
        """Return the event that an identifier notes; None for another identifier."""
        head, *parts = (name or "").split("|")
        if head != _NAME or len(parts) not in (1, 2) or not parts[0].isdecimal():
            return None
        if len(parts) == 1:
            return cls(int(parts[0]))
        to = parts[1]
        return cls(int(parts[0]), True, int(to) if to.isdecimal() else None)


def void(moment: int | None, events: Sequence[Event]) -> bool:
    """Return whether a write of this moment has been taken away by one of the events, which are sorted by time.

    A write that gave no time is older than all events. Raises RunError if a RESTORE does not say what it took.
    """
    written = -1 if moment is None else moment
    upper: int | None = None  # what lies above it has been undone
    for event in reversed(events):
        if event.at < written:
            break
        if upper is not None and event.at > upper:
            continue
        if not event.is_restore:
            return True
        if event.to is None:
            raise RunError("the table was restored, and its log does not say to which version")
        if written > event.to:
            return True
        upper = event.to
    return False


def needed(commits: Iterable[Commit]) -> Iterator[Commit]:
    """Yield the newest commits, as far as events may not have been noted yet, and down to what RESTOREs went back to.

    The commits come newest first.
    """
    writes, floor = 0, None
    for commit in commits:
        yield commit
        writes += is_keyed(commit)
        if commit.operation == "RESTORE":
            to = restored_version(commit)
            floor = min(floor, to) if floor is not None and to is not None else to if floor is None else floor
            if to is None:
                floor = -1
        if writes >= _WRITES and (floor is None or commit.version <= floor):
            return


def _unnoted(there: Sequence[Commit], before: int) -> list[Event]:
    """Return the events that no identifier notes yet; `before` is when the newest write with a key began.

    The commits come newest first; `needed` tells which ones.
    """
    noted = {event for commit in there if (event := Event.of_name(commit.metadata)) is not None}
    first = next((i for i, commit in enumerate(there) if is_keyed(commit)), len(there))
    return [event for event in events_of(there[first + 1 :], whole=there, before=before) if event not in noted]


def notes_of(commits: Iterable[Commit], *, before: int, has_older_keys: Callable[[], bool]) -> list[str]:
    """Return the identifiers that are to be added after a write with a key, which began at `before`.

    `has_older_keys` says whether the table has keys of writes that the log no longer has.
    """
    there = list(commits)
    names = [event.name for event in _unnoted(there, before)]
    noted = [at for commit in there if (at := rows_noted(commit.metadata or "")) is not None]
    since = rows_without_a_key(there)
    is_first = since is None and len({run for commit in there if (run := _keyed_run(commit)) is not None}) == 1
    if is_first and not any(_is_note(commit) for commit in there) and not has_older_keys():
        since = there[-1].timestamp or 0  # nobody knows what an older log had
    if since is not None and since >= 0 and not still(noted, events_of(there, whole=there, before=before)):
        names.append(f"{_ROWS}|{min(since, before - 1)}")
    return names


def rows_noted(name: str) -> int | None:
    """Return since when rows without a key are there that an identifier notes, in ms; None for another identifier."""
    head, _, at = name.partition("|")
    return int(at) if head == _ROWS and at.isdecimal() else None


def still(moments: Iterable[int], events: Sequence[Event]) -> bool:
    """Return whether what was there since one of these moments still is, after the events sorted by time."""
    for moment in moments:
        later = [event for event in events if event.at > moment]
        with suppress(RunError):  # of a RESTORE that does not say what it took
            if not void(moment, later):
                return True
    return False


def rows_without_a_key(commits: Sequence[Commit]) -> int | None:
    """Return since when rows are there of before the first write with a key that counts, in ms since the epoch.

    -1 if none are there; None where the commits reach neither the beginning nor a replacement of the whole table.
    """
    begun: list[Commit] = []
    kept: int | None = None  # what came after it has been undone by a RESTORE
    for commit in sorted(commits, key=lambda one: one.version, reverse=True):
        if kept is not None and commit.version > kept:
            continue
        if commit.operation == "RESTORE":
            try:
                kept = restored(commit, commits)
            except RunError:
                return None
            continue
        begun.append(commit)
        if replaces_all(commit):
            break
    if not begun or not (begun[-1].version == 0 or replaces_all(begun[-1])):
        return None
    for commit in reversed(begun):
        if is_keyed(commit):
            break
        if not is_rowless(commit):
            return commit.timestamp or 0
    return -1


def _is_note(commit: Commit) -> bool:
    return (commit.metadata or "").startswith(_NOTES)


def is_rowless(commit: Commit) -> bool:
    """Return whether a commit left no rows that were not there before."""
    found = Found.of_commit(commit)
    if (found is not None and found.facts.get("made")) or _is_note(commit):
        return True
    counted = str(commit.metrics.get("numOutputRows", commit.metrics.get("num_added_rows")))
    if found is not None:  # a write may make the table in the commit of its rows
        return found.left.kind in ("none", "kept") or counted == "0"
    return commit.operation.startswith(_ROWLESS) or commit.operation in _MAKES_EMPTY or counted == "0"


def events_of(commits: Sequence[Commit], *, whole: Sequence[Commit], before: int | None = None) -> list[Event]:
    """Return the events among `commits`, at `before` at the latest; `whole` is all that is known of the log."""
    found = []
    for commit in commits:
        # Clocks of writers differ, and what was written after an event must not look older.
        at = min(one for one in (commit.timestamp, None if before is None else before - 1, _FOREVER) if one is not None)
        if commit.operation == "RESTORE":
            try:
                to = restored(commit, whole)
            except RunError:
                to = None
            moment = next((one.timestamp for one in whole if one.version == to), None)
            found.append(Event(at, is_restore=True, to=moment))
        elif replaces_all(commit):
            found.append(Event(at))
    return found


_FOREVER = 2**62


def is_keyed(commit: Commit) -> bool:
    """Return whether a commit is of a write with a key."""
    return _keyed_run(commit) is not None


def _keyed_run(commit: Commit) -> tuple[str, ...] | None:
    """Return the run of a write with a key; None for another commit."""
    found = Found.of_commit(commit)
    if found is None or not found.receipt.id.key:
        return None
    return found.receipt.id.workspace, found.receipt.id.job, found.receipt.id.run


def restored(commit: Commit, commits: Sequence[Commit]) -> int:
    """Return the version to which a RESTORE went. Raises RunError if the commits don't tell."""
    if (to := restored_version(commit)) is not None:
        return to
    when = str(commit.parameters.get("timestamp") or commit.parameters.get("datetime") or "").strip('"')
    moment = moment_of(when)
    # delta-rs writes milliseconds.
    until = int(when) if when.isdecimal() else moment.timestamp() * 1000 if moment is not None else -1
    before = [
        one.version
        for one in commits
        if one.version < commit.version and one.timestamp is not None and one.timestamp <= until
    ]
    if not before:
        raise RunError(f"the table was restored in the version {commit.version}, and its log does not say to which")
    return max(before)


def makes(commit: Commit) -> bool:
    """Return whether a commit has made the table, or made it anew."""
    return commit.version == 0 or commit.operation.startswith(("CREATE", *_REPLACES))


def replaces_all(commit: Commit) -> bool:
    """Return whether a commit replaced the whole table, and not by a run for a key."""
    proof = Receipt.from_metadata(commit.metadata)
    if proof is not None:
        return proof[1].get("kind") == "whole" and not proof[0].id.key
    return commit.operation.startswith(_REPLACES) or _overwrites_all(commit)


def _overwrites_all(commit: Commit) -> bool:
    given = commit.parameters
    if commit.operation not in ("WRITE", "CREATE TABLE AS SELECT") or str(given.get("mode")).lower() != "overwrite":
        return False
    is_dynamic = str(given.get("isDynamicPartitionOverwrite", "")).lower() == "true"
    return not is_dynamic and not any(given.get(name) for name in ("predicate", "replaceWhere"))
