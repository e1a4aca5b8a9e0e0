"""Warnings about the compute of jobs: clusters without Unity Catalog or too old, fields that the CLI does not know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem
from dbxdec.model import dag, kinds
from dbxdec.model.catalog_names import OTHER_CATALOGS
from dbxdec.model.variables import without_tokens
from dbxdec.platform import pythons

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.model.dag import Job, Task

_CATALOG_MANAGER = "dbxdec.io_managers:SparkTableIoManager"
_NAME = re.compile(r"[^./\\:]+(\.[^./\\:]+){2}")
_VOLUME = re.compile(r"(dbfs:)?/Volumes/")
_ACCESS_MODE = (
    'write `data_security_mode="SINGLE_USER"` there, the dedicated access mode, or "USER_ISOLATION", the standard one'
)

# Fields of databricks-bundles that are not in the CLI's own schema (databricks/cli, bundle/schema/jsonschema.json).
_OF_JOBS = ("environment_variables",)
_OF_TASKS = ("environment_variables_key",)
_OF_ENVIRONMENTS = ("project_environment",)
_DEPENDENCIES = "; `dependencies` says what to install"
_FATE = "which the bundle's CLI does not know: it leaves the field out, and a bundle in Python fails"


def without_unity_catalog(job: Job) -> Iterator[Problem]:
    """Yield a warning for each cluster without an access mode on which a task uses a table of Unity Catalog."""
    seen: set[str] = set()
    for task in job.tasks:
        cluster = kinds.cluster_of(task.settings, job.clusters) if task.kind == "python" else None
        if cluster is None or not _has_no_access_mode(cluster):
            continue
        place = next(_in_unity_catalog(task, job), None)
        key = task.settings.get("job_cluster_key")
        if place is None or key in seen:
            continue
        no_catalog = "has no data_security_mode, so it has no Unity Catalog, but the task"
        if task.settings.get("new_cluster"):
            message = f"the `new_cluster` of the task `{job.key}.{task.key}` {no_catalog} uses {place}"
            yield Problem(message, task.set_at, _ACCESS_MODE)
        else:
            seen.add(str(key))
            message = f"the cluster `{key}` of the job `{job.key}` {no_catalog} `{task.key}` uses {place}"
            yield Problem(message, job.source, _ACCESS_MODE)


def _has_no_access_mode(cluster: Mapping[str, Any]) -> bool:
    """Return whether a cluster has no access mode, and no policy that may set one."""
    return cluster.get("data_security_mode") is None and cluster.get("policy_id") is None


def _in_unity_catalog(task: Task, job: Job) -> Iterator[str]:
    """Yield the places in Unity Catalog that a task writes or reads."""
    for io, place in [*dag.places_of(task), *_read_from_tasks(task, job)]:
        if _is_in_unity_catalog(io, place):
            yield place


def _read_from_tasks(task: Task, job: Job) -> Iterator[tuple[str | None, str]]:
    for leaf in task.leaves:
        if isinstance(leaf, dag.TaskOutput):
            output = job.task(leaf.task).outputs.get(leaf.output)
            if output is not None and output.target is not None:
                yield output.io, output.target


def _is_in_unity_catalog(io: str | None, place: str) -> bool:
    plain = without_tokens(place)
    is_name = io == _CATALOG_MANAGER or _NAME.fullmatch(plain) is not None
    return (is_name and plain.partition(".")[0] not in OTHER_CATALOGS) or _VOLUME.match(plain) is not None


def unknown_to_the_cli(job: Job) -> Iterator[Problem]:
    """Yield a warning for each field of the author's that databricks-bundles has and the CLI's schema lacks."""
    owners = [
        (f"the job `{job.key}`", job.source, job.settings, _OF_JOBS, ""),
        *(
            (f"the environment `{key}` of the job `{job.key}`", job.source, spec, _OF_ENVIRONMENTS, _DEPENDENCIES)
            for key, spec in job.environments.items()
        ),
        *((f"the task `{job.key}.{task.key}`", task.set_at, task.settings, _OF_TASKS, "") for task in job.tasks),
    ]
    for owner, where, fields, unknown, instead in owners:
        for name in unknown:
            if fields.get(name) is not None:
                hint = f"leave it out until the CLI that deploys has it{instead}"
                yield Problem(f"{owner} has the field `{name}`, {_FATE}", where, hint)


_TOO_OLD = "whose Python is older than 3.11: dbxdec can't be installed there"


def too_old(job: Job) -> Iterator[Problem]:
    """Yield a warning for each cluster and environment whose Python is older than dbxdec can be installed on."""
    yield from _environments_too_old(job)
    seen: set[str] = set()
    for task in job.tasks:
        cluster = kinds.cluster_of(task.settings, job.clusters) if task.kind == "python" else None
        if cluster is None or cluster.get("docker_image") is not None:
            continue
        version = cluster.get("spark_version")
        if not isinstance(version, str) or not pythons.is_too_old(version):
            continue
        key = task.settings.get("job_cluster_key")
        own = bool(task.settings.get("new_cluster"))
        if not own and key in seen:
            continue
        seen.add(str(key))
        owner = f"the cluster `{key}` of the job `{job.key}`"
        if own:
            owner = f"the `new_cluster` of the task `{job.key}.{task.key}`"
        yield Problem(
            f"{owner} has the spark_version {version}, {_TOO_OLD}",
            task.set_at if own else job.source,
            'write `spark_version="15.4.x-scala2.12"` or newer',
        )


def _environments_too_old(job: Job) -> Iterator[Problem]:
    used = {task.settings.get("environment_key") for task in job.tasks if task.kind == "python"}
    for key, spec in job.environments.items():
        field = "environment_version" if spec.get("environment_version") is not None else "client"
        version = spec.get(field)
        if key in used and isinstance(version, str) and pythons.is_environment_too_old(version):
            yield Problem(
                f"the environment `{key}` of the job `{job.key}` has the {field} {version}, {_TOO_OLD}",
                job.source,
                'write `environment_version="2"` or newer, or leave it out',
            )
