"""Code generation: from the manifest to the platform's job definitions and to the resources file that deploys them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen.jobs import computes, job_definition
from dbxdec.build.codegen.libraries import Libraries
from dbxdec.build.codegen.render import render, write_if_changed
from dbxdec.errors import CodegenError, in_order
from dbxdec.support.pauses import without_collection

if TYPE_CHECKING:
    from collections.abc import Collection

    from dbxdec.errors import Problem
    from dbxdec.model.dag import Job
    from dbxdec.model.manifest import Manifest

__all__ = ["build_jobs", "computes_of", "render", "setting_problems", "unchecked", "write_if_changed"]


def build_jobs(manifest: Manifest, *, wheel: str, own: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the definition of each job, in the form of the Jobs API, by job key.

    `own` is the library that is dbxdec itself; without one, it is what the wheel's requirement gives.

    All paths are relative to the project's root; `codegen.paths.relocate` moves them to the place of the definitions.
    Raises CodegenError, with everything that the platform would reject, at the author's file and line.
    """
    from dbxdec.build.codegen.check import check_job, require_databricks_bundles
    from dbxdec.build.codegen.installed import check_libraries

    require_databricks_bundles()
    with without_collection():
        jobs = manifest.jobs
        definitions = unchecked(manifest, jobs, Libraries.of(manifest, wheel, own))
        problems = [problem for job in jobs for problem in check_job(job, definitions[job.key])]
    problems += check_libraries(manifest.libraries, definitions.values())
    if problems:
        raise CodegenError(in_order(problems))
    return definitions


def setting_problems(manifest: Manifest, sound: Collection[str] = ()) -> list[Problem]:
    """Return the problems of job settings and extra libraries when other mistakes keep some jobs from being built.

    `sound` are the keys of the jobs without other mistakes.
    """
    from dbxdec.build.codegen.check import check_job, check_settings, require_databricks_bundles
    from dbxdec.build.codegen.installed import check_libraries

    require_databricks_bundles()
    jobs = manifest.jobs
    definitions = unchecked(manifest, jobs, Libraries("a.whl", manifest.libraries))
    checks = {job.key: check_job if job.key in sound else check_settings for job in jobs}
    problems = [problem for job in jobs for problem in checks[job.key](job, definitions[job.key])]
    return problems + check_libraries(manifest.libraries, definitions.values())


def computes_of(jobs: list[Job]) -> dict[str, str]:
    """Return the computes to which the jobs give the wheel, as `model.locked` names them, and for each an owner."""
    found: dict[str, str] = {}
    for job in jobs:
        for compute, owner in computes(job, job_definition(job, "", "", Libraries("a.whl"))):
            found.setdefault(compute, owner)
    return found


def unchecked(manifest: Manifest, jobs: list[Job], libraries: Libraries) -> dict[str, dict[str, Any]]:
    """Return the definition of each of `jobs`, whatever the platform would say of it, by job key."""
    return {job.key: job_definition(job, manifest.project, manifest.build_id, libraries) for job in jobs}
