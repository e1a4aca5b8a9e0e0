"""Ordinary Python functions as Databricks pipelines.

The public names are loaded when they are first used: importing dbxdec imports no third-party module and nothing of
the build side. PYTEST_DONT_REWRITE: pytest loads dbxdec as a plugin, and may find it imported before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbxdec.authoring.assembly import handled
    from dbxdec.authoring.compute import Environment, JobCluster, environment, job_cluster
    from dbxdec.authoring.conditions import condition
    from dbxdec.authoring.each import each
    from dbxdec.authoring.jobs import Job, job
    from dbxdec.authoring.keys import daily, hourly, key, monthly, weekly
    from dbxdec.authoring.proxies import TaskProxy, latest
    from dbxdec.authoring.steps import native_task
    from dbxdec.authoring.tasks import Task, task
    from dbxdec.authoring.triggers import on_update
    from dbxdec.errors import DbxdecError, ExpectationError, NotWrittenError, RunError, TargetExistsError
    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import InputContext, OutputContext, WriteResult
    from dbxdec.io_managers.delta.definition import column
    from dbxdec.io_managers.delta.expectations import fraction, rows, unique
    from dbxdec.io_managers.delta.merge import DeltaMerge
    from dbxdec.model.rundate import run_date
    from dbxdec.model.secrets import Secret, secret
    from dbxdec.model.variables import bundle_target, bundle_variable
    from dbxdec.runtime.context import context, params
    from dbxdec.runtime.task_values import get_task_value, set_task_value, task_values

__version__ = "0.1.0"

_HOMES = {
    "dbxdec.authoring.assembly": ("handled",),
    "dbxdec.authoring.compute": ("Environment", "JobCluster", "environment", "job_cluster"),
    "dbxdec.authoring.conditions": ("condition",),
    "dbxdec.authoring.each": ("each",),
    "dbxdec.authoring.jobs": ("Job", "job"),
    "dbxdec.authoring.proxies": ("TaskProxy", "latest"),
    "dbxdec.authoring.steps": ("native_task",),
    "dbxdec.authoring.tasks": ("Task", "task"),
    "dbxdec.authoring.triggers": ("on_update",),
    "dbxdec.errors": ("DbxdecError", "ExpectationError", "NotWrittenError", "RunError", "TargetExistsError"),
    "dbxdec.io_managers.base": ("IoManager",),
    "dbxdec.io_managers.contexts": ("InputContext", "OutputContext", "WriteResult"),
    "dbxdec.io_managers.delta.definition": ("column",),
    "dbxdec.io_managers.delta.expectations": ("fraction", "rows", "unique"),
    "dbxdec.io_managers.delta.merge": ("DeltaMerge",),
    "dbxdec.authoring.keys": ("daily", "hourly", "key", "monthly", "weekly"),
    "dbxdec.model.rundate": ("run_date",),
    "dbxdec.runtime.context": ("context", "params"),
    "dbxdec.runtime.task_values": ("get_task_value", "set_task_value", "task_values"),
    "dbxdec.model.secrets": ("Secret", "secret"),
    "dbxdec.model.variables": ("bundle_target", "bundle_variable"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DbxdecError",
    "DeltaMerge",
    "Environment",
    "ExpectationError",
    "InputContext",
    "IoManager",
    "Job",
    "JobCluster",
    "NotWrittenError",
    "OutputContext",
    "RunError",
    "Secret",
    "TargetExistsError",
    "Task",
    "TaskProxy",
    "WriteResult",
    "bundle_target",
    "bundle_variable",
    "column",
    "condition",
    "context",
    "daily",
    "each",
    "environment",
    "fraction",
    "get_task_value",
    "handled",
    "hourly",
    "job",
    "job_cluster",
    "key",
    "latest",
    "monthly",
    "native_task",
    "on_update",
    "params",
    "rows",
    "run_date",
    "secret",
    "set_task_value",
    "task",
    "task_values",
    "unique",
    "weekly",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'dbxdec' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
