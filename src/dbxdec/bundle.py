"""The jobs of a project for a bundle in Python, from a wheel that is rebuilt when anything it depends on has changed.

Put this into `databricks.yml`, with `resources = false` under [tool.dbxdec]:

    python:
      resources: ["dbxdec.bundle:load_resources"]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, cast

from dbxdec.build import bundlefile, config, freshness, unbuilt
from dbxdec.errors import ConfigError, DbxdecError, ManifestError, SourceLocation
from dbxdec.support import documents
from dbxdec.support.boundary import refusal
from dbxdec.support.forms import at
from dbxdec.support.printing import message

if TYPE_CHECKING:
    from databricks.bundles.core import Bundle, Location, Resources
    from databricks.bundles.jobs import JobDict


def load_resources(
    bundle: Bundle | None = None,
    project: str | os.PathLike[str] = ".",
) -> Resources:
    """Return the jobs of a project for a bundle in Python (PyDABs), with paths relative to the bundle's root.

    It builds the wheel first if it is not up to date. Whatever is wrong becomes a diagnostic of the bundle, and so does
    what the bundle lacks for runs in flight to keep their wheel.

    Args:
        bundle: The bundle, as the CLI gives it.
        project: The project's folder in the bundle. A bundle whose project is not at its root calls this function in
            its `resources/__init__.py`: `load_resources(bundle, "my_project")`.
    """
    from databricks.bundles.core import Resources

    found = Resources()  # type: ignore[no-untyped-call]
    try:
        try:
            _add_jobs(found, Path.cwd().resolve(), project, bundle.target if bundle else None)
        except OSError as error:
            if (said := refusal(error)) is None:
                raise
            raise ConfigError(said) from None
    except DbxdecError as error:
        for problem in error.problems:
            last = problem is error.problems[-1]
            detail = "\n".join(filter(None, [problem.hint, unbuilt.HOW_TO_SKIP if last else None]))
            found.add_diagnostic_error(problem.message, detail=detail, location=_location(problem.where, Path()))
    return found


def _add_jobs(found: Resources, top: Path, project: str | os.PathLike[str], target: str | None) -> None:
    from databricks.bundles.jobs import Job

    from dbxdec.build import bundlechecks, promises
    from dbxdec.build.codegen import build_jobs
    from dbxdec.build.codegen.paths import relocate
    from dbxdec.build.rebuild import find_project, up_to_date
    from dbxdec.build.shipping import ship
    from dbxdec.build.wheels import read_wheel

    root = find_project(top / project)
    if not root.is_relative_to(top):
        raise ConfigError(
            f"the project's root {root} is not inside the bundle's root {top}",
            hint="Python resources can't name files outside of their bundle: put databricks.yml beside pyproject.toml",
        )
    if unbuilt.skips() and (reason := _why_stale(root)) is not None:
        found.add_diagnostic_warning(unbuilt.skipped(reason))
        found.add_job(unbuilt.JOB, Job.from_dict(cast("JobDict", unbuilt.job())))
        for stopgap in _stopgaps(root):
            stopgap.parent.mkdir(parents=True, exist_ok=True)
            stopgap.touch()
        return
    for stopgap in _stopgaps(root):
        stopgap.unlink(missing_ok=True)
    record = up_to_date(root, say=_to_stderr)
    settings = config.load(root / "pyproject.toml")
    manifest = read_wheel(root / record.wheel).manifest
    own = ship(manifest, root, root / record.wheel).own
    definitions = build_jobs(manifest, wheel=record.wheel, own=own)
    for job in manifest.jobs:
        definition = relocate(definitions[job.key], root.relative_to(top).as_posix())
        found.add_job(
            job.key, Job.from_dict(cast("JobDict", definition)), location=_location(job.source, root.relative_to(top))
        )
    path = bundlefile.find(top)
    in_file = bundlefile.load(path) if path is not None and path.parent == top else None
    if settings.resources is not None and (
        in_file is None or bundlechecks.includes(in_file, root / settings.resources)
    ):
        found.add_diagnostic_warning(
            f"dbxdec also writes the jobs to {settings.resources}: a bundle that includes it has each job twice",
            detail=f"write `resources = false` under [{config.TABLE}] in pyproject.toml",
        )
    for problem in promises.of_python(in_file, manifest.project, root / record.wheel, target) if in_file else ():
        found.add_diagnostic_warning(problem.message, detail=problem.hint, location=_location(problem.where, Path()))


def _stopgaps(root: Path) -> list[Path]:
    """Return the file that keeps the pattern of the project's artifact from matching nothing, if its path is known."""
    try:
        document = documents.toml_of(root / "pyproject.toml")
    except ConfigError:
        return []  # the build reports what is wrong
    project, folder = at(document, "project", "name"), bundlefile.directory_of(at(document, "tool", "hatch"))
    if not isinstance(project, str) or not f"{project}{folder}".isprintable():
        return []
    path = Path(os.path.normpath(root / folder / unbuilt.wheel_of(bundlefile.distribution_name(project))))
    return [path] if path.is_relative_to(root) else []


def _why_stale(root: Path) -> str | None:
    """Return the reason to build; None if the build is up to date."""
    record, reason = freshness.stale(str(root))
    return reason if record is not None else reason or "no build is recorded here"


def _location(where: SourceLocation | str | None, folder: Path) -> Location | None:
    from databricks.bundles.core import Location

    if isinstance(where, SourceLocation):
        return Location(file=str(folder / where.path), line=max(where.line, 1))
    return None


def resources_of_wheel(wheel: Path, target: Path, folder: Path) -> bytes:
    """Return the content of the resources file `target` for a finished wheel, from the manifest inside it.

    Paths in the jobs start at the project that contains `folder`, or at `folder` itself outside of a project. Raises
    ManifestError for a wheel without a manifest, with a name by which no deploy can install it, or if another wheel
    that its tasks need is missing, OSError if that can't be copied beside it, and CodegenError for jobs that the
    platform would reject.
    """
    from dbxdec.build import wheel_names
    from dbxdec.build.codegen import build_jobs, render
    from dbxdec.build.codegen.paths import relocate
    from dbxdec.build.shipping import ship
    from dbxdec.build.wheels import read_wheel

    manifest = read_wheel(wheel).manifest
    written = _relative(wheel, target.parent)
    if problems := list(wheel_names.unfit(wheel, manifest, written)):
        raise ManifestError(problems)
    project = freshness.project_root(str(folder))
    root = Path(project) if project else folder.resolve()
    own = ship(manifest, root, wheel).own
    definitions = build_jobs(manifest, wheel=_relative(wheel, root), own=own)
    prefix = _relative(root, target.parent)
    return render(
        {key: relocate(definition, prefix) for key, definition in definitions.items()},
        package=manifest.project,
        build_id=manifest.build_id,
        path=target,
        wheel=written,
    )


def _relative(path: Path, folder: Path) -> str:
    return PurePath(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _to_stderr(text: str) -> None:
    print(message(f"dbxdec: {text.removeprefix('dbxdec: ')}"), file=sys.stderr)
