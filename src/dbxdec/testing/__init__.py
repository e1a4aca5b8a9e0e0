"""Tests of pipelines: a job or one of its tasks run inside the test, its tables in memory.

The names are loaded when they are first used: pytest imports this package as a plugin, in every project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbxdec.platform.run_if import State
    from dbxdec.testing.api import run_job, run_task
    from dbxdec.testing.lake import Lake
    from dbxdec.testing.results import JobResult, TaskResult
    from dbxdec.testing.shape import JobDag, TaskShape, job_dag

_HOME_OF = {
    "JobDag": "dbxdec.testing.shape",
    "JobResult": "dbxdec.testing.results",
    "Lake": "dbxdec.testing.lake",
    "State": "dbxdec.platform.run_if",
    "TaskResult": "dbxdec.testing.results",
    "TaskShape": "dbxdec.testing.shape",
    "job_dag": "dbxdec.testing.shape",
    "run_job": "dbxdec.testing.api",
    "run_task": "dbxdec.testing.api",
}

__all__ = ["JobDag", "JobResult", "Lake", "State", "TaskResult", "TaskShape", "job_dag", "run_job", "run_task"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value
