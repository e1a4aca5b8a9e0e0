"""Warnings of outcomes that an author hardly intends.

They are failures that the result of a job hides, values that no check covers, and references that stay plain strings.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, did_you_mean, listed
from dbxdec.model import comparisons
from dbxdec.model.branches import guards_of, is_plain
from dbxdec.model.dag import run_order
from dbxdec.model.variables import only_name_in
from dbxdec.platform import references
from dbxdec.platform.conditions import EQUALITY
from dbxdec.platform.run_if import NEEDS_FAILURE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dbxdec.model.dag import Job, Task

_SHOWN = 3
_BRANCHES = 6
"""The most conditions downstream of a task that are checked with all combinations of outcomes."""


def without_upstream(job: Job) -> Iterator[Problem]:
    """Yield a warning for each task that says when to run after others, and waits for none."""
    for task in job.tasks:
        if task.run_if is not None and not task.depends_on and task.run_if not in NEEDS_FAILURE:
            yield Problem(
                f"the task `{task.key}` of the job `{job.key}` has run_if={task.run_if}, which has no effect: it waits "
                "for no task",
                task.called_at or task.source,
                "name the tasks that it runs after, `.after(...)`, or leave `run_if` out",
            )


def hidden_failures(job: Job) -> Iterator[Problem]:
    """Yield a warning that names the tasks whose failure does not fail the run.

    The platform looks only at the leaves of a run, the tasks that no other task waits for.
    """
    if is_plain(job) or job.allows_failures:
        return
    followers: dict[str, list[Task]] = defaultdict(list)
    for task in job.tasks:
        for key in dict.fromkeys(d.task for d in task.depends_on):
            followers[key].append(task)
    guards = guards_of(job)
    hidden = [task for task in job.tasks if not _is_shown(task, followers, guards)]
    if not hidden:
        return
    names = listed([task.key for task in hidden[:_SHOWN]])
    if len(hidden) > _SHOWN:
        names += f" and {len(hidden) - _SHOWN} more"
    names = names if len(hidden) == 1 else f"one of {names}"
    ends = sorted(other.key for other in _reached(hidden[0], followers) if not followers[other.key])
    yield Problem(
        f"if {names} of the job `{job.key}` fails, the run still succeeds: the platform looks only at the last tasks, "
        f"here {listed(ends[:_SHOWN])}",
        hidden[0].called_at or hidden[0].source,
        "a parent job would continue, and nobody would be notified: `@job(on_failure=...)` fails the run; "
        "`on_failure=handled(...)` says that success is intended",
    )


def _is_shown(
    task: Task, followers: Mapping[str, list[Task]], guards: Mapping[str, frozenset[tuple[str, str]]]
) -> bool:
    """Return whether a leaf fails if only `task` fails, whichever branches are taken."""
    taken = guards[task.key]
    open_ = sorted(
        {d.task for other in _reached(task, followers) for d in other.depends_on if d.outcome}
        - {condition for condition, _ in taken}
    )
    if len(open_) > _BRANCHES:
        return _shows(task, followers, taken)
    return all(
        _shows(task, followers, taken | set(zip(open_, outcomes, strict=True)))
        for outcomes in product(("true", "false"), repeat=len(open_))
    )


def _shows(task: Task, followers: Mapping[str, list[Task]], taken: frozenset[tuple[str, str]]) -> bool:
    failing, waiting = {task.key}, [task.key]
    while waiting:
        key = waiting.pop()
        if not followers[key]:
            return True
        for follower in followers[key]:
            if follower.key not in failing and _fails_with(follower, failing, taken):
                if follower.on_failure:
                    return True
                failing.add(follower.key)
                waiting.append(follower.key)
    return False


def _fails_with(task: Task, failing: set[str], taken: frozenset[tuple[str, str]]) -> bool:
    """Return whether a task that waits for one of `failing` fails too, if the branches in `taken` are taken."""
    if task.on_failure:
        return True
    gates = [d for d in task.depends_on if d.outcome]
    if any(d.task not in failing and (d.task, d.outcome) not in taken for d in gates):
        return False
    if any(d.task in failing for d in gates):
        return True
    if task.run_if == "AT_LEAST_ONE_SUCCESS":
        return {d.task for d in task.depends_on} <= failing
    return task.run_if in (None, "ALL_SUCCESS", "NONE_FAILED")


def _reached(task: Task, followers: Mapping[str, list[Task]]) -> list[Task]:
    """Return the tasks downstream of `task`."""
    found, waiting, seen = [], [task.key], {task.key}
    while waiting:
        for follower in followers[waiting.pop()]:
            if follower.key not in seen:
                seen.add(follower.key)
                waiting.append(follower.key)
                found.append(follower)
    return found


def unchecked_sides(job: Job) -> Iterator[Problem]:
    """Yield a warning for each condition on a typed parameter that no Python task checks before a branch is taken.

    A Python task refuses a value whose string the platform would compare differently; a native task does not.
    """
    if not any(True for _ in comparisons.conditions(job)):
        return
    declared = {parameter.name: parameter for parameter in job.parameters}
    by_key = {task.key: task for task in job.tasks}
    checked = _downstream_of_a_function(job)
    for condition, op, sides in comparisons.conditions(job):
        names = []
        for side in sides:
            match references.only_one_in(side):
                case ("job", "parameters", name) if name in declared and declared[name].type.kind != "str":
                    names.append(f"the job parameter `{name}`")
            variable = only_name_in(side)
            if variable and condition.compares is not None and condition.compares.kind != "str":
                names.append(f"the bundle variable `{variable}`")
        if op not in EQUALITY or not names or condition.key in checked:
            continue
        reached = [
            key
            for key in _downstream(condition.key, job)
            if by_key[key].kind in ("native", "run_job") and key not in checked
        ]
        if reached:
            yield Problem(
                f"the condition `{condition.key}` compares {names[0]} as a string, but no function before "
                f"{listed(reached[:_SHOWN])} checks how the value is written",
                condition.called_at or condition.source,
                f"run a function first, or let one return the value: `condition(given({names[0].split('`')[1]}), ...)`",
            )


def _downstream_of_a_function(job: Job) -> set[str]:
    found: set[str] = set()
    kinds = {task.key: task.kind for task in job.tasks}
    for task in run_order(job):
        if any(kinds[d.task] == "python" or d.task in found for d in task.depends_on):
            found.add(task.key)
    return found


def _downstream(key: str, job: Job) -> list[str]:
    found = {key}
    for task in run_order(job):
        if any(d.task in found for d in task.depends_on):
            found.add(task.key)
    return [task.key for task in job.tasks if task.key in found and task.key != key]


def strange_references(job: Job) -> Iterator[Problem]:
    """Yield a warning for each handwritten reference that would stay a literal string."""
    parameters = [parameter.name for parameter in job.parameters]
    for parameter in job.parameters:
        for message, hint in _strange_default(parameter.default or "", parameters):
            what = f"the parameter `{parameter.name}` of the job `{job.key}`"
            yield Problem(f"{what} {message}", job.source, hint)
    if all(task.kind == "python" for task in job.tasks):
        return
    upstream: dict[str, set[str]] = {}
    for task in run_order(job):
        upstream[task.key] = {d.task for d in task.depends_on}.union(*(upstream[d.task] for d in task.depends_on))
    for task in job.tasks:
        if task.kind == "python":
            continue
        for text in dict.fromkeys(comparisons.strings_in(task.settings)):
            for message, hint in _strange(text, parameters, upstream, task.key):
                yield Problem(f"the task `{job.key}.{task.key}` {message}", task.called_at or task.source, hint)


def _strange_default(text: str, parameters: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the references in a parameter's default, which have to be known when a run starts."""
    yield from _strange(text, parameters, None, "")
    for segments in references.found_in(text):
        if segments[0] not in references.NAMESPACES and references.only_one_in(text.strip()) is not None:
            spelled = references.reference(*segments)
            yield f"has the default {spelled}, which no run replaces, and which tasks refuse", "write another default"


