"""Checks of a job definition against the platform's rules: fields and types, compute, references."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen.clusters import cluster_findings, task_findings
from dbxdec.build.codegen.fields import field_problems, is_reference
from dbxdec.build.codegen.installed import environment_problems
from dbxdec.build.codegen.jobs import is_classic, levels, with_environments
from dbxdec.build.codegen.libraries import library_findings
from dbxdec.build.codegen.limits import limit_problems
from dbxdec.build.codegen.paths import not_uploaded
from dbxdec.build.codegen.starts import is_continuous, job_findings, retry_findings, schedules_of, webhook_findings
from dbxdec.errors import CodegenError, Problem, concerning, did_you_mean, listed
from dbxdec.model import kinds, schedules
from dbxdec.model.dag import MAX_CONCURRENCY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbxdec.build.codegen.fields import Finding
    from dbxdec.model.dag import Job, Task

    Groups = list[tuple[dict[str, Any], list[Task]]]

# The Jobs API's reference: retries without end are -1, no timeout is 0.
_LEAST = {"max_retries": -1, "timeout_seconds": 0, "min_retry_interval_millis": 0, "num_workers": 0}
_MAX_RUNS = 1000
# As the bundle's CLI takes them, and Terraform behind it.
_STARTS = ("schedule", "trigger", "triggers", "continuous")

# The fields of a task on a cluster in Environments mode.
_TOGETHER = (["environment_key", "job_cluster_key"], ["environment_key", "new_cluster"])

_REFERENCE = re.compile(r"\$\{[^}]*\}?")
_KNOWN_REFERENCE = re.compile(r"\$\{(bundle|workspace|resources|var|variables|artifacts)\.[\w.\-\[\]]+\}")


def check_job(job: Job, definition: dict[str, Any]) -> list[Problem]:
    """Return the problems of `definition`, each at the author's line."""
    groups = _alike(job, definition)
    problems = limit_problems(job, definition) + _field_problems(job, definition, groups)
    if not job.tasks:
        problems.append(Problem(f"the job `{job.key}` has no task", job.source, "call at least one task in its body"))
    for form, alike in groups:
        findings = [
            *_shape(alike[0], form),
            *_compute(alike[0], form, definition),
            *_libraries(alike[0], form),
            *_retries(form, definition),
        ]
        problems += _of_tasks(job, alike, findings, "")
        problems += _own_clusters(job, alike, form)
    problems += [*_clusters(job, definition), *environment_problems(job, definition)]
    return concerning((job.key,), problems or _from_dict(job, definition, groups))


def check_settings(job: Job, definition: dict[str, Any]) -> list[Problem]:
    """Return the problems of the author's settings, keys and sizes, independent of other mistakes in the job."""
    groups = _alike(job, definition)
    problems = limit_problems(job, definition) + _field_problems(job, definition, groups)
    for form, alike in groups:
        shape = _shape(alike[0], form) if alike[0].kind == "native" else ()  # the author has written all of it
        findings = [*shape, *_libraries(alike[0], form), *_retries(form, definition)]
        problems += _of_tasks(job, alike, findings, "")
        problems += _own_clusters(job, alike, form)
    return concerning((job.key,), [*problems, *_clusters(job, definition), *environment_problems(job, definition)])


def _of_tasks(job: Job, tasks: list[Task], findings: Iterable[Finding], colon: str) -> list[Problem]:
    """Return the findings of tasks with the same settings as problems, at the lines with these settings."""
    return [
        Problem(f"the task `{job.key}.{task.key}`{colon} {message}", task.set_at, hint)
        for task in tasks
        for message, hint in findings
    ]


def _field_problems(job: Job, definition: dict[str, Any], groups: Groups) -> list[Problem]:
    problems = []
    for owner, model, part in _parts(job, definition):
        findings = [*_fields(model, part), *(_starts(part) if model == "Job" else ())]
        problems += [Problem(f"{owner}: {message}", job.source, hint) for message, hint in findings]
    apart = {k: v for k, v in definition.items() if k != "tasks"}
    problems += [Problem(f"the job `{job.key}`: {message}", job.source, hint) for message, hint in _not_uploaded(apart)]
    for form, alike in groups:
        problems += _of_tasks(job, alike, [*_fields("Task", form), *_not_uploaded(form)], ":")
    return problems


