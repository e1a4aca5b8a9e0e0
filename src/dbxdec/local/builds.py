"""A build as its tasks import it, unpacked: what a wheel holds, or what the wheel of a tree would hold.

Tasks run from there and not from the tree: what isn't shipped can't be imported, and an edit during a run changes
nothing of it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.errors import DbxdecError
from dbxdec.manifest import PATH, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dbxdec.manifest import Manifest

_FOLDER = "builds"
_SOURCES = "sources.json"
_KEPT_DAYS = 2


@dataclass(frozen=True)
class Build:
    """A pipeline that can be run here: its manifest, and the folder that its tasks import it from, None if installed.

    `sources` are the author's own paths of copied files, for tracebacks.
    """

    manifest: Manifest
    folder: Path | None = None
    sources: Mapping[str, str] = field(default_factory=dict)


def of_wheel(wheel: Path, manifest: Manifest, state: Path) -> Build:
    """Unpack a finished wheel below the folder `state`."""

    def unpack(folder: Path) -> dict[str, str]:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        return {}

    folder = _place(state, f"wheel-{manifest.build_id[:32]}-{manifest.version}")
    return Build(manifest, folder, _once(folder, unpack))


def of_files(files: Iterable[tuple[str, str, str]], content: bytes, manifest: Manifest, state: Path) -> Build:
    """Copy `files`, (path in the wheel, path here, path in the project) each, and put the manifest beside them."""

    def copy(folder: Path) -> dict[str, str]:
        sources = {}
        for path, origin, source in files:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, target)
            sources[path] = source
        name = manifest.project.replace("-", "_").replace(".", "_")
        info = folder / f"{name}-{manifest.version}.dist-info"
        (info / "extra_metadata" / PATH).parent.mkdir(parents=True)
        (info / "extra_metadata" / PATH).write_bytes(content)
        head = f"Metadata-Version: 2.1\nName: {manifest.project}\nVersion: {manifest.version}\n"
        (info / "METADATA").write_text(head, encoding="utf-8")
        return sources

    folder = _place(state, f"tree-{manifest.build_id[:32]}-{manifest.version}")
    return Build(manifest, folder, _once(folder, copy))


def kept(state: Path, build_id: str) -> Build | None:
    """The build with that id that an earlier run has left below the folder `state`."""
    for folder in sorted((state / _FOLDER).glob("*")):
        for path in folder.glob(f"*.dist-info/extra_metadata/{PATH}"):
            try:
                manifest = decode(path.read_text(encoding="utf-8"), str(path))
            except (OSError, ValueError, DbxdecError):
                continue
            if manifest.build_id == build_id:
                return Build(manifest, folder)
    return None


def environment(build: Build) -> dict[str, str]:
    """What has a Python process import the build."""
    if build.folder is None:
        return {}
    own = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(build.folder.absolute()), *([own] if own else [])])}


def _place(state: Path, name: str) -> Path:
    return state / _FOLDER / name


def _once(folder: Path, fill: object) -> dict[str, str]:
    """Fill `folder` where no earlier run has; it appears whole, or not at all. Gives the sources by copied path."""
    assert callable(fill)  # noqa: S101 - for the type checker
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clean(folder.parent)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as scratch:
            filling = Path(scratch, "x")
            filling.mkdir()
            sources = fill(filling)
            (filling / _SOURCES).write_text(json.dumps(sources), encoding="utf-8")
            try:
                filling.rename(folder)
            except OSError:
                if not folder.exists():  # another run was not quicker
                    raise
    os.utime(folder)
    sources = json.loads((folder / _SOURCES).read_text(encoding="utf-8"))
    return {str(folder / path): source for path, source in sources.items()}


def _clean(folder: Path) -> None:
    """Remove builds that no run has used for days."""
    for old in folder.iterdir():
        with suppress(FileNotFoundError):  # another run cleans as well
            if time.time() - old.stat().st_mtime > _KEPT_DAYS * 86_400:
                shutil.rmtree(old, ignore_errors=True)
