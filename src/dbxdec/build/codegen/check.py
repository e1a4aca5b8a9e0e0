"""Checks of a job definition against the platform's rules: fields and types, keys, limits, references."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen.clusters import cluster_findings, task_findings
from dbxdec.build.codegen.environments import NO_PACKAGE, conflicts, is_package, is_wheel, refusals
from dbxdec.build.codegen.fields import field_problems, is_reference
from dbxdec.build.codegen.jobs import is_classic, levels, with_environments
from dbxdec.build.codegen.libraries import ENVIRONMENT_VERSION, library_findings
from dbxdec.build.codegen.paths import not_uploaded
from dbxdec.build.codegen.starts import is_continuous, job_findings, retry_findings, schedules_of, webhook_findings
from dbxdec.errors import CodegenError, Problem, concerning, counted, did_you_mean, listed
from dbxdec.model import kinds, protocol, schedules
from dbxdec.model.dag import MAX_CONCURRENCY
from dbxdec.model.soundness import JOB_KEY, TASK_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dbxdec.build.codegen.fields import Finding
    from dbxdec.model.dag import Job, Task

    Groups = list[tuple[dict[str, Any], list[Task]]]

# docs.databricks.com, "Resource limits" and the Jobs API's reference.
_MAX_TASKS = 1000
_MAX_NAME_BYTES = 4096
_MAX_TAGS = 25
_MAX_PARAMETER_BYTES = 10_000
# The Jobs API's reference: retries without end are -1, no timeout is 0.
_LEAST = {"max_retries": -1, "timeout_seconds": 0, "min_retry_interval_millis": 0, "num_workers": 0}
_MAX_RUNS = 1000
# As the bundle's CLI takes them, and Terraform behind it.
_STARTS = ("schedule", "trigger", "triggers", "continuous")
# The Jobs API's reference, `environments.spec`: either of them, and `client` is the older name of the first.
_VERSIONS = ("environment_version", "client", "base_environment")
_KEY_HINT = "up to 100 letters, digits, `_` and `-`"
# As in the bundle's CLI (databricks/cli, libs/tags): key and value on AWS, on Azure, on Google Cloud.
_TAGS = (
    (re.compile(r"[\w +\-=.:/@]{0,127}", re.ASCII), re.compile(r"[\w +\-=.:/@]{0,255}", re.ASCII)),
    (re.compile(r"[^<>*&%;\\/+?\n]{1,512}"), re.compile(r"[^\n]{0,256}")),
    (re.compile(r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?", re.ASCII), re.compile(r"([\w.-]{0,63})", re.ASCII)),
)
_TAG_HINT = (
    "keys have up to 127 letters, digits, spaces and `+ - = . _ : / @`, values up to 255 (on Google Cloud 63 "
    "letters, digits, `_`, `-` and `.`)"
)

# The fields of a task on a cluster in Environments mode.
_TOGETHER = (["environment_key", "job_cluster_key"], ["environment_key", "new_cluster"])

_REFERENCE = re.compile(r"\$\{[^}]*\}?")
_KNOWN_REFERENCE = re.compile(r"\$\{(bundle|workspace|resources|var|variables|artifacts)\.[\w.\-\[\]]+\}")


def check_job(job: Job, definition: dict[str, Any]) -> list[Problem]:
    """Return the problems of `definition`, each at the author's line."""
    groups = _alike(job, definition)
    problems = _limits(job, definition) + _field_problems(job, definition, groups)
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
    problems += [*_clusters(job, definition), *_environments(job, definition)]
    return concerning((job.key,), problems or _from_dict(job, definition, groups))


def check_settings(job: Job, definition: dict[str, Any]) -> list[Problem]:
    """Return the problems of the author's settings, keys and sizes, independent of other mistakes in the job."""
    groups = _alike(job, definition)
    problems = _limits(job, definition) + _field_problems(job, definition, groups)
    for form, alike in groups:
        findings = [*_libraries(alike[0], form), *_retries(form, definition)]
        problems += _of_tasks(job, alike, findings, "")
        problems += _own_clusters(job, alike, form)
    return concerning((job.key,), [*problems, *_clusters(job, definition), *_environments(job, definition)])


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


