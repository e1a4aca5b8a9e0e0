"""Runs the tasks of a job on this machine, in parallel, each as soon as what it waits for has ended.

A task gets the very parameters that the resources give it, with references and bundle variables resolved; the rest is
`dbxdec-run`, as on the platform.
"""

from __future__ import annotations

import datetime as dt
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec import manifest as manifests
from dbxdec.dag import run_order
from dbxdec.errors import Problem, RunError, did_you_mean
from dbxdec.local import ledger as ledgers
from dbxdec.local.attempts import Attempts, TaskRun
from dbxdec.local.references import resolve as resolve_references
from dbxdec.local.run_if import State, failed, instead_of_running
from dbxdec.local.selection import followers, reach
from dbxdec.local.steps import holds, references_to
from dbxdec.variables import names_in
from dbxdec.variables import resolve as resolve_variables

if TYPE_CHECKING:
    from dbxdec.dag import Dependency, Job, Task
    from dbxdec.local.builds import Build
    from dbxdec.local.ledger import Ledger, Run
    from dbxdec.local.pool import Pool
    from dbxdec.manifest import Manifest

_DONE = frozenset({State.SUCCESS, State.SKIPPED})


@dataclass(frozen=True)
class JobRun:
    """How a run ended; `folder` keeps its record, its logs and its task values."""

    id: str
    job: str
    tasks: tuple[TaskRun, ...]
    folder: Path
    timed_out: bool = False

    @property
    def state(self) -> State:
        if self.timed_out:
            return State.TIMED_OUT
        states = {task.state for task in self.tasks}
        if State.CANCELLED in states:
            return State.CANCELLED
        return State.FAILED if any(map(failed, states)) else State.SUCCESS

    @property
    def succeeded(self) -> bool:
        return self.state is State.SUCCESS


@dataclass(frozen=True)
class Listener:
    """What a run tells while it goes on, from several threads, one at a time: a task starts, has printed, has ended."""

    started: Callable[[str], object]
    printed: Callable[[str, str], object]
    ended: Callable[[TaskRun], object]


@dataclass(frozen=True)
class Setting:
    """What holds for a run and for the runs of other jobs that it starts."""

    build: Build
    variables: Mapping[str, str]
    folder: Path
    pool: Pool
    source: str = ""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """Commands that run in the place of tasks, by the task's key."""


