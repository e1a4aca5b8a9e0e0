"""The platform's job definition of one job of the manifest: plain data, with nothing that the job does not need.

Settings that the author left out are left out here: an explicit default would defeat the presets of a bundle's
development mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen import descriptions
from dbxdec.build.codegen.environments import normalised
from dbxdec.build.codegen.libraries import ENVIRONMENT_VERSION
from dbxdec.model import branches, kinds, protocol
from dbxdec.model.locked import of_cluster, of_environment
from dbxdec.model.values import REQUIRED_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dbxdec.build.codegen.libraries import Libraries
    from dbxdec.model.dag import Each, Job, Task

# Any of these sets the version (the Jobs API's reference, "environments").
_HAVE_VERSION = frozenset({"environment_version", "base_environment", "client"})
# Fields that are set once for all iterations of a task; the others, such as retries, timeouts and libraries, belong to
# each iteration (docs.databricks.com, "Use a For each task to run another task in a loop").
_OF_ALL_ITERATIONS = frozenset(
    {"description", "disabled", "email_notifications", "health", "notification_settings", "webhook_notifications"}
)
_ITERATION = "_iteration"
_SERVERLESS_COMPUTE = "serverless_compute_id"


def job_definition(job: Job, package: str, build_id: str, libraries: Libraries) -> dict[str, Any]:
    """Return `job` in the form of the Jobs API. `libraries` are installed for every Python task of the job."""
    serverless = _default_environment(job)
    clusters, uncertain = _clusters(job), branches.uncertain(job)
    tasks = [
        _python_task(job, clusters, task, package, build_id, libraries, serverless, uncertain.get(task.key, ()))
        if task.kind == "python"
        else {**_head(task), **_native(_given(task.settings), clusters, serverless)}
        for task in job.tasks
    ]
    used = [level.get("environment_key") for task in tasks for level in levels(task)]
    specs = {**job.environments, serverless: {}} if serverless in used else job.environments
    definition: dict[str, Any] = {
        "name": job.key,
        **_given({**descriptions.of_job(job.doc), **job.settings}),
        "job_clusters": [_cluster(key, spec) for key, spec in clusters.items()],
        "environments": [
            {"environment_key": key, "spec": _environment(_given(spec), libraries)}
            for key, spec in specs.items()
            if key in used
        ],
        "parameters": [
            {"name": parameter.name, "default": REQUIRED_TEXT if parameter.default is None else parameter.default}
            for parameter in job.parameters
        ],
        "tasks": tasks,
    }
    return {name: value for name, value in definition.items() if value != []}


def computes(job: Job, definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (compute, its owner for messages) of each compute to which `definition`, of `job`, gives the wheel.

    A compute is named as in `model.locked`.
    """
    for task, form in zip(job.tasks, definition.get("tasks", []), strict=False):
        for level in levels(form):
            if "libraries" in level and "python_wheel_task" in level:
                key = level.get("job_cluster_key")
                owner = f"the cluster of the task `{job.key}.{task.key}`"
                owner = owner if key is None else f"the cluster `{key}` of the job `{job.key}`"
                yield of_cluster(_cluster_of(level, job)), owner
    for entry in definition.get("environments", []):
        owner = f"the environment `{entry['environment_key']}` of the job `{job.key}`"
        yield of_environment(entry["spec"], ENVIRONMENT_VERSION), owner


