"""The resources file of a project: what it holds, and when it is written, withdrawn, put back and removed.

It names the wheel of its build. Beside a wheel of another build, or of none, it must not remain: a deploy would take
both for one.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.build import shipping, unbuilt
from dbxdec.errors import ConfigError, ManifestError, Problem
from dbxdec.support import files

if TYPE_CHECKING:
    from dbxdec.build.config import Config
    from dbxdec.model.manifest import Manifest

# The first entry of a resources file: the artifact, which is the wheel of the project (`codegen.render`).
_ARTIFACT = re.compile(r'\s*(?:# Made by dbxdec|\{\s*"artifacts")')
_SOURCE = re.compile(r'"?\bsource"?: *(?P<path>"(?:[^"\\]|\\.)*"|[^"\s]+)')


def rendered(made: Manifest, resources: Path, wheel: Path, own: str | None = None) -> bytes:
    """Return the resources file for `wheel`; both paths are relative to the project's root.

    `own` is the library that is dbxdec itself, if one is needed. Raises CodegenError when the platform would
    not accept a job.
    """
    from dbxdec.build import codegen
    from dbxdec.build.codegen.paths import relocate

    root = Path(os.path.relpath(".", resources.parent)).as_posix()
    jobs = codegen.build_jobs(made, wheel=wheel.as_posix(), own=own)
    moved = {key: relocate(job, root) for key, job in jobs.items()}
    beside = Path(os.path.relpath(wheel, resources.parent)).as_posix()
    return codegen.render(moved, package=made.project, build_id=made.build_id, path=resources, wheel=beside)


def write(made: Manifest, root: Path, config: Config, wheel: Path, own: str | None) -> bool:
    """Write the resources that deploy `wheel`, which is below `root`; return whether they have changed.

    `own` is the library that is dbxdec itself, if one is needed. Raises OSError when they can't be written.
    """
    from dbxdec.build import codegen

    path = Path(str(config.resources))
    name = files.real(wheel).relative_to(files.real(root))
    content = rendered(made, path, name, own)
    changed = codegen.write_if_changed(root / path, content)
    _unblock(root, str(path))
    return changed


def check_replaceable(root: Path, resources: str | None) -> None:
    """Raise ConfigError when the resources would replace a file that no build has made."""
    path = root / resources if resources is not None else None
    if path is not None and path.is_file() and path.stat().st_size and not _is_ours(path):
        raise ConfigError(
            Problem(
                f"{resources} already exists, and was not made by dbxdec",
                "tool.dbxdec.resources",
                "name another file, or remove this one: every build would replace it",
            )
        )


def named_wheel(root: Path, resources: str | None) -> Path | None:
    """Return the wheel that the project's resources name, whether it exists or not; None without resources."""
    path = root / resources if resources is not None else None
    if path is None or not path.is_file() or not _is_ours(path):
        return None
    return _wheel_in(path.read_bytes(), path.parent)


def _wheel_in(content: bytes, folder: Path) -> Path | None:
    """Return the wheel that the resources in `folder` name."""
    found = _SOURCE.search(content.decode("utf-8", "replace"))
    if found is None:
        return None
    name = found["path"]
    try:
        wheel = Path(os.path.realpath(folder / (json.loads(name) if name.startswith('"') else name)))
    except ValueError:  # not a file name
        return None
    return wheel if wheel.suffix == ".whl" else None


def discard(root: Path, resources: str | None, *wheels: Path) -> None:
    """Remove what a failed build must not leave: the resources, the wheel that they name, and `wheels`.

    A deploy after a failed build then fails too, instead of silently deploying an older build.
    """
    named = named_wheel(root, resources)
    for wheel in (*wheels, *([named] if named else [])):
        if files.real(wheel).is_relative_to(files.real(root)):
            shipping.remove(wheel)
            if wheel.is_file():
                wheel.unlink()
    drop(root, resources)


def drop(root: Path, resources: str | None) -> None:
    """Remove the resources, if a build has made them, and leave a file beside them that makes a deploy fail."""
    from dbxdec.build import codegen

    if resources is not None and (root / resources).is_file() and _is_ours(root / resources):
        codegen.write_if_changed(root / unbuilt.marker_of(resources), unbuilt.content(resources))
        (root / resources).unlink()


def hold_up(root: Path, resources: str) -> None:
    """Put a file that makes a deploy fail in the place of the resources, unless another program made them."""
    from dbxdec.build import codegen

    check_replaceable(root, resources)
    codegen.write_if_changed(root / resources, unbuilt.content(resources))
    _unblock(root, resources)


def _unblock(root: Path, resources: str) -> None:
    (root / unbuilt.marker_of(resources)).unlink(missing_ok=True)


def drop_orphan(root: Path, resources: str | None) -> None:
    """Drop resources whose wheel doesn't exist, or belongs to another build."""
    wheel = named_wheel(root, resources)
    if resources is None or wheel is None:
        return
    if not _describes((root / resources).read_bytes(), wheel):
        drop(root, resources)


def withdraw(manifest: bytes, root: Path, resources: str | None) -> bytes | None:
    """Drop resources of another build than that of `manifest`, and return their content, or None without any.

    From now on, the wheel of that build may replace their wheel at any moment. When the build ends early, the resources
    must not remain next to the new wheel. Raises OSError when they can't be removed.
    """
    from dbxdec.build.wheels import read_wheel

    wheel = named_wheel(root, resources)
    if resources is None or wheel is None:
        return None
    content = (root / resources).read_bytes()
    with suppress(ManifestError):
        if _describes(content, wheel) and read_wheel(wheel, verified=False).manifest_bytes == manifest:
            return None  # they belong to this build
    drop(root, resources)
    return content


def restore(root: Path, resources: str | None, content: bytes | None) -> None:
    """Put withdrawn resources back when their wheel exists unchanged."""
    from dbxdec.build import codegen

    if resources is None or content is None or (root / resources).exists():
        return
    wheel = _wheel_in(content, (root / resources).parent)
    if wheel is not None and _describes(content, wheel):
        codegen.write_if_changed(root / resources, content)
        _unblock(root, resources)


def _describes(content: bytes, wheel: Path) -> bool:
    """Return whether resources belong to the build in the wheel that they name."""
    from dbxdec.build.wheels import read_manifest

    try:
        build_id = read_manifest(wheel).build_id
    except ManifestError:
        return False
    return bool(build_id) and build_id in content.decode("utf-8", "replace")


def _is_ours(resources: Path) -> bool:
    with resources.open("rb") as file:
        return _ARTIFACT.match(file.read(200).decode("utf-8", "replace")) is not None