def key_problems(job: Job) -> list[Problem]:
    """Return the problems of keys that a bundle, or a reader of the manifest, would reject."""
    problems = []
    if not JOB_KEY.fullmatch(job.key):
        problems.append(
            Problem(
                f"{job.key!r} can't be the key of a job in a bundle",
                job.source,
                "letters, digits, `_` and `-`, not starting with a digit; give it a title with `name=`",
            )
        )
    hint = f"{_KEY_HINT}: `@task(key=...)` or `.override(key=...)`"
    return problems + [
        Problem(f"{task.key!r} can't be the key of a task", task.set_at, hint)
        for task in job.tasks
        if not TASK_KEY.fullmatch(task.key)
    ]


def _limits(job: Job, definition: dict[str, Any]) -> list[Problem]:
    problems = key_problems(job)
    if len(job.tasks) > _MAX_TASKS:
        problems.append(
            Problem(f"the job `{job.key}` has {len(job.tasks):,} tasks; the platform allows {_MAX_TASKS:,}", job.source)
        )
    if isinstance(name := definition["name"], str) and len(name.encode()) > _MAX_NAME_BYTES:
        problems.append(Problem(f"the name of the job `{job.key}` is over {_MAX_NAME_BYTES} bytes", job.source))
    if isinstance(tags := definition.get("tags"), dict):
        problems += [Problem(f"the job `{job.key}` {message}", job.source, hint) for message, hint in _tags(tags)]
    if "git_source" in definition:
        problems.append(
            Problem(
                f"the job `{job.key}` has a git_source, so a bundle would not upload its wheel", job.source, "remove it"
            )
        )
    pushed_down = {parameter["name"]: parameter["default"] for parameter in definition.get("parameters", [])}
    sizes = {}
    for task, form in zip(job.tasks, definition.get("tasks", []), strict=True):
        wheel_task = [level["python_wheel_task"] for level in levels(form) if "python_wheel_task" in level]
        named = wheel_task[0]["named_parameters"] if task.kind == "python" else {}
        sizes[task.key] = _size(named, pushed_down)
        where = task.called_at or task.source
        problems += [Problem(f"the task `{job.key}.{task.key}` {m}", where, hint) for m, hint in _repeated(form)]
    large = [key for key, size in sizes.items() if size > _MAX_PARAMETER_BYTES]
    if large:
        others = f", and those of {counted(len(large) - 1, 'other task')} are too large as well" if large[1:] else ""
        problems.append(
            Problem(
                f"the parameters of the task `{job.key}.{large[0]}` are {sizes[large[0]]:,} bytes as JSON; the "
                f"platform allows {_MAX_PARAMETER_BYTES:,}{others}",
                job.source,
                "shorten the defaults of the job's parameters; store large values in a table",
            )
        )
    return problems


def _tags(tags: dict[Any, Any]) -> Iterator[Finding]:
    """Yield problems of tags that every cloud rejects: jobs pass them on to their clusters as the cloud's tags."""
    if len(tags) > _MAX_TAGS:
        yield f"has {len(tags)} tags; the platform allows {_MAX_TAGS}", None
    for key, value in tags.items():
        if isinstance(key, str) and "${" not in key and not any(rule[0].fullmatch(key) for rule in _TAGS):
            yield f"has the tag {key!r:.60}, a key that no cloud accepts", _TAG_HINT
        if isinstance(value, str) and "${" not in value and not any(rule[1].fullmatch(value) for rule in _TAGS):
            yield f"has the tag {key!r:.60} with a value that no cloud accepts: {value!r:.60}", _TAG_HINT


