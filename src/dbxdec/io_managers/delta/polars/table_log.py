"""Receipts and transaction identifiers in a Delta table's log, read and written through delta-rs."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dbxdec.io_managers.delta import log_lines, receipts
from dbxdec.io_managers.delta.polars import storage
from dbxdec.io_managers.delta.receipts import CLOCK_SKEW_MS, Commit, Found, Trail, search

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from deltalake import CommitProperties, DeltaTable, Transaction

    from dbxdec.io_managers.contexts import Receipt, WriteId
    from dbxdec.io_managers.delta.receipts import Left

_CHUNKS = (1, 10, 80, 640)
FEW = (3, 10, 80, 640)
"""Chunks of a search that nearly always ends with the third commit: that of events which are to be noted."""
_MANY = 3
# Parallel requests to a storage.
_AT_ONCE = 16
_MAX_LOOKED_AT = 20
# The number of other commits, without a conflict, that a commit survives; delta-rs' 15 are too few for many writers.
_COMMIT_RETRIES = 1000
# Polars 1 says it in words alone.
_GONE = re.compile(r"Object at location .* not found")


def open_table(uri: str, storage_options: dict[str, str] | None) -> DeltaTable | None:
    """Return the newest version of the table at `uri`; None if it doesn't exist.

    Raises RunError if that can't be determined: no permission, no such storage, a damaged log.
    """
    from deltalake.exceptions import TableNotFoundError

    storage.refuse_path(uri)
    with storage.refusals(uri, "read"):
        try:
            return _kind()(storage.address(uri), storage_options=storage_options)
        except TableNotFoundError as error:
            if (refusal := storage.refusal(uri, error, "read")) is not None:
                raise refusal from error
            return None


@cache
def _kind() -> type[DeltaTable]:
    """Return a DeltaTable class that names files without encoding.

    delta-rs encodes the table's path, and Polars reads a path as it is.
    """
    from deltalake import DeltaTable

    class Table(DeltaTable):
        def file_uris(self, *arguments: Any, **options: Any) -> list[str]:
            encoded = self.table_uri.removeprefix("file://")
            return [root_of(self) + file.removeprefix(encoded) for file in super().file_uris(*arguments, **options)]

    return Table


def root_of(table: DeltaTable | str) -> str:
    """Return the folder of a table, or of one that is to be made at a URI, with nothing encoded.

    It is a path if it is on this machine. The folder of a table ends with a slash.
    """
    uri = table if isinstance(table, str) else table.table_uri
    return unquote(uri.removeprefix("file://")) if "://" in uri else uri


def shown(table: DeltaTable) -> str:
    """Return the table's place as messages have it: its own URI has odd characters encoded."""
    return root_of(table).rstrip("/")


def at_version(table: DeltaTable, version: int, uri: str) -> DeltaTable:
    """Return a handle of `version`. Raises RunError if its log is gone."""
    from deltalake.exceptions import DeltaError

    if version == table.version():
        return table
    try:
        # A separate handle: a LazyFrame looks at its handle again when it runs.
        older = _kind()(table.table_uri, version=version, storage_options=table._storage_options)
    except DeltaError as error:
        raise receipts.gone(uri, version, storage.said(error)) from error
    return older


def refuse_gone(table: DeltaTable, files: Iterable[str], uri: str, version: int) -> None:
    """Raise RunError if one of `files` of `version` is gone; a later version has dropped them."""
    for file in list(files)[:_MAX_LOOKED_AT]:
        if not exists(file, table._storage_options):
            raise receipts.gone(uri, version, f"{file} does not exist")


def exists(file: str, storage_options: dict[str, str] | None) -> bool:
    if "://" not in file:
        return Path(file).exists()
    import polars as pl

    try:
        pl.scan_parquet(file, glob=False, storage_options=storage_options).collect_schema()
    except FileNotFoundError:
        return False
    except (OSError, pl.exceptions.PolarsError):
        return True  # something else is wrong, which the read itself reports
    return True


