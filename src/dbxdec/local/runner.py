"""Runs a job's tasks on this machine, one process for each, in the order of the DAG.

A task gets the very parameters that the resources give it, with references and bundle variables resolved; the rest is
`dbxdec-run`, as on the platform.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec import protocol
from dbxdec.dag import run_order
from dbxdec.errors import Problem, RunError, did_you_mean
from dbxdec.local.references import resolve as resolve_references
from dbxdec.local.run_if import State, failed, instead_of_running
from dbxdec.local.steps import holds, iterations, references_to
from dbxdec.runtime import task_values
from dbxdec.values import REQUIRED_TEXT
from dbxdec.variables import names_in
from dbxdec.variables import resolve as resolve_variables

if TYPE_CHECKING:
    from dbxdec.dag import Dependency, Job, Task
    from dbxdec.manifest import Manifest

STATE_FOLDER = ".dbxdec"
_VALUES = "task_values"
_GRACE_SECONDS = 10


@dataclass(frozen=True)
class TaskRun:
    """How one task ended: `seconds` over all `attempts`, and the file with all that it printed."""

    key: str
    state: State
    seconds: float = 0.0
    attempts: int = 0
    log: str | None = None


@dataclass(frozen=True)
class JobRun:
    """How a run ended; `folder` keeps its record, its logs and its task values."""

    id: str
    job: str
    tasks: tuple[TaskRun, ...]
    folder: Path

    @property
    def succeeded(self) -> bool:
        return not any(failed(task.state) for task in self.tasks)


@dataclass(frozen=True)
class Listener:
    """What a run tells while it goes on: a task starts, has printed a line, has ended."""

    started: Callable[[str], object]
    printed: Callable[[str, str], object]
    ended: Callable[[TaskRun], object]


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


def run_job(
    manifest: Manifest,
    job: Job,
    *,
    parameters: Mapping[str, str],
    variables: Mapping[str, str],
    folder: Path,
    listener: Listener,
) -> JobRun:
    """Run `job` of an installed pipeline; `folder` is where `.dbxdec/` keeps the records of runs."""
    run = JobRun(*_new_run(folder, job.key))
    started = time.time_ns() // 1_000_000
    moment = dt.datetime.fromtimestamp(started / 1000, dt.UTC)
    references = {
        "workspace.id": "local",
        "job.id": job.key,
        "job.name": job.key,
        "job.run_id": run.id,
        "job.repair_count": "0",
        "job.start_time.timestamp_ms": str(started),
        "job.start_time.iso_datetime": moment.isoformat(timespec="seconds"),
        "job.start_time.iso_date": moment.date().isoformat(),
        **{f"job.parameters.{name}": text for name, text in parameters.items()},
    }
    states: dict[str, State] = {}
    outcomes: dict[str, str] = {}
    for task in run_order(job):
        seen = {dependency: _as_seen(dependency, states, outcomes) for dependency in task.depends_on}
        gates = [state for dependency, state in seen.items() if dependency.outcome is not None]
        if any(ended is State.CANCELLED for ended in states.values()):
            ended = TaskRun(task.key, State.CANCELLED)
        elif (instead := instead_of_running(task.run_if, [*seen.values()], gates=gates)) is not None:
            ended = TaskRun(task.key, instead)
        else:
            known = {**references, **references_to(states, run.folder / _VALUES)}
            if task.kind == "python":
                arguments = _arguments(manifest, job, task, parameters, variables)
                start = _run_task if task.each is None else _run_each
                ended = start(run, task, arguments, known, listener)
            elif task.kind == "condition":
                ended = _decide(task, known, variables, outcomes, listener)
            elif task.kind == "run_job":
                ended = _run_other(manifest, task, known, variables, folder, listener)
            else:
                listener.printed(task.key, f"{_kind(task)} runs only on the platform: skipped")
                ended = TaskRun(task.key, State.SKIPPED)
        states[task.key] = ended.state
        listener.ended(ended)
        run = replace(run, tasks=(*run.tasks, ended))
        _record(run, started, parameters, variables, manifest.build_id)
    return run


def _as_seen(dependency: Dependency, states: Mapping[str, State], outcomes: Mapping[str, str]) -> State:
    """The state of what a task waits for; a branch that was not taken is excluded."""
    taken = outcomes.get(dependency.task)
    left_out = dependency.outcome is not None and taken is not None and taken != dependency.outcome
    return State.EXCLUDED if left_out else states[dependency.task]


def _decide(
    task: Task,
    references: Mapping[str, str],
    variables: Mapping[str, str],
    outcomes: dict[str, str],
    listener: Listener,
) -> TaskRun:
    """Evaluate a condition; its outcome is noted in `outcomes`."""
    condition = task.settings["condition_task"]
    sides = [
        resolve_references(resolve_variables(condition[side], variables), references) for side in ("left", "right")
    ]
    try:
        outcome = holds(condition["op"], *sides)
    except RunError as error:
        listener.printed(task.key, str(error))
        return TaskRun(task.key, State.FAILED)
    outcomes[task.key] = "true" if outcome else "false"
    listener.printed(task.key, f"{sides[0]} {condition['op']} {sides[1]}: {outcomes[task.key]}")
    return TaskRun(task.key, State.SUCCESS)


def _run_other(
    manifest: Manifest,
    task: Task,
    references: Mapping[str, str],
    variables: Mapping[str, str],
    folder: Path,
    listener: Listener,
) -> TaskRun:
    """Run another job of the wheel as a run of its own."""
    other = manifest.job(task.runs_job)
    given = task.settings["run_job_task"].get("job_parameters", {})
    texts = {name: resolve_references(resolve_variables(text, variables), references) for name, text in given.items()}
    inside = Listener(
        started=lambda key: listener.started(f"{task.key}/{key}"),
        printed=lambda key, line: listener.printed(f"{task.key}/{key}", line),
        ended=lambda ended: listener.ended(replace(ended, key=f"{task.key}/{ended.key}")),
    )
    began = time.monotonic()
    try:
        parameters = check_parameters(other, texts)
    except RunError as error:
        listener.printed(task.key, str(error))
        return TaskRun(task.key, State.FAILED)
    run = run_job(manifest, other, parameters=parameters, variables=variables, folder=folder, listener=inside)
    cancelled = any(ended.state is State.CANCELLED for ended in run.tasks)
    state = State.SUCCESS if run.succeeded else State.CANCELLED if cancelled else State.FAILED
    return TaskRun(task.key, state, time.monotonic() - began, 1)


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


def _kind(task: Task) -> str:
    return next((name for name in task.settings if name.endswith("_task")), "a native task")


def _new_run(folder: Path, job: str) -> tuple[str, str, tuple[TaskRun, ...], Path]:
    """A run with an id and a folder of its own; two runs at once never share one."""
    state = folder / STATE_FOLDER
    state.mkdir(parents=True, exist_ok=True)
    if not (state / ".gitignore").exists():
        (state / ".gitignore").write_text("*\n", encoding="utf-8")
    while True:
        # A number, as the platform's run ids are.
        run_id = str(time.time_ns() // 1_000)
        try:
            (state / "runs" / run_id).mkdir(parents=True)
        except FileExistsError:
            continue
        return run_id, job, (), state / "runs" / run_id


def _arguments(
    manifest: Manifest, job: Job, task: Task, parameters: Mapping[str, str], variables: Mapping[str, str]
) -> dict[str, str]:
    """What the platform would hand to the task: its own parameters, and the job's pushed down over them."""
    own = protocol.task_parameters(manifest.project, manifest.build_id, job.key, task)
    pushed_down = {name: REQUIRED_TEXT if text is None else text for name, text in parameters.items()}
    return {name: resolve_variables(text, variables) for name, text in {**own, **pushed_down}.items()}


