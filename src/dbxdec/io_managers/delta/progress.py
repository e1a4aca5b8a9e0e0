"""The position of a task in the tables whose new rows it reads: kept in the commits of the table that it writes.

Each such commit has one transaction identifier for the task and the output, whose version is a number that rises by
one: of two writers that have read from the same place only one can commit (Delta protocol, "Transaction identifiers").
Which versions of the sources the commit covers is in its receipt, for any number of them. So rows and position are
written in one step, whatever is killed.

The receipt goes with the log's clean-up. What survives it, as identifiers of their own, are the positions: their
versions hold the number and the version of the source.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dbxdec.errors import RunError
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.delta.epochs import is_rowless
from dbxdec.io_managers.delta.receipts import SAME, Found, judged, restored_version
from dbxdec.io_managers.positions import ABSENT, CONSUMER, NOTHING, NUMBER, READ, SEEN, STAMPS, Outlived, Span
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from dbxdec.io_managers.contexts import WriteId
    from dbxdec.io_managers.delta.receipts import Commit
    from dbxdec.io_managers.positions import Progress

_NAME = "dbxdec/changes"
# The rows of a table by another definition are not those that earlier commits tell of.
_REDEFINES = ("CLONE", "CREATE OR REPLACE TABLE", "REPLACE TABLE")


class UnclearError(RunError):
    """Raised where the log of a target does not tell how far a task has read. A person may say it."""


def _unknown(_: Collection[int]) -> Mapping[int, int]:
    return {}


@dataclass(frozen=True, slots=True)
class Head:
    """A source as it is now: its id, which another table at the same place does not have, and its newest version.

    `opened` is what its reader has opened for that, and goes back to it with the span. `stamps` returns when commits
    were made (`Span.stamp`), without those of which the log does not say it.
    """

    id: str
    version: int
    opened: Any = field(default=None, compare=False, repr=False)
    stamps: Callable[[Collection[int]], Mapping[int, int]] = field(default=_unknown, compare=False, repr=False)

    def has(self, span: Span, stamps: Mapping[int, int]) -> bool:
        """Return whether the last commit of a span is in this table, whose commits have these stamps.

        It is not in an older copy of the table, even if that has got other commits with the same numbers.
        """
        known = stamps.get(span.until)
        return span.until <= self.version and (None in (known, span.stamp) or known == span.stamp)


@dataclass(frozen=True, slots=True)
class Consumer:
    """The task and the output that read something; the names of a workspace or a run are no part of it."""

    project: str
    job: str
    task: str
    output: str
    beside: frozenset[str] = field(default=frozenset(), compare=False)
    """The other outputs of the task that write the same table."""
    others: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False)
    """The other tasks that share the table, with the keys of their jobs."""

    @property
    def base(self) -> str:
        """The beginning of its transaction identifiers."""
        parts = [self.project, self.job, self.task, self.output]
        return "|".join([_NAME, *(quote(part, safe="") for part in parts)])

    @property
    def of_task(self) -> str:
        """The beginning of the transaction identifiers of all outputs of the task."""
        return f"{self.base.rpartition('|')[0]}|"

    def is_beside(self, name: str) -> bool:
        """Return whether an identifier is of another output that writes the same table."""
        return any(name.rpartition("|")[0] == replace(self, output=other).base for other in self.beside)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The newest commit of a consumer that counts, and what it covers.

    `version` is the target's version of that commit, None where its log has been cleaned. `absent` are the parameters
    whose sources were not there then, and `nothing` the outputs that got nothing of it and had no table.
    """

    epoch: int
    number: int
    read: Mapping[str, Span]
    version: int | None = None
    absent: tuple[str, ...] = ()
    nothing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """The target of a consumer, before a run reads anything.

    `version` is that of the target, -1 without one, and `id` that of the table, where it is known. `epoch` is the one
    for the next commit. `done` is what this run has written already. `has_rows` is known where there is no cursor, and
    where it was asked for. With `is_shared` it is known who has written the rows: another output of the task, or tasks
    that share the table.
    """

    version: int = -1
    epoch: int = 0
    cursor: Cursor | None = None
    done: WriteResult | None = None
    has_rows: bool = False
    is_shared: bool = False

    @property
    def is_strange(self) -> bool:
        """True if the table has rows, and no commit tells from where."""
        return self.cursor is None and self.has_rows and not self.is_shared


def with_nothing(standings: Mapping[str, Standing]) -> dict[str, Standing]:
    """Return the standings, in which an output without a table has what the commits of the others say of it."""
    found = dict(standings)
    for name, one in standings.items():
        told = [
            other.cursor for other in standings.values() if other.cursor is not None and name in other.cursor.nothing
        ]
        if one.version < 0 and told:
            newest = max(told, key=lambda cursor: cursor.number)
            found[name] = replace(one, cursor=replace(newest, number=0, version=None))
    return found