def commit_properties(
    receipt: Receipt,
    left: Left,
    *,
    alone: bool = False,
    metrics: Mapping[str, int] | None = None,
    **facts: Any,
) -> CommitProperties:
    """Return properties that put `receipt`, the write's result and more `facts` into the commit.

    They also carry the write's transaction identifier (Delta protocol, "Transaction identifiers"). A second commit of
    the same write at the same time is a conflict, and the identifier proves the write after the log has been cleaned.
    Its version is the attempt.

    With `alone` the commit fails if another writer has committed since the table was opened. Otherwise delta-rs would
    commit it as the next version: a writer without a snapshot, and one that replaces everything, conflicts with no
    append. `metrics` are for a commit of files that Polars wrote, for which delta-rs has none.
    """
    from deltalake import CommitProperties

    if facts.get(MADE):
        receipt = replace(receipt, progress=None)
    transaction: str | None = receipt.id.own_transaction if left.own else receipt.id.transaction
    if left.kind in _UNCLAIMED and receipt.progress is None:  # a retry may still write
        is_key = receipt.id.key and left.kind == "none" and not facts.get(MADE)
        transaction = receipt.id.empty_transaction if is_key else None  # nothing is what this key has
    transactions = [] if transaction is None else [_transaction(transaction, receipt.attempt)]
    if receipt.progress is not None:
        known = {receipt.progress.identifier: receipt.progress.number, **receipt.progress.positions()}
        transactions += [_transaction(name, version) for name, version in known.items()]
    metadata: dict[str, Any] = {"userMetadata": receipt.to_metadata(**left.facts(), **facts)}
    if metrics is not None:
        metadata["operationMetrics"] = dict(metrics)
    return CommitProperties(
        custom_metadata=metadata,
        app_transactions=transactions or None,
        max_commit_retries=0 if alone else _COMMIT_RETRIES,
    )


