"""All transaction identifiers of a Delta table: of its newest checkpoint, and of the commits after it.

To ask delta-rs for each identifier by its name would be hopeless for hundreds of keys on a storage.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta.epochs import needed
from dbxdec.io_managers.delta.key_log import Identifier, KeyLog
from dbxdec.io_managers.delta.polars import storage
from dbxdec.io_managers.delta.polars.table_log import Log, open_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def read(uri: str, storage_options: dict[str, str] | None) -> KeyLog | None:
    """Return what the log of the table at `uri` says of keys; None without a table.

    Raises RunError where that can't be told: no permission, no such storage, a damaged log.
    """
    table = open_table(uri, storage_options)
    if table is None:
        return None
    log, found = Log.of(table), dict[str, Identifier]()
    with storage.refusals(uri, "read"):
        version, files = _checkpoint(log.root, storage_options)
    after = range(log.newest, version, -1)
    log.load(after)
    commits = list(needed(log.back(0)))
    for number in sorted({*after, *(commit.version for commit in commits)}, reverse=True):
        if log.lines(number) is None:
            raise RunError(
                f"the log of {uri} has been cleaned up, and its newest checkpoint can't be found",
                hint="make one: `DeltaTable(...).create_checkpoint()`",
            )
        for action in log.actions(number, "txn"):
            one = _of(action["txn"], number)
            found.setdefault(one.name, one)
    for one in _of_files(files, storage_options, uri):
        found.setdefault(one.name, one)
    return KeyLog(list(found.values()), commits, table.metadata().created_time)


def _of(action: dict[str, Any], version: int | None) -> Identifier:
    updated = action.get("lastUpdated")
    return Identifier(str(action["appId"]), version, updated if isinstance(updated, int) else None)


def _of_files(files: Sequence[str], options: dict[str, str] | None, uri: str) -> Iterator[Identifier]:
    """Yield the identifiers in the files of a checkpoint (Delta protocol, "Checkpoints", classic and V2)."""
    import polars as pl

    with storage.refusals(uri, "read"):
        for file in files:
            if file.endswith(".json"):
                lines = pl.read_lines(file, glob=False, storage_options=options).to_series().to_list()
                actions = [json.loads(line)["txn"] for line in lines if line.startswith('{"txn"')]
            else:
                frame = pl.scan_parquet(file, glob=False, storage_options=options)
                if "txn" not in frame.collect_schema():
                    continue
                actions = frame.select("txn").filter(pl.col("txn").is_not_null()).collect()["txn"].to_list()
            yield from (_of(action, None) for action in actions if action.get("appId") is not None)


def _checkpoint(root: str, options: dict[str, str] | None) -> tuple[int, list[str]]:
    """Return the version of the newest checkpoint, -1 without one, and its files that may hold identifiers.

    Those are all but the sidecars of a V2 checkpoint.
    """
    import polars as pl

    if "://" not in root:
        return _newest_of(sorted(file.name for file in Path(root).glob("*.checkpoint*.*")), root)
    try:
        text = "\n".join(pl.read_lines(f"{root}/_last_checkpoint", glob=False, storage_options=options).to_series())
        last = json.loads(text)
        version, parts = int(last["version"]), last.get("parts")
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return -1, []
    if isinstance(v2 := last.get("v2Checkpoint"), dict) and isinstance(v2.get("path"), str):
        return version, [f"{root}/{v2['path'].rpartition('/')[2]}"]
    if isinstance(parts, int):
        names = [f"{version:020}.checkpoint.{part:010}.{parts:010}.parquet" for part in range(1, parts + 1)]
        return version, [f"{root}/{name}" for name in names]
    return version, [f"{root}/{version:020}.checkpoint.parquet"]


def _newest_of(names: list[str], root: str) -> tuple[int, list[str]]:
    """Return the version and the files of the newest whole checkpoint among the names of files of a log."""
    by_version: dict[str, list[str]] = {}
    for name in names:
        version, _, kind = name.partition(".checkpoint")
        if version.isdecimal() and kind.endswith((".parquet", ".json")):
            by_version.setdefault(version, []).append(name)
    for version in sorted(by_version, reverse=True):
        names = sorted(by_version[version])
        parts = [name.split(".") for name in names]
        whole = [name for name, part in zip(names, parts, strict=True) if len(part) != 5]
        if whole:
            return int(version), [f"{root}/{whole[0]}"]
        if names and len(names) == int(parts[0][3]):
            return int(version), [f"{root}/{name}" for name in names]
    return -1, []
