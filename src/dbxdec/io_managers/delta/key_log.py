"""The keys that a Delta table has, from the transaction identifiers in its log.

The identifiers of all writes with a key survive checkpoints, the clean-up of the log and a RESTORE. Whether the rows
are still there is seen from the commits that the log has: a write is void that an older table of this place had, and
one before a RESTORE to an earlier version or a replacement of the whole table.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.io_managers.contexts import KEYED, NO_ITEMS, WriteId
from dbxdec.io_managers.delta import epochs
from dbxdec.io_managers.delta.epochs import Event, events_of, replaces_all, restored, void
from dbxdec.io_managers.delta.receipts import Found
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from dbxdec.io_managers.delta.receipts import Commit

_RECEIPT, _OWN = "/receipt", "own/"
_FORGOTTEN, _MARK = "dbxdec/forgotten", "mark"
_CLOCKS_DIFFER_MS = 10 * 60_000
_FIRST_WRITE_MS = 24 * 60 * 60_000
"""After how long the first write with a key is of no run that has made the table."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A transaction identifier of the log. `version` is that of its commit, None where the log has no such file.

    `updated` is the writer's clock, in milliseconds since the epoch, None where the writer gave no time.
    """

    name: str
    version: int | None = None
    updated: int | None = None


def in_receipts(commits: Iterable[Commit]) -> Iterator[tuple[Found, Identifier]]:
    """Yield the receipts of writes with a key, each with the identifier that its write has."""
    for commit in commits:
        proof = Found.of_commit(commit)
        if proof is None or proof.left.kind == "kept" or proof.facts.get("made") or not proof.receipt.id.key:
            continue
        yield proof, Identifier(proof.receipt.id.transaction, commit.version, commit.timestamp)


@dataclass(frozen=True, slots=True)
class KeyWrite:
    """A write with a key. `run` names the run and the task; `item` is one of `items`, 0 for a write of no iteration."""

    key: str
    slot: str
    run: str
    item: str = ""
    items: int = 0

    def is_of_run(self, other: KeyWrite) -> bool:
        """Return whether both writes are of one run, of whatever tasks."""
        return self.run.split("/")[:3] == other.run.split("/")[:3]


@dataclass(frozen=True, slots=True)
class Told:
    """The writes that stand, and those of which it can't be told, for which `why` is a reason."""

    standing: list[KeyWrite]
    unclear: list[KeyWrite]
    why: str
    making: Mapping[str, KeyWrite] = field(default_factory=dict)
    """By slot the first write, if the table may have been made in its run."""

    def untold(self, slot: str) -> set[str]:
        """Return the keys of a writer of which it can't be told whether they are there."""
        return {write.key for write in self.unclear if write.slot == slot} - done(self.standing, slot)[0]

    def unproven(self, slot: str) -> set[str]:
        """Return the key of a writer whose missing items may have returned None before there was a table.

        Such an item leaves nothing anywhere.
        """
        first = self.making.get(slot)
        return {first.key} & done(self.standing, slot)[1] if first is not None and first.items else set()