def _transaction(name: str, version: int) -> Transaction:
    """Return an identifier with its time, which tells whether a later replacement of the table has voided it."""
    from deltalake import Transaction

    return Transaction(name, version, time.time_ns() // 1_000_000)


MADE = "made"
"""The fact of a commit that makes a table for a write, which fills it in another one."""

# Kinds of receipts of a write that has not touched the table: a retry may still write.
_UNCLAIMED = ("kept", "none")


def add_receipt(table: DeltaTable, receipt: Receipt, left: Left, **facts: Any) -> None:
    """Commit `receipt` without any data."""
    properties = commit_properties(receipt, left, **facts)
    table.create_write_transaction([], "append", table.schema(), commit_properties=properties)


def note(table: DeltaTable, *names: str) -> None:
    """Commit transaction identifiers alone. Raises the engine's error on a conflict with another writer."""
    from deltalake import CommitProperties

    now = time.time_ns() // 1_000_000
    properties = CommitProperties(
        custom_metadata={"userMetadata": names[0]}, app_transactions=[_transaction(name, now) for name in names]
    )
    table.create_write_transaction([], "append", table.schema(), commit_properties=properties)


def attempt_of(table: DeltaTable, write: WriteId, *, own: bool = False) -> int | None:
    """Return the attempt that committed `write`, as this handle of the table knows it; None if no attempt did.

    With `own` a commit that the task's code made counts as well. The answer outlives the log's clean-up and a RESTORE.
    """
    names = [write.transaction, write.own_transaction] if own else [write.transaction]
    attempts = [attempt for name in names if (attempt := table.transaction_version(name)) is not None]
    return max(attempts, default=None)


def committed_by(table: DeltaTable, receipt: Receipt, *, after: int) -> Found | None:
    """Return the commit of exactly this attempt that follows the version `after`, nearly always directly.

    It moves `table` to the newest version if the next commit is of another writer.
    """
    log = Log.of(table)
    if (found := log.of_attempt(after + 1, receipt)) is not None:
        return found
    table.update_incremental()
    newest = table.version()
    return next(
        (found for v in range(after + 2, newest + 1) if (found := log.of_attempt(v, receipt)) is not None), None
    )


class Log:
    """The commits of a table; `find` goes back from the version that the handle has loaded. Reads a file at most once.

    delta-rs can't read a single commit. Its history leaves out commits without `commitInfo`, which is optional (Delta
    protocol, "Commit Provenance Information"), and shows no gap in the numbers.
    """

    def __init__(self, folder: str, newest: int, options: dict[str, str] | None) -> None:
        self.newest = newest
        self.root = f"{folder.rstrip('/')}/_delta_log"
        self.reaches_start = False
        """True if the last search read all commits that a run may have made."""
        self._options = options
        self._lines: dict[int, list[str] | None] = {}

    @classmethod
    def of(cls, table: DeltaTable) -> Log:
        """Return the log up to the version that the handle has loaded."""
        return cls(root_of(table), table.version(), table._storage_options)

    def lines(self, version: int) -> list[str] | None:
        """Return the actions of one commit, a JSON document each; None if its file has been cleaned up."""
        if version not in self._lines:
            self._lines[version] = read_lines(f"{self.root}/{version:020}.json", self._options)
        return self._lines[version]

    def actions(self, version: int, *kinds: str) -> list[dict[str, Any]]:
        """Return the actions of one commit of these kinds (Delta protocol, "Delta Log Entries")."""
        return log_lines.actions(self.lines(version) or (), *kinds)

    def has(self, kinds: Collection[str], *, above: int) -> bool:
        """Return whether a commit above the version `above` has actions of these kinds."""
        versions = range(above + 1, self.newest + 1)
        self.load(versions)
        return any(self.actions(version, *kinds) for version in versions)

    def last_after(self, version: int, *, at_once: int) -> int:
        """Return the newest version from `version` on: commits follow each other without a gap.

        A storage that can't be listed cheaply is asked for `at_once` commits, then for twice as many.
        """
        while True:
            chunk = range(version + 1, version + 1 + at_once)
            self.load(chunk)
            version = next((number - 1 for number in chunk if self.lines(number) is None), chunk[-1])
            if version < chunk[-1]:
                return version
            at_once *= 2

    def commit(self, version: int) -> Commit | None:
        """Return what the log says about one commit; None if its file has been cleaned up."""
        if self.lines(version) is None:
            return None
        infos = [action["commitInfo"] for action in self.actions(version, "commitInfo")]
        info: dict[str, Any] = infos[0] if infos else {}
        return Commit(
            version,
            receipts.made_at(info),
            str(info.get("operation", "")),
            info.get("operationParameters") or {},
            info.get("userMetadata"),
            info.get("operationMetrics") or {},
        )

    def stamps(self, versions: Collection[int]) -> dict[int, int]:
        """Return when these commits were made, without those of which the log does not say it."""
        self.load(versions)
        return receipts.stamps(map(self.commit, versions))

    def find(self, writes: Collection[WriteId], *, since: int = 0) -> Trail:
        """Return the results of `writes` in commits since a time (milliseconds since the epoch), newest first."""
        return search(self.back(since), writes)

    def of_attempt(self, version: int, receipt: Receipt) -> Found | None:
        """Return the commit `version` if it belongs to exactly this attempt, otherwise None."""
        commit = self.commit(version)
        found = Found.of_commit(commit) if commit is not None else None
        return found if found is not None and found.receipt == receipt else None

    def back(self, since: int, chunks: Sequence[int] = _CHUNKS) -> Iterator[Commit]:
        """Yield commits, newest first, in growing chunks: the wanted one is nearly always among the newest.

        The search ends after a whole chunk of commits that are much older than `since`. A single commit with an old
        time comes from a writer whose clock is behind.
        """
        self.reaches_start = False
        too_old = since - CLOCK_SKEW_MS
        seen: list[bool] = []
        version, step = self.newest, 0
        while version >= 0:
            size = chunks[min(step, len(chunks) - 1)]
            chunk = range(version, max(version - size, -1), -1)
            self.load(chunk)
            for number in chunk:
                commit = self.commit(number)
                if commit is None:  # cleaned up, and so are all earlier ones
                    self.reaches_start = bool(seen) and all(seen[-_MANY:])
                    return
                yield commit
                seen.append(commit.timestamp is not None and commit.timestamp < too_old)
            if len(chunk) > _CHUNKS[1] and all(seen[-len(chunk) :]):
                break
            version, step = chunk[-1] - 1, step + 1
        self.reaches_start = True

    def load(self, versions: Iterable[int]) -> None:
        """Read these commits; from a remote storage, many at once."""
        missing = [version for version in versions if version not in self._lines]
        if len(missing) > 1 and "://" in self.root:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(self.lines, missing))


def read_lines(path: str, storage_options: dict[str, str] | None) -> list[str] | None:
    """Return the lines of a file; None if it does not exist."""
    if "://" not in path:
        try:
            return Path(path).read_text(encoding="utf-8").split("\n")  # a string may contain other line endings
        except FileNotFoundError:
            return None
    import polars as pl

    try:
        # With the same access that Polars has to the data.
        return pl.read_lines(path, glob=False, storage_options=storage_options).to_series().to_list()
    except FileNotFoundError:
        return None
    except OSError as error:
        if _GONE.search(str(error)):
            return None
        raise