def _size(*parameters: dict[str, str]) -> int:
    """Return the bytes of the parameters as JSON, or a rough upper bound if that is within the limit."""
    letters = sum(sum(map(len, some)) + sum(map(len, some.values())) for some in parameters)
    most = 6 * letters + 8 * sum(map(len, parameters))
    if most <= _MAX_PARAMETER_BYTES:  # no character takes more than 6 bytes in JSON
        return most
    together = {name: value for some in parameters for name, value in some.items()}
    return len(json.dumps(together, ensure_ascii=False).encode(errors="replace"))


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


def _repeated(form: dict[str, Any]) -> Iterator[Finding]:
    """Yield the problems of a for-each task in which similar tasks differ: the key of its inner task, and its items."""
    match form.get("for_each_task"):
        case {"task": {"for_each_task": _}}:
            pass  # the platform rejects it in any case
        case {"task": {"task_key": str(key)}} if TASK_KEY.fullmatch(form["task_key"]) and not TASK_KEY.fullmatch(key):
            yield f"repeats a task with the key {key!r}", _KEY_HINT
    match form.get("for_each_task"):
        case {"inputs": str(text)} if len(text) > protocol.MAX_INPUTS:
            yield (
                f"repeats over items of {len(text):,} characters; the platform allows {protocol.MAX_INPUTS:,}",
                "give each iteration several items, or let a task return the list",
            )


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


def _environments(job: Job, definition: dict[str, Any]) -> list[Problem]:
    emitted = {entry["environment_key"]: entry["spec"] for entry in definition.get("environments", [])}
    problems = []
    for key, spec in job.environments.items():
        owner = f"the environment `{key}` of the job `{job.key}`"
        version = spec.get("environment_version")
        if isinstance(version, str) and "${" not in version and not version.isdecimal():
            hint = f'write a whole number as a string, such as "{ENVIRONMENT_VERSION}"'
            problems.append(Problem(f"{owner}: `environment_version` is {version!r}", job.source, hint))
        named = [field for field in _VERSIONS if spec.get(field) is not None]
        is_said_twice = "base_environment" not in named and all(spec[field] == spec[named[0]] for field in named)
        if len(named) > 1 and not is_said_twice:
            hint = "leave out `client`, its older name" if "client" in named else "the base environment has a version"
            problems.append(Problem(f"{owner}: {listed(named)} are set, of which one counts", job.source, hint))
        installed = emitted.get(key, spec).get("dependencies")
        dependencies = spec.get("dependencies")
        if is_reference(dependencies):
            problems.append(
                Problem(
                    f"{owner} has the dependencies {dependencies}, to which the wheel can't be added",
                    job.source,
                    "write them as a list",
                )
            )
        given = dependencies if isinstance(dependencies, list) else []
        problems += [
            Problem(f"{owner}: {message}", job.source, hint)
            for message, hint in conflicts(installed if isinstance(installed, list) else (), given)
        ]
        problems += [
            Problem(f"{owner}: {message}", job.source, hint)
            for text in given
            if isinstance(text, str)
            for message, hint in refusals(text)
        ]
    return problems


def check_libraries(libraries: Sequence[str], definitions: Iterable[dict[str, Any]]) -> list[Problem]:
    """Return the problems of the extra libraries: together, and each of them where the jobs would have it."""
    definitions = list(definitions)
    refused = {library: refusals(library) for library in libraries}
    if not any("environments" in definition for definition in definitions):
        refused = {}
    tasks = (level for one in definitions for task in one.get("tasks", ()) for level in levels(task))
    if any("libraries" in level and "python_wheel_task" in level for level in tasks):
        for library in libraries:
            if not refused.get(library) and not is_wheel(library) and not is_package(library):
                message = f"the library `{library}` is not a package, and a job on a cluster would have it as one"
                refused[library] = [(message, NO_PACKAGE)]
    findings = [*conflicts(libraries, libraries), *(finding for some in refused.values() for finding in some)]
    problems = [Problem(message, "tool.dbxdec.extra-libraries", hint) for message, hint in findings]
    return concerning((), problems)


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
