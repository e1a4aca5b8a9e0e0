"""What is kept of each run, as files: `.dbxdec/runs/<id>/`.

    run.json        what was run, written once at the start and once at the end, each time whole
    events.jsonl    what happened, a line each: appended as it happens, so a killed run keeps all but its last moment
    logs/           what each attempt of a task has printed
    task_values/    JSON that tasks have left for each other
    records/        what attempts that go on have read and written so far
    lock            held while a runner is at work: a run without an end whose lock is free was interrupted

A line of events.jsonl has "event":

    "started"   number of the repair (0 at first), time in ms, the selected tasks, build id, and what is kept of before:
                tasks, each with null, or with the numbers of its iterations that are
    "attempt"   task, iteration (or null), attempt, state, started and ended in ms, log, and the facts: reads and writes
    "task"      task, state, started and ended in ms, attempts, outcome of a condition, and the run of a run-job task
    "ended"     state, time in ms
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dbxdec.errors import RunError, did_you_mean, listed
from dbxdec.locks import try_lock
from dbxdec.platform.run_if import State

STATE_FOLDER = ".dbxdec"
VALUES = "task_values"
_RUNS = "runs"
_RUN = "run.json"
_EVENTS = "events.jsonl"
_LOCK = "lock"
_LOOK_S, _LOOKS = 0.02, 10
RUNNING, INTERRUPTED = "running", "interrupted"


@dataclass(frozen=True)
class Run:
    """One run as its files have it. `head` is run.json, `events` all that happened."""

    folder: Path
    head: Mapping[str, Any]
    events: tuple[Mapping[str, Any], ...]

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def job(self) -> str:
        return str(self.head["job"])

    @property
    def state(self) -> str:
        """How it ended: "success", "failed", "cancelled"; else "running", or "interrupted" where nobody runs it."""
        last = next((e for e in reversed(self.events) if e["event"] in ("started", "ended")), None)
        if last is not None and last["event"] == "ended":
            return str(last["state"])
        return RUNNING if is_held(self.folder) else INTERRUPTED

    @property
    def is_inner(self) -> bool:
        """Whether a task of another run has started it, and not a person."""
        return "parent" in self.head

    @property
    def started(self) -> int:
        return int(self.head["started_ms"])

    @property
    def ended(self) -> int | None:
        """When it ended, or was last heard of, in ms."""
        times = [e.get("ended_ms") or e.get("time_ms") or 0 for e in self.events]
        return max(times) if times and self.state != RUNNING else None

    @property
    def repairs(self) -> int:
        return max((int(e["repair"]) for e in self.events if e["event"] == "started"), default=0)

    @cached_property
    def standing(self) -> list[Mapping[str, Any]]:
        """The "attempt" and "task" events that still hold: those of the last repair, and what it has kept of before."""
        found: list[Mapping[str, Any]] = []
        for event in self.events:
            if event["event"] == "started":
                kept = event.get("kept", {})
                found = [e for e in found if e["task"] in kept and _is_kept(e, kept[e["task"]])]
            elif event["event"] != "ended":
                found.append(event)
        return found

    def tasks(self) -> dict[str, Mapping[str, Any]]:
        """How each task that has ended did."""
        return {str(e["task"]): e for e in self.standing if e["event"] == "task"}

    @property
    def selected(self) -> frozenset[str] | None:
        """The tasks that it was asked for last; None for all of them."""
        last = next((e["selected"] for e in reversed(self.events) if e["event"] == "started"), None)
        whole = {form["key"] for form in self.head["definition"]["tasks"]}
        return None if last is None or whole <= set(last) else frozenset(last)

    def attempts(self, task: str) -> list[Mapping[str, Any]]:
        """All attempts of a task, of all its iterations, as they ended."""
        return [e for e in self.events if e["event"] == "attempt" and e["task"] == task]


def _is_kept(event: Mapping[str, Any], iterations: Collection[int] | None) -> bool:
    return iterations is None or event.get("iteration") in iterations


@dataclass
class Ledger:
    """The record of the run that goes on."""

    folder: Path
    head: dict[str, Any]
    attempts: dict[str, int] = field(default_factory=dict)
    """How often each task, or iteration, has been tried, earlier repairs included: no log is overwritten."""

    @property
    def id(self) -> str:
        return self.folder.name

    def note(self, event: str, **facts: Any) -> None:
        """Append one event."""
        line = json.dumps({"event": event, **facts}, ensure_ascii=False)
        with (self.folder / _EVENTS).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def close(self, state: State | str) -> None:
        """Say how the run has ended."""
        now = now_ms()
        self.note("ended", state=str(state), time_ms=now)
        write_whole(self.folder / _RUN, {**self.head, "state": str(state), "ended_ms": now})


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def state_folder(folder: Path) -> Path:
    """`.dbxdec/` in `folder`, which git ignores."""
    state = folder / STATE_FOLDER
    state.mkdir(parents=True, exist_ok=True)
    if not (state / ".gitignore").exists():
        (state / ".gitignore").write_text("*\n", encoding="utf-8")
    return state


def new(folder: Path, head: Mapping[str, Any]) -> Ledger:
    """A run with an id and a folder of its own below `folder`; two runs at once never share one."""
    state = state_folder(folder)
    while True:
        # A number, as the platform's run ids are.
        place = state / _RUNS / str(time.time_ns() // 1_000)
        try:
            place.mkdir(parents=True)
        except FileExistsError:
            continue
        break
    ledger = Ledger(place, {"id": place.name, **head})
    write_whole(place / _RUN, ledger.head)
    return ledger


def again(run: Run) -> Ledger:
    """The record of `run`, to be gone on with."""
    ledger = Ledger(run.folder, {k: v for k, v in run.head.items() if k not in ("state", "ended_ms")})
    for event in run.events:
        if event["event"] == "attempt":
            title = event["task"] if event["iteration"] is None else f"{event['task']}[{event['iteration']}]"
            ledger.attempts[title] = max(ledger.attempts.get(title, 0), int(event["attempt"]))
    return ledger


@contextmanager
def held(ledger: Ledger) -> Iterator[None]:
    """Hold the run's lock. Raises RunError where another process runs it."""
    descriptor = os.open(ledger.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for looks in range(_LOOKS, -1, -1):
            if try_lock(descriptor):
                break
            if not looks:
                raise RunError(f"the run {ledger.id} is going on in another process", hint="wait for it, or stop it")
            time.sleep(_LOOK_S)  # somebody who looks at the ledger has the lock for a moment
        yield
    finally:
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Whether a process runs the run in `folder`."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path) -> Run | None:
    """The run in `folder`; None where there is none that can be read."""
    try:
        head = json.loads((folder / _RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    events = []
    with suppress(FileNotFoundError):
        for line in (folder / _EVENTS).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # the last line of a killed run may be half a one
                events.append(json.loads(line))
    return Run(folder, head, tuple(events))


def runs(folder: Path, job: str | None = None) -> list[Run]:
    """The runs kept below `folder`, the newest first; those of one job."""
    place = folder / STATE_FOLDER / _RUNS
    names = sorted((p for p in place.glob("*") if p.name.isdecimal()), key=lambda p: int(p.name), reverse=True)
    found = [run for path in names if (run := read(path)) is not None]
    return [run for run in found if job is None or run.job == job]


def find(folder: Path, name: str) -> Run:
    """The run `name`: its id, a part that only one id begins or ends with, or "last", the last that a person started.

    Raises RunError for others.
    """
    known = runs(folder)
    if not known:
        raise RunError(f"no run is kept in {folder / STATE_FOLDER}", hint="`dbxdec run JOB` makes one")
    if name == "last":
        return next((run for run in known if not run.is_inner), known[0])
    exact = [run for run in known if run.id == name]
    near = exact or [run for run in known if run.id.startswith(name) or run.id.endswith(name)]
    if len(near) == 1:
        return near[0]
    if near:
        raise RunError(
            f"several runs are called {name}: {listed([run.id for run in near[:5]])}", hint="give more of it"
        )
    ids = [run.id for run in known]
    raise RunError(f"there is no run {name}", hint=did_you_mean(name, ids) or "`dbxdec runs` lists them")


def write_whole(path: Path, document: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
