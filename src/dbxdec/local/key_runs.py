"""The runs on this machine that were made for a key: which can be resumed, and which are at work."""

from __future__ import annotations

import time
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.local import ledger
from dbxdec.local.history import Run, read
from dbxdec.local.parameters import parameters_shown, same_values
from dbxdec.local.resuming import has_stored_nothing
from dbxdec.model import required
from dbxdec.platform.run_if import NEEDS_FAILURE, State, failed
from dbxdec.platform.status import SUCCEEDED
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dbxdec.local.missing import Key
    from dbxdec.model.dag import Job, JobParameter


def kept_runs(
    job: Job, here: Path, variables: Mapping[str, str], others: Mapping[str, str] | None = None
) -> tuple[dict[Key, Run], dict[Key, Run]]:
    """Return by key the newest runs that have not succeeded and can be resumed, and those that are at work.

    A run of selected tasks is not resumed: it would leave the others undone. Where it may have stored something, an
    older run isn't resumed either, since it would store that again. With `others`, nor is a run that had other values
    of these parameters: without keys, any parameter may say what a run is for.
    """
    kept, running, seen = dict[tuple[str, ...], Run](), dict[tuple[str, ...], Run](), set[tuple[str, ...]]()
    for run in ledger.runs(here, job.key):
        key = None if run.is_inner else key_of_run(job, run)
        if key is None or key in seen or not _has_variables(run, variables):
            continue
        if run.state == ledger.RUNNING:
            running[key] = run
        elif not _has_others(run, job, others):
            continue
        elif run.state != "success" and run.selected is not None:
            if _has_only_failed(run):
                continue
        elif run.state != "success" and not run.damaged and _has_names(run, job):
            kept[key] = run
        seen.add(key)
    return kept, running


def done_since(
    job: Job, here: Path, began: int, variables: Mapping[str, str], others: Mapping[str, str] | None = None
) -> set[Key]:
    """Return the keys of which a whole run since a moment has succeeded; `others` as in `kept_runs`."""
    found = set()
    for run in ledger.runs(here, job.key):
        if run.started < began:
            break
        is_whole = not run.is_inner and run.state == "success" and run.selected is None
        is_same = _has_variables(run, variables) and _has_others(run, job, others)
        if is_whole and is_same and (key := key_of_run(job, run)) is not None:
            found.add(key)
    return found


def _has_names(run: Run, job: Job) -> bool:
    """Return whether a run's keys have today's names: one of a job with others can't be resumed."""
    return all(parameter.name in run.head["parameters"] for parameter in job.key_parameters)


def _has_only_failed(run: Run) -> bool:
    """Return whether a run has stored nothing: each of its tasks has failed by itself, and none was killed."""
    states = {event["state"] for event in run.events if event["event"] == "attempt"}
    return run.state == State.FAILED and states <= {State.FAILED} and has_stored_nothing(run)


def key_of_run(job: Job, run: Run) -> Key | None:
    """Return the key that a run was for; None for a run of a job with other parameters."""
    try:
        return key_of_texts(job, parameters_shown(run))
    except (KeyError, ValueError, TypeError):
        return None


def key_of_texts(job: Job, given: Mapping[str, str]) -> Key | None:
    """Return the key of a run with these parameters, as `parameters_at` has them; None where they have none."""
    try:
        return tuple(key_text(one, one.value(given[_name_in(one, given)], names=True)) for one in job.key_parameters)
    except (KeyError, ValueError, TypeError):
        return None


def _name_in(parameter: JobParameter, given: Mapping[str, str]) -> str:
    was = parameter.key.was if parameter.key is not None else None
    return parameter.name if parameter.name in given or was is None else was


def _has_variables(run: Run, variables: Mapping[str, str]) -> bool:
    """Return whether a run had these values of bundle variables: another lake has other tables."""
    had = run.head.get("variables") or {}
    return all(had.get(name, value) == value for name, value in variables.items())


def _has_others(run: Run, job: Job, others: Mapping[str, str] | None) -> bool:
    """Return whether a run had these values of the parameters that are no keys; None are any."""
    return others is None or same_values(job, run.head["parameters"], others) >= others.keys()


@dataclass()
class Meanwhile:
    """The runs that other commands start here while a backfill is at work, also as part of a run of another job.

    `others` are as in `kept_runs`.
    """

    job: Job
    here: Path
    variables: Mapping[str, str]
    others: Mapping[str, str] | None = None
    since: str = field(default_factory=lambda: str(time.time_ns() // 1000))
    own: set[str] = field(default_factory=set)

    def of(self, key: Key) -> Run | None:
        """Return the newest run of a key that another command has started since."""
        for run in ledger.runs_after(self.here, self.since, self.own):
            is_one = run.job == self.job.key and key_of_run(self.job, run) == key
            if is_one and _has_others(run, self.job, self.others):
                return run if _has_variables(run, self.variables) else None
        return None


def key_text(parameter: JobParameter, value: Any) -> str:
    """Return the string that a value has in a log, where members of an Enum are named, without the project's code."""
    return str(value) if parameter.type.enum is not None else parameter.key_text(value)


def by_hand(job: Job, here: Path, key: Key, variables: Mapping[str, str]) -> str | None:
    """Return the command that resumes the newest run of a key where a backfill does not: None for none.

    It is a run whose record is damaged, or one that is part of a run of another job.
    """
    for run in ledger.runs(here, job.key):
        if key_of_run(job, run) != key or not _has_variables(run, variables):
            continue
        top = run
        while top.parent is not None and isinstance(above := read(top.folder.parent / top.parent), Run):
            top = above
        is_open = top.state not in ("success", ledger.RUNNING) and top.selected is None and bool(top.sittings)
        return f"dbxdec run {top.job} --resume {top.id}" if is_open and (run.is_inner or run.damaged) else None
    return None


def has_written(run: Run, task: str) -> bool:
    """Return whether a task has written a version of a table: one that has returned None has not."""
    facts = [fact for event in run.attempts(task) for fact in event["facts"] or ()]
    return any(fact["kind"] == "write" and fact.get("version") is not None for fact in facts)


def lacks_something(run: Run) -> bool:
    """Return whether a run has ended before all was stored that no table with keys tells of.

    That is what is below a branch, of a job that it runs, or in a table that is no part of the keys. Of a run that was
    killed or cancelled, it is each task that has not ended.
    """
    if run.state in SUCCEEDED:
        return False
    told = {(task.key, name) for task, name, _ in required.tables(run.dag)}
    ended = {key: State(event["state"]) for key, event in run.tasks().items()}
    has_failed = run.state in (State.FAILED, State.TIMED_OUT)
    for task in run.dag.tasks:
        is_handler = task.on_failure or task.run_if in NEEDS_FAILURE
        if is_handler or (task.key in ended and not failed(ended[task.key])):
            continue
        if task.kind == "run_job":
            return True
        stored = [name for name, output in task.outputs.items() if output.target]
        if any((task.key, name) not in told for name in stored):
            return True
        if not stored and not has_failed:
            return True
    return False


def has_inner_to_start(run: Run) -> bool:
    """Return whether a resumed run would start another job anew."""
    well = {key for key, event in run.tasks().items() if not failed(State(event["state"]))}
    open_tasks = (task for task in run.dag.tasks if task.key not in well)
    return any(task.kind == "run_job" and run.inner(task.key) is None for task in open_tasks)
