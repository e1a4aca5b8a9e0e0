"""What has taken keys away from a table as a whole, kept for longer than the log: replacements and RESTOREs.

Identifiers of writes outlive the clean-up of the log; the commit of a RESTORE does not. So each write with a key looks
at the commits since the one before it, and notes such an event as one more identifier, `dbxdec/epoch|AT` or
`dbxdec/epoch|AT|TO`, in milliseconds since the epoch. Who reads the log then knows by time which identifiers are void.
An event has an identifier of its own, for a RESTORE may go back to before another one.

Rows that no write with a key has left, of before the first one or of a replacement by another program, are noted as
well: `dbxdec/rows|AT`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.io_managers.contexts import KEYED, Receipt
from dbxdec.io_managers.delta.receipts import Found
from dbxdec.model.trigger import moment_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dbxdec.io_managers.delta.receipts import Commit

_NAME = "dbxdec/epoch"
_ROWS = "dbxdec/rows"
_NOTES = ("dbxdec/", f"{KEYED}|")  # how identifiers begin that are committed alone
_UNKNOWN = "?"
_ADDS = (
    "WRITE",
    "MERGE",
    "CREATE TABLE AS SELECT",
    "CREATE OR REPLACE TABLE AS SELECT",
    "REPLACE TABLE AS SELECT",
    "STREAMING UPDATE",
    "COPY INTO",
)
_REPLACES = ("CREATE OR REPLACE TABLE", "REPLACE TABLE", "TRUNCATE")
# Each write notes what came before it: it looks at what follows the one before the last, which may have been killed
# before it could.
_WRITES = 3


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """What took keys away, at a moment in milliseconds since the epoch: all, or for a RESTORE those since `to`."""

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
            to = _version(commit)
            floor = min(floor, to) if floor is not None and to is not None else to if floor is None else floor
            if to is None:
                floor = -1
        if writes >= _WRITES and (floor is None or commit.version <= floor):
            return


def unnoted(commits: Iterable[Commit], *, before: int) -> list[Event]:
    """Return the events that no identifier notes yet; `before` is when the newest write with a key began.

    The commits come newest first; `needed` tells which ones.
    """
    return [event for _, event in _unnoted(list(commits), before)]


def _unnoted(there: Sequence[Commit], before: int) -> list[tuple[Commit, Event]]:
    noted = {event for commit in there if (event := Event.of_name(commit.metadata)) is not None}
    first = next((i for i, commit in enumerate(there) if is_keyed(commit)), len(there))
    found = _events(there[first + 1 :], whole=there, before=before)
    return [(commit, event) for commit, event in found if event not in noted]


def notes_of(commits: Iterable[Commit], *, before: int) -> list[str]:
    """Return the identifiers that are to be added after a write with a key, which began at `before`."""
    there = list(commits)
    found = _unnoted(there, before)
    names = [event.name for _, event in found]
    rows = [event.at for commit, event in found if not event.is_restore and adds_rows(commit)]
    keyed = [commit for commit in there if is_keyed(commit)]
    # Only a whole log tells that it is the first one.
    if len(keyed) == 1 and there[-1].version == 0:
        older = [commit for commit in there if commit.version < keyed[0].version and adds_rows(commit)]
        rows += [min(commit.timestamp or 0, before - 1) for commit in older]
    return [*names, f"{_ROWS}|{max(rows)}"] if rows else names


def rows_noted(name: str) -> int | None:
    """Return when the rows without a key were there that an identifier notes, in ms; None for another identifier."""
    head, _, at = name.partition("|")
    return int(at) if head == _ROWS and at.isdecimal() else None


def adds_rows(commit: Commit) -> bool:
    """Return whether a commit may have left rows, of whatever key."""
    found = Found.of_commit(commit)
    if (found is not None and found.facts.get("made")) or (commit.metadata or "").startswith(_NOTES):
        return False
    return (
        commit.operation in _ADDS
        and str(commit.metrics.get("numOutputRows", commit.metrics.get("num_added_rows"))) != "0"
    )


def events_of(commits: Sequence[Commit], *, whole: Sequence[Commit], before: int | None = None) -> list[Event]:
    """Return the events among `commits`, at `before` at the latest; `whole` is all that is known of the log."""
    return [event for _, event in _events(commits, whole=whole, before=before)]


def _events(
    commits: Sequence[Commit], *, whole: Sequence[Commit], before: int | None
) -> Iterator[tuple[Commit, Event]]:
    for commit in commits:
        # Clocks of writers differ, and what was written after an event must not look older.
        at = min(one for one in (commit.timestamp, None if before is None else before - 1, _FOREVER) if one is not None)
        if commit.operation == "RESTORE":
            try:
                to = restored(commit, whole)
            except RunError:
                to = None
            moment = next((one.timestamp for one in whole if one.version == to), None)
            yield commit, Event(at, is_restore=True, to=moment)
        elif replaces_all(commit):
            yield commit, Event(at)


_FOREVER = 2**62


def is_keyed(commit: Commit) -> bool:
    """Return whether a commit is of a write with a key."""
    found = Found.of_commit(commit)
    return found is not None and bool(found.receipt.id.key)


def restored(commit: Commit, commits: Sequence[Commit]) -> int:
    """Return the version to which a RESTORE went. Raises RunError if the commits don't tell."""
    if (to := _version(commit)) is not None:
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


def _version(restore: Commit) -> int | None:
    to = str(restore.parameters.get("version", "")).strip('"')
    return int(to) if to.isdecimal() else None


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