def _fields(model: str, part: Any) -> Iterator[Finding]:
    yield from field_problems(model, part)
    yield from _references(part)
    if isinstance(part, dict):
        yield from _numbers(part)
        yield from webhook_findings(part)
    if model == "Job" and len(starts := [name for name in _STARTS if part.get(name) is not None]) > 1:
        yield (
            f"{listed(starts)} are {'both' if len(starts) == 2 else 'all'} set",
            f"a job has one of them (the Jobs API's reference, `{starts[-1]}`)",
        )
    if model == "Job" and isinstance(run_as := part.get("run_as"), dict) and len(run_as) > 1:
        yield f"`run_as` has {listed(list(run_as))}", "a job runs as one of them (the Jobs API's reference, `run_as`)"


def _starts(job: dict[str, Any]) -> Iterator[Finding]:
    for path, schedule in schedules_of(job):
        yield from schedules.findings(schedule, path)
    yield from job_findings(job)


def _numbers(part: dict[str, Any]) -> Iterator[Finding]:
    """Yield problems of numbers that are less or more than the platform takes."""
    for field, least in _LEAST.items():
        number = part.get(field)
        if isinstance(number, int) and not isinstance(number, bool) and number < least:
            yield f"`{field}` is {number}", f"{least} or more" + (": -1 retries without end" if least == -1 else "")
    number = part.get("max_concurrent_runs")
    if isinstance(number, int) and not isinstance(number, bool) and not 0 <= number <= _MAX_RUNS:
        yield f"`max_concurrent_runs` is {number}", f"0 to {_MAX_RUNS:,}: 0 skips all runs"


def _not_uploaded(part: dict[str, Any]) -> Iterator[Finding]:
    for field, path in not_uploaded(part):
        yield (
            f"`{field}` is {path!r}, a file that no deploy uploads",
            "write its path in the workspace or a volume, such as `${workspace.file_path}/...` or `/Volumes/...`",
        )


def _alike(job: Job, definition: dict[str, Any]) -> Groups:
    """Return the tasks in groups with the same settings, each with the form of one of its tasks.

    The fields that dbxdec itself writes differ from task to task, and are right in all of them. Large jobs have few
    such groups.
    """
    groups: dict[str, tuple[dict[str, Any], list[Task]]] = {}
    for task, form in zip(job.tasks, definition.get("tasks", []), strict=False):
        each = task.each is not None and [task.each.concurrency]
        key = json.dumps([task.kind, task.run_if, each, task.settings])
        groups.setdefault(key, (form, []))[1].append(task)
    return list(groups.values())


