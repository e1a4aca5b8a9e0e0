"""The compute of tasks: job clusters, and environments, which are serverless unless a cluster is named beside them."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.authoring.settings import plain
from dbxdec.model.mistakes import forgiving
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from databricks.bundles.jobs import ClusterSpecDict, EnvironmentDict


@dataclass(frozen=True)
class JobCluster:
    """A cluster that a job starts and its tasks share: what `job_cluster(...)` returns.

    Attributes:
        key: The cluster's key in its job.
        new_cluster: The platform's fields of a new cluster.

    Example:
        ```python
        from dbxdec import job_cluster

        assert job_cluster("small", num_workers=1).key == "small"
        ```
    """

    key: str
    new_cluster: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Environment:
    """The Python packages of tasks, serverless or on a cluster: what `environment(...)` returns.

    The build adds the pipeline's wheel to its dependencies.

    Attributes:
        key: The environment's key in its job.
        spec: The platform's fields of an environment's spec.

    Example:
        ```python
        from dbxdec import environment

        assert environment("etl", dependencies=["polars"]).key == "etl"
        ```
    """

    key: str
    spec: Mapping[str, Any] = field(default_factory=dict)


@forgiving()
def job_cluster(
    key: str, *, serverless_compute_id: str | None = None, **new_cluster: Unpack[ClusterSpecDict]
) -> JobCluster:
    """Return a job cluster, for `cluster=` of jobs and tasks.

    Args:
        key: Its key in the job. Two different clusters of a job need two keys.
        serverless_compute_id: The field of this name of the platform's job cluster.
        **new_cluster: Fields of the platform's `new_cluster`, such as `spark_version`, `node_type_id`, `num_workers`,
            `autoscale` and `spark_conf`. The build refuses unknown ones.

    Returns:
        The cluster.

    Raises:
        AuthoringError: A value can't be a setting: settings are `str`, `int`, `float`, `bool`, None, lists and dicts.

    Example:
        ```python
        from dbxdec import job_cluster

        small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)
        ```
    """
    beside = {} if serverless_compute_id is None else {"serverless_compute_id": serverless_compute_id}
    return JobCluster(key, plain({**new_cluster, **beside}))


@forgiving()
def environment(key: str, **spec: Unpack[EnvironmentDict]) -> Environment:
    """Return an environment, for `environment=` of jobs and tasks.

    Tasks with an environment are serverless. With `cluster=` beside it they run on the cluster, which installs the
    environment instead of libraries: the build sets its `dependency_mode`. That needs Databricks Runtime 19 or newer
    and the standard access mode.

    Args:
        key: Its key in the job. Two different environments of a job need two keys.
        **spec: Fields of the platform's environment spec, such as `dependencies` (a list of pip requirements and paths
            of wheels) and `environment_version` (a string; the default is dbxdec's).

    Returns:
        The environment.

    Raises:
        AuthoringError: A value can't be a setting: settings are `str`, `int`, `float`, `bool`, None, lists and dicts.

    Example:
        ```python
        from dbxdec import environment

        etl = environment("etl", dependencies=["polars>=1.44", "httpx"])
        ```
    """
    return Environment(key, plain(spec))
