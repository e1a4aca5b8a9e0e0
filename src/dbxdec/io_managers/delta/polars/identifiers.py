"""All transaction identifiers of a Delta table: of its newest checkpoint, and of the commits after it.

To ask delta-rs for each identifier by its name would be hopeless for hundreds of keys on a storage.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta import log_lines
from dbxdec.io_managers.delta.epochs import makes, needed
from dbxdec.io_managers.delta.key_log import Identifier, KeyLog
from dbxdec.io_managers.delta.polars import storage
from dbxdec.io_managers.delta.polars.table_log import FEW, Log, open_table, read_lines, root_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WANTED = ("txn", "metaData")
# How many commits of a storage are asked for at first: those of a table without a checkpoint for a while are many.
_PROBED = 4


def read(uri: str, storage_options: dict[str, str] | None) -> KeyLog | None:
    """Return what the log of the table at `uri` says of keys; None without a table.

    Raises RunError where that can't be told: no permission, no such storage, a damaged log.
    """
    import polars as pl

    storage.refuse_path(uri)
    try:
        return _read(uri, storage_options)
    except (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise storage.refusal(uri, error, "read") or RunError(
            f"the log of {uri} can't be read: {storage.said(error)}"
        ) from error


def _read(uri: str, storage_options: dict[str, str] | None) -> KeyLog | None:
    log = Log(root_of(uri), -1, storage_options)
    version, files = _checkpoint(log.root, storage_options)
    log.newest = _newest(log, version)
    # Where nothing is where it should be, delta-rs lists the folder.
    if log.newest < 0 and open_table(uri, storage_options) is None:
        return None
    after = range(version + 1, log.newest + 1)
    log.load(after)
    if log.newest < 0 or any(log.lines(number) is None for number in after):
        raise RunError(
            f"the log of {uri} has been cleaned up, and its newest checkpoint can't be found",
            hint="make one: `DeltaTable(...).create_checkpoint()`",
        )
    found: dict[str, Identifier] = {}
    created: list[int | None] = []
    made: list[int | None] = []
    commits = list(needed(log.back(0, FEW)))
    for number in after:
        if not all(map(_is_whole, filter(None, log.lines(number) or ()))):
            raise RunError(f"the log of {uri} can't be read: its version {number} is damaged")
    for number in sorted({*after, *(one.version for one in commits)}, reverse=True):
        for action in log.actions(number, *_WANTED):
            if "metaData" in action:
                created.append(action["metaData"].get("createdTime"))
                commit = log.commit(number)
                made += created[-1:] if commit is not None and makes(commit) else []
            else:
                one = _of(action["txn"], number)
                found.setdefault(one.name, one)
    for action in _in_files(files, storage_options):
        if action.get("metaData") is not None:
            created.append(action["metaData"].get("createdTime"))
        elif action.get("txn") is not None:
            one = _of(action["txn"], None)
            found.setdefault(one.name, one)
    return KeyLog(list(found.values()), commits, next(iter(created), None), next(iter(made), None))


def _is_whole(line: str) -> bool:
    """Return whether a line looks like an action; to read all of them as JSON would take long."""
    return line.startswith("{") and line.rstrip().endswith("}") and '"' in line


def _newest(log: Log, checkpoint: int) -> int:
    """Return the newest version of a table whose newest checkpoint is known, -1 without one."""
    if "://" not in log.root:
        folder = Path(log.root)
        names = os.listdir(folder) if folder.is_dir() else []
        versions = {int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdecimal()}
        if checkpoint < 0 and 0 not in versions:
            return -1
        return max(versions, default=checkpoint)
    return log.last_after(checkpoint, at_once=_PROBED)


def _of(action: dict[str, Any], version: int | None) -> Identifier:
    updated = action.get("lastUpdated")
    return Identifier(str(action["appId"]), version, updated if isinstance(updated, int) else None)


def _in_files(files: Sequence[str], options: dict[str, str] | None) -> Iterator[dict[str, Any]]:
    """Yield the actions of a checkpoint that matter (Delta protocol, "Checkpoints", classic and V2)."""
    import polars as pl

    for file in files:
        if file.endswith(".json"):
            lines = pl.read_lines(file, glob=False, storage_options=options).to_series().to_list()
            yield from log_lines.actions(lines, *_WANTED)
            continue
        frame = pl.scan_parquet(file, glob=False, storage_options=options)
        kinds = [kind for kind in _WANTED if kind in frame.collect_schema()]
        if kinds:
            there = pl.any_horizontal(pl.col(kind).is_not_null() for kind in kinds)
            yield from frame.select(kinds).filter(there).collect().iter_rows(named=True)


def _checkpoint(root: str, options: dict[str, str] | None) -> tuple[int, list[str]]:
    """Return the version of the newest checkpoint, -1 without one, and its files that may hold identifiers.

    Those are all but the sidecars of a V2 checkpoint.
    """
    if "://" not in root:
        return _newest_of(sorted(file.name for file in Path(root).glob("*.checkpoint*.*")), root)
    try:
        last = json.loads("\n".join(read_lines(f"{root}/_last_checkpoint", options) or ()))
        version, parts = int(last["version"]), last.get("parts")
    except (ValueError, KeyError, TypeError):
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
