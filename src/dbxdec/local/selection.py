"""The selection of tasks of a job for a run."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError, did_you_mean, listed, noted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dbxdec.model.dag import Job
    from dbxdec.model.manifest import Manifest


def select(
    job: Job, *, tasks: Sequence[str] = (), start: Sequence[str] = (), until: Sequence[str] = ()
) -> frozenset[str]:
    """Return the keys of the tasks to run: `tasks` themselves, those from `start` on, those up to `until`.

    `start` and `until` together select the tasks between them; without any selection, the whole job runs. Raises
    RunError for keys that the job does not have.
    """
    known = [task.key for task in job.tasks]
    check_known([*tasks, *start, *until], job)
    if not (tasks or start or until):
        return frozenset(known)
    chosen = set(tasks)
    if start or until:
        after = reach(start, followers(job)) if start else set(known)
        before = (
            reach(until, {task.key: [d.task for d in task.depends_on] for task in job.tasks}) if until else set(known)
        )
        chosen |= after & before
    return frozenset(chosen)


def check_known(keys: Iterable[str], job: Job) -> None:
    """Raise RunError for keys of tasks that `job` does not have, naming all of them."""
    known = [task.key for task in job.tasks]
    problems = [
        Problem(
            f"the job `{job.key}` has no task `{key}`",
            hint=did_you_mean(key, known) or f"its tasks are {listed(known) if known else 'none'}",
        )
        for key in dict.fromkeys(keys)
        if key not in known
    ]
    if problems:
        raise RunError(problems)


def check_replaced(commands: Mapping[str, str], job: Job, manifest: Manifest) -> None:
    """Raise RunError for unknown keys of replaced tasks, and for empty commands.

    `a/b` is the task `b` of the job that the task `a` runs.
    """
    problems: list[Problem] = []
    with noted(problems):
        _check_keys(commands, job, manifest)
    for key in (key for key, command in commands.items() if not command.strip()):
        hint = f"write `--replace {key}=COMMAND`; `{key}=true` does nothing, and succeeds"
        problems.append(Problem(f"the command in the place of `{key}` is empty", hint=hint))
    if problems:
        raise RunError(problems)


def _check_keys(keys: Iterable[str], job: Job, manifest: Manifest) -> None:
    inside: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        before, slash, rest = key.partition("/")
        inside[before] += [rest] if slash else []
    check_known(inside, job)
    for key, others in inside.items():
        task = job.task(key)
        if others and task.kind != "run_job":
            raise RunError(f"the task `{key}` runs no other job, so there is no `{key}/{others[0]}` to replace")
        if others:
            _check_keys(others, manifest.job(task.runs_job), manifest)


def followers(job: Job) -> dict[str, list[str]]:
    """Return the direct downstream tasks of each task."""
    found: dict[str, list[str]] = defaultdict(list)
    for task in job.tasks:
        for dependency in task.depends_on:
            found[dependency.task].append(task.key)
    return found


def reach(keys: Iterable[str], edges: Mapping[str, Sequence[str]]) -> set[str]:
    """Return `keys`, and all keys that can be reached from them."""
    waiting = list(keys)
    found = set(waiting)
    while waiting:
        for key in edges.get(waiting.pop(), ()):
            if key not in found:
                found.add(key)
                waiting.append(key)
    return found
