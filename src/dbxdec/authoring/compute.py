"""The compute of tasks: job clusters (classic) and environments (serverless)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dbxdec.authoring.settings import plain
from dbxdec.model.mistakes import forgiving

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from databricks.bundles.jobs import ClusterSpecDict, EnvironmentDict


@dataclass(frozen=True)
class JobCluster:
    """A cluster that a job starts and its tasks share."""

    key: str
    new_cluster: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Environment:
    """A serverless environment; the pipeline's wheel is added to its dependencies at build time."""

    key: str
    spec: Mapping[str, Any] = field(default_factory=dict)


@forgiving()
def job_cluster(
    key: str, *, serverless_compute_id: str | None = None, **new_cluster: Unpack[ClusterSpecDict]
) -> JobCluster:
    """A job cluster named `key`, with the fields of the platform's `new_cluster`; unknown ones fail the build."""
    beside = {} if serverless_compute_id is None else {"serverless_compute_id": serverless_compute_id}
    return JobCluster(key, plain({**new_cluster, **beside}))


@forgiving()
def environment(key: str, **spec: Unpack[EnvironmentDict]) -> Environment:
    """A serverless environment named `key`: `dependencies=[...]` (pip requirements) and the platform's other fields."""
    return Environment(key, plain(spec))
