"""The record of each run, as files: `.dbxdec/runs/<id>/`.

    run.json          what was run, and how it ended: small, since a list of runs reads these alone
    definition.json   the job as the manifest of its build has it
    events.jsonl      the events, one a line, appended as they happen: a killed run keeps all but its last moment
    logs/             the output of each attempt of a task
    task_values/      JSON that tasks have left for each other
    records/          the reads and writes so far of attempts that are running
    lock              held while a runner is at work: a run without an end whose lock is free was interrupted
    workers           held while a process that runs tasks lives, which may be a moment longer than its runner

A run of another job, which a task has started, has a folder of its own next to this one: its run.json has "parent", the
run, and "task", the task; and the parent's events.jsonl names it before anything of it runs.

run.json has "end" once the run has ended: state, time in ms, tasks done and asked for, repairs, how long it was at work
in ms, and the size of events.jsonl, by which a reader sees that no event was noted since. All of this follows from
events.jsonl. That of a resumed run has "appended": the targets to which tasks append, also tasks that are gone by now.

A line of events.jsonl has "event":

    "started"   number of the repair (0 at first), time in ms, the selected tasks, build id, and the kept tasks of
                earlier attempts, each with null, or with the numbers of its iterations that are kept
    "begun"     an attempt: task, iteration with its item (or null), title, attempt, log, time in ms
    "attempt"   the same attempt when it has ended: state, started and ended in ms, and the facts: reads and writes
    "inner"     task, run: the run of another job that the task is about to start or resume
    "task"      task, state, started and ended in ms, attempts, outcome of a condition, and the run of a run-job task
    "ended"     state, time in ms

Files, not a database, so that a run's folder can be read, copied and deleted by itself, on any file system,
and damage to one doesn't affect another. A torn last line is no event. A line that is damaged otherwise is skipped, and
the events above it no longer count as done, since the line may have said so.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from dbxdec.errors import RunError, did_you_mean, listed
from dbxdec.local import journal
from dbxdec.local.history import (
    DEFINITION,
    EVENTS,
    INTERRUPTED,
    LOCK,
    RUN,
    RUNNING,
    Run,
    Unreadable,
    done,
    is_held,
    read,
)
from dbxdec.platform.run_if import State
from dbxdec.records import dataclass
from dbxdec.support import files
from dbxdec.support.locks import try_lock

__all__ = ["INTERRUPTED", "RUNNING", "Ledger", "Run", "Unreadable", "again", "find", "held", "is_held", "new", "runs"]

VALUES = "task_values"
LOGS = "logs"
_RUNS = "runs"
_WORKERS = "workers"
_LOOK_S, _LOOKS = 0.02, 10
ORPHANS_S = 60.0
"""The seconds that a run waits for tasks that its killed runner has left: they end as soon as they can."""


@dataclass()
class Ledger:
    """The record of the current run."""

    folder: Path
    head: dict[str, Any]
    attempts: dict[tuple[str, int | None], int] = field(default_factory=dict)
    """The number of tries of each task, or iteration, those of earlier repairs included: no log is overwritten."""
    spent_before: int = 0
    """For how many ms earlier runners were at work on it."""
    began: int = field(default_factory=lambda: now_ms())
    _writing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def id(self) -> str:
        return self.folder.name

    def note(self, event: str, **facts: Any) -> None:
        """Append one event."""
        with self._writing:
            journal.append(self.folder / EVENTS, {"event": event, **facts})

    def next_attempt(self, task: str, iteration: int | None) -> int:
        """Return the number of the attempt that is about to begin, from 1."""
        with self._writing:
            number = self.attempts[task, iteration] = self.attempts.get((task, iteration), 0) + 1
        return number

    def write_head(self) -> None:
        """Write run.json: the job and the settings of the run."""
        journal.write_whole(self.folder / RUN, self.head)

    def define(self, definition: Mapping[str, Any]) -> None:
        """Keep the definition of the job as it is run."""
        journal.write_whole(self.folder / DEFINITION, definition)

    def close(self, state: State | str, tasks: Mapping[str, State], repairs: int) -> None:
        """Note how the run and its tasks have ended."""
        now = now_ms()
        self.note("ended", state=str(state), time_ms=now)
        asked = [one for one in tasks.values() if one is not State.DESELECTED]
        self.head["end"] = {
            "state": str(state),
            "time_ms": now,
            "done": done(asked),
            "tasks": len(asked),
            "repairs": repairs,
            "spent_ms": self.spent_before + now - self.began,
            "events_size": (self.folder / EVENTS).stat().st_size,
        }
        self.write_head()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def state_folder(folder: Path) -> Path:
    """Return `.dbxdec/` in `folder`, which git ignores."""
    state = _folder(folder / files.STATE_FOLDER)
    if not (state / ".gitignore").exists():
        files.replace(state / ".gitignore", b"*\n")
    return state


def copies(folder: Path) -> Path:
    """Return the folder for copies of builds: `.dbxdec/`, or one for this process alone where nobody may write there.

    Commands that only read tables need a copy as well.
    """
    state = folder / files.STATE_FOLDER
    if os.access(state if state.exists() else folder, os.W_OK):
        return state_folder(folder)
    scratch = tempfile.mkdtemp(prefix="dbxdec-")
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    return Path(scratch)


def lake(folder: Path) -> str:
    """Return the folder that stands for remote places in the runs of `folder`, where nothing else is asked for."""
    return str((folder / files.STATE_FOLDER / "lake").absolute())


def new(folder: Path, head: Mapping[str, Any], definition: Mapping[str, Any]) -> Ledger:
    """Return a run with an id and a folder of its own below `folder`; two runs at once never share one."""
    runs = _folder(state_folder(folder) / _RUNS)
    while True:
        # A number, as the platform's run ids are.
        place = runs / str(time.time_ns() // 1_000)
        try:
            place.mkdir()
        except FileExistsError:
            continue
        break
    ledger = Ledger(place, {"id": place.name, **head})
    ledger.define(definition)
    ledger.write_head()
    return ledger


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path}, where runs are kept, can't be a folder: {error.strerror}") from None
    return path


def again(run: Run) -> Ledger:
    """Return the record of `run`, to resume it."""
    ledger = Ledger(
        run.folder, {k: v for k, v in run.head.items() if k not in ("state", "ended_ms", "end", "definition")}
    )
    ledger.spent_before = sum(end - start for start, end in run.sittings)
    for event in run.events:
        if event["event"] in ("begun", "attempt"):
            key = (event["task"], event["iteration"])
            ledger.attempts[key] = max(ledger.attempts.get(key, 0), int(event["attempt"]))
    return ledger


# Locks


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of the run in `folder`. Raises RunError when another process runs it."""
    descriptor = _opened(folder / LOCK)
    try:
        for looks in range(_LOOKS, -1, -1):
            if try_lock(descriptor):
                break
            if not looks:
                raise RunError(
                    f"the run {folder.name} is still running in another process", hint="wait for it, or stop it"
                )
            time.sleep(_LOOK_S)  # another process that reads the ledger has the lock for a moment
        yield
    finally:
        os.close(descriptor)


