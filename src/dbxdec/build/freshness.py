"""The check that a project's wheel and resources match its current files: by stat, without reading one of them.

The bundle's CLI runs it on every command in the folder, shell completion included. So this module imports no
third-party module, and no module of the standard library that takes longer than the check itself.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import dbxdec
from dbxdec.build import unbuilt
from dbxdec.support import files
from dbxdec.support.locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_RECORD = "bundle.json"
_LOCK = "bundle.lock"
_FORMAT = 1

# Folders that hatchling never enters (its EXCLUDED_DIRECTORIES), and folders that tools keep for themselves.
_UNSEEN = frozenset(
    [
        *("__pycache__", ".venv", ".git", ".hg", ".hatch", ".tox", ".nox", ".ruff_cache", ".pytest_cache"),
        *(".mypy_cache", ".pixi", files.STATE_FOLDER, ".databricks", "node_modules"),
    ]
)
# Files that mark a folder as a virtual environment, or as a cache (bford.info/cachedir).
_MARKS = frozenset(["pyvenv.cfg", "CACHEDIR.TAG"])
# Environment variables that hatchling and the usual version plugins read.
_VARIABLES = ("HATCH_BUILD_HOOK", "SETUPTOOLS_SCM_PRETEND", "SOURCE_DATE_EPOCH")
# Longer than a tick of the clock that file systems use for timestamps.
TICK = 20_000_000

Stat = list[int]
"""Size, time of the last change of the content, and of the last change of anything, in ns: the latter can't be set
back, so that a file replaced by one of its size and time is seen."""
Snapshot = dict[str, Stat]
"""By path: relative to the project's root with `/`, or absolute for what lies outside."""


class Scope(NamedTuple):
    """The places of the inputs of a build.

    `only` are the folders at the root that are searched, None for all; `unwatched` are folders that are not, and
    `outside` are files and folders outside the root.
    """

    only: list[str] | None = None
    unwatched: list[str] = []  # noqa: RUF012  # never changed
    outside: list[str] = []  # noqa: RUF012

    def leaves_out(self, folder: str) -> bool:
        """Return whether nothing in `folder`, relative to the root, matters."""
        return folder in self.unwatched or (self.only is not None and "/" not in folder and folder not in self.only)


class Record(NamedTuple):
    """The outputs and inputs of the last build. (No dataclass: importing `dataclasses` costs more than the check.)

    `wheel` and `resources` are relative to the project's root; `generated` are the inputs that the build itself writes.
    """

    wheel: str
    resources: str | None
    build_id: str
    outputs: Snapshot
    inputs: Snapshot
    environment: list[str]
    scope: Scope
    generated: list[str]


