"""Whether the platform would take a job definition: fields and types, keys, limits, references."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

from dbxdec.codegen.fields import field_problems
from dbxdec.codegen.jobs import is_classic
from dbxdec.errors import CodegenError, Problem, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.dag import Job

# docs.databricks.com, "Resource limits" and the Jobs API's reference.
_MAX_TASKS = 1000
_MAX_NAME_BYTES = 4096
_MAX_TAGS = 25
_MAX_PARAMETER_BYTES = 10_000
_TASK_KEY = re.compile(r"[\w-]{1,100}", re.ASCII)
_RESOURCE_KEY = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)

_REFERENCE = re.compile(r"\$\{([^}]*)\}?")
_KNOWN_REFERENCE = re.compile(r"(bundle|workspace|resources|var|artifacts)\.[\w.\-\[\]]+")


def check_job(job: Job, definition: dict[str, Any]) -> list[Problem]:
    """What is wrong with `definition`, each problem at the author's line."""
    problems = _limits(job, definition)
    for where, owner, part in _parts(job, definition):
        problems += [Problem(f"{owner}: {message}", where, hint) for message, hint in field_problems(*part)]
        problems += [Problem(f"{owner}: {message}", where, hint) for message, hint in _references(part[1])]
    problems += _compute(job, definition)
    return problems or _from_dict(job, definition)


def _parts(job: Job, definition: dict[str, Any]) -> Iterator[tuple[SourceLocation, str, tuple[str, Any]]]:
    """The job without its tasks, and each task, with the author's line and what messages call it."""
    yield job.source, f"the job `{job.key}`", ("Job", {k: v for k, v in definition.items() if k != "tasks"})
    for task, form in zip(job.tasks, definition.get("tasks", []), strict=False):
        yield task.source, f"the task `{job.key}.{task.key}`", ("Task", form)


def _limits(job: Job, definition: dict[str, Any]) -> list[Problem]:
    problems = []
    if not _RESOURCE_KEY.fullmatch(job.key):
        problems.append(
            Problem(
                f"{job.key!r} can't be the key of a job in a bundle",
                job.source,
                "letters, digits, `_` and `-`, not starting with a digit; give it a title with `name=`",
            )
        )
    if not job.tasks:
        problems.append(Problem(f"the job `{job.key}` has no task", job.source, "call at least one task in its body"))
    if len(job.tasks) > _MAX_TASKS:
        problems.append(
            Problem(f"the job `{job.key}` has {len(job.tasks):,} tasks; the platform takes {_MAX_TASKS:,}", job.source)
        )
    if isinstance(name := definition["name"], str) and len(name.encode()) > _MAX_NAME_BYTES:
        problems.append(Problem(f"the name of the job `{job.key}` is over {_MAX_NAME_BYTES} bytes", job.source))
    if isinstance(tags := definition.get("tags"), dict) and len(tags) > _MAX_TAGS:
        problems.append(
            Problem(f"the job `{job.key}` has {len(tags)} tags; the platform takes {_MAX_TAGS}", job.source)
        )
    if "git_source" in definition:
        problems.append(
            Problem(
                f"the job `{job.key}` has a git_source, with which a bundle uploads no wheel", job.source, "remove it"
            )
        )
    pushed_down = {parameter["name"]: parameter["default"] for parameter in definition.get("parameters", [])}
    for task, form in zip(job.tasks, definition.get("tasks", []), strict=True):
        if not _TASK_KEY.fullmatch(task.key):
            problems.append(
                Problem(
                    f"{task.key!r} can't be the key of a task",
                    task.source,
                    "up to 100 letters, digits, `_` and `-`: `@task(key=...)` or `.override(key=...)`",
                )
            )
        named = form["python_wheel_task"]["named_parameters"] if task.kind == "python" else {}
        size = len(json.dumps({**named, **pushed_down}).encode())
        if size > _MAX_PARAMETER_BYTES:
            problems.append(
                Problem(
                    f"the parameters of the task `{job.key}.{task.key}` are {size:,} bytes as JSON; the platform takes "
                    f"{_MAX_PARAMETER_BYTES:,}",
                    task.source,
                    "shorten the defaults of the job's parameters; large values belong into a table",
                )
            )
    return problems


def _compute(job: Job, definition: dict[str, Any]) -> list[Problem]:
    clusters = {entry["job_cluster_key"] for entry in definition.get("job_clusters", [])}
    environments = {entry["environment_key"] for entry in definition.get("environments", [])}
    problems = []
    for task, form in zip(job.tasks, definition.get("tasks", []), strict=True):
        owner = f"the task `{job.key}.{task.key}`"
        for field, defined in (("job_cluster_key", clusters), ("environment_key", environments)):
            if field in form and form[field] not in defined:
                problems.append(Problem(f"{owner} has the {field} {form[field]!r}, which nothing defines", task.source))
        if "libraries" in form and not is_classic(form):
            problems.append(
                Problem(
                    f"{owner} is serverless and has `libraries`",
                    task.source,
                    "use `environment(key, dependencies=[...])`, or give it a cluster",
                )
            )
    return problems


def _references(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """`${...}` that the bundle does not know: it would pass its validation and fail in the middle of a deploy."""
    if isinstance(value, str):
        for match in _REFERENCE.finditer(value):
            if not _KNOWN_REFERENCE.fullmatch(match[1]):
                yield (
                    f"`{path}` holds {match[0]}, which a bundle can't resolve",
                    "use bundle_variable(...), or ${var.*}, ${bundle.*}, ${workspace.*}, ${resources.*}",
                )
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _references(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _references(item, f"{path}[{i}]")


def _from_dict(job: Job, definition: dict[str, Any]) -> list[Problem]:
    """databricks-bundles has the last word."""
    from databricks.bundles.jobs import Job as BundleJob

    try:
        BundleJob.from_dict(copy.deepcopy(definition))  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        return [Problem(f"the job `{job.key}`: databricks-bundles refuses it: {error}", job.source)]
    return []


def require_databricks_bundles() -> None:
    """Raise CodegenError where databricks-bundles is not installed."""
    from importlib.util import find_spec

    try:
        found = find_spec("databricks.bundles") is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise CodegenError(
            "databricks-bundles, which checks the job definitions, is not installed where the wheel is built",
            hint='put "dbxdec[build]" into `requires` of [build-system] in pyproject.toml',
        )
