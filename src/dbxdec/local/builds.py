"""A build as its tasks import it, unpacked: the content of a wheel, or of the wheel that a tree would give.

Tasks run from there and not from the tree. Files that aren't shipped can't be imported, and an edit during a run
doesn't affect the run. The folder is named by a digest of its content, which is checked again before each run.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.build import wheels
from dbxdec.build.discovery.modules import hidden, write_metadata
from dbxdec.errors import DbxdecError, RunError
from dbxdec.model.manifest import MAX_BYTES, PATH, decode
from dbxdec.records import dataclass
from dbxdec.support import digests
from dbxdec.support.files import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dbxdec.model.manifest import Manifest

    Payload = tuple[tuple[str, str], ...]

_FOLDER = "builds"
_SCRATCH = ".new-"
_OURS = re.compile(r"(tree|wheel)-[0-9a-f]{64}|\.new-.+")
_KEPT_DAYS = 2


@dataclass(frozen=True)
class Build:
    """A pipeline that can be run here: its manifest, and the folder that its tasks import it from, None if installed.

    `sources` are the author's own paths of copied files, for tracebacks.
    """

    manifest: Manifest
    folder: Path | None = None
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Content:
    """The content that an unpacked build must have."""

    payload: Payload
    manifest: bytes

    def is_in(self, folder: Path) -> bool:
        """Return whether `folder` holds this content and nothing else; Python's byte code there doesn't count."""
        found = [path.read_bytes() for path in folder.glob(f"*.dist-info/extra_metadata/{PATH}")]
        own = tuple(entry for entry in self.payload if "__pycache__/" not in entry[0])
        return found == [self.manifest] and wheels.payload_of(folder) == own


def of_wheel(wheel: Path, found: wheels.Wheel, state: Path) -> Build:
    """Unpack a finished wheel, whose content is `found`, below the folder `state`."""
    name = f"wheel-{digests.of_file(wheel)}"
    without = hidden(path for path, _ in found.payload)
    content = _Content(_importable(found.payload), found.manifest_bytes)
    folder = _filled(state, name, content, lambda folder: wheels.unpack(wheel, folder, without=without))
    return Build(found.manifest, folder)


def of_files(
    files: Iterable[tuple[str, str, str]], content: bytes, manifest: Manifest, payload: Payload, state: Path
) -> Build:
    """Copy `files`, each (path in the wheel, path here, path in the project), and put the manifest next to them.

    `payload` are their digests.
    """
    left_out = hidden(path for path, _ in payload)
    files = [file for file in files if file[0] not in left_out]

    def copy(folder: Path) -> None:
        for path, origin, _ in files:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, target)
        place = write_metadata(folder, manifest.project, manifest.version) / "extra_metadata" / PATH
        place.parent.mkdir(parents=True)
        write(place, content)

    # Scripts and data files are installed outside of the import path, and are not copied.
    copied = _Content(tuple(e for e in _importable(payload) if not e[0].startswith(f"{wheels.DATA}/")), content)
    folder = _filled(state, f"tree-{hashlib.sha256(content).hexdigest()}", copied, copy)
    return Build(manifest, folder, {str(folder / path): source for path, _, source in files})


def _importable(payload: Payload) -> Payload:
    """Return the payload without modules that Python's own would hide where the wheel is installed.

    Tasks find an unpacked build before Python's own modules.
    """
    left_out = hidden(path for path, _ in payload)
    return tuple(entry for entry in payload if entry[0] not in left_out)


def kept(state: Path, build_id: str) -> Build | None:
    """Return the build with that id that an earlier run has left below the folder `state`."""
    for folder in sorted((state / _FOLDER).glob("*")):
        for path in folder.glob(f"*.dist-info/extra_metadata/{PATH}"):
            try:
                with path.open("rb") as file:
                    manifest = decode(file.read(MAX_BYTES + 1), str(path))
            except (OSError, DbxdecError):
                continue
            if manifest.build_id == build_id:
                return Build(manifest, folder)
    return None


def environment(build: Build) -> dict[str, str]:
    """Return the environment variables by which a Python process imports the build."""
    if build.folder is None:
        return {}
    own = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(build.folder.absolute()), *([own] if own else [])])}


def imported_from(build: Build) -> list[str]:
    """Return the beginnings of the paths of the build's modules."""
    if build.folder is not None:
        return [f"{build.folder.absolute()}{os.sep}"]
    try:
        shipped = importlib.metadata.distribution(build.manifest.project)
    except importlib.metadata.PackageNotFoundError:
        return []
    files = [path for path in shipped.files or () if path.suffix == ".py" and ".." not in path.parts]
    # Other distributions may have a part of a package without an `__init__.py`.
    own = {path.parts[0] for path in files if path.parts[1:] == ("__init__.py",)}
    tops = {f"{path.parts[0]}/" if path.parts[0] in own else str(path) for path in files}
    return sorted(os.path.join(str(shipped.locate_file("")), *top.split("/")) for top in tops)


def _filled(state: Path, name: str, content: _Content, fill: Callable[[Path], object]) -> Path:
    """Return the folder `name`. Fill it if no earlier run has, or if it has changed since; it appears whole.

    Raises RunError when it can't be made.
    """
    place = state / _FOLDER
    folder = place / name
    try:
        place.mkdir(parents=True, exist_ok=True)
        _clean(place)
        if not content.is_in(folder):
            with tempfile.TemporaryDirectory(dir=place, prefix=_SCRATCH) as scratch:
                filling = Path(scratch, "new")
                filling.mkdir()
                fill(filling)
                if not content.is_in(filling):
                    raise RunError("files changed while they were copied", hint="run it again")
                with suppress(FileNotFoundError):
                    folder.rename(Path(scratch, "old"))
                try:
                    filling.rename(folder)
                except OSError:
                    if not content.is_in(folder):  # unless another run was quicker
                        raise
        os.utime(folder)
    except OSError as error:
        raise RunError(f"the build can't be unpacked to {folder}: {error.strerror or error}") from None
    return folder


def _clean(place: Path) -> None:
    """Remove builds that no run has used for days: only folders whose names have the form of dbxdec's own."""
    for old in place.iterdir():
        with suppress(OSError):  # another run may clean at the same time
            if _OURS.fullmatch(old.name) and not old.is_symlink() and _is_old(old):
                shutil.rmtree(old, ignore_errors=True)


def _is_old(folder: Path) -> bool:
    return time.time() - folder.stat().st_mtime > _KEPT_DAYS * 86_400