def _run_each(
    run: JobRun, task: Task, arguments: Mapping[str, str], references: Mapping[str, str], listener: Listener
) -> TaskRun:
    """All iterations of the task, one after another; one that fails keeps the others from nothing."""
    assert task.each is not None  # noqa: S101 - only such tasks come here
    began = time.monotonic()
    try:
        inputs = iterations(resolve_references(protocol.for_each_inputs(task.each), references))
    except RunError as error:
        listener.printed(task.key, str(error))
        return TaskRun(task.key, State.FAILED)
    ended = []
    for i, item in enumerate(inputs):
        ended.append(_run_task(run, task, arguments, {**references, **item}, listener, iteration=i))
        listener.ended(ended[-1])
        if ended[-1].state is State.CANCELLED:
            break
    states = {one.state for one in ended}
    worst = next(
        (state for state in (State.CANCELLED, State.FAILED, State.TIMED_OUT) if state in states), State.SUCCESS
    )
    return TaskRun(task.key, worst, time.monotonic() - began, sum(one.attempts for one in ended))


def _run_task(
    run: JobRun,
    task: Task,
    arguments: Mapping[str, str],
    references: Mapping[str, str],
    listener: Listener,
    *,
    iteration: int | None = None,
) -> TaskRun:
    """The task with its declared retries; `max_retries=-1` retries without end, as on the platform."""
    title = task.key if iteration is None else f"{task.key}[{iteration}]"
    log = run.folder / "logs" / f"{title}.log"
    log.parent.mkdir(exist_ok=True)
    retries = _number(task.settings, "max_retries", 0)
    began = time.monotonic()
    attempt = 0
    while True:
        attempt += 1
        values = {**references, "task.name": task.key, "task.execution_count": str(attempt)}
        command = [sys.executable, "-P", "-m", "dbxdec.runtime"]
        command += [f"--{name}={resolve_references(text, values)}" for name, text in arguments.items()]
        listener.started(title)
        state = _start(run, task, title, command, log, listener)
        again = state is State.FAILED or (state is State.TIMED_OUT and bool(task.settings.get("retry_on_timeout")))
        if not again or (retries >= 0 and attempt > retries):
            return TaskRun(title, state, time.monotonic() - began, attempt, str(log.relative_to(run.folder)))
        listener.printed(title, f"attempt {attempt} failed, trying again")
        time.sleep(_number(task.settings, "min_retry_interval_millis", 0) / 1000)