def root_of(folder: Path, parent: str) -> Path:
    """Return the folder of the run that a person has started, and that includes the run in `folder`.

    `parent` is the run that has started this one, "" for none. Raises RunError when a run above is still running.
    """
    while parent:
        above = folder.parent / parent
        found = read(above)
        if not isinstance(found, Run):
            break  # it was removed
        if is_held(above):
            raise RunError(
                f"the run {folder.name} is part of the run {parent}, which is still running",
                hint="wait for it, or stop it",
            )
        folder, parent = above, found.parent or ""
    return folder


@contextmanager
def workers_of(folder: Path, waiting: Callable[[], object], shared: Path | None = None) -> Iterator[int]:
    """Yield the open file that each process that runs tasks of the run in `folder` must inherit.

    Its lock is free once the last of these processes has ended. Calls `waiting` and waits for the processes of a runner
    that was killed; raises RunError when they don't end. Windows has no such locks, and nothing is waited for there.

    `shared` is the file that the processes have inherited, whose lock the caller has, if they serve other runs, too.
    Until this run ends, it has that file for its own; what is yielded says nothing then.
    """
    path = folder / _WORKERS
    if shared is None:
        with _free(path, folder.name, waiting) as descriptor:
            yield descriptor
        return
    if not (path.exists() and path.samefile(shared)):  # else the caller has its lock
        with _free(path, folder.name, waiting):
            pass
    with suppress(OSError):  # a file system without hard links: the processes end with their runner in any case
        path.unlink(missing_ok=True)
        os.link(shared, path)
    try:
        yield -1
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _free(path: Path, run: str, waiting: Callable[[], object]) -> Iterator[int]:
    descriptor = _opened(path)
    try:
        end = time.monotonic() + ORPHANS_S
        if not try_lock(descriptor):
            waiting()
            while not try_lock(descriptor):
                if time.monotonic() > end:
                    raise RunError(
                        f"a task that an earlier runner of the run {run} has left is still at work",
                        hint="wait until its process has ended, or end it",
                    )
                time.sleep(_LOOK_S)
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(f"{path} can't be locked: {error.strerror}") from None


