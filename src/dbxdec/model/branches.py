"""Which upstream tasks may not have run when a task does: those behind a branch, and those that may have failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.model import dag
from dbxdec.platform.run_if import NEEDS_FAILURE, RUNS_AFTER_FAILURE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.model.dag import Job, Task

    Guards = frozenset[str]


def walk(job: Job) -> Iterator[tuple[Task, Guards, Mapping[str, Guards]]]:
    """Yield each task in run order, what has to hold for it to run, and the same of the tasks before it, by key.

    Nothing is yielded for a job in which each task runs if all its upstream tasks have succeeded.
    """
    if not any(task.run_if in RUNS_AFTER_FAILURE or any(d.outcome for d in task.depends_on) for task in job.tasks):
        return
    guards: dict[str, frozenset[str]] = {}
    for task in dag.run_order(job):
        ways = [
            guards[d.task] | ({f"the condition `{d.task}` is {d.outcome}"} if d.outcome else frozenset())
            for d in task.depends_on
        ]
        # A task is excluded if all its upstream tasks are, or if a branch that it depends on is not taken.
        gates = [way for way, d in zip(ways, task.depends_on, strict=True) if d.outcome]
        own = (frozenset.intersection(*ways) if ways else frozenset[str]()).union(*gates)
        yield task, own, guards
        needs_failure = task.run_if in NEEDS_FAILURE
        guards[task.key] = own | ({f"its run_if={task.run_if} holds"} if needs_failure else frozenset())


def uncertain(job: Job) -> dict[str, tuple[str, ...]]:
    """Return for each task the upstream tasks that it reads and that may not have run, by the task's key."""
    found = {}
    for task, own, guards in walk(job):
        late = task.run_if in RUNS_AFTER_FAILURE
        leaves = [leaf for binding in task.inputs.values() for leaf in dag.flatten(binding)]
        producers = {leaf.task for leaf in leaves if isinstance(leaf, dag.TaskOutput | dag.TaskValue)}
        if names := sorted(key for key in producers if late or guards[key] - own):
            found[task.key] = tuple(names)
    return found
