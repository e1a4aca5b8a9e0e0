"""Paths of the copy of the project that a build imports, in jobs: they end with the build, so no run has them.

`Path(__file__).parent` at the top of a module, passed to a task or to an IoManager, is such a path.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dbxdec.errors import SourceLocation
    from dbxdec.model import dag

_HINT = (
    "make the path inside the task, where `__file__` is that of the installed module; for the place of tables use a "
    "cloud path or a bundle_variable(...)"
)


def problems(jobs: Mapping[str, Any], dags: Sequence[dag.Job], folder: str, working: str) -> list[Problem]:
    """Return the problems of jobs, in their form for the manifest, that name a path in `folder`.

    `working` is the working directory of the import, within `folder`.
    """
    # A search in the JSON takes a tenth of the time of a walk, and nearly all projects have no such path.
    if json.dumps(folder)[1:-1] not in json.dumps(jobs):
        return []
    return [
        Problem(f"{what} has a path that only the build has: {shown}", where, _HINT, (job.key,))
        for job in dags
        for what, where, value in _values(job, jobs[job.key])
        for path in _paths(value, folder)
        for shown in (path.replace(working + os.sep, "").replace(working, "."),)
    ]


def _values(job: dag.Job, form: Mapping[str, Any]) -> Iterator[tuple[str, SourceLocation, Any]]:
    """Yield what the author has set, in words, with its place and its form."""
    for parameter in form["parameters"]:
        yield f"the default of the job parameter `{parameter['name']}`", job.source, parameter["default"]
    for group in ("settings", "clusters", "environments"):
        for name, value in form[group].items():
            yield f"`{name}` of the job `{job.key}`", job.source, value
    for task, of_task in zip(job.tasks, form["tasks"], strict=True):
        called = task.called_at or task.source
        for name, value in of_task["inputs"].items():
            yield f"the argument `{name}` of the task `{task.key}`", called, value
        for output in of_task["outputs"].values():
            yield f"the target of the task `{task.key}`", called, output["target"]
        for name, value in {**of_task["settings"], "each(...)": of_task.get("each")}.items():
            yield f"`{name}` of the task `{task.key}`", task.overridden_at or called, value


def _paths(form: Any, folder: str) -> list[str]:
    """Return the first string in `form` that has the folder, from there on; else an empty list."""
    if isinstance(form, str):
        start = form.find(folder)
        return [] if start < 0 else [form[start:]]
    inside = [*form, *form.values()] if isinstance(form, dict) else form if isinstance(form, list | tuple) else ()
    return next((found for one in inside if (found := _paths(one, folder))), [])
