"""The tasks of a run that are kept when the run is resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, listed
from dbxdec.local import history, ledger
from dbxdec.local.history import Run
from dbxdec.local.interface import TaskRun
from dbxdec.local.parameters import same_values
from dbxdec.local.selection import followers, reach
from dbxdec.model import checks, job_forms, places
from dbxdec.model.variables import resolve
from dbxdec.platform.run_if import State, failed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from dbxdec.model.dag import Job, Task

# An excluded task is excluded again when all tasks that it waits for are as they were.
_DONE = frozenset({State.SUCCESS, State.EXCLUDED})
# The parts of a task that decide its results, besides its code: a fix of the code is the usual reason to resume.
_PARTS = ("kind", "inputs", "outputs", "each", "depends_on", "run_if")
_PLATFORM_FIELDS = ("condition_task", "run_job_task")


def kept_of(
    job: Job, before: Run, *, selected: Collection[str], replaced: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """Return the tasks of a run that need not run again when it is resumed, with how they ended.

    A task that failed, or that nobody ended, runs again, and so do all tasks downstream. A task whose definition has
    changed runs again. So does a task that was not selected then and is now, and a task that only the platform could
    run and that now has a replacement.
    """
    ends = _ends(before)

    def is_done(key: str) -> bool:
        state = State(ends[key]["state"])
        open_to = {State.SKIPPED: replaced, State.DESELECTED: selected}.get(state)
        return state in _DONE if open_to is None else key not in open_to

    done = {key for key in _same(job, before) if key in ends and is_done(key)}
    again = reach((task.key for task in job.tasks if task.key not in done), followers(job))
    return {task.key: ends[task.key] for task in job.tasks if task.key not in again}


def left_out(before: Run | None, key: str) -> State:
    """Return the state of a deselected task: one that the resumed run was asked for is as unfinished as it was.

    As in a repair on the platform: without that task the run has not succeeded.
    """
    if before is None:
        return State.DESELECTED
    if (event := before.tasks().get(key)) is not None:
        state = State(event["state"])
        return state if failed(state) else State.DESELECTED
    asked = before.selected
    return State.CANCELLED if asked is None or key in asked else State.DESELECTED


def as_it_ended(before: Run, event: Mapping[str, Any]) -> TaskRun:
    """Return the task of one of the events that `kept_of` returns."""
    key = str(event["task"])
    facts = [
        fact
        for e in before.standing
        if e["event"] == "attempt" and e["task"] == key and State(e["state"]) is State.SUCCESS
        for fact in e["facts"]
    ]
    wrote = tuple(fact for fact in facts if fact["kind"] == "write")
    state, said, run = State(event["state"]), event.get("said", ""), event.get("run", "")
    return TaskRun(
        key,
        state,
        started_ms=event["started_ms"],
        ended_ms=event["ended_ms"],
        wrote=wrote,
        said=said,
        run=run,
        kept=True,
    )


Facts = tuple["Mapping[str, Any]", ...]
"""The reads and writes of an attempt, as the ledger has them."""


def kept_iterations(job: Job, before: Run, kept: Collection[str]) -> dict[str, dict[int, Facts]]:
    """Return the iterations that need not run again, of tasks that run again after only `kept` tasks.

    With each comes what it has written.
    """
    same = _same(job, before)
    ends: dict[str, dict[int, Mapping[str, Any]]] = {}
    for event in before.standing:
        if event["event"] == "attempt" and event["iteration"] is not None:
            ends.setdefault(event["task"], {})[event["iteration"]] = event
    return {
        task.key: {
            number: tuple(fact for fact in event["facts"] if fact["kind"] == "write")
            for number, event in ends[task.key].items()
            if State(event["state"]) is State.SUCCESS
        }
        for task in job.tasks
        if task.key in ends.keys() & same - set(kept) and all(d.task in kept for d in task.depends_on)
    }


def earlier_run(folder: Path, before: Run | None, task: Task, other: Job, parameters: Mapping[str, str]) -> Run | None:
    """Return the run of the job `other` that `task` has started in the run `before`, to be resumed: None for none.

    The record of `before` names it, and it names `before`: a kill may have come between the two. Raises RunError when
    it had other parameters and may have stored something: the stored results would remain next to the new ones.
    """
    if before is None:
        return None
    named = before.inner(task.key)
    found = history.read(before.folder.parent / named) if named is not None else None
    if not isinstance(found, Run):
        found = ledger.started_by(folder, before.id, task.key)
    if found is None or found.job != other.key:
        return None
    had = found.head["parameters"]
    same = same_values(other, had, parameters)
    names = [name for name in {**parameters, **had} if name not in same]
    if not names:
        return found
    if has_stored_nothing(found):
        return None
    raise RunError(
        f"in this run the task `{task.key}` has run `{found.job}` already, as run {found.id}, with other values of "
        f"{listed(names)}: their results would be there beside each other",
        hint="start a new run instead of resuming this one",
    )


def refuse_moved(job: Job, before: Run, selected: Collection[str]) -> None:
    """Raise RunError if a task would append to a table what another task has appended there in the run `before`.

    A task with another name is another task: nothing tells that its rows are there.
    """
    earlier, now = appended_by(before), _appended(job)
    wrote = [key for key in earlier if _may_have_written(before, key)]
    problems = [
        Problem(
            f"in this run the task `{old}` has appended to {_shown(target, before)}, to which now `{task}` appends "
            "instead: the rows may be there twice",
            hint=f'`@task(key="{old}")` keeps the name; or start a new run, after you have deleted these rows',
        )
        for task, targets in now.items()
        if task in selected
        for target in targets
        for old in wrote
        if target in earlier[old] and target not in earlier.get(task, ()) and target not in now.get(old, ())
    ]
    if problems:
        raise RunError(problems)


def appended_by(run: Run) -> dict[str, list[str]]:
    """Return the targets to which tasks of a run append, also tasks that the job had no more when it was resumed."""
    found = {task: list(targets) for task, targets in (run.head.get("appended") or {}).items()}
    for task, targets in _appended(run.dag).items():
        found[task] = list(dict.fromkeys([*found.get(task, ()), *targets]))
    return {task: targets for task, targets in found.items() if targets}


def _appended(job: Job) -> dict[str, list[str]]:
    """Return the targets to which each task appends."""
    return {
        task.key: [
            checks.place(output.target)
            for output in task.outputs.values()
            if output.target is not None and output.settings.get("mode") == "append"
        ]
        for task in job.tasks
    }


def _shown(target: str, run: Run) -> str:
    return places.place_here(resolve(target, run.head["variables"]))


def _may_have_written(run: Run, task: str) -> bool:
    """Return whether an attempt of a task has written, or was killed before that could be noted."""
    facts = (fact for event in run.attempts(task) for fact in event.get("facts", ()))
    return any(fact["kind"] == "write" for fact in facts) or any(one["task"] == task for one in run.lost())


def has_stored_nothing(run: Run) -> bool:
    """Return whether each of its attempts has been noted when it ended, and none has written or run another job."""
    kinds = {fact["kind"] for event in run.events for fact in event.get("facts", ())}
    inner = any(event["event"] == "inner" for event in run.events)
    return not (run.damaged or run.lost() or inner or "write" in kinds)


def _same(job: Job, before: Run) -> set[str]:
    """Return the keys of the tasks whose definitions have not changed."""
    earlier = {str(form["key"]): _definition(form) for form in before.definition["tasks"]}
    now = {str(form["key"]): _definition(form) for form in job_forms.encode_jobs([job])[job.key]["tasks"]}
    return {key for key, form in now.items() if earlier.get(key) == form}


def _definition(form: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: form["settings"].get(name) for name in _PLATFORM_FIELDS}
    return {**settings, **{part: form.get(part) for part in _PARTS}}


def _ends(before: Run) -> dict[str, Mapping[str, Any]]:
    """Return how each task ended; from its attempt, when the runner was killed right after the task ended."""
    ends: dict[str, Mapping[str, Any]] = {}
    for event in before.standing:
        if event["event"] == "task" or event["iteration"] is None:
            ends[event["task"]] = event
    return ends
