"""Upstream tasks that may not have run when a task does: those behind a branch, and those that may have failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from dbxdec.model import dag
from dbxdec.platform.run_if import NEEDS_FAILURE, RUNS_AFTER_FAILURE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dbxdec.model.dag import Dependency, Job, Task

    Guards = frozenset[str]

T = TypeVar("T")


def is_plain(job: Job) -> bool:
    """Return whether each task of a job runs if all its upstream tasks have succeeded, and not otherwise."""
    return not any(task.run_if in RUNS_AFTER_FAILURE or any(d.outcome for d in task.depends_on) for task in job.tasks)


def guards_of(job: Job) -> dict[str, frozenset[tuple[str, str]]]:
    """Return, for each task, the branches (conditions with outcomes) that are always taken when it runs."""
    guards: dict[str, frozenset[tuple[str, str]]] = {}
    for task in dag.run_order(job):
        guards[task.key] = _own(task, guards, lambda d: (d.task, d.outcome or ""))
    return guards


def _own(task: Task, guards: Mapping[str, frozenset[T]], branch: Callable[[Dependency], T]) -> frozenset[T]:
    """Return what has to hold for a task to run, by that of the tasks before it."""
    ways = [guards[d.task] | ({branch(d)} if d.outcome else frozenset()) for d in task.depends_on]
    # A task is excluded if all its upstream tasks are, or if a branch that it depends on is not taken.
    gates = [way for way, d in zip(ways, task.depends_on, strict=True) if d.outcome]
    return (frozenset.intersection(*ways) if ways else frozenset[T]()).union(*gates)


def walk(job: Job) -> Iterator[tuple[Task, Guards, Mapping[str, Guards]]]:
    """Yield each task in run order, what has to hold for it to run, and the same of the tasks before it, by key.

    Nothing is yielded for a job in which each task runs if all its upstream tasks have succeeded.
    """
    if is_plain(job):
        return
    guards: dict[str, frozenset[str]] = {}
    for task in dag.run_order(job):
        own = _own(task, guards, lambda d: f"the condition `{d.task}` is {d.outcome}")
        yield task, own, guards
        needs_failure = task.run_if in NEEDS_FAILURE
        guards[task.key] = own | ({f"its run_if={task.run_if} holds"} if needs_failure else frozenset())


def uncertain(job: Job) -> dict[str, tuple[str, ...]]:
    """Return for each task the upstream tasks that it reads and that may not have run, by the task's key."""
    found = {}
    for task, own, guards in walk(job):
        late = task.run_if in RUNS_AFTER_FAILURE
        producers = {leaf.task for leaf in task.leaves if isinstance(leaf, dag.TaskOutput | dag.TaskValue)}
        if names := sorted(key for key in producers if late or guards[key] - own):
            found[task.key] = tuple(names)
    return found