@dataclass(frozen=True, slots=True)
class KeyLog:
    """The contents of a table's log. `created` is when the table was made, in milliseconds since the epoch.

    `made` is the same where the log has the commit that made or replaced it: other commits may change that time, as
    delta-rs does for a merge with new columns.

    `commits` are the newest ones, as far as `epochs.needed` wants them and the log has their files.
    """

    identifiers: Sequence[Identifier]
    commits: Sequence[Commit]
    created: int | None
    made: int | None = None
    since: int | None = None
    """The moment when the log begins, in ms since the epoch: earlier keys may be there, too. None where it has all."""

    def standing(self) -> list[KeyWrite]:
        """Return the writes with keys whose rows nothing has taken away as a whole, the oldest first."""
        return self.told().standing

    def told(self) -> Told:
        """Return which writes with keys stand, the oldest first, and of which that can't be told."""
        there, events, gone = self._there(), self._events(), self._forgotten()
        oldest = min((one.version for one in self.commits), default=0)

        def has(one: Identifier) -> bool:
            if one.version is not None and one.version >= oldest:
                return there.has(one.version)
            there.refuse_unclear()
            return there.first is None and not void(one.updated, events)

        writes = [(one, write) for one in self.identifiers if (write := parsed(one.name)) is not None]
        # A merge where Spark takes no identifier has only its receipt.
        writes += self._in_receipts()
        standing: list[tuple[Identifier, KeyWrite]] = []
        unclear: list[KeyWrite] = []
        why = ""
        for one, write in writes:
            if _follows(gone.get((write.slot, write.key)), one):
                continue
            try:
                if has(one) and not self._is_older(one):
                    standing.append((one, write))
            except RunError as error:
                unclear.append(write)
                why = error.problems[0].message
        standing.sort(key=lambda pair: _age(pair[0]))
        first = {write.slot: (one, write) for one, write in reversed(standing)}
        making = {slot: write for slot, (one, write) in first.items() if not self._is_later(one)}
        return Told([write for _, write in standing], unclear, why, making)

    def _is_later(self, one: Identifier) -> bool:
        """Return whether an identifier is of long after the table was made."""
        if self.created is None or one.updated is None:
            return False
        return one.updated - self.created > _FIRST_WRITE_MS

    def _in_receipts(self) -> list[tuple[Identifier, KeyWrite]]:
        """Return the writes with keys that receipts tell of."""
        return [
            (replace(one, name=""), write)
            for proof, one in in_receipts(self.commits)
            # A stream commits its key once it has ended.
            if proof.left.after is None and (write := parsed(one.name)) is not None
        ]

    def _is_older(self, one: Identifier) -> bool:
        """Return whether an identifier is of a table that was here before: `createOrReplace` keeps identifiers."""
        if self.made is None or one.updated is None:
            return False
        return one.updated < self.made - _CLOCKS_DIFFER_MS

    def is_strange(self, slot: str, *, writers: Collection[str] = ()) -> bool:
        """Return whether rows may be here of which no log says which keys of a writer they are.

        They are of before the job had keys, of before its table was shared, or no longer is, of a task that has another
        name now, or of another program that has replaced the table. `writers` are the slots that the job has.
        """
        writes = [write for one in self.identifiers if (write := parsed(one.name)) is not None]
        own, events = [write for write in writes if write.slot == slot], self._events()
        noted = [at for one in self.identifiers if (at := epochs.rows_noted(one.name)) is not None]
        # A person who has said of keys that they are there has looked.
        if epochs.still((at for write in own if (at := _marked_at(write)) is not None), events):
            return False
        if not own:
            job = slot.partition("/")[0]
            gone = {write.slot for write in writes if write.slot.partition("/")[0] == job}.difference(writers)
            if any(bool(write.slot) != bool(slot) for write in writes) or (writers and gone):
                return True
        since = epochs.rows_without_a_key(self.commits)
        return since >= 0 if since is not None else not writes or epochs.still(noted, events)

    def _there(self) -> _There:
        """Return the commits of which rows may be left: back to a replacement, by way of what RESTOREs have kept."""
        gone: list[range] = []
        newest_kept: int | None = None
        for commit in sorted(self.commits, key=lambda one: one.version, reverse=True):
            if newest_kept is not None and commit.version > newest_kept:
                continue
            if commit.operation == "RESTORE":
                try:
                    newest_kept = restored(commit, self.commits)
                except RunError as error:
                    return _There(None, tuple(gone), commit.version, error.problems[0].message)
                if newest_kept < min(one.version for one in self.commits):
                    why = f"the version {newest_kept}, to which it was restored, is older than its log"
                    return _There(None, tuple(gone), commit.version, why)
                gone.append(range(newest_kept + 1, commit.version))
            elif replaces_all(commit):
                return _There(commit.version, tuple(gone))
        return _There(None, tuple(gone))

    def forgotten(self, slot: str) -> dict[str, int]:
        """Return by key when a person took the writes of a writer back, in ms since the epoch."""
        return {key: one.updated or 0 for (there, key), one in self._forgotten().items() if there == slot}

    def _forgotten(self) -> dict[tuple[str, str], Identifier]:
        """Return by slot and key what a person has taken back."""
        found = {}
        for one in self.identifiers:
            head, _, rest = one.name.partition("|")
            if head == _FORGOTTEN and rest.count("|") == 1:
                slot, _, key = rest.partition("|")
                found[slot, key] = one
        return found

    def _events(self) -> list[Event]:
        """Return what has taken keys away, by the commits and by what writers have noted."""
        noted = [event for one in self.identifiers if (event := Event.of_name(one.name)) is not None]
        return sorted({*noted, *events_of(self.commits, whole=self.commits)}, key=lambda event: event.at)