def _strange(
    text: str, parameters: Iterable[str], upstream: Mapping[str, set[str]] | None, key: str
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the references in a field of the task `key`; without `upstream` no task has ended."""
    for misspelled in references.misspelled_in(text):
        yield (
            f"has {misspelled}, which the platform takes for a literal string",
            f"write {references.well_spelled(misspelled)}",
        )
    for segments in references.found_in(text):
        spelled = references.reference(*segments)
        match segments:
            case ("job", "parameters", name) if name not in parameters:
                yield (
                    f"refers to {spelled}, but the job has no such parameter",
                    did_you_mean(name, parameters)
                    or "add the parameter to the job, unless the bundle's target adds it",
                )
            case ("tasks" | "input", *_) if upstream is None:
                yield f"refers to {spelled}, which has no value when a run starts", "write another default"
            case (namespace, *_) if namespace in references.NAMESPACES and not references.is_known(segments):
                near = references.meant(segments)
                yield (
                    f"has {spelled}, which the platform does not know",
                    f"did you mean {near}?" if near else "see its documentation of dynamic value references",
                )
            case ("tasks", other, *_) if upstream is not None and other not in upstream.get(key, ()):
                yield (
                    f"refers to {spelled}, but does not wait for a task with that key",
                    did_you_mean(other, upstream.get(key, ())) or "add `depends_on=[...]`, or pass the result itself",
                )