def levels(task: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the task, and for a for-each task also the one inside it."""
    yield task
    match task.get("for_each_task"):
        case {"task": dict(inner)}:
            yield inner


def is_classic(settings: Any) -> bool:
    """Return whether a task with these fields runs on a cluster; without one it is serverless."""
    return not kinds.CLUSTER_FIELDS.isdisjoint(settings)


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return `settings` without those that are None, which the author left to the platform."""
    return {name: value for name, value in settings.items() if value is not None}


def _default_environment(job: Job) -> str:
    return "default" if "default" not in job.environments else "dbxdec-default"


def with_environments(job: Job) -> set[str]:
    """Return the keys of the clusters that a task names together with an environment."""
    return {
        str(level["job_cluster_key"])
        for task in job.tasks
        for level in levels(task.settings)
        if level.get("environment_key") is not None and level.get("job_cluster_key") is not None
    }


def _clusters(job: Job) -> dict[str, dict[str, Any]]:
    """Return the job's clusters, in Environments mode if a task has one of them together with an environment."""
    together = with_environments(job)
    return {
        key: _in_environments_mode(_given(spec)) if key in together else _given(spec)
        for key, spec in job.clusters.items()
    }


def _in_environments_mode(cluster: dict[str, Any]) -> dict[str, Any]:
    """Return `cluster` with the mode, unless its author has set another one, or it is no cluster of machines."""
    if cluster.get("dependency_mode") not in (None, kinds.AUTO_MODE) or cluster.keys() == {_SERVERLESS_COMPUTE}:
        return cluster
    return {**cluster, "dependency_mode": kinds.ENVIRONMENTS_MODE}


def _cluster(key: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job cluster. The one field that does not belong to its `new_cluster` stands beside it."""
    new = {name: value for name, value in spec.items() if name != _SERVERLESS_COMPUTE}
    beside = {name: value for name, value in spec.items() if name == _SERVERLESS_COMPUTE}
    return {"job_cluster_key": key, **({"new_cluster": new} if new or not beside else {}), **beside}


def _native(settings: dict[str, Any], clusters: Mapping[str, Any], serverless: str) -> dict[str, Any]:
    """Return a native task's fields, with the job's environment if it needs one and has none."""
    match settings.get("for_each_task"):
        case {"task": dict(inner)}:
            within = _native(inner, clusters, serverless)
            return {**settings, "for_each_task": {**settings["for_each_task"], "task": within}}
    placed = kinds.compute_of_its_own(settings) and not kinds.takes_environment(settings, clusters)
    if not placed and kinds.runs_in_environments(settings) and kinds.without_compute(settings) is None:
        settings = {"environment_key": serverless, **settings}
    return _of_its_own_cluster(settings)


def _of_its_own_cluster(form: dict[str, Any]) -> dict[str, Any]:
    """Return a task's fields with its own cluster in Environments mode, if it has both that and an environment."""
    match form:
        case {"environment_key": _, "new_cluster": dict(cluster)}:
            return {**form, "new_cluster": _in_environments_mode(cluster)}
    return form


def _head(task: Task) -> dict[str, Any]:
    """Return the fields that tasks of all kinds have."""
    form: dict[str, Any] = {"task_key": task.key}
    if task.depends_on:
        form["depends_on"] = [
            {"task_key": d.task} if d.outcome is None else {"task_key": d.task, "outcome": d.outcome}
            for d in task.depends_on
        ]
    if task.run_if is not None:
        form["run_if"] = task.run_if
    return form


def _python_task(
    job: Job,
    clusters: Mapping[str, Any],
    task: Task,
    package: str,
    build_id: str,
    libraries: Libraries,
    serverless: str,
    uncertain: Sequence[str],
) -> dict[str, Any]:
    form: dict[str, Any] = {
        "python_wheel_task": {
            "package_name": package,
            "entry_point": protocol.ENTRY_POINT,
            "named_parameters": protocol.task_parameters(package, build_id, job.key, task, uncertain),
        },
        **_given({**descriptions.of_task(task.doc), **task.settings}),
    }
    if not is_classic(form) or kinds.takes_environment(form, clusters):
        form.setdefault("environment_key", serverless)
        form = _of_its_own_cluster(form)
    elif kinds.wheel_is_in_image(form, clusters):
        del form["libraries"]
    else:
        form["libraries"] = _joined(libraries.of_cluster(_cluster_of(form, job)), form.get("libraries", []))
    if task.on_failure:
        # It always ends with an error, which a retry would only repeat, and serverless retries by itself.
        if not is_classic(form):
            form |= {"max_retries": 0, "disable_auto_optimization": True}
        elif "max_retries" in form:
            form["max_retries"] = 0
    return {**_head(task), **(form if task.each is None else _for_each(task, task.each, form))}


def _for_each(task: Task, each: Each, form: Mapping[str, Any]) -> dict[str, Any]:
    """Return a for-each task around `form`. Fields that are set once for all iterations stay outside."""
    outside = {name: value for name, value in form.items() if name in _OF_ALL_ITERATIONS}
    inside = {name: value for name, value in form.items() if name not in outside}
    return {
        **outside,
        "for_each_task": {
            "inputs": protocol.for_each_inputs(each),
            **({} if each.concurrency is None else {"concurrency": each.concurrency}),
            "task": {"task_key": task.key + _ITERATION, **inside},
        },
    }


def _cluster_of(form: Mapping[str, Any], job: Job) -> Any:
    """Return the fields of the cluster of a task; None for one that exists already."""
    return form.get("new_cluster", job.clusters.get(str(form.get("job_cluster_key"))))


def _environment(spec: Mapping[str, Any], libraries: Libraries) -> dict[str, Any]:
    version = {} if _HAVE_VERSION & set(spec) else {"environment_version": ENVIRONMENT_VERSION}
    dependencies = _joined(libraries.of_environment(spec), spec.get("dependencies", []))
    if isinstance(dependencies, list):
        dependencies = [normalised(text) if isinstance(text, str) else text for text in dependencies]
    return {**version, **spec, "dependencies": dependencies}


def _joined(ours: list[Any], authors: Any) -> Any:
    """Return `ours`, followed by the author's list.

    Anything but a list is returned as it is, for the check to reject.
    """
    return [*ours, *authors] if isinstance(authors, list) else authors
