"""Rules of the platform for clusters: for their size, and in Environments mode also of their tasks.

In that mode a cluster's tasks have environments, as on serverless, instead of libraries (the Jobs API's reference,
"dependency_mode", and docs.databricks.com, "Databricks Runtime 19.0").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen.fields import is_reference
from dbxdec.model import kinds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.build.codegen.fields import Finding

_FIRST_RUNTIME = 19
# Names of the standard access mode, and the mode that lets the platform choose.
_ACCESS_MODES = frozenset({"DATA_SECURITY_MODE_STANDARD", "USER_ISOLATION", "DATA_SECURITY_MODE_AUTO"})
_RUNTIME = re.compile(r"(\d{1,4})\.")


def cluster_findings(cluster: Mapping[str, Any], *, has_environment: bool) -> Iterator[Finding]:
    """Yield what is wrong with a cluster's size, its `dependency_mode`, and as one that a task has with an environment.

    A mode that the author has set without `environment=` is a field like any other, for the platform to judge.
    """
    yield from _size(cluster)
    if cluster.get("dependency_mode") == kinds.AUTO_MODE:
        what = f"has the dependency_mode {kinds.AUTO_MODE!r}, so the build can't tell whether its tasks take libraries"
        yield (
            f"{what} or an environment",
            "leave it out for libraries; for an environment add `environment=environment(...)` to the job or the task",
        )
    if not has_environment:
        return
    version, access = cluster.get("spark_version"), cluster.get("data_security_mode")
    by_policy = cluster.get("policy_id") is not None
    if (version is None and not by_policy) or _is_older(version):
        has = "has no spark_version" if version is None else f"has the spark_version {version!r}"
        yield (
            f"{has}, but a cluster takes environments from Databricks Runtime {_FIRST_RUNTIME} on",
            f'write `spark_version="{_FIRST_RUNTIME}.0.x-scala2.13"` or newer, or remove `environment=`',
        )
    if (access is None and not by_policy) or _is_other(access):
        has = "has no data_security_mode, without" if access is None else f"has the data_security_mode {access!r}, in"
        yield (
            f"{has} which a cluster takes no environments",
            'write `data_security_mode="DATA_SECURITY_MODE_STANDARD"`, or remove `environment=`',
        )


def _size(cluster: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield problems of the number of workers (the Clusters API's reference, `autoscale` and `num_workers`)."""
    scale = cluster.get("autoscale")
    if scale is not None and cluster.get("num_workers") is not None:
        yield "has both `num_workers` and `autoscale`", "a cluster has a fixed size, or grows and shrinks"
    if not isinstance(scale, dict):
        return
    sizes = {name: number for name, number in scale.items() if type(number) is int}
    for name, number in sizes.items():
        if number < 0:
            yield f"has `autoscale.{name}` {number}", "0 or more"
    least, most = sizes.get("min_workers", 0), sizes.get("max_workers")
    if most is not None and 0 <= most < least:
        yield f"has `autoscale.min_workers` {least}, more than `max_workers` {most}", "write them the other way round"


def _is_other(access: object) -> bool:
    """Return whether an access mode is known to be another than the one that takes environments."""
    return isinstance(access, str) and access not in _ACCESS_MODES and not is_reference(access)


def _is_older(version: object) -> bool:
    """Return whether a runtime is too old; one that the build can't read, such as a variable, is not."""
    found = _RUNTIME.match(version) if isinstance(version, str) else None
    return found is not None and int(found[1]) < _FIRST_RUNTIME


def task_findings(level: Mapping[str, Any], clusters: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with a task on a cluster that takes environments; `clusters` are the job's, by key."""
    if not kinds.takes_environment(level, clusters) or kinds.CLUSTER_FIELDS.isdisjoint(level):
        return
    cluster = kinds.cluster_of(level, clusters) or {}
    mode = cluster.get("dependency_mode")
    if mode not in (None, kinds.ENVIRONMENTS_MODE, kinds.AUTO_MODE) and not is_reference(mode):
        yield (
            f"has an environment, but its cluster has the dependency_mode {mode!r}",
            "leave `dependency_mode` out, or remove `environment=`",
        )
    elif "libraries" in level:
        yield (
            "has `libraries`, but its cluster takes an environment instead",
            "use `environment(key, dependencies=[...])`",
        )
    if level.get("environment_key") is None and (kind := kinds.without_compute(level)) is not None:
        yield (
            f"is a {kind} on a cluster in Environments mode, so it needs an environment with what it runs",
            "set `environment=environment(...)` on the task or the job",
        )
