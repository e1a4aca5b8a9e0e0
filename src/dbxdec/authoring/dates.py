"""Dates that follow the run, for non-Python tasks: an upstream function sets them as task values.

The platform knows the moment at which a run was triggered, but not the date that run_date(...) derives from it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.model import dag
from dbxdec.model.branches import guards_of
from dbxdec.platform import references
from dbxdec.platform.run_if import NEEDS_FAILURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.authoring.nodes import Recorder

_WANTED = "dbxdec.date"


def wanted(parameter: str) -> str:
    """Return the placeholder for the date of a job parameter, which is replaced when the whole DAG is known."""
    return f"{{{{{_WANTED}:{parameter}}}}}"


def with_dates(job: dag.Job, recorder: Recorder) -> dag.Job:
    """Return `job` with references to the dates that its functions set. A date that no function can set is noted."""
    if not recorder.wants_dates:
        return job
    guards, tasks = guards_of(job), {task.key: task for task in job.tasks}
    made = []
    for task in job.tasks:
        texts = {}
        for name in sorted(recorder.wants_dates.get(task.key, ())):
            source = _nearest(task, tasks, guards)
            texts[wanted(name)] = (
                references.task_value(source, dag.DATE_OF + name) if source else _without(task, name, recorder)
            )
        made.append(replace(task, settings=_replaced(task.settings, texts)) if texts else task)
    return replace(job, tasks=tuple(made))


def _nearest(
    task: dag.Task, tasks: Mapping[str, dag.Task], guards: Mapping[str, frozenset[tuple[str, str]]]
) -> str | None:
    """Return the nearest function upstream of `task` that has always run when `task` runs."""
    waiting, seen = deque(d.task for d in task.depends_on), set[str]()
    while waiting:
        key = waiting.popleft()
        if key in seen or key not in tasks:
            continue
        seen.add(key)
        other = tasks[key]
        always = guards.get(key, frozenset()) <= guards.get(task.key, frozenset()) and other.run_if not in NEEDS_FAILURE
        if other.kind == "python" and other.each is None and always:
            return key
        waiting.extend(d.task for d in tasks[key].depends_on)
    return None


def _without(task: dag.Task, name: str, recorder: Recorder) -> str:
    """Note that no function can set the date."""
    recorder.problem(
        f"the task `{task.key}` uses the job parameter `{name}`, but the platform knows only the time of the "
        "trigger, not the date, and no function upstream can provide it",
        f"run it after a function, or pass it the result of one: `that_day({name})`",
        task.called_at,
    )
    return ""


def _replaced(form: Any, texts: Mapping[str, str]) -> Any:
    if isinstance(form, dict):
        return {key: _replaced(item, texts) for key, item in form.items()}
    if isinstance(form, list):
        return [_replaced(item, texts) for item in form]
    if isinstance(form, str):
        for old, new in texts.items():
            form = form.replace(old, new)
    return form
