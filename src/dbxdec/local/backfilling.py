"""The runs of a backfill: one after another or several at once, by one pool of processes."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dbxdec.errors import DbxdecError
from dbxdec.local.interface import Listener
from dbxdec.local.pool import interruptible
from dbxdec.local.request import pool_of, prepared, root_of
from dbxdec.model import checks
from dbxdec.platform.run_if import State
from dbxdec.platform.status import SUCCEEDED
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from dbxdec.local.alone import Alone
    from dbxdec.local.backfill import Plan, Step
    from dbxdec.local.interface import JobRun, TaskRun
    from dbxdec.local.key_runs import Meanwhile
    from dbxdec.local.missing import Keys
    from dbxdec.local.pool import Pool
    from dbxdec.local.request import RunRequest
    from dbxdec.model.dag import Task


@dataclass(frozen=True)
class Ended:
    """The end of the run of one key: `run`, or why it could not begin. `failures` have the last output of tasks."""

    step: Step
    state: State
    seconds: float
    run: JobRun | None = None
    why: str = ""
    failures: tuple[tuple[TaskRun, Sequence[str]], ...] = ()

    @property
    def well(self) -> bool:
        return self.state in SUCCEEDED


@dataclass()
class _Following:
    """Keeps the output of the tasks that fail."""

    lines: dict[str, list[str]]
    failures: list[tuple[TaskRun, list[str]]]

    def printed(self, key: str, line: str) -> None:
        self.lines[key].append(line)

    def ended(self, task: TaskRun) -> None:
        said = self.lines.pop(task.key, [])
        if task.state in (State.FAILED, State.TIMED_OUT):
            self.failures.append((task, said))

    @property
    def listener(self) -> Listener:
        return Listener(started=lambda _: None, printed=self.printed, ended=self.ended)


def run_plan(
    request: RunRequest,
    keys: Keys,
    plan: Plan,
    alone: Alone,
    *,
    keys_at_once: int,
    meanwhile: Meanwhile,
    began: Callable[[Step], object],
    ended: Callable[[Ended], object],
) -> bool:
    """Make the runs of a plan, and return whether a person has ended it before all were made.

    `began` and `ended` are told of each run, one at a time. A run that can't begin costs no other. A key that another
    command has run `meanwhile` is left to it.
    """
    pool = pool_of(request, shared=alone.path, inherited=alone.descriptors)
    turns, telling = _Turns(), threading.Lock()
    left = len(plan.steps)

    def one(step: Step) -> None:
        nonlocal left
        if pool.stopping:
            return
        with telling:
            began(step)
        found = _unless_done(meanwhile, step) or _one(request, keys, step, pool, turns.of)
        if found.run is not None:
            meanwhile.own.add(found.run.id)
        with telling:
            left -= found.state is not State.CANCELLED
            ended(found)

    with interruptible(pool):
        try:
            with ThreadPoolExecutor(keys_at_once) as executor:
                for _ in executor.map(one, plan.steps):
                    pass
        finally:
            pool.close()
        return pool.stopping and left > 0


def _unless_done(meanwhile: Meanwhile, step: Step) -> Ended | None:
    """Return the end of a step that another command has taken since the plan was made; None to run it."""
    other = meanwhile.of(step.key)
    if other is None or (step.before is not None and other.id == step.before.id):
        return None
    if other.state == "success" and other.selected is None:
        return Ended(step, State.SUCCESS, 0, why=f"the run {other.id}, which another command has made, has done it")
    if other.state == "success":
        why = f"the run {other.id}, which another command has made, has run only some of the tasks"
    elif other.is_inner:
        why = f"the run {other.id}, which the run {other.parent} has made, is {other.state}"
    else:
        why = f"the run {other.id}, which another command has made, is {other.state}: the next backfill resumes it"
    return Ended(step, State.FAILED, 0, why=why)


def _one(
    request: RunRequest, keys: Keys, step: Step, pool: Pool, turns: Callable[[Task], AbstractContextManager[object]]
) -> Ended:
    start, following = time.monotonic(), _Following(defaultdict(list), [])
    own = {**request.parameters, **keys.named(step.key)}
    if step.before is not None:
        own = {**request.parameters, **{name: step.before.head["parameters"][name] for name in keys.names}}
    wanted = replace(request, parameters=own, before=step.before)
    try:
        # A run that was made elsewhere goes on there, with processes of its own.
        elsewhere = root_of(wanted) != root_of(request)
        ready = prepared(wanted, pool=None if elsewhere else pool, turns=turns)
        run = ready.run(following.listener)
    except DbxdecError as error:  # such as a run to resume that had other parameters
        return Ended(step, State.FAILED, time.monotonic() - start, why=str(error))
    return Ended(step, run.state, time.monotonic() - start, run, failures=tuple(following.failures))


class _Turns:
    """Has tasks of different keys wait for each other that merge into one table: one of them would lose a conflict."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def of(self, task: Task) -> Iterator[None]:
        """Wait until no other key's task writes the tables of this one that a write changes as a whole."""
        wanted = {
            checks.place(output.target) for output in task.outputs.values() if output.target and not output.partial
        }
        with ExitStack() as stack:
            for target in sorted(wanted):
                stack.enter_context(self._locks[target])
            yield
