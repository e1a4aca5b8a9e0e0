"""The runs of a backfill on the platform: started as slots are free, watched, started again where they were skipped."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import field, replace
from itertools import chain
from typing import TYPE_CHECKING, Literal

from dbxdec.local.backfill import StepOf
from dbxdec.records import dataclass
from dbxdec.remote.states import (
    FIRST,
    PlatformRun,
    given_to,
    has_values,
    is_of_build,
    newest_by_key,
    token,
)
from dbxdec.remote.workspace import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dbxdec.local.missing import Key, Keys
    from dbxdec.model.dag import Job
    from dbxdec.remote.started import Started
    from dbxdec.remote.states import Deployed, Slots
    from dbxdec.remote.workspace import Workspace

    PlatformStep = StepOf[PlatformRun]

_DELETED = "/deleted"
_MOST_SKIPPED = 20
"""A key whose runs the platform skips so often is not tried again."""
_MOST_UNKNOWN = 6
"""A run that the platform does not know so often in a row has been deleted."""
_FIRST_POLL_S, _LAST_POLL_S, _SLOWER = 0.25, 20.0, 1.4


@dataclass(frozen=True)
class Event:
    """A change in the work for a key: its run has been started or repaired, is watched, was skipped, or has ended.

    It was "found" where another command has started it, and it has ended already.
    """

    what: Literal["started", "repaired", "watched", "found", "skipped", "ended", "waiting"]
    key: Key
    run: PlatformRun


@dataclass(frozen=True)
class Known:
    """The newest runs of keys: `active` ones, `resumable` ones that can be repaired, and all by their keys."""

    newest: Mapping[Key, PlatformRun]
    active: Mapping[Key, PlatformRun]
    resumable: Mapping[Key, PlatformRun]
    last: PlatformRun | None = None
    """The newest run of the job."""

    @property
    def kept(self) -> dict[Key, PlatformRun]:
        """The runs that a plan can resume."""
        return {**self.resumable, **self.active}


def known_runs(
    job: Job, keys: Keys, wanted: Iterable[Key], deployed: Deployed, given: Mapping[str, str], workspace: Workspace,
    started: Started,
) -> Known:  # fmt: skip
    """Return the runs that the workspace has of the `wanted` keys, and those that this machine has just started."""
    wanted = list(wanted)
    listed = workspace.runs(deployed.id)
    last = next(listed, None)
    newest = newest_by_key(job, chain(() if last is None else (last,), listed), wanted)
    for key, run_id in started.open_runs().items():
        shown = newest.get(key)
        if key in wanted and (shown is None or shown.id != run_id):
            run = workspace.run(run_id)
            if run is not None and (shown is None or run.started > shown.started):
                newest[key] = run
    active = {key: run for key, run in newest.items() if run.state == "active"}
    resumable = {}
    for key, run in newest.items():
        if run.state == "failed" and has_values(job, run, deployed, {**given, **keys.named(key)}):
            whole = workspace.run(run.id)
            if whole is not None and whole.state == "failed" and is_of_build(whole, deployed):
                resumable[key] = replace(whole, parameters=run.parameters)
    return Known(newest, active, resumable, last)


@dataclass()
class Backfill:
    """The runs that are made, by their keys. `given` are the other parameters; `tell` hears what happens."""

    job: Job
    keys: Keys
    deployed: Deployed
    workspace: Workspace
    named: str
    """The name of the workspace, as everybody has it."""
    started: Started
    slots: Slots
    given: Mapping[str, str]
    tell: Callable[[Event], None]
    at_work: dict[Key, PlatformRun] = field(default_factory=dict)
    failed: list[Key] = field(default_factory=list)
    _waiting: deque[PlatformStep] = field(default_factory=deque)
    _last: PlatformRun | None = None
    """The newest run that was there at the last look at all runs."""
    _after: dict[Key, str] = field(default_factory=dict)
    _skipped: dict[Key, int] = field(default_factory=dict)
    _unknown: dict[Key, int] = field(default_factory=dict)
    _repairs: dict[Key, int | None] = field(default_factory=dict)

    def run(self, steps: Sequence[PlatformStep], known: Known) -> None:
        """Make the runs of a plan, in its order, and wait for their ends. Runs that are at work are watched."""
        self._last = known.last
        self._after = {key: str(run.id) for key, run in known.newest.items()}
        for step in steps:
            if (run := known.active.get(step.key)) is not None:
                self._watch(step.key, run)
            else:
                self._waiting.append(step)
        pause, has_said = _FIRST_POLL_S, False
        while self._waiting or self.at_work:
            before = (len(self._waiting), len(self.at_work))
            active = {run.id: run for run in self.workspace.runs(self.deployed.id, active_only=True)}
            skips = self._ends(active)
            self._of_others(active.values())
            if not skips:
                others = len(active.keys() - {run.id for run in self.at_work.values()})
                count = self.slots.free(len(self.at_work), others)
                for _ in range(count if self._waiting else 0):
                    # A run may have begun and ended between two looks at those at work, such as while a laptop slept.
                    self._of_others(self._newer())
                    if not self._waiting:
                        break
                    self._start(self._waiting.popleft())
                if not count and self._waiting and not self.at_work and not has_said:
                    has_said = True
                    self.tell(Event("waiting", self._waiting[0].key, next(iter(active.values()))))
            changed = before != (len(self._waiting), len(self.at_work))
            pause = _FIRST_POLL_S if changed else min(pause * _SLOWER, _LAST_POLL_S)
            if skips:
                pause = min(_FIRST_POLL_S * 2**skips, _LAST_POLL_S)
            if self._waiting or self.at_work:
                time.sleep(pause)

    def _watch(self, key: Key, run: PlatformRun) -> None:
        self.at_work[key] = run
        self.tell(Event("watched", key, run))

    def _ends(self, active: Mapping[int, PlatformRun]) -> int:
        """Take the runs that have ended from those at work. Return how often a key was skipped that is to wait."""
        skipped = []
        for key, run in list(self.at_work.items()):
            if run.id in active:
                continue
            now = self.workspace.run(run.id)
            is_known = now is not None and self._repairs.get(key) in (None, now.latest_repair)
            self._unknown[key] = 0 if is_known else self._unknown.get(key, 0) + 1
            if not is_known and self._unknown[key] < _MOST_UNKNOWN:
                continue  # the platform may not know the run, or its repair, yet
            now = now or replace(run, state="failed", said="the run has been deleted")
            if now.state == "active":
                continue  # a list may be older
            del self.at_work[key]
            self.started.note("ended", key, run=run.id, state=now.state)
            self._after[key] = str(run.id)
            self._skipped[key] = self._skipped.get(key, 0) + (now.state == "skipped")
            if now.state == "skipped" and self._skipped[key] < _MOST_SKIPPED:
                skipped.append(key)
                self.tell(Event("skipped", key, now))
                continue
            if now.state != "success":
                self.failed.append(key)
            self.tell(Event("ended", key, now))
        self._waiting.extendleft(StepOf[PlatformRun](key, "missing") for key in reversed(skipped))
        return max((self._skipped[key] for key in skipped), default=0)

    def _newer(self) -> list[PlatformRun]:
        """Return the runs since the last look, ended ones as well."""
        found: list[PlatformRun] = []
        for run in self.workspace.runs(self.deployed.id):
            if self._last is not None and (run.id == self._last.id or run.started < self._last.started):
                break
            found.append(run)
        self._last = found[0] if found else self._last
        return found

    def _of_others(self, runs: Iterable[PlatformRun]) -> None:
        """Leave keys that wait here to the runs of other commands: an active one is watched, an ended one counts."""
        by_key = newest_by_key(
            self.job, (run for run in runs if run.state != "skipped"), [step.key for step in self._waiting]
        )
        for step in list(self._waiting):
            run = by_key.get(step.key)
            if run is not None and (run.state == "active" or str(run.id) != self._after.get(step.key)):
                self._waiting.remove(step)
                self.at_work[step.key] = run
                self.tell(Event("watched" if run.state == "active" else "found", step.key, run))

    def _start(self, step: PlatformStep) -> None:
        key, before = step.key, step.before
        try:
            if before is not None:
                self.started.note("repairing", key, run=before.id)
                self._repairs[key] = self.workspace.repair(before, given_to(before, self.deployed))
                self.started.note("repaired", key, run=before.id)
                self.at_work[key] = before
                self.tell(Event("repaired", key, before))
                return
            parameters = {**self.given, **self.keys.named(key)}
            after = self._after.get(key, FIRST if step.state == "missing" else step.state)
            own, other = (token(self.named, self.deployed.id, parameters, one) for one in (after, after + _DELETED))
            self.started.note("starting", key, after=after)
            run_id = self.workspace.start(self.deployed.id, parameters, (own, other))
            self.started.note("started", key, run=run_id)
        except RefusedError as error:
            self.failed.append(key)
            self.tell(Event("ended", key, PlatformRun(0, "failed", str(error))))
            return
        self.at_work[key] = PlatformRun(run_id, "active")
        self.tell(Event("started", key, self.at_work[key]))
