"""Checks of a job that was read from a file of any origin.

Keys become names of files and folders, and tasks are looked up by key. A job that no build can have written is refused
before it is used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbxdec.model import dag
from dbxdec.support.forms import FormError, at, kind_of
from dbxdec.support.patterns import PACKAGE_NAME, pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TASK_KEY = pattern(r"[\w-]{1,100}", re.ASCII)
"""The pattern of the platform's task keys."""
JOB_KEY = pattern(r"[A-Za-z_][\w-]*", re.ASCII)
"""The pattern of the resource keys of a bundle."""
# PEP 440 as loosely as in the name of a folder.
_VERSION = pattern(r"[A-Za-z0-9]([A-Za-z0-9.!+_-]*[A-Za-z0-9])?")
UNBUILT = "unbuilt-"
"""The prefix of a build id without a wheel, for jobs of a tree that can't be built as a whole."""
_BUILD_ID = pattern(rf"({UNBUILT})?[0-9a-f]{{64}}")
_SHA256 = pattern(r"[0-9a-f]{64}")
_LONGEST = 200
_LONGEST_PATH = 1000
_RUN_JOB = pattern(r"\$\{resources\.jobs\.[A-Za-z_][\w-]*\.id\}", re.ASCII)
_MODULE = pattern(r"\w+(\.\w+)*")
_OUTCOMES = (None, "true", "false")


def require_keys(jobs: Iterable[str]) -> None:
    """Raise FormError for keys of jobs that can't be shown on one line."""
    for key in jobs:
        if not key.isprintable() or not 0 < len(key) <= _LONGEST:
            raise FormError("jobs", f"have the key {shown(key)}")


def require_wheels(wheels: Mapping[str, str]) -> None:
    """Raise FormError for wheels beside the project's own that no build can have named."""
    for path, digest in wheels.items():
        if not path.isprintable() or not path.endswith(".whl") or len(path) > _LONGEST_PATH:
            raise FormError("wheels", f"have the path {shown(path)}")
        if not _SHA256.fullmatch(digest):
            raise FormError(f"wheels.{path}", f"is {shown(digest)}, not a sha256 in hex")


def require_pins(texts: Iterable[str]) -> None:
    """Raise FormError for pins, indexes or computes that no build can have written."""
    for text in texts:
        if not text.isprintable() or not 0 < len(text) <= _LONGEST_PATH:
            raise FormError("locked", f"has {shown(text)}, which no build can have written")


def require_project(name: str, version: str, build_id: str) -> None:
    """Raise FormError for a project that no build can have written."""
    for place, text, form in (
        ("project.name", name, PACKAGE_NAME),
        ("project.version", version, _VERSION),
        ("build_id", build_id, _BUILD_ID),
    ):
        if len(text) > _LONGEST or not form.fullmatch(text):
            raise FormError(place, f"is {shown(text)}, which no build can have written")


def require_job(job: dag.Job) -> None:
    """Raise FormError for a job that no build can have written."""
    if len(job.key) > _LONGEST or not JOB_KEY.fullmatch(job.key):
        raise FormError("", f"has the key {shown(job.key)}, which is not a valid key")
    if len(job.module) > _LONGEST or not _MODULE.fullmatch(job.module):
        raise FormError("module", f"is {shown(job.module)}, not the name of a module")
    _require_path(job.source.path)
    tasks: dict[str, dag.Task] = {}
    for i, task in enumerate(job.tasks):
        if not TASK_KEY.fullmatch(task.key):
            raise FormError(f"tasks[{i}].key", f"is {shown(task.key)}, which is not a valid key")
        if task.key in tasks:
            raise FormError(f"tasks[{i}].key", f"is {shown(task.key)}, which another task has")
        tasks[task.key] = task
    for task in job.tasks:
        try:
            _require_task(task, tasks)
        except FormError as error:
            raise FormError(f"the task `{task.key}`: {error.place}", error.what) from None
    if len(dag.run_order(job)) != len(job.tasks):
        raise FormError("tasks", "wait for each other in a cycle")


def _require_task(task: dag.Task, tasks: dict[str, dag.Task]) -> None:
    _require_path(task.source.path)
    for dependency in task.depends_on:
        if dependency.task not in tasks:
            raise FormError("depends_on", f"names {shown(dependency.task)}, which the job does not have")
        if dependency.outcome not in _OUTCOMES:
            raise FormError("depends_on", f"has the outcome {shown(dependency.outcome)}")
    for place, binding in _bindings(task):
        match binding:
            case dag.TaskOutput(key, output):
                known = key in tasks and output in tasks[key].outputs
            case dag.TaskValue(key):
                known = key in tasks
            case _:
                continue
        if not known:
            raise FormError(place, f"is a result of {shown(key)}, which the job does not have")
    match task.kind:
        case "python":
            if task.function is None:
                raise FormError("function", "is missing")
        case "condition":
            fields = at(task.settings, "condition_task")
            for name in ("op", "left", "right"):
                if type(at(fields, name)) is not str:
                    raise FormError(f"settings.condition_task.{name}", f"is {kind_of(at(fields, name))}, not a string")
        case "run_job":
            _require_run_job(at(task.settings, "run_job_task"))
        case "native":
            pass
        case _:
            raise FormError("kind", f"is {shown(task.kind)}, which this dbxdec does not know")


def _bindings(task: dag.Task) -> Iterable[tuple[str, dag.Binding]]:
    for name, binding in task.inputs.items():
        for leaf in dag.flatten(binding):
            yield f"inputs.{name}", leaf
    if task.each is not None:
        yield "each", task.each.items


def _require_run_job(fields: Any) -> None:
    place, job = "settings.run_job_task", at(fields, "job_id")
    if type(job) is not str or not _RUN_JOB.fullmatch(job):
        raise FormError(f"{place}.job_id", f"is {shown(job)}, not a job of the bundle")
    parameters = fields.get("job_parameters", {})
    if type(parameters) is not dict or not all(type(text) is str for text in parameters.values()):
        raise FormError(f"{place}.job_parameters", "is not an object of strings")


def _require_path(text: str) -> None:
    if not text.isprintable():
        raise FormError("source", f"is {shown(text)}, which is not a path")


def shown(value: object) -> str:
    """Return a value for a message: short, and without control characters."""
    return f"{value!a:.60}"
