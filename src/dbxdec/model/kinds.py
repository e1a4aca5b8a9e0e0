"""The compute of the platform's kinds of tasks.

From docs.databricks.com, "Configure compute for jobs", and the bundle's own validation (databricks/cli,
bundle/config/validate/job_task_cluster_spec.go). A new kind takes no compute until it is listed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLUSTER_FIELDS = frozenset({"job_cluster_key", "new_cluster", "existing_cluster_id"})
COMPUTE_FIELDS = CLUSTER_FIELDS | {"environment_key"}
ENVIRONMENTS_MODE = "DEPENDENCY_MODE_ENVIRONMENTS"
"""The `dependency_mode` of a cluster whose tasks have environments, as on serverless, instead of libraries."""
AUTO_MODE = "DEPENDENCY_MODE_AUTO"

_ON_CLUSTERS = frozenset(
    {"notebook_task", "spark_python_task", "python_wheel_task", "spark_jar_task", "spark_submit_task", "dbt_task"}
)
# A serverless notebook has its own environment, so a job's default environment does not apply.
_IN_ENVIRONMENTS = frozenset({"spark_python_task", "python_wheel_task", "spark_jar_task", "dbt_task"})
NEEDED = {
    "spark_submit_task": "a new cluster: `cluster=job_cluster(...)`",
    "spark_jar_task": "a cluster, or `environment=environment(..., java_dependencies=[...])`",
    "dbt_task": 'a cluster, or `environment=environment(..., dependencies=["dbt-databricks>=1.8"])`',
}
"""The compute that these kinds need: an environment with only the pipeline's wheel is of no use to them."""


def runs_on_clusters(fields: Mapping[str, Any]) -> bool:
    """Return whether a task with these fields takes a cluster; a notebook may run on a SQL warehouse instead."""
    match fields.get("notebook_task"):
        case {"warehouse_id": str()}:
            return False
    return not _ON_CLUSTERS.isdisjoint(fields)


def runs_in_environments(fields: Mapping[str, Any]) -> bool:
    """Return whether a task with these fields needs an environment if it is serverless."""
    return not _IN_ENVIRONMENTS.isdisjoint(fields)


def without_compute(fields: Mapping[str, Any]) -> str | None:
    """Return the task's kind if it can't run unless the author sets its compute, else None."""
    found = [name for name in fields if name.endswith("_task")]
    return found[0] if len(found) == 1 and found[0] in NEEDED else None


def compute_of_its_own(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that set the task's compute."""
    return {name: value for name, value in fields.items() if name in COMPUTE_FIELDS and value is not None}


def cluster_of(fields: Mapping[str, Any], clusters: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the cluster that a task defines, or names among `clusters`, the job's by key; None for any other."""
    found = fields.get("new_cluster") or clusters.get(str(fields.get("job_cluster_key")))
    return found if isinstance(found, Mapping) else None


def takes_environment(fields: Mapping[str, Any], clusters: Mapping[str, Any]) -> bool:
    """Return whether a task on a cluster has an environment, and so no libraries."""
    cluster = cluster_of(fields, clusters)
    by_cluster = cluster is not None and cluster.get("dependency_mode") == ENVIRONMENTS_MODE
    return by_cluster or fields.get("environment_key") is not None


def wheel_is_in_image(fields: Mapping[str, Any], clusters: Mapping[str, Any]) -> bool:
    """Return whether the wheel is in a container image: the task has `libraries=[]` and its cluster a `docker_image`.

    `clusters` are the job's clusters, by key.
    """
    cluster = cluster_of(fields, clusters)
    return fields.get("libraries") == [] and cluster is not None and bool(cluster.get("docker_image"))
