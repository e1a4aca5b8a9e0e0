"""The tables that each run of a job must write: by them it is told whether a key is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.model import storage_paths
from dbxdec.model.branches import guards_of
from dbxdec.platform.run_if import NEEDS_FAILURE

if TYPE_CHECKING:
    from dbxdec.model.dag import Job, Output, Task

OF_ITEMS = "each item has a table of its own"
"""The reason why it can't be told which keys are in what a for-each task overwrites as a whole."""

BEFORE_IT_WAS_THERE = (
    "its log lacks iterations of the run that made it: they have failed, or have returned None before it was there"
)
"""The reason why it can't be told whether the first key of a table is there."""


def tables(job: Job) -> list[tuple[Task, str, Output]]:
    """Return the Delta tables, with their tasks and outputs, that each successful run of `job` writes.

    Those below a branch of a condition, of tasks that run after failures, and with `keyed=False` are not among them.
    """
    return [found for found in _stored(job) if storage_paths.is_delta(found[2].io or "") and found[2].keyed]


def others(job: Job) -> list[tuple[Task, str, Output]]:
    """Return what each successful run stores otherwise: no log tells which keys are there."""
    return [found for found in _stored(job) if not storage_paths.is_delta(found[2].io or "")]


def _stored(job: Job) -> list[tuple[Task, str, Output]]:
    guards = guards_of(job)
    return [
        (task, name, output)
        for task in job.tasks
        if not guards[task.key] and not task.on_failure and task.run_if not in NEEDS_FAILURE
        for name, output in task.outputs.items()
        if output.io is not None and output.target
    ]