# Earlier runs


def runs(
    folder: Path, job: str | None = None, *, passed: Callable[[Unreadable], object] = lambda _: None
) -> Iterator[Run]:
    """Yield the runs kept below `folder`, or those of one job, newest first. `passed` gets those that can't be read."""
    for place in _places(folder):
        found = read(place)
        if isinstance(found, Unreadable):
            passed(found)
        elif found is not None and job in (None, found.job):
            yield found


def runs_after(folder: Path, run: str, but: Collection[str]) -> Iterator[Run]:
    """Yield the runs that were started after the id `run`, newest first, without those of the ids in `but`."""
    for place in _places(folder):
        if int(place.name) <= int(run):
            return
        if place.name not in but and isinstance(found := read(place), Run):
            yield found


def started_by(folder: Path, parent: str, task: str) -> Run | None:
    """Return the newest run that the task `task` of the run `parent` has started."""
    for place in _places(folder):
        if int(place.name) <= int(parent):
            return None
        found = read(place)
        if isinstance(found, Run) and (found.parent, found.head.get("task")) == (parent, task):
            return found
    return None


def _places(folder: Path) -> list[Path]:
    place = folder / files.STATE_FOLDER / _RUNS
    names: list[str] = []
    with suppress(OSError):
        names = [name for name in os.listdir(place) if name.isascii() and name.isdecimal()]
    return [place / name for name in sorted(names, key=int, reverse=True)]


def find(folder: Path, name: str, *, passed: Callable[[Unreadable], object] = lambda _: None) -> Run:
    """Return the run `name`: its id, a unique start or end of an id, or "last", the last that a person started.

    Raises RunError for other names, and when the run can't be read. For "last", `passed` gets newer, unreadable runs.
    """
    if name == "last":
        first: Run | None = None
        for run in runs(folder, passed=passed):
            if not run.is_inner:
                return run
            first = first or run
        if first is not None:
            return first
        raise _no_run(folder)
    known = _places(folder)
    if not known:
        raise _no_run(folder)
    exact = [place for place in known if place.name == name]
    near = exact or [place for place in known if place.name.startswith(name) or place.name.endswith(name)]
    if len(near) > 1:
        raise RunError(
            f"several runs are called {name}: {listed([place.name for place in near[:5]])}", hint="give more of it"
        )
    if not near:
        near_id = did_you_mean(name, [place.name for place in known[:1000]])
        raise RunError(f"there is no run {name}", hint=near_id or "`dbxdec runs` lists them")
    found = read(near[0])
    if isinstance(found, Run):
        return found
    raise RunError(str(found) if found else f"the run {near[0].name} was killed before it began")


def _no_run(folder: Path) -> RunError:
    return RunError(f"no run is kept in {folder / files.STATE_FOLDER}", hint="`dbxdec run JOB` makes one")
