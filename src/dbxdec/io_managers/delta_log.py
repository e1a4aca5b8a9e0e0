"""What dbxdec reads from and writes into a Delta table's log through delta-rs: receipts and transaction identifiers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dbxdec.errors import RunError
from dbxdec.io_managers import delta_storage
from dbxdec.io_managers.base import ANY_ITEM, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deltalake import CommitProperties, DeltaTable

    from dbxdec.io_managers.base import WriteId

# A run that starts where clocks differ must still find its own commits.
_CLOCK_SKEW_MS = 3_600_000
_FIRST_CHUNK = 10
_CHUNK_GROWTH = 8
_MAX_READS = 100
_MAX_LOOKED_AT = 20
# As often as others commit what does not conflict; delta-rs' own 15 are too few for many writers.
_COMMIT_RETRIES = 1000
# Where a line of the log names the kind of its action.
_HEAD = 20


@dataclass(frozen=True, slots=True)
class Found:
    """A commit with a receipt: its version, and what stands beside the receipt and in the commit's metrics."""

    version: int
    receipt: Receipt
    facts: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @property
    def wrote(self) -> bool:
        """False for a commit that only says that the task had nothing to write."""
        return bool(self.facts.get("wrote", True))


def open_table(uri: str, storage_options: dict[str, str] | None) -> DeltaTable | None:
    """The newest version of the table at `uri`, None where there is no table.

    Raises RunError where one can't tell: no permission, no such storage, a log that is damaged.
    """
    from deltalake.exceptions import TableNotFoundError

    delta_storage.refuse_path(uri)
    with delta_storage.refusals(uri, "read"):
        try:
            return _kind()(uri, storage_options=storage_options)
        except TableNotFoundError as error:
            if (refusal := delta_storage.refusal(uri, error, "read")) is not None:
                raise refusal from error
            return None


@cache
def _kind() -> type[DeltaTable]:
    """DeltaTable whose files are named as they are: delta-rs encodes the table's path, and Polars takes it as it is."""
    from deltalake import DeltaTable

    class Table(DeltaTable):
        def file_uris(self, *arguments: Any, **options: Any) -> list[str]:
            encoded = self.table_uri.removeprefix("file://")
            return [root_of(self) + file.removeprefix(encoded) for file in super().file_uris(*arguments, **options)]

    return Table


def root_of(table: DeltaTable | str) -> str:
    """The folder of a table, or of one that is to be made at a URI, with nothing encoded: a path where it is on this
    machine. That of a table ends with a slash."""
    uri = table if isinstance(table, str) else table.table_uri
    return unquote(uri.removeprefix("file://")) if "://" in uri else uri


def load_version(table: DeltaTable, version: int, uri: str) -> None:
    """Move `table` to `version`. Raises RunError where its log or one of its files is gone."""
    from deltalake.exceptions import DeltaError

    if version == table.version():
        return
    # Only files that a later version has dropped can be gone, and Polars would say so in the task's own query.
    kept = set(table.file_uris())
    try:
        table.load_as_version(version)
    except DeltaError as error:
        raise delta_storage.gone(uri, version, delta_storage.said(error)) from error
    dropped = sorted(set(table.file_uris()) - kept)
    for file in dropped[:_MAX_LOOKED_AT]:
        if not _exists(file, table._storage_options):
            raise delta_storage.gone(uri, version, f"{file} does not exist")


def _exists(file: str, storage_options: dict[str, str] | None) -> bool:
    if "://" not in file:
        return Path(file).exists()
    import polars as pl

    try:
        pl.scan_parquet(file, glob=False, storage_options=storage_options).collect_schema()
    except FileNotFoundError:
        return False
    except (OSError, pl.exceptions.PolarsError):
        return True  # something else is wrong, and the read itself says what
    return True


def commit_properties(
    receipt: Receipt,
    *,
    once: bool,
    alone: bool = False,
    own: bool = False,
    metrics: Mapping[str, int] | None = None,
    **facts: Any,
) -> CommitProperties:
    """Properties that put `receipt` and `facts` into the commit.

    With `once` they carry the write's transaction identifier as well (Delta protocol, "Transaction identifiers"), so
    that a second commit of the same write is a conflict; with `own` it is that of a commit which the task's code makes.
    With `alone` the commit fails where somebody else has committed since the table was looked at: delta-rs would
    otherwise commit it as the next version, since a writer without a snapshot, and one that replaces everything,
    conflicts with no append. The fact `after`, where given, is the version that the writer has loaded, -1 where there
    was no table: a reader knows the commit's own version by it. `metrics` are for a commit of files that somebody else
    has written, of which delta-rs can tell none.
    """
    from deltalake import CommitProperties, Transaction

    transaction = receipt.id.own_transaction if own else receipt.id.transaction
    metadata: dict[str, Any] = {"userMetadata": receipt.to_metadata(**facts)}
    if metrics is not None:
        metadata["operationMetrics"] = dict(metrics)
    return CommitProperties(
        custom_metadata=metadata,
        app_transactions=[Transaction(transaction, 1)] if once else None,
        max_commit_retries=0 if alone else _COMMIT_RETRIES,
    )


