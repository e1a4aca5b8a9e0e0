"""The backfills that were started in this folder: `.dbxdec/backfills/<number>.jsonl`.

A line has "event", and

    "began"     job, target (or null), arguments (of `dbxdec backfill`), variables (of the bundle, for runs on this
                machine), names (of the keys), plan (keys), pid, time_ms
    "place"     job_id, host, profile: where the runs of a target are made
    "ended"     key, state, run, seconds
    "over"      done, due (numbers of keys), time_ms, stopped (by a person)

The tables tell what is to be done; this only tells people what they have asked for. A backfill that is resumed goes on
in the same file. Its lock is held while it is at work.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.local import journal, ledger
from dbxdec.local.forms import LAST_MS
from dbxdec.platform.run_if import State
from dbxdec.records import dataclass
from dbxdec.support import files
from dbxdec.support.locks import try_lock

if TYPE_CHECKING:
    from pathlib import Path

    from dbxdec.local.missing import Key

_FOLDER = "backfills"
_LONGEST_S, _LOOK_S = 30.0, 0.05
_WELL = (State.SUCCESS, State.SUCCESS_WITH_FAILURES)


@dataclass(frozen=True)
class Record:
    """The record of one backfill."""

    path: Path

    @property
    def id(self) -> int:
        """The number of the backfill in this folder."""
        return int(self.path.stem)

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """The lines that were noted when this was first asked for; damaged ones are left out."""
        try:
            return [line for _, line in journal.read_lines(self.path)[0]]
        except OSError:
            return []

    def _last(self, event: str) -> Mapping[str, Any]:
        return next((line for line in reversed(self.lines) if line.get("event") == event), {})

    @property
    def head(self) -> Mapping[str, Any]:
        """The line of its newest beginning."""
        return self._last("began")

    @property
    def arguments(self) -> list[str]:
        """The arguments of `dbxdec backfill`. Raises RunError for a damaged record."""
        found = self.head.get("arguments")
        if not isinstance(found, list) or not found:
            raise RunError(
                f"the record of the backfill {self.id} is damaged: {self.path}", hint="give the command again"
            )
        return [str(one) for one in found]

    @property
    def newest(self) -> int:
        """The time at which it began last, in ms since the epoch."""
        return _number(self.head.get("time_ms"))

    @property
    def place(self) -> Mapping[str, Any]:
        """The place of its runs, for a target."""
        return self._last("place")

    @property
    def over(self) -> Mapping[str, Any]:
        """The line of its end; empty if it is at work or was killed."""
        after = next((i for i in range(len(self.lines), 0, -1) if self.lines[i - 1].get("event") == "began"), 0)
        return next((line for line in self.lines[after:] if line.get("event") == "over"), {})

    @property
    def ended(self) -> dict[Key, Mapping[str, Any]]:
        """The ends of runs by key, the newest of each."""
        return {
            key: line
            for line in self.lines
            if line.get("event") == "ended" and (key := _key(line.get("key"))) is not None
        }

    @property
    def well(self) -> set[Key]:
        """The keys whose run has succeeded."""
        return {key for key, line in self.ended.items() if line.get("state") in _WELL}

    @property
    def plan(self) -> list[Key]:
        """The keys that it was to run, in the order of its beginnings."""
        plans = [line["plan"] for line in self.lines if line.get("event") == "began" and _is_list(line.get("plan"))]
        found = [key for plan in plans for one in plan if (key := _key(one)) is not None]
        return list(dict.fromkeys(found))

    @property
    def names(self) -> list[str]:
        """The names of the parameters whose values are its keys."""
        found = self.head.get("names")
        return list(map(str, found)) if isinstance(found, list) else []

    @property
    def awaited(self) -> set[Key]:
        """The keys of its newest beginning whose run has not ended since."""
        last = next((i for i in range(len(self.lines) - 1, -1, -1) if self.lines[i].get("event") == "began"), 0)
        ended = {_key(line.get("key")) for line in self.lines[last:] if line.get("event") == "ended"}
        plan = self.head.get("plan")
        found = map(_key, plan) if isinstance(plan, list) else ()
        return {key for key in found if key is not None and key not in ended}

    @property
    def began(self) -> int:
        """The time at which it began first, in ms since the epoch."""
        first = next((line for line in self.lines if line.get("event") == "began"), {})
        return _number(first.get("time_ms"))

    @property
    def is_at_work(self) -> bool:
        """Return whether its process lives."""
        with _opened(self.path) as descriptor:
            return not try_lock(descriptor)

    @property
    def state(self) -> str:
        """One word for people."""
        if self.is_at_work:
            return "running"
        if not self.over:
            return "interrupted"
        if self.well.issuperset(self.plan):
            return "success"
        return "cancelled" if self.over.get("stopped") else "failed"

    def note(self, event: str, **facts: Any) -> None:
        """Append a line; it is there when the call returns."""
        journal.append(self.path, {"event": event, **facts})

    def note_end(self, key: Key, state: str, run: str, seconds: float) -> None:
        """Note how the run of a key has ended."""
        self.note("ended", key=list(key), state=state, run=run, seconds=round(seconds, 3))

    @contextmanager
    def working(
        self,
        *,
        job: str,
        target: str | None,
        arguments: Sequence[str],
        names: Sequence[str],
        plan: Sequence[Key],
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator[None]:
        """Note the beginning, and hold the lock until the end."""
        with _opened(self.path) as descriptor:
            if not try_lock(descriptor):
                raise RunError(f"the backfill {self.id} is at work", hint="wait for it, or cancel it")
            facts: dict[str, Any] = {"job": job, "target": target, "arguments": list(arguments)}
            facts |= {"variables": dict(variables), "names": list(names), "plan": [list(key) for key in plan]}
            self.note("began", **facts, pid=os.getpid(), time_ms=ledger.now_ms())
            yield

    def stop(self) -> bool:
        """Tell its process to stop, as Ctrl-C does. Return False if it is not at work."""
        if not self.is_at_work:
            return False
        with suppress(ProcessLookupError):
            os.kill(int(self.head["pid"]), signal.SIGINT)
        return True

    def wait(self) -> None:
        """Wait a while for its end."""
        end = time.monotonic() + _LONGEST_S
        while self.is_at_work and time.monotonic() < end:
            time.sleep(_LOOK_S)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _number(value: object) -> int:
    """Return a time of a record; 0 for anything else."""
    return value if isinstance(value, int) and 0 <= value < LAST_MS else 0


def _key(value: object) -> Key | None:
    """Return a key of a record; None for anything else."""
    is_key = isinstance(value, list) and all(isinstance(part, str) for part in value)
    return tuple(value) if isinstance(value, list) and is_key else None


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)  # a list may be read only
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def new(here: Path) -> Record:
    """Return the record of a backfill that begins."""
    folder = ledger.state_folder(here) / _FOLDER
    folder.mkdir(exist_ok=True)
    number = max((record.id for record in all_of(here)), default=0)
    while True:
        number += 1
        path = folder / f"{number}.jsonl"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            continue
        return Record(path)


def all_of(here: Path) -> list[Record]:
    """Return all records, the newest first."""
    folder = here / files.STATE_FOLDER / _FOLDER
    paths = (
        [path for path in folder.glob("*.jsonl") if path.stem.isdecimal() and path.is_file()] if folder.is_dir() else []
    )
    return sorted(map(Record, paths), key=lambda record: -record.id)


def at_work(here: Path, job: str, variables: Mapping[str, str]) -> Iterator[Record]:
    """Yield the backfills of a job that are at work on this machine, with these values of variables."""
    for record in all_of(here):
        # The lock tells that its process lives, and must be looked at first: the lines are read once.
        if not record.is_at_work or record.head.get("job") != job or record.head.get("target") is not None:
            continue
        had = record.head.get("variables")
        if not isinstance(had, dict) or all(had.get(name, value) == value for name, value in variables.items()):
            yield record


def find(here: Path, name: str) -> Record:
    """Return the backfill of a number, or the "last" one. Raises RunError if it does not exist."""
    there = all_of(here)
    found = there[:1] if name == "last" else [record for record in there if str(record.id) == name]
    if not found:
        said = f"those kept are up to {there[0].id}" if there else "`dbxdec backfill JOB` makes one"
        raise RunError(f"no backfill{'' if name == 'last' else f' {name}'} is kept here", hint=said)
    return found[0]
