"""One build, without a word about who asks for it: discover, digest, render, verify, write.

The build hook is a thin caller of this; whatever can fail does so in `build`, before a wheel exists.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dbxdec
from dbxdec import codegen, manifest, protocol
from dbxdec.codegen.paths import relocate
from dbxdec.discovery.process import Discovered, ShippedFile, discover
from dbxdec.errors import DbxdecError, ManifestError, Problem
from dbxdec.wheels import read_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.config import Config
    from dbxdec.manifest import Manifest

__all__ = ["Build", "ShippedFile", "build", "discard", "resources_content", "verify"]

# Only finalize knows the wheel's real name; rendering before shows every other mistake while nothing exists yet.
_PLACEHOLDER = "dist/placeholder-0-py3-none-any.whl"
_WHEEL_IN_RESOURCES = re.compile(rb"[\w./+-]+\.whl")


@dataclass(frozen=True)
class Build:
    """What one build has found out: goes into the wheel as `content`, and into the resources."""

    manifest: Manifest
    content: bytes
    payload: tuple[tuple[str, str], ...]
    discovered: Discovered


def build(files: Sequence[ShippedFile], *, project: str, version: str, config: Config) -> Build:
    """Discover the pipelines among `files`, the wheel's content, and make the manifest.

    Raises DbxdecError with every mistake, of the pipelines or of the job definitions they make.
    """
    discovered = discover(
        files,
        project=project,
        version=version,
        pipelines=config.pipelines,
        stand_ins=config.missing_imports == "stand-in",
        timeout=config.timeout,
        environment=config.discovery_env,
    )
    payload = tuple(sorted((file.path, _sha256(file.origin)) for file in files))
    made = manifest.Manifest(
        project=project,
        version=version,
        build_id=manifest.digest(project, discovered.jobs, payload),
        generator=f"dbxdec {dbxdec.__version__}",
        raw_jobs=discovered.jobs,
    )
    if config.resources is not None:
        resources_content(made, Path(config.resources), Path(_PLACEHOLDER), config.extra_libraries)
    return Build(made, manifest.encode(made), payload, discovered)


def resources_content(made: Manifest, resources: Path, wheel: Path, extra_libraries: Sequence[str] = ()) -> bytes:
    """The resources file for `wheel`; both paths are relative to the project's root.

    Raises CodegenError where the platform would not take a job.
    """
    root = Path(os.path.relpath(".", resources.parent)).as_posix()
    jobs = codegen.build_jobs(made, wheel=wheel.as_posix(), extra_libraries=extra_libraries)
    moved = {key: relocate(job, root) for key, job in jobs.items()}
    beside = Path(os.path.relpath(wheel, resources.parent)).as_posix()
    return codegen.render(moved, package=made.project, build_id=made.build_id, path=resources, wheel=beside)


def verify(made: Build, wheel: Path, *, standard: bool) -> None:
    """Check that the finished wheel is what was built. Raises ManifestError with every difference."""
    found = read_wheel(wheel)
    problems = []
    if found.manifest_bytes != made.content:
        problems.append(Problem("the manifest in the wheel is not the one that was built"))
    if _entry_point(found.entry_points) != protocol.ENTRY_POINT_OBJECT:
        problems.append(
            Problem(
                f"the wheel's entry point `{protocol.ENTRY_POINT}` is {_entry_point(found.entry_points) or 'missing'}, "
                f"not {protocol.ENTRY_POINT_OBJECT}",
                hint="another build or metadata hook has changed the entry points",
            )
        )
    # An editable wheel points to the tree instead of holding it.
    if standard and (changed := _differences(made.payload, found.payload)):
        problems.append(
            Problem(
                f"files of the wheel are not those that were imported: {', '.join(changed[:5])}",
                hint="something changed the tree during the build: build again",
            )
        )
    if problems:
        raise ManifestError(problems)


def discard(root: Path, resources: str | None, *wheels: Path) -> None:
    """Remove what a failed build must not leave: the resources, the wheel they name, and `wheels`.

    A deploy after a failed build then fails too, instead of deploying an older build in silence.
    """
    doomed = list(wheels)
    if resources is not None and (root / resources).is_file():
        path = root / resources
        names = _WHEEL_IN_RESOURCES.findall(path.read_bytes())
        doomed += [path, *((path.parent / name.decode()).resolve() for name in names)]
    for path in doomed:
        if path.is_file() and path.resolve().is_relative_to(root.resolve()):
            path.unlink()


def _entry_point(entry_points: Mapping[str, Mapping[str, str]]) -> str | None:
    return entry_points.get(protocol.ENTRY_POINT_GROUP, {}).get(protocol.ENTRY_POINT)


def _differences(built: Sequence[tuple[str, str]], found: Sequence[tuple[str, str]]) -> list[str]:
    return sorted({path for path, _ in set(built) ^ set(found)})


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def admits_running_version(requirements: Sequence[str], project: str) -> None:
    """Check that `project`, once installed, has a dbxdec that can read its manifest.

    Raises DbxdecError where its dependencies leave dbxdec out, or do not admit the version that builds.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    own = [r for r in map(Requirement, requirements) if canonicalize_name(r.name) == "dbxdec"]
    version = dbxdec.__version__
    if not own:
        raise DbxdecError(
            Problem(
                f"{project} does not depend on dbxdec, which runs its tasks",
                "project.dependencies",
                f'add "dbxdec>={version}" (with the extras it needs, as in "dbxdec[polars]>={version}")',
            )
        )
    refusing = [str(r) for r in own if not r.specifier.contains(version, prereleases=True)]
    if refusing:
        raise DbxdecError(
            Problem(
                f"`{refusing[0]}` does not admit dbxdec {version}, which is building",
                "project.dependencies",
                "the task would run another version than the one that checked it: widen the requirement",
            )
        )
