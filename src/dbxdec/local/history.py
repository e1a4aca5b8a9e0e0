"""One run, read from its files; `dbxdec.local.ledger` describes these files.

Everything that is read here is checked once: a line that is no valid event counts as damaged, and the values of the
other events have their types.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import DbxdecError, RunError
from dbxdec.local import forms, journal
from dbxdec.platform.run_if import State, failed
from dbxdec.records import dataclass
from dbxdec.support.locks import try_lock

if TYPE_CHECKING:
    from dbxdec.model.dag import Job

RUN, DEFINITION, EVENTS, LOCK = "run.json", "definition.json", "events.jsonl", "lock"
RUNNING, INTERRUPTED = "running", "interrupted"


@dataclass(frozen=True)
class Unreadable:
    """The folder of a run that can't be read, and why."""

    folder: Path
    why: str

    @property
    def id(self) -> str:
        return self.folder.name

    def __str__(self) -> str:
        return f"the run {self.id} can't be read: {self.why}"


@dataclass(frozen=True)
class Run:
    """One run. `head` is run.json, `size` that of events.jsonl; the rest is read on demand."""

    folder: Path
    head: Mapping[str, Any]
    size: int | None = None

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def job(self) -> str:
        return str(self.head["job"])

    @property
    def parent(self) -> str | None:
        """Return the run of which a task has started this one; None when a person has."""
        found: str | None = self.head.get("parent")
        return found

    @property
    def is_inner(self) -> bool:
        """Return whether a task of another run has started it, and not a person."""
        return self.parent is not None

    @property
    def started(self) -> int:
        return int(self.head["started_ms"])

    # Events

    @cached_property
    def _lines(self) -> tuple[list[tuple[int, Mapping[str, Any]]], tuple[int, ...]]:
        """Return the events with the numbers of their lines, and the numbers of damaged lines."""
        try:
            found, damaged = journal.read_lines(self.folder / EVENTS)
        except FileNotFoundError:
            return [], ()
        except OSError as error:
            raise RunError(f"the run {self.id} can't be read: {EVENTS}: {_why(error)}") from None
        whole = [(number, forms.filled(event)) for number, event in found if forms.is_event(event)]
        wrong = {number for number, _ in found} - {number for number, _ in whole}
        return whole, tuple(sorted([*damaged, *wrong]))

    @cached_property
    def events(self) -> tuple[Mapping[str, Any], ...]:
        """Return all events. Raises RunError when their file can't be read."""
        return tuple(event for _, event in self._lines[0])

    @property
    def damaged(self) -> tuple[int, ...]:
        """Return the numbers of damaged lines of events.jsonl."""
        return self._lines[1]

    @cached_property
    def standing(self) -> list[Mapping[str, Any]]:
        """Return the "attempt" and "task" events that still hold: of the last repair, and those that it kept.

        Events above a damaged line don't hold: that line may have said so.
        """
        found: list[Mapping[str, Any]] = []
        last = max(self.damaged, default=0)
        for line, event in self._lines[0]:
            if event["event"] == "started":
                kept = event["kept"]
                found = [e for e in found if e["task"] in kept and _is_kept(e, kept[e["task"]])]
            elif event["event"] in ("attempt", "task") and line > last:
                found.append(event)
        return found

    def tasks(self) -> dict[str, Mapping[str, Any]]:
        """Return how each task that has ended did."""
        return {str(e["task"]): e for e in self.standing if e["event"] == "task"}

    def attempts(self, task: str) -> list[Mapping[str, Any]]:
        """Return all attempts of a task, of all its iterations, as they ended."""
        return [e for e in self.events if e["event"] == "attempt" and e["task"] == task]

    def unended(self) -> list[Mapping[str, Any]]:
        """Return the attempts of the last repair that have begun, and of which nothing more is known."""
        last = max((i for i, event in enumerate(self.events) if event["event"] == "started"), default=0)
        return _lost(self.events[last:])

    def lost(self) -> list[Mapping[str, Any]]:
        """Return the attempts that have begun, in whichever repair, and of which nothing more is known."""
        return _lost(self.events)

    def inner(self, task: str) -> str | None:
        """Return the id of the last run of another job that a task has started."""
        of_task = (e for e in reversed(self.events) if e.get("task") == task and e.get("run"))
        return next((str(event["run"]) for event in of_task), None)

    @property
    def repairs(self) -> int:
        return max((int(e["repair"]) for e in self.events if e["event"] == "started"), default=0)

    @property
    def selected(self) -> frozenset[str] | None:
        """Return the tasks that the run was asked for, at first or in a repair; None for all of them."""
        asked = self._asked
        return None if asked is None or set(self._keys) <= asked else asked

    @property
    def _asked(self) -> frozenset[str] | None:
        asked = [e["selected"] for e in self.events if e["event"] == "started"]
        return frozenset().union(*asked) if asked else None

    # How it ended

    @cached_property
    def _summary(self) -> Mapping[str, Any]:
        """Return the end from run.json, unless an event has been noted since."""
        found = self.head.get("end")
        return found if isinstance(found, dict) and found["events_size"] == self.size else {}

    @cached_property
    def state(self) -> str:
        """Return the state as it ended: "success", "succeeded with failures", "failed", "timed out" or "cancelled".

        A run that has not ended is "running", or "interrupted" if no process runs it.
        """
        if self._summary:
            return str(self._summary["state"])
        last = next((e for e in reversed(self.events) if e["event"] in ("started", "ended")), None)
        if last is not None and last["event"] == "ended":
            return str(last["state"])
        return RUNNING if is_held(self.folder) else INTERRUPTED

    @property
    def ended(self) -> int | None:
        """Return the time of its end, or of its last event, in ms."""
        if self._summary:
            return int(self._summary["time_ms"])
        times = [e.get("ended_ms") or e.get("time_ms") or 0 for e in self.events]
        return max(times) if times and self.state != RUNNING else None

    @property
    def sittings(self) -> list[tuple[int, int]]:
        """Return the times of work, one for the run and each repair: from a runner's start to its last event, in ms."""
        found: list[tuple[int, int]] = []
        for event in self.events:
            if event["event"] == "started":
                found.append((event["time_ms"], event["time_ms"]))
            elif found:
                found[-1] = (found[-1][0], max(found[-1][1], event.get("ended_ms") or event.get("time_ms") or 0))
        return found

    @property
    def spent(self) -> int:
        """Return the duration of work in ms: the time until it was resumed is not counted."""
        if self._summary:
            return int(self._summary["spent_ms"])
        return sum(end - start for start, end in self.sittings)

    @property
    def counts(self) -> tuple[int, int]:
        """Return how many tasks are done, including excluded ones, and how many were asked for."""
        if self._summary:
            return int(self._summary["done"]), int(self._summary["tasks"])
        ended = [State(event["state"]) for event in self.tasks().values()]
        asked = self._asked
        return done(ended), len(self._keys if asked is None else asked & set(self._keys))

    # The job

    @cached_property
    def definition(self) -> Mapping[str, Any]:
        """Return the job as the manifest of its build has it. Raises RunError when its file can't be read."""
        if "definition" in self.head:  # earlier versions of dbxdec wrote it there
            return dict(self.head["definition"])
        try:
            return journal.read_whole(self.folder / DEFINITION)
        except (OSError, ValueError) as error:
            raise RunError(f"the run {self.id} can't be read: {DEFINITION}: {_why(error)}") from None

    @cached_property
    def dag(self) -> Job:
        """Return the job. Raises RunError when the kept definition is no job."""
        from dbxdec.model import job_forms

        try:
            return job_forms.decode_job(self.job, self.definition)
        except (DbxdecError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"the run {self.id} can't be read: {DEFINITION} is not a job: {error}") from None

    @property
    def _keys(self) -> list[str]:
        return [task.key for task in self.dag.tasks]


