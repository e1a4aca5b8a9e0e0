"""Warnings about tasks that read what is new in a table which another task of the project rewrites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import Problem
from dbxdec.model import dag
from dbxdec.model.changes import FEED_PROPERTY
from dbxdec.model.checks import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbxdec.model.dag import Job, Output, Task


def rewritten_sources(jobs: Iterable[Job]) -> Iterator[Problem]:
    """Yield a warning for each source that a task overwrites, without a change data feed to tell what has changed."""
    jobs = list(jobs)
    readers = [(job, task) for job in jobs for task in job.tasks if dag.changes_of(task)]
    if not readers:
        return
    writers: dict[str, tuple[Job, Task]] = {}
    for job in jobs:
        for task in job.tasks:
            for output in task.outputs.values():
                if output.target is not None and _rewrites(output):
                    writers.setdefault(place(output.target), (job, task))
    for job, task in readers:
        for name, (binding, changes) in dag.changes_of(task).items():
            target = _target(job, binding)
            if changes.on_rewrite == "error" and target is not None and place(target) in writers:
                by, writer = writers[place(target)]
                # The rows of an overwrite are inserted ones: without this a running total would count a day twice.
                once = ', and read `kind="latest", by=...` where a row that is stored again is no new one'
                yield Problem(
                    f"the task `{job.key}.{task.key}` reads what is new in {target} (`{name}`), which "
                    f"`{by.key}.{writer.key}` overwrites: after the next such write its run fails, since nothing tells "
                    "what has changed",
                    task.called_at or task.source,
                    f'give that table a change data feed: `properties={{"{FEED_PROPERTY}": True}}`'
                    f"{once if changes.kind == 'rows' else ''}; or append, or leave such versions out: "
                    '`.changes(on_rewrite="skip")`',
                    (job.key,),
                )


def _rewrites(output: Output) -> bool:
    properties = output.settings.get("properties")
    fed = isinstance(properties, dict) and str(properties.get(FEED_PROPERTY, "")).lower() == "true"
    return output.settings.get("mode") == "overwrite" and not fed


def _target(job: Job, binding: dag.TaskOutput | dag.Table) -> str | None:
    if isinstance(binding, dag.Table):
        return binding.target
    output = job.task(binding.task).outputs.get(binding.output)
    return None if output is None else output.target