def _start(run: JobRun, task: Task, title: str, command: list[str], log: Path, listener: Listener) -> State:
    """One attempt as a process of its own."""
    environment = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        task_values.FOLDER: str((run.folder / _VALUES).absolute()),
    }
    timeout = _number(task.settings, "timeout_seconds", 0)
    timed_out = threading.Event()
    with (
        log.open("a", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
        ) as process,
    ):

        def stop() -> None:
            timed_out.set()
            process.kill()

        timer = threading.Timer(timeout, stop) if timeout else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            for line in process.stdout:
                file.write(line)
                listener.printed(title, line.rstrip("\n"))
            code = process.wait()
        except KeyboardInterrupt:
            # The terminal has sent the same signal to the task.
            _end(process)
            return State.CANCELLED
        finally:
            if timer is not None:
                timer.cancel()
    if timed_out.is_set():
        listener.printed(title, f"stopped after timeout_seconds={timeout:g}")
        return State.TIMED_OUT
    return State.SUCCESS if code == 0 else State.FAILED


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(_GRACE_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()


def _number(settings: Mapping[str, Any], name: str, default: float) -> float:
    value = settings.get(name, default)
    return value if isinstance(value, int | float) else default


def _record(
    run: JobRun, started: int, parameters: Mapping[str, str], variables: Mapping[str, str], build_id: str
) -> None:
    """Keep what is known of the run, whole at every moment."""
    document = {
        "id": run.id,
        "job": run.job,
        "build_id": build_id,
        "started_ms": started,
        "parameters": dict(parameters),
        "variables": dict(variables),
        "tasks": [asdict(task) for task in run.tasks],
    }
    partial = run.folder / "run.json.partial"
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.replace(run.folder / "run.json")