def _lost(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for event in events:
        if event["event"] in ("begun", "attempt"):
            found[event["task"], event["iteration"], event["attempt"]] = event
    return [event for event in found.values() if event["event"] == "begun"]


def title_of(attempt: Mapping[str, Any]) -> str:
    """Return the title of an attempt: the task, or the iteration by its item."""
    number = "" if attempt["iteration"] is None else f"[{attempt['iteration']}]"
    return attempt.get("title") or f"{attempt['task']}{number}"


def done(states: Collection[State]) -> int:
    """Return how many tasks are done: excluded tasks are, and deselected tasks are not counted."""
    return sum(not failed(state) and state is not State.DESELECTED for state in states)


def read(folder: Path) -> Run | Unreadable | None:
    """Return the run in `folder`; None without one, as right after a kill in the moment of its start."""
    here = os.fspath(folder)  # thousands of runs are read: strings as paths take half the time
    try:
        state = os.stat(os.path.join(here, EVENTS))
        size = state.st_size
        if not stat.S_ISREG(state.st_mode):
            return Unreadable(folder, f"{EVENTS} is not a file")
    except FileNotFoundError:
        size = None  # killed before the first event
    except OSError as error:
        return Unreadable(folder, f"{EVENTS}: {_why(error)}")
    try:
        head = journal.read_whole(os.path.join(here, RUN))
    except FileNotFoundError:
        return None if size is None else Unreadable(folder, f"{RUN} is missing")
    except (OSError, ValueError) as error:
        return Unreadable(folder, f"{RUN}: {_why(error)}")
    for name, check in forms.HEAD.items():
        if not check(head.get(name)):
            return Unreadable(folder, f"{RUN} has no valid {name!r}")
    return Run(folder, head, size)


def fresh(run: Run) -> Run:
    """Return `run`, to be read anew: another process may have resumed it."""
    found = read(run.folder)
    return found if isinstance(found, Run) else replace(run)


def is_held(folder: Path) -> bool:
    """Return whether a process runs the run in `folder`."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)) if isinstance(error, OSError) else str(error)


def _is_kept(event: Mapping[str, Any], iterations: Collection[int] | None) -> bool:
    return iterations is None or event.get("iteration") in iterations


def damage(run: Run) -> str:
    """Return a message about a run whose record is damaged; "" when it is whole."""
    if not run.damaged:
        return ""
    lines = ", ".join(map(str, run.damaged[:5])) + (", ..." if len(run.damaged) > 5 else "")
    lost = "what it records up to there no longer counts as done"
    return f"events.jsonl of the run {run.id} is damaged in line {lines}: {lost}"