@dataclass(frozen=True, slots=True)
class _There:
    """The commits that count: not before the version `first`, if there is one, and none of `gone`.

    Of those before the RESTORE `unclear` it can't be told; `why` says the reason.
    """

    first: int | None
    gone: tuple[range, ...]
    unclear: int = -1
    why: str = ""

    def refuse_unclear(self) -> None:
        """Raise RunError if of old commits it can't be told whether they count."""
        if self.why:
            raise RunError(self.why)

    def has(self, version: int) -> bool:
        """Return whether a commit counts. Raises RunError where that can't be told."""
        if version < self.unclear:
            self.refuse_unclear()
        return (self.first is None or version >= self.first) and not any(version in one for one in self.gone)


def _age(one: Identifier) -> tuple[int, int]:
    """Return what sorts identifiers by their age: those of a checkpoint are older than those of a commit."""
    return (-1 if one.version is None else one.version, -1 if one.updated is None else one.updated)


def _follows(later: Identifier | None, one: Identifier) -> bool:
    """Return whether `later` is there and came after `one`: by their commits, or else by their times."""
    if later is None:
        return False
    if later.version is not None and one.version is not None:
        return later.version > one.version
    if later.version is None and one.version is None and later.updated is not None:
        return one.updated is None or later.updated >= one.updated
    return one.version is None


def _marked_at(write: KeyWrite) -> int | None:
    """Return when a person said that a key is there, in ms since the epoch; None for a write."""
    run = write.run.split("/")[2]
    return int(run.removeprefix(_MARK)) if run.startswith(_MARK) and run.removeprefix(_MARK).isdecimal() else None


def marked(slot: str, key: str, *, job: str, task: str, output: str, moment: int) -> str:
    """Return the identifier by which a person says that a table has a key. `moment` is in ms since the epoch."""
    write = WriteId("local", job, f"{_MARK}{moment}", task, output=output, key=key, slot=slot)
    return write.transaction


def forgotten(slot: str, key: str) -> str:
    """Return the identifier by which a person takes back all writes of a key before it."""
    return f"{_FORGOTTEN}|{slot}|{key}"


def parsed(name: str) -> KeyWrite | None:
    """Return the write that an identifier names; None for one without a key."""
    parts = name.removeprefix(_OWN).removesuffix(_RECEIPT).split("|")
    if parts[0] != KEYED or len(parts) not in (4, 5) or not all(part.isdecimal() for part in parts[4:]):
        return None
    who = parts[3].split("/")
    if len(who) < 5:
        return None
    run = "/".join([*who[:4], *who[5:]])
    return KeyWrite(parts[2], parts[1], run, who[4], int(parts[4]) if len(parts) == 5 else 0)


def done(writes: Iterable[KeyWrite], slot: str) -> tuple[set[str], set[str]]:
    """Return the keys that a writer has written, and those of which it has written a part.

    Of a task with iterations all items of one run make a key. None make it if nothing was written later. The writes
    come oldest first.
    """
    items: dict[tuple[str, str], set[str]] = {}
    wanted: dict[tuple[str, str], int] = {}
    none: set[str] = set()
    for write in writes:
        if write.slot != slot:
            continue
        if write.item == NO_ITEMS:
            none.add(write.key)
        else:
            none.discard(write.key)
            items.setdefault((write.key, write.run), set()).add(write.item)
            # A resumed run may have more items.
            wanted[write.key, write.run] = max(write.items, wanted.get((write.key, write.run), 0))
    whole = none | {key for (key, run), there in items.items() if len(there) >= wanted[key, run]}
    return whole, {key for key, _ in items} - whole