@dataclass(slots=True)
class Search:
    """The facts of a consumer that the commits of a target tell.

    `is_whole` says that these commits reach back to the beginning of the table. `others` says that another output of
    the task has written the table, `strangers` that somebody has of whom the consumer does not know.
    """

    cursor: Cursor | None = None
    epoch: int = 0
    is_whole: bool = False
    others: bool = False
    strangers: bool = False
    oldest: int = 0
    is_voided: bool = False
    """True if a RESTORE has undone a position of the consumer that the log still has."""
    shares: int | None = None
    """The version of an earlier run's commit that has what the write would store, as a receipt of it says (`SAME`)."""
    back_to: int | None = None
    """The oldest version that a RESTORE went back to; None without one, -1 for one that does not say it."""

    @property
    def done(self) -> WriteResult | None:
        """The result of the write if an earlier run has stored what it would store; None otherwise."""
        return None if self.shares is None else WriteResult(self.shares, note="written by an earlier run")

    def is_shared(self, consumer: Consumer) -> bool:
        """Return whether it is known of all rows of the table who has written them, and it was not the consumer."""
        return self.others or (bool(consumer.others) and self.is_whole and not self.strangers)


def anew(version: int) -> Search:
    """Return what is known of a consumer that begins anew, of a target at this version: its count begins there."""
    return Search(epoch=version, is_whole=True)


def search(commits: Iterable[Commit], consumer: Consumer, write: WriteId, uri: str) -> Search:
    """Return the newest cursor that counts. The commits come newest first, and are read only as far as needed.

    `write` is the one that is about to be made.
    A RESTORE takes back the positions of the commits that it voids. Raises RunError where nobody can tell which these
    are, and for a commit of a writer that did not know of the RESTORE before it: it has added rows whose predecessors
    are gone.
    """
    found = Search()
    newest: tuple[Commit, Cursor, int] | None = None
    for commit, restore, in_doubt in judged(commits):
        found.is_whole, found.oldest = commit.version == 0, commit.version
        if commit.operation == "RESTORE" and restore is None:
            found.epoch = max(found.epoch, commit.version)
            to = restored_version(commit)
            found.back_to = -1 if to is None else to if found.back_to is None else min(found.back_to, to)
            if newest is not None and commit.version > newest[2]:
                raise _blind(newest[0], commit, uri, consumer)
            continue
        if newest is not None:
            if commit.version <= newest[2]:
                break
            if restore is None and _epoch_of(commit, consumer) > newest[1].epoch:
                raise _blind(newest[0], commit, uri, consumer)
            continue
        if restore is None and commit.operation.startswith(_REDEFINES):
            # The engine still knows the identifiers of the earlier table: those of this one begin anew.
            found.is_whole, found.epoch = True, max(found.epoch, commit.version)
            break
        proof = Found.of_commit(commit)
        if consumer.others and restore is None:
            found.strangers = found.strangers or _is_strange(commit, proof, consumer)
        name = str(proof.facts.get(CONSUMER, "")) if proof is not None else ""
        if proof is None or not name.startswith(consumer.of_task):
            same = proof.facts.get(SAME) if proof is not None and proof.receipt.id == write else None
            found.shares = same if restore is None and isinstance(same, int) else found.shares
            continue
        if name.rpartition("|")[0] != consumer.base:
            found.others = found.others or consumer.is_beside(name)
        elif restore is None:
            found.cursor, seen = _cursor(name, proof, uri)
            newest = (commit, found.cursor, seen)
            if newest[2] >= commit.version - 1:
                break
        elif not in_doubt:
            found.is_voided = True
        else:
            raise UnclearError(
                f"version {restore.version} of {uri} is a RESTORE that does not say which version it went back to, so "
                f"nobody can tell how far the task `{consumer.task}` has read",
                hint=f"say where it goes on: `--adopt {consumer.task}=VERSION`",
            )
    if found.cursor is not None:
        found.epoch = max(found.epoch, found.cursor.epoch)
    return found


def of_identifiers(versions: Mapping[str, int], consumer: Consumer, found: Search, uri: str) -> Cursor | None:
    """Return the cursor by the identifiers that outlive the log, given with their versions; None without one.

    `found` is what the rest of the log has told. Raises RunError where they don't tell how far the consumer has read.
    """
    epochs = {
        int(name.rpartition("|")[2]): name
        for name in versions
        if name.startswith(f"{consumer.base}|") and name.rpartition("|")[2].isdecimal()
    }
    if not epochs:
        return None
    epoch = max(epochs)
    name, number = epochs[epoch], versions[epochs[epoch]]
    own = {other: version for other, version in versions.items() if other.startswith(f"{name}/")}
    # Of one commit all say the same target. Those of a source that another one has replaced stay, and may agree in the
    # last bits of their numbers.
    newest = max((Outlived.of(version).target for version in own.values()), default=0)
    read: dict[str, Span] = {}
    target = found.oldest
    for other, version in own.items():
        one = Outlived.of(version)
        if one.is_of(number) and one.target == newest:
            parameter, _, source = other.removeprefix(f"{name}/").partition("/")
            read[parameter] = Span(source, None, one.until)
            target = min(target, one.target)
    # A RESTORE to a version that the log still has voids nothing from before the log.
    is_certain = found.back_to is None or found.back_to >= found.oldest
    # Identifiers are those of the newest commit, also of one that has been undone.
    if not read or not is_certain or found.is_voided:
        raise lost(consumer.task, uri)
    if target + 1 < found.oldest:
        raise _in_doubt(consumer.task, uri, read, target + 1, found.oldest - 1)
    return Cursor(epoch, number, read)