def _parts(job: Job, definition: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield the job without tasks, its clusters and its environments: a name for messages, the class, the fields."""
    own = {k: v for k, v in definition.items() if k not in ("tasks", "job_clusters", "environments")}
    yield f"the job `{job.key}`", "Job", own
    for entry in definition.get("job_clusters", []):
        owner = f"the cluster `{entry['job_cluster_key']}` of the job `{job.key}`"
        if "new_cluster" in entry:
            yield owner, "ClusterSpec", entry["new_cluster"]
        # Older databricks-bundles need a cluster there. It is checked separately, and a reference may be anything.
        yield owner, "JobCluster", {**entry, **({"new_cluster": "${var.it}"} if "new_cluster" in entry else {})}
    for entry in definition.get("environments", []):
        owner = f"the environment `{entry['environment_key']}` of the job `{job.key}`"
        yield owner, "Environment", entry["spec"]


def _shape(task: Task, form: dict[str, Any]) -> Iterator[Finding]:
    """Yield the problems of a task's fields in combination: its kind, and the task that it repeats."""
    if "task_key" in task.settings:
        yield "has the field `task_key`", "its key is the first argument of native_task(...)"
    for level in levels(form):
        found = [name for name, value in level.items() if name.endswith("_task") and value is not None]
        if len(found) != 1:
            what = "has nothing to run" if not found else f"has several things to run: {listed(found)}"
            yield what, "a task needs exactly one field such as `notebook_task` or `sql_task`"
        if any(isinstance(part, dict) and _from_git(part) for part in level.values()):
            yield "has the source GIT", "leave `source` out: the bundle deploys the files of this project"
    match form.get("for_each_task"):
        case {"task": {"for_each_task": _}}:
            yield "is a for-each task inside a for-each task", "the platform allows one level"
    match form.get("for_each_task"):
        case {"concurrency": int(number)} if not isinstance(number, bool) and not 1 <= number <= MAX_CONCURRENCY:
            yield f"has the concurrency {number}", f"1 to {MAX_CONCURRENCY}"


def _from_git(kind: dict[str, Any]) -> bool:
    """Return whether the fields of a kind ask for a git source, which a job in a bundle with a wheel can't have."""
    return kind.get("source") == "GIT" or any(isinstance(part, dict) and _from_git(part) for part in kind.values())


def _compute(task: Task, form: dict[str, Any], definition: dict[str, Any]) -> Iterator[Finding]:
    defined = {
        "job_cluster_key": [entry["job_cluster_key"] for entry in definition.get("job_clusters", [])],
        "environment_key": [entry["environment_key"] for entry in definition.get("environments", [])],
    }
    clusters = _clusters_of(definition)
    for level in levels(form):
        for field, keys in defined.items():
            if isinstance(level.get(field), str) and level[field] not in keys:
                hint = did_you_mean(level[field], keys)
                known = f"defined keys are {listed(keys)}" if keys else "use `cluster=` or `environment=`"
                yield f"has the {field} {level[field]!r}, which is not defined", hint or known
        if level.get("existing_cluster_id") == "":
            yield "has an empty `existing_cluster_id`", "name the cluster, or leave it out"
        places = sorted(kinds.compute_of_its_own(level))
        if len(places) > 1 and places not in _TOGETHER:
            yield f"runs in several places: {listed(places)}", "a task has one cluster or one environment"
        if "libraries" in level and not is_classic(level):
            yield (
                "is serverless and has `libraries`",
                "use `environment(key, dependencies=[...])`, or give it a cluster",
            )
        if not places and (kind := kinds.without_compute(level)) is not None:
            yield f"is a {kind}, which needs {kinds.NEEDED[kind]}", "set it on the task or the job"
        yield from task_findings(level, clusters)
    if task.kind == "python" and is_reference(form.get("libraries")):
        yield f"has the `libraries` {form['libraries']}, to which the wheel can't be added", "write them as a list"


def _libraries(task: Task, form: dict[str, Any]) -> Iterator[Finding]:
    *_, written = levels(task.settings)
    for level in levels(form):
        yield from library_findings(level.get("libraries"), written.get("libraries"))


def _retries(form: dict[str, Any], definition: dict[str, Any]) -> Iterator[Finding]:
    if is_continuous(definition):
        for level in levels(form):
            yield from retry_findings(level)


def _clusters(job: Job, definition: dict[str, Any]) -> list[Problem]:
    together = with_environments(job)
    return [
        Problem(f"the cluster `{key}` of the job `{job.key}` {message}", job.source, hint)
        for key, cluster in _clusters_of(definition).items()
        for message, hint in cluster_findings(cluster, has_environment=key in together)
    ]


def _clusters_of(definition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the machines of the job's clusters, by key."""
    entries = definition.get("job_clusters", [])
    return {entry["job_cluster_key"]: entry["new_cluster"] for entry in entries if "new_cluster" in entry}


def _own_clusters(job: Job, tasks: list[Task], form: dict[str, Any]) -> list[Problem]:
    """Return the problems of the clusters of their own that tasks with the same settings have."""
    *_, written = levels(tasks[0].settings)
    has_environment = written.get("environment_key") is not None
    return [
        Problem(f"the `new_cluster` of the task `{job.key}.{task.key}` {message}", task.set_at, hint)
        for level in levels(form)
        if isinstance(level.get("new_cluster"), dict)
        for message, hint in cluster_findings(level["new_cluster"], has_environment=has_environment)
        for task in tasks
    ]


def _references(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield `${...}` that the bundle does not know: it passes the bundle's validation and fails during a deploy."""
    if isinstance(value, str):
        for match in _REFERENCE.finditer(value):
            if not _KNOWN_REFERENCE.fullmatch(match[0]):
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


def _from_dict(job: Job, definition: dict[str, Any], groups: Groups) -> list[Problem]:
    """Return the problems that databricks-bundles itself raises."""
    from databricks.bundles.jobs import Job as BundleJob

    try:
        few = {**definition, "tasks": [form for form, _ in groups]}
        BundleJob.from_dict(copy.deepcopy(few))  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        return [Problem(f"the job `{job.key}`: databricks-bundles rejects it: {error}", job.source)]
    return []


def require_databricks_bundles() -> None:
    """Raise CodegenError if databricks-bundles is not installed."""
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