def project_root(start: str) -> str | None:
    """Return the nearest folder with a pyproject.toml, from `start` upwards; if that is no file, a build reports it."""
    folder = os.path.realpath(start)
    while not os.path.lexists(os.path.join(folder, "pyproject.toml")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
    return folder


def stale(root: str) -> tuple[Record | None, str | None]:
    """Return the record of the last build, and why it no longer holds; None when nothing has changed."""
    record = _load(root)
    if record is None:
        return None, "no build is recorded here"
    for path, was in record.outputs.items():
        now = stat_of(os.path.join(root, path))
        if now is None:
            return record, f"{path} is gone"
        if now != was:
            return record, f"{path} is not the one that was built"
    if record.resources is not None and os.path.exists(
        os.path.join(root, marker := unbuilt.marker_of(record.resources))
    ):
        return record, f"{marker} is there"
    now_there, was_there = set(environment()), set(record.environment)
    if now_there != was_there:
        added, gone = sorted(now_there - was_there), sorted(was_there - now_there)
        return record, f"{added[0]} is new" if added else f"{gone[0]} is gone"
    moved = differences(record.inputs, snapshot(root, record.scope, record.outputs))
    more = f" and {len(moved) - 1} more" if len(moved) > 1 else ""
    return record, f"{moved[0]}{more} changed" if moved else None


def environment() -> list[str]:
    """Return the inputs of a build besides files: dbxdec, Python, every installed distribution, some variables."""
    found = {f"dbxdec {dbxdec.__version__}", "Python " + sys.version.partition(" ")[0]}
    for folder in sys.path:
        with suppress(OSError):
            found.update(name for name in os.listdir(folder or ".") if name.endswith((".dist-info", ".egg-info")))
    found.update(f"{name}={value}" for name, value in os.environ.items() if name.startswith(_VARIABLES))
    return sorted(found)


def snapshot(root: str, scope: Scope, outputs: Iterable[str] = ()) -> Snapshot:
    """Return the stat of each file in `scope`, except `outputs`, that could matter to the wheel of the tree `root`."""
    found: Snapshot = {}
    _walk(root, "", scope, found)
    for path in _made(outputs):
        found.pop(path, None)
    for path in scope.outside:
        if os.path.isdir(path):
            _walk(path, f"{path}/", Scope(), found)
        else:
            found[path] = stat_of(path) or []
    return found


def settled_snapshot(root: str, scope: Scope) -> Snapshot:
    """Return a snapshot in which every timestamp is old enough: a later change of the file gets a different one."""
    while True:
        now = time.time_ns()
        found = snapshot(root, scope)
        youngest = max((stamp for stat in found.values() for stamp in stat[1:] if stamp <= now), default=0)
        if now - youngest > TICK:
            return found
        time.sleep(TICK / 1e9)


def within(found: Snapshot, scope: Scope, outputs: Iterable[str]) -> Snapshot:
    """Return the part of a larger snapshot that a snapshot of `scope` without `outputs` would have."""
    left_out = _made(outputs)
    outside = tuple(f"{path}/" for path in scope.outside)
    return {
        path: stat
        for path, stat in found.items()
        if path not in left_out
        and (not os.path.isabs(path) or f"{path}/".startswith(outside))
        and not any(scope.leaves_out(path[:i]) for i, letter in enumerate(path) if letter == "/" and i)
    }


def _made(outputs: Iterable[str]) -> set[str]:
    """Return the outputs of builds, and the file that takes the place of the resources while they are missing."""
    paths = set(outputs)
    return paths | {unbuilt.marker_of(path) for path in paths}


def differences(before: Mapping[str, Stat], after: Mapping[str, Stat]) -> list[str]:
    """Return the paths that are in only one of them, or differ."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def save(root: str, record: Record) -> None:
    """Keep `record` for the next check, all of it or nothing."""
    files.replace(_state(root, _RECORD), json.dumps({"format": _FORMAT, **record._asdict()}).encode())


def forget(root: str) -> None:
    """Mark everything as stale until `save`, also when this process is killed in between."""
    with suppress(FileNotFoundError):
        os.unlink(_state(root, _RECORD))


@contextmanager
def locked(root: str, waiting: Callable[[], None]) -> Iterator[int]:
    """Hold the project's lock; call `waiting` once when another process holds it. Yields the lock's file descriptor.

    The system frees the lock when the last process that has the descriptor ends, for whatever reason. A build that
    inherits the descriptor keeps the lock when its parent is killed, and no stale lock remains.
    """
    lock = os.open(_state(root, _LOCK), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not try_lock(lock):
            waiting()
            while not try_lock(lock):
                time.sleep(0.05)
        yield lock
    finally:
        os.close(lock)


def _state(root: str, name: str) -> str:
    """Return the path of one of dbxdec's own files in the project, in a folder that git ignores."""
    folder = os.path.join(root, files.STATE_FOLDER)
    os.makedirs(folder, exist_ok=True)
    ignore = os.path.join(folder, ".gitignore")
    if not os.path.exists(ignore):
        files.replace(ignore, b"*\n")
    return os.path.join(folder, name)


def _load(root: str) -> Record | None:
    try:
        with open(os.path.join(root, files.STATE_FOLDER, _RECORD), encoding="utf-8") as file:
            form: dict[str, Any] = json.load(file)
        if form.pop("format") != _FORMAT:
            return None
        record = Record(**{**form, "scope": Scope(*form["scope"])})
        return record if _is_whole(record) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # whatever the error is, another build repairs it


def _is_whole(record: Record) -> bool:
    """Return whether all values of a record have the types that a build writes."""
    scope = record.scope
    lists = [record.environment, record.generated, scope.unwatched, scope.outside, scope.only or []]
    stats = [*record.outputs.items(), *record.inputs.items()]
    names = [record.wheel, record.build_id, record.resources or "", *(name for found in lists for name in found)]
    return (
        all(type(found) is list for found in lists)
        and all(type(name) is str and "\0" not in name for name in [*names, *(path for path, _ in stats)])
        and all(type(stat) is list and all(type(number) is int for number in stat) for _, stat in stats)
    )


def _walk(top: str, prefix: str, scope: Scope, found: Snapshot) -> None:
    pending = [(top, prefix)]
    linked: set[str] = set()
    while pending:
        folder, before = pending.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        if before != prefix and not _MARKS.isdisjoint(entry.name for entry in entries):
            continue
        for entry in entries:
            path = before + entry.name
            if _is_dir(entry):
                if entry.name in _UNSEEN or scope.leaves_out(path):
                    continue
                if entry.is_symlink():
                    real = os.path.realpath(entry.path)
                    if real in linked or f"{os.path.realpath(folder)}{os.sep}".startswith(f"{real}{os.sep}"):
                        continue
                    linked.add(real)
                pending.append((entry.path, f"{path}/"))
            elif not entry.name.endswith(".pyc"):
                found[path] = stat_of(entry) or []


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def stat_of(path: str | os.DirEntry[str]) -> Stat | None:
    """Return the stat of a file; None when there is no such file."""
    try:
        # DirEntry.stat of Windows lacks what os.stat has, so both places call os.stat.
        stat = os.stat(path)
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
