"""The live objects of a job: its functions and IoManagers, from the modules that are installed here."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.model.job_forms import encode_binding, encode_each, encode_output
from dbxdec.runtime import leaving

if TYPE_CHECKING:
    from dbxdec.authoring.jobs import BuiltJob
    from dbxdec.model import dag


def live_job(job: dag.Job) -> BuiltJob:
    """Return the job with its functions and IoManagers.

    It imports only the job's module, none of the project's others by itself, and runs the job's body.
    """
    with leaving.refused(f"the module {job.module}", " while it was imported"):
        importlib.import_module(job.module)
    from dbxdec.authoring.jobs import registered

    found = next((entry for entry in registered() if entry.key == job.key), None)
    if found is None:
        raise RunError(
            f"importing {job.module} did not define the job `{job.key}`",
            hint="a job must be defined whenever its module is imported, not only at build time",
        )
    built = found.build(job.module)
    if built.problems:
        raise RunError(built.problems)
    return built


def forget_jobs() -> None:
    """Let the next task of this process see only jobs of modules that it imports itself."""
    from dbxdec.authoring.jobs import forget

    forget()


def check_same(task: dag.Task, built: BuiltJob) -> None:
    """Raise RunError if the body, which runs again here, gives another task than at build time: data would be wrong."""
    try:
        here = built.dag.task(task.key)
    except KeyError:
        here = None
    if here is None or _form(here) != _form(task):
        raise RunError(
            f"the body of the job `{built.dag.key}` gives a different task `{task.key}` here than at build time",
            hint="it must not depend on the time, the environment or files: use job parameters and bundle variables",
        )


def _form(task: dag.Task) -> Any:
    return (
        {name: encode_binding(binding) for name, binding in task.inputs.items()},
        {name: encode_output(output) for name, output in task.outputs.items()},
        encode_each(replace(task.each, type=None)) if task.each else None,
    )
