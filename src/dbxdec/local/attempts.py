"""The attempts of the tasks of one run: their processes with retries, their iterations, and their results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import counted
from dbxdec.local import journal, naming, worker
from dbxdec.local import ledger as ledgers
from dbxdec.local.forms import is_fact
from dbxdec.local.interface import HANDLED, TaskRun
from dbxdec.local.java_stacks import JavaStacks
from dbxdec.model import branches, dag, literals, protocol
from dbxdec.model.values import REQUIRED_TEXT
from dbxdec.model.variables import resolve as resolve_variables
from dbxdec.platform.references import resolve as resolve_references
from dbxdec.platform.run_if import State
from dbxdec.platform.texts import iterations
from dbxdec.records import dataclass
from dbxdec.runtime import blame, record, task_values, upstream
from dbxdec.support import files
from dbxdec.support.printing import plain_lines

if TYPE_CHECKING:
    from dbxdec.local.interface import Listener, Setting
    from dbxdec.local.ledger import Ledger
    from dbxdec.local.pool import Ended
    from dbxdec.local.resuming import Facts
    from dbxdec.model.dag import Job, Task

_RECORDS = "records"
_WORST = (State.CANCELLED, State.FAILED, State.TIMED_OUT)


@dataclass(frozen=True)
class _Titled:
    """A task, or an iteration of it with its `item`, to attempt. `title` is for people, `file` for files.

    `not_run` are its upstream tasks that have not run, and how each has ended.
    """

    task: Task
    title: str
    file: str
    iteration: int | None = None
    item: Any = None
    not_run: Mapping[str, str] = field(default_factory=dict)


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
        self._mask = setting.mask
        self._uncertain = branches.uncertain(job)
        for name in (ledgers.LOGS, _RECORDS):
            (ledger.folder / name).mkdir(exist_ok=True)

    def python(
        self, task: Task, known: Mapping[str, str], not_run: Mapping[str, str], *, kept: Mapping[int, Facts]
    ) -> TaskRun:
        """Run a task's function, or that of a for-each task once for each item except the iterations in `kept`.

        `kept` has what these have written. `not_run` are the upstream tasks that have not run, and how each has ended.
        """
        arguments = self._arguments(task)
        if task.each is None:
            return self._tries(_Titled(task, task.key, task.key, not_run=not_run), arguments, known)
        inputs = iterations(resolve_references(protocol.for_each_inputs(task.each), known))
        at_once = task.each.concurrency
        if isinstance(at_once, str):
            at_once = int(resolve_references(resolve_variables(at_once, self._setting.variables), known))
        titled = [replace(one, not_run=not_run) for one in self._titled(task, inputs)]

        def one(i: int) -> TaskRun:
            if i in kept:
                ended = TaskRun(titled[i].title, State.SUCCESS, wrote=kept[i], kept=True)
            else:
                ended = self._tries(titled[i], arguments, {**known, **inputs[i]})
            self._listener.ended(ended)
            return ended

        with ThreadPoolExecutor(max_workers=max(1, at_once or 1)) as executor:
            ended = list(executor.map(one, range(len(inputs))))
        states = {one.state for one in ended}
        began = [one for one in ended if one.started_ms]
        return TaskRun(
            task.key,
            next((state for state in _WORST if state in states), State.SUCCESS),
            max((one.attempts for one in ended), default=0),
            started_ms=min((one.started_ms for one in began), default=0),
            ended_ms=max((one.ended_ms for one in began), default=0),
            wrote=tuple(fact for one in ended for fact in one.wrote),
            said=counted(len(inputs), "iteration"),
        )

    def _titled(self, task: Task, inputs: Sequence[Mapping[str, str]]) -> list[_Titled]:
        """Return the iterations, named by their items."""
        assert task.each is not None  # noqa: S101 - the caller has looked
        given = task.each.items.value if isinstance(task.each.items, dag.Literal) else None
        items = [literals.shown(form) for form in given] if isinstance(given, list) else [_item(one) for one in inputs]
        items = self._mask.results(items)
        named = naming.names([f"~{i}" if item is None and given else item for i, item in enumerate(items)])
        files = naming.file_names(named)
        return [
            _Titled(task, f"{task.key}[{named[i]}]", f"{task.key}[{files[i]}]", i, item) for i, item in enumerate(items)
        ]

    def command(self, task: Task, command: str, known: Mapping[str, str]) -> TaskRun:
        """Run a command in the place of a task."""
        return self._tries(_Titled(task, task.key, task.key), {}, known, command=command)

    def _arguments(self, task: Task) -> dict[str, str]:
        """Return the arguments that the platform would give the task: its own parameters, overridden by the job's."""
        manifest, uncertain = self._setting.build.manifest, self._uncertain.get(task.key, ())
        own = protocol.task_parameters(manifest.project, manifest.build_id, self._job.key, task, uncertain)
        pushed_down = {name: REQUIRED_TEXT if text is None else text for name, text in self._parameters.items()}
        return {name: resolve_variables(text, self._setting.variables) for name, text in own.items()} | pushed_down

    def _tries(
        self, what: _Titled, arguments: Mapping[str, str], known: Mapping[str, str], *, command: str | None = None
    ) -> TaskRun:
        """Run the task with its declared retries; `max_retries=-1` retries without end, as on the platform."""
        task = what.task
        # A failure handler ends with an error each time. It is not retried; the resources say so too.
        retries = 0 if task.on_failure else _number(task.settings, "max_retries")
        first = tried = 0
        while True:
            tried += 1
            attempt = self._ledger.next_attempt(task.key, what.iteration)
            values = {**known, "task.name": task.key, "task.execution_count": str(attempt)}
            texts = [f"--{name}={resolve_references(text, values)}" for name, text in arguments.items()]
            ended = self._attempt(what, attempt, texts, command)
            first, state = first or ended.started_ms, ended.state
            again = state is State.FAILED or (state is State.TIMED_OUT and bool(task.settings.get("retry_on_timeout")))
            if not again or (retries >= 0 and tried > retries) or self._cancelled():
                return replace(ended, attempts=tried, started_ms=first)
            self._listener.printed(what.title, f"attempt {tried} failed, trying again")
            self._setting.pool.wait(_number(task.settings, "min_retry_interval_millis") / 1000)

    def _attempt(self, what: _Titled, attempt: int, arguments: list[str], command: str | None) -> TaskRun:
        """Run one attempt, and note it when it has ended."""
        folder = self._ledger.folder
        log, notes = f"{ledgers.LOGS}/{what.file}.{attempt}.log", folder / _RECORDS / f"{what.file}.{attempt}.jsonl"
        environment = {
            task_values.FOLDER: str((folder / ledgers.VALUES).absolute()),
            record.FILE: str(notes.absolute()),
            **({upstream.VARIABLE: json.dumps(what.not_run)} if what.not_run else {}),
            blame.SOURCES: json.dumps(dict(self._setting.build.sources)),
        }
        named = {
            "task": what.task.key,
            "iteration": what.iteration,
            **({} if what.iteration is None else {"item": what.item}),
            "title": what.title,
            "attempt": attempt,
            "log": log,
        }
        timeout = _number(what.task.settings, "timeout_seconds")
        began, stacks = [0], JavaStacks()
        # Without a buffer: what doesn't fit on the disk would fail again, without a name, when the file is closed.
        with (folder / log).open("wb", buffering=0) as file:

            def printed(line: str) -> None:
                # Without its escape sequences a secret has another form, and what is left may be another secret.
                for part in map(self._mask.text, plain_lines(self._mask.text(line))):
                    left = memoryview(f"{part}\n".encode("utf-8", "backslashreplace"))
                    with files.naming(folder / log):
                        while left:
                            left = left[file.write(left) :]
                    if (shown := stacks.shown(part)) is not None:
                        self._listener.printed(what.title, shown)

            def started() -> None:
                began[0] = ledgers.now_ms()
                self._ledger.note("begun", **named, time_ms=began[0])
                self._listener.started(what.title)

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
            elif command is not None and ended.code and not ended.stopped:
                printed(f"the command ended with exit code {ended.code}")
            elif command is None and ended.code == worker.INTERRUPTED and not ended.stopped:
                printed("the task's process was interrupted by SIGINT, which this run has not sent")
        state = self._state(ended)
        facts = self._mask.data(_facts(notes))
        ended_ms = ledgers.now_ms() if began[0] else 0
        self._ledger.note("attempt", **named, state=str(state), started_ms=began[0], ended_ms=ended_ms, facts=facts)
        notes.unlink(missing_ok=True)  # the ledger has the facts now, without secrets
        wrote = tuple(fact for fact in facts if fact["kind"] == "write")
        said = HANDLED if ended.code == worker.HANDLED else ""
        return TaskRun(what.title, state, log=log, started_ms=began[0], ended_ms=ended_ms, wrote=wrote, said=said)

    def _state(self, ended: Ended) -> State:
        if ended.timed_out:
            return State.TIMED_OUT
        if ended.stopped:
            return State.TIMED_OUT if self._cancelled() else State.CANCELLED
        return State.SUCCESS if ended.well else State.FAILED


def _facts(notes: Path) -> list[Mapping[str, Any]]:
    """Return the reads and writes that the attempt has noted; a killed one may have left half a line."""
    try:
        return [fact for _, fact in journal.read_lines(notes)[0] if is_fact(fact)]
    except FileNotFoundError:
        return []


def _item(references: Mapping[str, str]) -> Any:
    """Return the item of an iteration whose items came with the run."""
    text = references["input"]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _number(settings: Mapping[str, Any], name: str) -> float:
    value = settings.get(name)
    return value if isinstance(value, int | float) else 0