def check_parameters(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """The texts of all job parameters. Raises RunError, before anything runs, with all that is wrong with `given`."""
    known = {parameter.name: parameter for parameter in job.parameters}
    problems = [
        Problem(
            f"the job `{job.key}` has no parameter `{name}`",
            hint=did_you_mean(name, known) or f"its parameters are {', '.join(known) or 'none'}",
        )
        for name in given
        if name not in known
    ]
    texts = {}
    for name, parameter in known.items():
        text = given.get(name, parameter.default)
        if text is None:
            hint = f"`--param {name}=VALUE` (type {parameter.type})"
            problems.append(Problem(f"the job parameter `{name}` has no default and needs a value", hint=hint))
            continue
        texts[name] = text
        # An enum is checked by the task: its class lives in the project's code.
        if name in given and parameter.type.kind != "enum":
            try:
                parameter.value(text)
            except ValueError as error:
                problems.append(Problem(f"the job parameter `{name}` {error}", hint=parameter.type.hint))
    if problems:
        raise RunError(problems)
    return texts


def variables_of(manifest: Manifest, job: Job) -> set[str]:
    """The bundle variables that a run of `job` needs, those of the jobs that it runs included."""
    names, waiting, seen = set(job.variables), [job], {job.key}
    while waiting:
        for task in waiting.pop().tasks:
            if task.kind == "run_job" and task.runs_job not in seen:
                seen.add(task.runs_job)
                waiting.append(manifest.job(task.runs_job))
                names |= set(waiting[-1].variables)
            names |= names_in(dict(task.settings)) if task.kind in ("condition", "run_job") else set()
    return names


def run_job(
    setting: Setting,
    job: Job,
    *,
    parameters: Mapping[str, str],
    listener: Listener,
    selected: frozenset[str] | None = None,
    before: Run | None = None,
) -> JobRun:
    """Run the `selected` tasks of `job`, by default all; with `before`, go on with that run: what succeeded is kept."""
    head = {
        "job": job.key,
        "project": setting.build.manifest.project,
        "version": setting.build.manifest.version,
        "build_id": setting.build.manifest.build_id,
        "source": setting.source,
        "started_ms": ledgers.now_ms(),
        "parameters": dict(parameters),
        "variables": dict(setting.variables),
        "definition": setting.build.manifest.raw_jobs[job.key],
    }
    if before is None:
        ledger = ledgers.new(setting.folder, head)
    else:
        ledger = ledgers.again(before)
        for name in ("version", "build_id", "source", "definition"):
            ledger.head[name] = head[name]
        ledgers.write_whole(ledger.folder / "run.json", ledger.head)
    with ledgers.held(ledger):
        return _Running(setting, job, parameters, listener, ledger, selected, before).run()


def kept_of(job: Job, before: Run) -> dict[str, Mapping[str, Any]]:
    """The tasks of an earlier attempt of a run that need not run again, with how they ended.

    One that did not succeed runs again, and so do all behind it; so does one that is defined otherwise by now.
    """
    earlier = {str(form["key"]): form for form in before.head["definition"]["tasks"]}
    now = {str(form["key"]): form for form in manifests.encode_jobs([job])[job.key]["tasks"]}
    ended = before.tasks()
    again = {
        key
        for key, form in now.items()
        if key not in ended
        or State(ended[key]["state"]) not in _DONE
        or any(form[part] != earlier.get(key, {}).get(part) for part in ("inputs", "outputs", "kind"))
    }
    again = reach(again, followers(job))
    return {key: ended[key] for key in now if key not in again}


class _Running:
    """One run of one job."""

    def __init__(
        self,
        setting: Setting,
        job: Job,
        parameters: Mapping[str, str],
        listener: Listener,
        ledger: Ledger,
        selected: frozenset[str] | None,
        before: Run | None,
    ) -> None:
        self._setting, self._job, self._ledger, self._before = setting, job, ledger, before
        self._parameters = parameters
        self._selected = selected if selected is not None else frozenset(task.key for task in job.tasks)
        self._tell = threading.Lock()
        self._listener = Listener(
            started=self._locked(listener.started),
            printed=self._locked(listener.printed),
            ended=self._locked(listener.ended),
        )
        self._states: dict[str, State] = {}
        self._outcomes: dict[str, str] = {}
        self._ended: queue.SimpleQueue[TaskRun] = queue.SimpleQueue()
        self._out_of_time = threading.Event()
        repair = 0 if before is None else before.repairs + 1
        started = int(ledger.head["started_ms"])
        moment = dt.datetime.fromtimestamp(started / 1000, dt.UTC)
        self._references = {
            "workspace.id": "local",
            "job.id": job.key,
            "job.name": job.key,
            "job.run_id": ledger.id,
            "job.repair_count": str(repair),
            "job.start_time.timestamp_ms": str(started),
            "job.start_time.iso_datetime": moment.isoformat(timespec="seconds"),
            "job.start_time.iso_date": moment.date().isoformat(),
            **{f"job.parameters.{name}": text for name, text in parameters.items()},
        }
        ledger.note(
            "started",
            repair=repair,
            time_ms=ledgers.now_ms(),
            selected=sorted(self._selected),
            build_id=setting.build.manifest.build_id,
        )
        self._attempts = Attempts(setting, job, parameters, ledger, self._listener, self._out_of_time.is_set)

    def _locked(self, tell: Callable[..., object]) -> Callable[..., object]:
        def told(*arguments: Any) -> None:
            with self._tell:
                tell(*arguments)

        return told

    def run(self) -> JobRun:
        order = run_order(self._job)
        kept = kept_of(self._job, self._before) if self._before is not None else {}
        done: dict[str, TaskRun] = {}
        for key, event in kept.items():
            self._states[key] = State(event["state"])
            if "outcome" in event:
                self._outcomes[key] = event["outcome"]
            done[key] = TaskRun(key, self._states[key], kept=True)
            self._listener.ended(done[key])
        waiting = [task for task in order if task.key not in kept]
        limit = self._job.settings.get("timeout_seconds")
        deadline = time.monotonic() + limit if isinstance(limit, int | float) and limit else None
        running = 0
        while waiting or running:
            ready = [task for task in waiting if all(d.task in self._states for d in task.depends_on)]
            waiting = [task for task in waiting if task not in ready]
            for task in ready:
                self._begin(task)
            running += len(ready)
            if (ended := self._next(deadline)) is not None:
                running -= 1
                self._states[ended.key] = ended.state
                done[ended.key] = ended
                self._note(ended)
        run = JobRun(
            self._ledger.id,
            self._job.key,
            tuple(done[task.key] for task in order),
            self._ledger.folder,
            timed_out=self._out_of_time.is_set(),
        )
        self._ledger.close(run.state)
        return run

    def _next(self, deadline: float | None) -> TaskRun | None:
        """The next task that has ended; None where there is something else to look after first."""
        try:
            if deadline is None or self._out_of_time.is_set():
                return self._ended.get()
            with suppress(queue.Empty):
                return self._ended.get(timeout=max(0.0, deadline - time.monotonic()))
            self._out_of_time.set()
        except KeyboardInterrupt:
            pool = self._setting.pool
            (pool.kill if pool.stopping else pool.stop)()
        return None

    def _begin(self, task: Task) -> None:
        """Start a task whose turn it is, in a thread of its own; one that must not run ends at once."""
        seen = {dependency: self._as_seen(dependency) for dependency in task.depends_on}
        gates = [state for dependency, state in seen.items() if dependency.outcome is not None]
        instead: State | None
        if task.key not in self._selected:
            instead = State.DESELECTED
        elif self._setting.pool.stopping or self._out_of_time.is_set():
            instead = State.CANCELLED
        else:
            instead = instead_of_running(task.run_if, [*seen.values()], gates=gates)
        if instead is not None:
            self._ended.put(TaskRun(task.key, instead))
            return
        values = self._ledger.folder / ledgers.VALUES
        known = {**self._references, **references_to(self._states, values)}
        threading.Thread(target=self._execute, args=(task, known), name=f"dbxdec-{task.key}", daemon=True).start()

    def _execute(self, task: Task, known: Mapping[str, str]) -> None:
        began = ledgers.now_ms()
        try:
            ended = self._one(task, known)
        except RunError as error:
            self._listener.printed(task.key, str(error))
            ended = TaskRun(task.key, State.FAILED, said=str(error))
        self._ended.put(replace(ended, started_ms=began, ended_ms=ledgers.now_ms()))

    def _one(self, task: Task, known: Mapping[str, str]) -> TaskRun:
        if (command := self._setting.replaced.get(task.key)) is not None:
            return self._attempts.command(task, resolve_references(command, known), known)
        match task.kind:
            case "python":
                return self._attempts.python(task, known, kept=self._kept_iterations(task))
            case "condition":
                return self._decide(task, known)
            case "run_job":
                return self._run_other(task, known)
        kind = next((name for name in task.settings if name.endswith("_task")), "a native task")
        hint = f"{kind} runs only on the platform: skipped (`--replace {task.key}=COMMAND` runs a command instead)"
        self._listener.printed(task.key, hint)
        return TaskRun(task.key, State.SKIPPED, said=kind)

    def _kept_iterations(self, task: Task) -> frozenset[int]:
        """Iterations that succeeded in an earlier attempt of this run, where what they depend on is the same still."""
        if task.each is None or self._before is None:
            return frozenset()
        kept = kept_of(self._job, self._before)
        if not all(dependency.task in kept for dependency in task.depends_on):
            return frozenset()
        return frozenset(
            int(e["iteration"]) for e in self._before.attempts(task.key) if State(e["state"]) is State.SUCCESS
        )

    def _note(self, ended: TaskRun) -> None:
        self._ledger.note(
            "task",
            task=ended.key,
            state=str(ended.state),
            started_ms=ended.started_ms,
            ended_ms=ended.ended_ms,
            attempts=ended.attempts,
            **({"outcome": self._outcomes[ended.key]} if ended.key in self._outcomes else {}),
            **({"run": ended.run} if ended.run else {}),
            **({"said": ended.said} if ended.said else {}),
        )
        self._listener.ended(ended)

    def _as_seen(self, dependency: Dependency) -> State:
        """The state of what a task waits for; a branch that was not taken is excluded."""
        taken = self._outcomes.get(dependency.task)
        left_out = dependency.outcome is not None and taken is not None and taken != dependency.outcome
        return State.EXCLUDED if left_out else self._states[dependency.task]

    def _decide(self, task: Task, known: Mapping[str, str]) -> TaskRun:
        """Evaluate a condition; its outcome is noted before those behind it are looked at."""
        condition = task.settings["condition_task"]
        left, right = (
            resolve_references(resolve_variables(condition[side], self._setting.variables), known)
            for side in ("left", "right")
        )
        outcome = "true" if holds(condition["op"], left, right) else "false"
        self._outcomes[task.key] = outcome
        said = f"{left} {condition['op']} {right}: {outcome}"
        self._listener.printed(task.key, said)
        return TaskRun(task.key, State.SUCCESS, said=said)

    def _run_other(self, task: Task, known: Mapping[str, str]) -> TaskRun:
        """Run another job of the wheel as a run of its own; an earlier attempt of it is gone on with."""
        other = self._setting.build.manifest.job(task.runs_job)
        given = task.settings["run_job_task"].get("job_parameters", {})
        texts = {
            name: resolve_references(resolve_variables(text, self._setting.variables), known)
            for name, text in given.items()
        }
        prefix = f"{task.key}/"
        inside = Listener(
            started=lambda key: self._listener.started(prefix + key),
            printed=lambda key, line: self._listener.printed(prefix + key, line),
            ended=lambda ended: self._listener.ended(replace(ended, key=prefix + ended.key)),
        )
        parameters = check_parameters(other, texts)
        run = run_job(
            self._setting, other, parameters=parameters, listener=inside, before=self._earlier_run_of(task, parameters)
        )
        return TaskRun(task.key, run.state, attempts=1, run=run.id)

    def _earlier_run_of(self, task: Task, parameters: Mapping[str, str]) -> Run | None:
        event = self._before.tasks().get(task.key) if self._before is not None else None
        if event is None or "run" not in event:
            return None
        found = ledgers.read(self._ledger.folder.parent / str(event["run"]))
        return found if found is not None and found.head["parameters"] == dict(parameters) else None
