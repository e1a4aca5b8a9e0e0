"""Runs the tasks of a job on this machine, in parallel, each as soon as all tasks that it waits for have ended.

A task gets exactly the parameters that the resources give it, with references and bundle variables resolved; the rest
is `dbxdec-run`, as on the platform.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.local import history
from dbxdec.local import ledger as ledgers
from dbxdec.local.attempts import Attempts
from dbxdec.local.flow import Flow
from dbxdec.local.interface import JobRun, Listener, Setting, TaskRun
from dbxdec.local.parameters import check_parameters
from dbxdec.local.resuming import (
    Facts,
    appended_by,
    as_it_ended,
    earlier_run,
    kept_iterations,
    kept_of,
    left_out,
    refuse_moved,
)
from dbxdec.platform import known as known_references
from dbxdec.platform.references import resolve as resolve_references
from dbxdec.platform.run_if import State
from dbxdec.runtime.upstream import LEFT_OUT, REPLACED

if TYPE_CHECKING:
    from dbxdec.local.history import Run
    from dbxdec.local.ledger import Ledger
    from dbxdec.model.dag import Job, Task


def run_job(
    setting: Setting,
    job: Job,
    *,
    parameters: Mapping[str, str],
    listener: Listener,
    selected: frozenset[str] | None = None,
    before: Run | None = None,
    keep: bool = True,
    about: Callable[[str], object] = lambda _: None,
) -> JobRun:
    """Run the `selected` tasks of `job`, by default all.

    With `before`, resume that run: tasks that succeeded are kept, unless `keep` says otherwise. `about` gets the run's
    id before anything of it runs.
    """
    if before is not None:
        refuse_moved(job, before, frozenset(task.key for task in job.tasks) if selected is None else selected)
    head = {
        "job": job.key,
        "project": setting.build.manifest.project,
        "version": setting.build.manifest.version,
        "build_id": setting.build.manifest.build_id,
        "source": setting.source,
        "started_ms": ledgers.now_ms(),
        "parameters": dict(parameters),
        "variables": dict(setting.variables),
        "root": setting.root,
        **({"target": setting.target} if setting.target else {}),
        **({"parent": setting.parent[0], "task": setting.parent[1]} if setting.parent else {}),
    }
    definition = setting.build.manifest.raw_jobs[job.key]
    ledger = ledgers.new(setting.folder, head, definition) if before is None else ledgers.again(before)
    about(ledger.id)
    with ledgers.held(ledger.folder), _alone(setting, ledger):
        if before is not None:
            before = history.fresh(before)  # another process may have resumed it by now
            ledger = ledgers.again(before)
            ledger.head |= {name: head[name] for name in ("version", "build_id", "source")}
            if "definition" in before.head:
                ledger.define(before.definition)
            ledger.head["appended"] = appended_by(before)
            ledger.write_head()
        running = _Running(setting, job, parameters, listener, ledger, selected, before, keep=keep)
        ledger.define(definition)  # the kept tasks were compared with the earlier definition
        return running.run()


@contextmanager
def _alone(setting: Setting, ledger: Ledger) -> Iterator[None]:
    """Wait for processes that a killed runner has left, and have the next runner know the processes of this one."""
    if setting.parent is not None:
        yield  # they belong to the run that has started this one
        return
    root = ledgers.root_of(ledger.folder, str(ledger.head.get("parent") or ""))

    def waiting() -> None:
        setting.told("waiting for tasks that the killed run left behind")

    pool = setting.pool
    with ledgers.workers_of(root, waiting, pool.shared) as descriptor, pool.inheriting(descriptor):
        yield


class _Running:
    """One run of one job, whose tasks run as processes, each in a thread that waits for it."""

    def __init__(
        self,
        setting: Setting,
        job: Job,
        parameters: Mapping[str, str],
        listener: Listener,
        ledger: Ledger,
        selected: frozenset[str] | None,
        before: Run | None,
        *,
        keep: bool,
    ) -> None:
        self._setting, self._job, self._ledger, self._before = setting, job, ledger, before
        self._parameters = parameters
        self._selected = selected if selected is not None else frozenset(task.key for task in job.tasks)
        self._tell = threading.Lock()
        self._listener = Listener(
            started=self._locked(listener.started),
            printed=self._locked(lambda key, line: listener.printed(key, setting.mask.text(line))),
            ended=self._locked(listener.ended),
        )
        self._ended: queue.SimpleQueue[TaskRun | Exception] = queue.SimpleQueue()
        self._out_of_time = threading.Event()
        self._repair = repair = 0 if before is None else before.repairs + 1
        started = int(ledger.head["started_ms"])
        known = known_references.of_run(job.key, ledger.id, started, parameters, repair=repair)
        self._flow = Flow(job, setting.variables, known)
        self._done: dict[str, TaskRun] = {}
        limit = job.settings.get("timeout_seconds")
        self._deadline = time.monotonic() + limit if isinstance(limit, int | float) and limit else None
        self._kept: Mapping[str, Mapping[str, Any]] = {}
        self._iterations: Mapping[str, Mapping[int, Facts]] = {}
        if before is not None and keep:
            self._kept = kept_of(job, before, selected=self._selected, replaced=setting.replaced)
            self._iterations = kept_iterations(job, before, self._kept)
        ledger.note(
            "started",
            repair=repair,
            time_ms=ledgers.now_ms(),
            selected=sorted(self._selected),
            kept={**dict.fromkeys(self._kept), **{key: list(numbers) for key, numbers in self._iterations.items()}},
            build_id=setting.build.manifest.build_id,
        )
        self._attempts = Attempts(setting, job, parameters, ledger, self._listener, self._out_of_time.is_set)

    def _locked(self, tell: Callable[..., object]) -> Callable[..., object]:
        def told(*arguments: Any) -> None:
            with self._tell:
                tell(*arguments)

        return told

    def run(self) -> JobRun:
        for key, event in self._kept.items():
            assert self._before is not None  # noqa: S101 - nothing is kept of nothing
            ended = as_it_ended(self._before, event)
            if "outcome" in event:
                self._flow.outcomes[key] = event["outcome"]
            self._remember(ended)
            # A runner that was killed right after the task ended has not noted its end.
            (self._note if event["event"] == "attempt" else self._listener.ended)(ended)
        self._flow.drive(self, self._done)
        upstream = self._flow.upstream
        run = JobRun(
            self._ledger.id,
            self._job.key,
            tuple(self._done[key] for key in upstream),
            self._ledger.folder,
            upstream,
            timed_out=self._out_of_time.is_set(),
        )
        self._ledger.close(run.state, {task.key: task.state for task in run.tasks}, self._repair)
        return run

    def _remember(self, ended: TaskRun) -> None:
        """Keep how a task has ended, and the values that tasks started from now on see of it."""
        self._done[ended.key] = ended
        path = self._ledger.folder / ledgers.VALUES / f"{ended.key}.json"
        try:
            if ended.state in LEFT_OUT:  # an earlier attempt's no longer belong to this run
                path.unlink(missing_ok=True)
            values = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            self._flow.end(ended.key, ended.state, values)
        except (OSError, ValueError, AttributeError) as error:
            raise RunError(f"{path}, the task's values, can't be read: {error}") from None

    def wait(self) -> str | None:
        """Return the next task that has ended; None when the time is over. Raises what a thread has not handled."""
        deadline = None if self._out_of_time.is_set() else self._deadline
        try:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ended = self._ended.get(timeout=left)
        except queue.Empty:
            self._out_of_time.set()
            return None
        if isinstance(ended, Exception):
            self._setting.pool.kill()
            raise ended
        self._remember(ended)
        self._note(ended)
        return ended.key

    def begin(self, task: Task) -> None:
        """Start a task whose turn it is, in a thread of its own; a task that must not run ends at once."""
        state: State | None
        if task.key not in self._selected:
            state = left_out(self._before, task.key)
        elif self._setting.pool.stopping or self._out_of_time.is_set():
            state = State.CANCELLED
        else:
            state = self._flow.instead(task)
        if state is not None:
            self._ended.put(TaskRun(task.key, state))
            return
        not_run = self._flow.not_run(task)
        not_run |= {d.task: REPLACED for d in task.depends_on if d.task in self._setting.replaced}
        of_task = (task, self._flow.known, not_run)
        threading.Thread(target=self._execute, args=of_task, name=f"dbxdec-{task.key}", daemon=True).start()

    def _execute(self, task: Task, known: Mapping[str, str], not_run: Mapping[str, str]) -> None:
        began = ledgers.now_ms()
        try:
            ended = self._one(task, known, not_run)
            if not ended.started_ms and task.kind != "python":
                ended = replace(ended, started_ms=began, ended_ms=ledgers.now_ms())
        except RunError as error:
            self._listener.printed(task.key, str(error))
            ended = TaskRun(task.key, State.FAILED, said=str(error), started_ms=began, ended_ms=ledgers.now_ms())
        except Exception as error:  # noqa: BLE001 - the main thread raises it: nobody else would ever hear of it
            self._ended.put(error)
            return
        self._ended.put(replace(ended, said=self._setting.mask.text(ended.said)))

    def _one(self, task: Task, known: Mapping[str, str], not_run: Mapping[str, str]) -> TaskRun:
        if (command := self._setting.replaced.get(task.key)) is not None:
            return self._attempts.command(task, resolve_references(command, known), known)
        self._flow.refuse_absent(task, known, not_run)
        match task.kind:
            case "python":
                kept = self._iterations.get(task.key, {})
                with self._setting.turns(task):
                    return self._attempts.python(task, known, not_run, kept=kept)
            case "condition":
                return self._decide(task, known)
            case "run_job":
                return self._run_other(task, known)
        kind = next((name for name in task.settings if name.endswith("_task")), "a native task")
        hint = f"{kind} runs only on the platform: skipped (`--replace {task.key}=COMMAND` runs a command instead)"
        self._listener.printed(task.key, hint)
        return TaskRun(task.key, State.SKIPPED, said=kind)

    def _note(self, ended: TaskRun) -> None:
        self._ledger.note(
            "task",
            task=ended.key,
            state=str(ended.state),
            started_ms=ended.started_ms,
            ended_ms=ended.ended_ms,
            attempts=ended.attempts,
            **({"outcome": self._flow.outcomes[ended.key]} if ended.key in self._flow.outcomes else {}),
            **({"run": ended.run} if ended.run else {}),
            **({"said": ended.said} if ended.said else {}),
        )
        self._listener.ended(ended)

    def _decide(self, task: Task, known: Mapping[str, str]) -> TaskRun:
        """Evaluate a condition; its branch is noted before its downstream tasks are considered."""
        _, said = self._flow.decide(task, known)
        self._listener.printed(task.key, said)
        return TaskRun(task.key, State.SUCCESS, said=said)

    def _run_other(self, task: Task, known: Mapping[str, str]) -> TaskRun:
        """Run another job of the wheel as a run of its own; resume an earlier attempt of it."""
        other = self._setting.build.manifest.job(task.runs_job)
        given = task.passes
        texts = {name: self._flow.resolved(text, known) for name, text in given.items()}
        prefix = f"{task.key}/"
        inside = Listener(
            started=lambda key: self._listener.started(prefix + key),
            printed=lambda key, line: self._listener.printed(prefix + key, line),
            ended=lambda ended: self._listener.ended(replace(ended, key=prefix + ended.key)),
        )
        parameters = check_parameters(other, texts, self._setting.variables)
        replaced = {
            key.removeprefix(prefix): command
            for key, command in self._setting.replaced.items()
            if key.startswith(prefix)
        }
        setting = replace(self._setting, replaced=replaced, parent=(self._ledger.id, task.key))
        run = run_job(
            setting,
            other,
            parameters=parameters,
            listener=inside,
            before=earlier_run(self._setting.folder, self._before, task, other, parameters),
            keep=all(dependency.task in self._kept for dependency in task.depends_on),
            about=lambda run: self._ledger.note("inner", task=task.key, run=run),
        )
        # As on the platform: a run that succeeded with failures is a success for the task that has started it.
        state, said = (State.SUCCESS, str(run.state)) if run.succeeded else (run.state, "")
        return TaskRun(task.key, state, attempts=1, run=run.id, said="" if run.state is state else said)
