"""The position of a task in its sources, by the log of the Delta table it writes through Spark (see `progress`).

Spark takes one transaction identifier for a commit, and drops a write whose version is not above the last one, without
an error. So the receipts tell who has taken a number.
"""

from __future__ import annotations

import time
from itertools import chain, islice
from typing import TYPE_CHECKING

from dbxdec.io_managers import outcomes
from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta import progress, receipts
from dbxdec.io_managers.delta.patience import ATTEMPTS, pause
from dbxdec.io_managers.delta.progress import Standing
from dbxdec.io_managers.delta.receipts import Found
from dbxdec.io_managers.delta.spark import identifiers, messages, write
from dbxdec.io_managers.delta.spark.log import History
from dbxdec.io_managers.positions import CONSUMER, NUMBER
from dbxdec.io_managers.spark_session import first_line, is_conflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dbxdec.io_managers.contexts import Receipt, WriteResult
    from dbxdec.io_managers.delta.progress import Consumer, Cursor, Search
    from dbxdec.io_managers.delta.receipts import Commit, Left
    from dbxdec.io_managers.delta.spark.log import Detail, SparkTable

# A first attempt has an earlier commit only if a person has started the killed process again, at once.
_LOOKED_AT = 20


def standing(table: SparkTable, consumer: Consumer, receipt: Receipt, *, counts: bool, anew: bool) -> Standing:
    """Return the newest position that counts, and what this run has written. Raises UnclearError if nobody can tell.

    With `counts` it says whether there are rows even where a position is known. With `anew` no position counts.
    """
    detail = table.detail()
    if detail is None:
        return Standing()
    seen: list[Commit] = []
    commits = _noted(History(table).back(), seen)
    found = progress.anew(table.version()) if anew else progress.search(commits, consumer, receipt.id, table.uri)
    version = seen[0].version if seen else table.version()
    cursor = found.cursor
    if cursor is None and not found.is_whole:
        cursor = _outlived(table, detail, consumer, found)
    return Standing(
        version=version,
        epoch=max(found.epoch, cursor.epoch if cursor is not None else 0),
        cursor=cursor,
        done=_done(chain(list(seen), commits), table, receipt) or found.done,
        has_rows=(counts or cursor is None) and not table.is_empty(),
        is_shared=found.is_shared(consumer),
    )


def _noted(commits: Iterable[Commit], seen: list[Commit]) -> Iterator[Commit]:
    for commit in commits:
        seen.append(commit)
        yield commit


def _done(commits: Iterable[Commit], table: SparkTable, receipt: Receipt) -> WriteResult | None:
    """Return what this run has written already, in whichever attempt."""
    looked_at = commits if receipt.attempt > 1 else islice(commits, _LOOKED_AT)
    trail = receipts.search(looked_at, [receipt.id])
    found = trail.found.get(receipt.id)
    if found is None and trail.unclear is not None:
        raise receipts.unclear(trail.unclear, table.uri, receipt.id.task)
    if found is None or found.left.own or found.of_other or not found.ends_it:
        return None
    return messages.already(found, receipt, table.uri, is_newest=found.last == trail.newest)


def _outlived(table: SparkTable, detail: Detail, consumer: Consumer, found: Search) -> Cursor | None:
    """Return the position that outlives the log. Raises UnclearError for a named table: Spark shows no identifiers."""
    if table.named:
        raise progress.lost(consumer.task, table.uri)
    return progress.of_identifiers(identifiers.versions(table.spark, detail, consumer.base), consumer, found, table.uri)


def committed(table: SparkTable, receipt: Receipt) -> WriteResult | None:
    """Return what another attempt of this write has committed since this one has looked; None if none has.

    Raises RunError if another run has committed what this one has read, or if the table has been restored since.
    """
    wanted = receipt.progress
    assert wanted is not None  # noqa: S101 - callers ask
    for commit in History(table).back():
        if commit.version <= wanted.seen:
            break
        if commit.operation == "RESTORE" and wanted.seen >= 0:
            raise progress.restored(table.uri, commit.version, receipt.id.task)
        found = Found.of_commit(commit)
        if found is None or found.facts.get(CONSUMER) != wanted.identifier or found.facts[NUMBER] < wanted.number:
            continue
        if found.receipt.id != receipt.id:
            raise progress.taken(wanted, table.uri, receipt.id.task)
        return messages.already(found, receipt, table.uri)
    return None


def dropped(table: SparkTable, receipt: Receipt) -> WriteResult:
    """Return what another attempt has written in place of a write that Spark has dropped.

    Raises RunError if it was another run.
    """
    assert receipt.progress is not None  # noqa: S101 - callers ask
    if (done := committed(table, receipt)) is not None:
        return done
    raise progress.taken(receipt.progress, table.uri, receipt.id.task)


def note(table: SparkTable, receipt: Receipt, left: Left, mark: str) -> WriteResult | None:
    """Commit the position alone. Return what another attempt has written instead; None if this one has.

    `mark` tells this write from others of the same attempt. Raises RunError if another run has taken what was read.
    """
    began = time.time_ns() // 1_000_000
    for attempt in range(ATTEMPTS):
        try:
            write.add_receipt(table, receipt, left, write=mark)
            break
        except Exception as error:
            if not is_conflict(error):
                raise
            if (done := committed(table, receipt)) is not None:
                return done
            if attempt == ATTEMPTS - 1:
                raise
        pause(attempt)
    found = table.find(receipt.id, since=began).found.get(receipt.id)
    if found is not None and found.facts.get("write") == mark:
        return None
    return dropped(table, receipt)


def keep_positions(table: SparkTable, receipt: Receipt, result: WriteResult) -> None:
    """Commit the positions of the write that was just committed in a form that outlives the log's clean-up."""
    wanted = receipt.progress
    assert wanted is not None  # noqa: S101 - callers ask
    if not outcomes.is_earlier(result):  # an earlier attempt may have read less
        # A commit for each of them follows that of the write.
        version = wanted.seen + 1 if result.version is None else result.version
        _keep(table, receipt, wanted.positions(version + len(wanted.read)))


def keep_number(table: SparkTable, receipt: Receipt) -> None:
    """Commit the number of a merge whose own commit could not carry it."""
    if receipt.progress is not None:
        _keep(table, receipt, {receipt.progress.identifier: receipt.progress.number})


def _keep(table: SparkTable, receipt: Receipt, versions: Mapping[str, int]) -> None:
    """Commit identifiers alone. Of a named table nobody can read them again.

    What prevents it is logged: they are needed only by a task that pauses for longer than the log is kept.
    """
    for name, version in () if table.named else versions.items():
        try:
            write.add_identifier(table, name, version)
        except Exception as error:  # noqa: BLE001 - of Spark, or of a storage
            log.warning(
                "how far `%s` has read is noted in %s only for as long as its log is kept: %s",
                receipt.id.task,
                table.uri,
                first_line(error),
            )
