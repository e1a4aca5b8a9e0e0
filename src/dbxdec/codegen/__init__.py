"""From the manifest to the platform's job definitions, and to the resources file that deploys them."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

from dbxdec.codegen.jobs import job_definition
from dbxdec.codegen.render import render, write_if_changed
from dbxdec.errors import CodegenError

if TYPE_CHECKING:
    from dbxdec.manifest import Manifest

__all__ = ["build_jobs", "preload", "render", "write_if_changed"]


def preload() -> None:
    """Begin to import what checks and renders definitions, while the caller waits for something else.

    It takes longer than everything else of a small build together.
    """

    def load() -> None:
        with suppress(ImportError):  # said where it is needed
            import databricks.bundles.jobs  # noqa: F401
            import yaml  # noqa: F401

    Thread(target=load, daemon=True).start()


def build_jobs(manifest: Manifest, *, wheel: str) -> dict[str, dict[str, Any]]:
    """The definition of each job, as the Jobs API has it, by job key.

    All paths are relative to the project's root; `codegen.paths.relocate` moves them to where the definitions will
    lie. Raises CodegenError, with everything that the platform would not take, at the author's file and line.
    """
    from dbxdec.codegen.check import check_job, check_libraries, require_databricks_bundles

    require_databricks_bundles()
    jobs = manifest.jobs
    definitions = {
        job.key: job_definition(job, manifest.project, manifest.build_id, wheel, manifest.libraries) for job in jobs
    }
    problems = [problem for job in jobs for problem in check_job(job, definitions[job.key])]
    problems += check_libraries(manifest.libraries, definitions.values())
    if problems:
        raise CodegenError(problems)
    return definitions