def lost(task: str, uri: str) -> UnclearError:
    """Return the error of a target whose log no longer tells how far a task has read."""
    return UnclearError(
        f"the log of {uri} no longer tells how far the task `{task}` has read what is new: it has been cleaned up "
        "since the task wrote there",
        hint="let no run be later than the log is kept (`delta.logRetentionDuration`); say where it goes on: "
        f"`--adopt {task}=VERSION`, or `--adopt {task}=latest`",
    )


def _in_doubt(task: str, uri: str, read: Mapping[str, Span], first: int, last: int) -> UnclearError:
    """Return the error of a position that a RESTORE may have taken back: no log has the commits since it any more."""
    spans = ", ".join(f"`{name}` up to version {span.until}" for name, span in read.items())
    begin = " ".join(f"`--adopt {task}.{name}={span.until}`" for name, span in read.items())
    gone = f"version {first}" if first == last else f"the versions {first} to {last}"
    return UnclearError(
        f"by its checkpoint {uri} has what the task `{task}` has read of {spans}, but the log no longer tells whether "
        f"{gone} took that back with a RESTORE: it has been cleaned up since the task wrote there",
        hint=f"if the table was not restored, go on there: {begin}; otherwise after the version whose rows it has. Let "
        "no run be later than the log is kept (`delta.logRetentionDuration`)",
    )


def _is_strange(commit: Commit, proof: Found | None, consumer: Consumer) -> bool:
    """Return whether a commit has added rows, and is of none of the tasks that share the table with the consumer."""
    if is_rowless(commit):
        return False
    return proof is None or (proof.receipt.id.job, proof.receipt.id.task) not in consumer.others


def _cursor(name: str, proof: Found, uri: str) -> tuple[Cursor, int]:
    """Return what a commit states, and the version of the target that its writer went by."""
    try:
        facts = proof.facts
        stamps = facts.get(STAMPS, {})
        spans = {str(name): _span(*span, stamp=stamps.get(name)) for name, span in facts[READ].items()}
        epoch, absent, nothing = int(name.rpartition("|")[2]), facts.get(ABSENT, ()), facts.get(NOTHING, ())
        number, seen = _whole(facts[NUMBER]), _whole(facts[SEEN], least=-1)
        return Cursor(epoch, number, spans, proof.version, tuple(map(str, absent)), tuple(map(str, nothing))), seen
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UnclearError(
            f"version {proof.version} of {uri} says in its receipt how far a task has read, but in another form than "
            "this dbxdec writes",
            hint="the table was written by another version of dbxdec: install it where the task runs",
        ) from None


def _span(source: Any, after: Any, until: Any, *, stamp: Any) -> Span:
    if type(source) is not str:
        raise ValueError("no id")
    after, stamp = (None if value is None else _whole(value) for value in (after, stamp))
    return Span(source, after, _whole(until), stamp=stamp)


def _whole(value: Any, *, least: int = 0) -> int:
    if type(value) is not int or value < least:
        raise ValueError("no number")
    return value


def _epoch_of(commit: Commit, consumer: Consumer) -> int:
    """Return the epoch of a commit of a consumer; -1 for another commit."""
    proof = Found.of_commit(commit)
    base, _, epoch = str(proof.facts.get(CONSUMER, "") if proof is not None else "").rpartition("|")
    return int(epoch) if base == consumer.base and epoch.isdecimal() else -1


def _blind(late: Commit, restore: Commit, uri: str, consumer: Consumer) -> UnclearError:
    return UnclearError(
        f"version {late.version} of {uri} is of an attempt of the task `{consumer.task}` that had begun before a "
        f"RESTORE, which version {restore.version} knows: it has added rows, and others may be gone or there twice",
        hint=f"restore the table again, to version {restore.version}: the next run reads what follows",
    )


def taken(progress: Progress, uri: str, task: str) -> RunError:
    """Return the error of a commit that lost against one of another run, which had read the same rows."""
    spans = "; ".join(f"`{name}`: {span.text}" for name, span in progress.read.items())
    return RunError(
        f"another run has taken what the task `{task}` has read ({spans}) into {uri}, so nothing is written again",
        hint="nothing is lost: run the task again, and it reads what came since; let a job have one run at a time "
        "(`max_concurrent_runs=1`)",
    )


def restored(uri: str, version: int, task: str) -> RunError:
    """Return the error of a target that was restored while a task was at work."""
    return RunError(
        f"{uri} was restored (version {version}) after the task `{task}` had begun, so what it has read no longer "
        "follows what is there; nothing was written",
        hint="run the task again: it reads on from where the table is now",
    )
