"""Tries of one task: its processes with their retries, its iterations, and what each has left."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec import protocol
from dbxdec.local import ledger as ledgers
from dbxdec.platform.references import resolve as resolve_references
from dbxdec.platform.run_if import State
from dbxdec.platform.texts import iterations
from dbxdec.printing import plain_lines
from dbxdec.runtime import record, task_values
from dbxdec.values import REQUIRED_TEXT
from dbxdec.variables import resolve as resolve_variables

if TYPE_CHECKING:
    from dbxdec.dag import Job, Task
    from dbxdec.local.ledger import Ledger
    from dbxdec.local.pool import Ended
    from dbxdec.local.runner import Listener, Setting

_WORST = (State.CANCELLED, State.FAILED, State.TIMED_OUT)


@dataclass(frozen=True)
class TaskRun:
    """How one task, or one iteration of it, ended; times in ms, over all `attempts`. `log` is the last attempt's.

    `wrote` is what it has written: the documents of `runtime.record`. `kept` says that it ran in an earlier attempt.
    """

    key: str
    state: State
    attempts: int = 0
    log: str | None = None
    started_ms: int = 0
    ended_ms: int = 0
    wrote: tuple[Mapping[str, Any], ...] = ()
    said: str = ""
    run: str = ""
    kept: bool = False

    @property
    def seconds(self) -> float:
        return (self.ended_ms - self.started_ms) / 1000


class Attempts:
    """Runs the Python tasks of one run, and the commands in place of tasks."""

    def __init__(
        self,
        setting: Setting,
        job: Job,
        parameters: Mapping[str, str],
        ledger: Ledger,
        listener: Listener,
        cancelled: Callable[[], bool],
    ) -> None:
        self._setting, self._job, self._parameters = setting, job, parameters
        self._ledger, self._listener, self._cancelled = ledger, listener, cancelled
        self._noting = threading.Lock()
        self._mask = setting.mask
        for name in ("logs", "records"):
            (ledger.folder / name).mkdir(exist_ok=True)

    def python(self, task: Task, known: Mapping[str, str], *, kept: frozenset[int]) -> TaskRun:
        """A task's function; for each item where it is a for-each task, without the iterations in `kept`."""
        arguments = self._arguments(task)
        if task.each is None:
            return self._tries(task, task.key, arguments, known, iteration=None)
        inputs = iterations(resolve_references(protocol.for_each_inputs(task.each), known))
        at_once = task.each.concurrency
        if isinstance(at_once, str):
            at_once = int(resolve_references(resolve_variables(at_once, self._setting.variables), known))

        def one(i: int) -> TaskRun:
            title = f"{task.key}[{i}]"
            if i in kept:
                ended = TaskRun(title, State.SUCCESS, kept=True)
            else:
                ended = self._tries(task, title, arguments, {**known, **inputs[i]}, iteration=i)
            self._listener.ended(ended)
            return ended

        with ThreadPoolExecutor(max_workers=max(1, at_once or 1)) as executor:
            ended = list(executor.map(one, range(len(inputs))))
        states = {one.state for one in ended}
        worst = next((state for state in _WORST if state in states), State.SUCCESS)
        wrote = tuple(fact for one in ended for fact in one.wrote)
        said = f"{len(inputs)} iterations"
        return TaskRun(task.key, worst, sum(one.attempts for one in ended), wrote=wrote, said=said)

    def command(self, task: Task, command: str, known: Mapping[str, str]) -> TaskRun:
        """A command in the place of a task."""
        return self._tries(task, task.key, {}, known, iteration=None, command=command)

    def _arguments(self, task: Task) -> dict[str, str]:
        """What the platform would hand to the task: its own parameters, and the job's pushed down over them."""
        manifest = self._setting.build.manifest
        own = protocol.task_parameters(manifest.project, manifest.build_id, self._job.key, task)
        pushed_down = {name: REQUIRED_TEXT if text is None else text for name, text in self._parameters.items()}
        return {name: resolve_variables(text, self._setting.variables) for name, text in {**own, **pushed_down}.items()}

    def _tries(
        self,
        task: Task,
        title: str,
        arguments: Mapping[str, str],
        known: Mapping[str, str],
        *,
        iteration: int | None,
        command: str | None = None,
    ) -> TaskRun:
        """The task with its declared retries; `max_retries=-1` retries without end, as on the platform."""
        # A failure handler ends with an error each time: nothing is tried again, as the resources say too.
        retries = 0 if task.on_failure else _number(task.settings, "max_retries", 0)
        first = ledgers.now_ms()
        tried = 0
        while True:
            tried += 1
            attempt = self._ledger.attempts.get(title, 0) + 1
            self._ledger.attempts[title] = attempt
            values = {**known, "task.name": task.key, "task.execution_count": str(attempt)}
            texts = [f"--{name}={resolve_references(text, values)}" for name, text in arguments.items()]
            state, log, facts = self._attempt(task, title, attempt, texts, iteration, command)
            again = state is State.FAILED or (state is State.TIMED_OUT and bool(task.settings.get("retry_on_timeout")))
            if not again or (retries >= 0 and tried > retries) or self._cancelled():
                wrote = tuple(fact for fact in facts if fact["kind"] == "write")
                return TaskRun(title, state, tried, log, first, ledgers.now_ms(), wrote)
            self._listener.printed(title, f"attempt {tried} failed, trying again")
            self._setting.pool.wait(_number(task.settings, "min_retry_interval_millis", 0) / 1000)

    def _attempt(
        self, task: Task, title: str, attempt: int, arguments: list[str], iteration: int | None, command: str | None
    ) -> tuple[State, str, list[Mapping[str, Any]]]:
        """One attempt, noted when it has ended."""
        folder = self._ledger.folder
        log, notes = f"logs/{title}.{attempt}.log", folder / "records" / f"{title}.{attempt}.jsonl"
        environment = {
            task_values.FOLDER: str((folder / ledgers.VALUES).absolute()),
            record.FILE: str(notes.absolute()),
            "DBXDEC_SOURCES": json.dumps(dict(self._setting.build.sources)),
        }
        timeout = _number(task.settings, "timeout_seconds", 0)
        began = [0]
        with (folder / log).open("w", encoding="utf-8") as file:

            def printed(line: str) -> None:
                for part in map(self._mask.text, plain_lines(line)):
                    file.write(f"{part}\n")
                    file.flush()
                    self._listener.printed(title, part)

            def started() -> None:
                began[0] = ledgers.now_ms()
                self._listener.started(title)

            ended = self._setting.pool.run(
                arguments,
                environment,
                started=started,
                printed=printed,
                timeout=timeout,
                command=command,
                cancelled=self._cancelled,
            )
            if ended.timed_out:
                printed(f"stopped after timeout_seconds={timeout:g}")
            elif (said := ended.died()) is not None:
                printed(said)
        state = self._state(ended)
        facts = self._mask.data(_facts(notes))
        notes.unlink(missing_ok=True)  # the ledger has them now, without secrets
        with self._noting:
            self._ledger.note(
                "attempt",
                task=task.key,
                iteration=iteration,
                attempt=attempt,
                state=str(state),
                started_ms=began[0] or ledgers.now_ms(),
                ended_ms=ledgers.now_ms(),
                log=log,
                facts=facts,
            )
        return state, log, facts

    def _state(self, ended: Ended) -> State:
        if ended.timed_out:
            return State.TIMED_OUT
        if ended.stopped:
            return State.TIMED_OUT if self._cancelled() else State.CANCELLED
        return State.SUCCESS if ended.well else State.FAILED


def _facts(notes: Path) -> list[Mapping[str, Any]]:
    """What the attempt has noted of its reads and writes; a killed one may have left half a line."""
    found = []
    try:
        lines = notes.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def _number(settings: Mapping[str, Any], name: str, default: float) -> float:
    value = settings.get(name, default)
    return value if isinstance(value, int | float) else default
