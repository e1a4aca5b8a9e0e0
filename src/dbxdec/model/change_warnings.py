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


_BY_KEY = '`kind="latest", by=...`'


def rewritten_sources(jobs: Iterable[Job]) -> Iterator[Problem]:
    """Yield a warning for each source that a task overwrites, unless its reader takes what is stored again for that.

    Without a change data feed nothing tells what has changed. With one, all rows of an overwrite are inserted ones.
    """
    jobs = list(jobs)
    readers = [(job, task) for job in jobs for task in job.tasks if dag.changes_of(task)]
    if not readers:
        return
    writers: dict[str, tuple[Job, Task, bool]] = {}
    for job in jobs:
        for task in job.tasks:
            for output in task.outputs.values():
                if output.target is not None and output.settings.get("mode") == "overwrite":
                    writers.setdefault(place(output.target), (job, task, _is_fed(output)))
    for job, task in readers:
        for name, (binding, changes) in dag.changes_of(task).items():
            target = _target(job, binding)
            if target is None or place(target) not in writers:
                continue
            by, writer, fed = writers[place(target)]
            read = f"the task `{job.key}.{task.key}` reads what is new in {target} (`{name}`)"
            what = f"{read}, which `{by.key}.{writer.key}` overwrites"
            at = task.called_at or task.source
            if fed and changes.kind == "rows" and any(output.partial for output in task.outputs.values()):
                yield Problem(
                    f"{what}: rows that such a write stores again, as in a second run for a day, are new once more, "
                    "and the task appends them twice",
                    at,
                    f"read the last change of each row, and merge it: {_BY_KEY}; or append to that table",
                    (job.key,),
                )
            elif not fed and changes.on_rewrite == "error":
                # The rows of an overwrite are inserted ones: without this a running total would count a day twice.
                once = f", and read {_BY_KEY} where a row that is stored again is no new one"
                yield Problem(
                    f"{what}: after the next such write its run fails, since nothing tells what has changed",
                    at,
                    f'give that table a change data feed: `properties={{"{FEED_PROPERTY}": True}}`'
                    f"{once if changes.kind == 'rows' else ''}; or append, or leave such versions out: "
                    '`.changes(on_rewrite="skip")`',
                    (job.key,),
                )


def _is_fed(output: Output) -> bool:
    """Return whether a change data feed tells what a write has changed."""
    properties = output.settings.get("properties")
    return isinstance(properties, dict) and str(properties.get(FEED_PROPERTY, "")).lower() == "true"


def _target(job: Job, binding: dag.TaskOutput | dag.Table) -> str | None:
    if isinstance(binding, dag.Table):
        return binding.target
    output = job.task(binding.task).outputs.get(binding.output)
    return None if output is None else output.target