def add_receipt(table: DeltaTable, receipt: Receipt, *, once: bool, **facts: Any) -> None:
    """Commit `receipt` without any data."""
    properties = commit_properties(receipt, once=once, after=table.version(), **facts)
    table.create_write_transaction([], "append", table.schema(), commit_properties=properties)


def committed(table: DeltaTable, write: WriteId, *, own: bool = False) -> bool:
    """Whether a commit with the transaction identifier of `write` is in the table, as this handle knows it.

    With `own` one that the task's code has made counts as well.
    """
    names = [write.transaction, write.own_transaction] if own else [write.transaction]
    return any(table.transaction_version(name) is not None for name in names)


def find_receipt(table: DeltaTable, write: WriteId, *, since: int = 0) -> Found | None:
    """The newest commit of `write`, looking no further back than `since` (milliseconds since the epoch).

    Of many iterations it is the newest that wrote something, where any did. The handle is moved to the newest version.
    Raises RunError where the table changes too fast to be read.
    """
    since -= _CLOCK_SKEW_MS
    if (found := receipt_at(table, write, table.version(), since=since)) is not None and found.wrote:
        return found
    empty: Found | None = None
    for commit in _commits(table, since):
        proof = Receipt.from_metadata(commit.get("userMetadata"))
        if proof is None or not write.covers(proof[0].id):
            continue
        version = _version(table, commit, proof[1].get("after"))
        found = Found(version, *proof, commit.get("operationMetrics") or {})
        if found.wrote or write.item != ANY_ITEM:
            return found
        empty = empty or found
    return empty


def receipt_at(table: DeltaTable, write: WriteId, version: int, *, since: int = 0) -> Found | None:
    """The commit `version`, read by itself; None where it is not of `write`, older than `since`, or not there."""
    infos = [action["commitInfo"] for action in actions(table, version, only="commitInfo")]
    info: dict[str, Any] = infos[0] if infos else {}
    proof = Receipt.from_metadata(info.get("userMetadata"))
    if proof is None or not write.covers(proof[0].id) or info.get("timestamp", since) < since:
        return None
    return Found(version, *proof, info.get("operationMetrics") or {})


def _version(table: DeltaTable, commit: dict[str, Any], after: object) -> int:
    """The version of `commit`, which came later than the version `after`.

    `commitInfo` is optional (Delta protocol, "Commit Provenance Information"). delta-rs' history leaves out the commits
    that have none, without a gap in its numbers, so those of all older commits are too high. The log itself is looked
    at only where the number may be wrong.
    """
    numbered = int(commit["version"])
    for version in range(numbered, after if isinstance(after, int) else -1, -1):
        if version - 1 == after or _is_version(table, version, commit["userMetadata"]):
            return version
    return numbered


def _is_version(table: DeltaTable, version: int, metadata: str) -> bool:
    return any(a["commitInfo"].get("userMetadata") == metadata for a in actions(table, version, only="commitInfo"))


def actions(table: DeltaTable, version: int, *, only: str = "") -> list[dict[str, Any]]:
    """The actions of one commit (Delta protocol, "Delta Log Entries"), or those of the kind `only`.

    None where its file has been cleaned away.
    """
    import polars as pl

    try:
        # delta-rs has no way to read a single commit; Polars reads it with the access it has to the data.
        lines = pl.read_lines(
            f"{root_of(table).rstrip('/')}/_delta_log/{version:020}.json",
            glob=False,
            storage_options=table._storage_options,
        )
    except FileNotFoundError:
        return []
    wanted = [line for line in lines.to_series() if line and only in line[:_HEAD]]
    found = [json.loads(line) for line in wanted]
    return [action for action in found if only in action] if only else found


def _commits(table: DeltaTable, since: int) -> Iterator[dict[str, Any]]:
    """Commits, newest first, in growing chunks: the one asked for is nearly always among the newest."""
    limit, seen = _FIRST_CHUNK, 0
    while True:
        chunk = _history(table, limit)
        for commit in chunk[seen:]:
            if commit.get("timestamp", since) < since:
                return
            yield commit
        # Not the length of the chunk, in which commits without `commitInfo` are missing.
        if limit > table.version():
            return
        # A commit that landed in between moves the rest down: those are looked at twice, and none is missed.
        seen, limit = len(chunk), limit * _CHUNK_GROWTH


def _history(table: DeltaTable, limit: int) -> list[dict[str, Any]]:
    """The table's newest commits, numbered down from its newest version.

    delta-rs lists the newest commits, and numbers them down from the version that the handle has loaded: where
    somebody commits in between, every number is wrong. So the list counts only if the handle was at the end of the
    log before and after it was read.
    """
    for _ in range(_MAX_READS):
        table.update_incremental()
        before = table.version()
        commits = table.history(limit)
        table.update_incremental()
        if table.version() == before:
            return commits
    raise RunError(f"the log of {table.table_uri} changes faster than it can be read")
