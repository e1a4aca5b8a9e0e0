"""Wheels that are deployed beside the project's own: libraries of the tree, and dbxdec itself where no index has it.

Each lies in a folder beside the wheel, under a name that only its content has (`codegen.libraries`).
"""

from __future__ import annotations

import csv
import io
import os
import posixpath
import re
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dbxdec.build import own_wheel, wheel_names
from dbxdec.build.codegen.environments import is_wheel
from dbxdec.build.codegen.libraries import FOLDER, local_version, own_name
from dbxdec.build.codegen.paths import is_local
from dbxdec.build.wheels import opened
from dbxdec.errors import ManifestError, Problem
from dbxdec.records import dataclass
from dbxdec.support import digests, files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dbxdec.model.manifest import Manifest

EXTRA = "tool.dbxdec.extra-libraries"
_OURS = re.compile(r"[^-]+-[^-]*[+.]dbx[0-9a-f]{12}-.*\.whl")
_INFO = ".dist-info"
_VERSION = re.compile(rb"^(Version:[ \t]*)([^\r\n]*?)([ \t]*\r?)$", re.MULTILINE | re.IGNORECASE)
_LARGEST = 64 * 2**20
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True)
class Extra:
    """The extra libraries of a project, with the files of patterns, and the `wheels` of the tree among them.

    `wheels` are digests by path from the project's root. `watched` are the files and folders that they depend on.
    """

    libraries: tuple[str, ...]
    wheels: dict[str, str]
    warnings: tuple[Problem, ...]
    watched: tuple[str, ...]


def extra_of(root: Path, libraries: Sequence[str]) -> Extra:
    """Return the extra libraries of the project at `root`. A file that is no wheel keeps its name, with a warning."""
    found: list[str] = []
    wheels: dict[str, str] = {}
    warnings: list[Problem] = []
    watched: list[str] = []
    for i, text in enumerate(libraries):
        if not is_wheel(text) or not is_local(text):
            found.append(text)
            continue
        paths = _matches(root, text)
        found += paths or [text]
        watched += [os.path.normpath(root / path) for path in paths or [text]]
        if "*" in text:
            watched.append(os.path.normpath(root / posixpath.dirname(text).partition("*")[0]))
        for path in paths:
            if why := why_no_wheel(root / path):
                where = f"{EXTRA}[{i}]"
                warnings.append(
                    Problem(
                        f"{path!r} is no wheel that a task could install: {why}",
                        where,
                        "build it again, and keep the name that it gets",
                    )
                )
            else:
                wheels[path] = digests.of_file(root / path)
    return Extra(tuple(found), wheels, tuple(warnings), tuple(watched))


def _matches(root: Path, pattern: str) -> list[str]:
    """Return the files that `pattern` names, as paths from the root."""
    path = posixpath.normpath(pattern)
    if (root / path).is_file():
        return [path]
    if "*" not in path:
        return []
    there = (Path(os.path.relpath(file, root)).as_posix() for file in root.glob(path) if file.is_file())
    return sorted(there)


def why_no_wheel(path: Path) -> str | None:
    """Return why the file at `path` can't be installed as a wheel; None if it can."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    if not wheel_names.has_plain_letters(path.name):
        return "its name has a character that no wheel's name has"
    try:
        parse_wheel_filename(path.name)
        with opened(path) as (archive, members):
            _info_folder(path, members)
            if _VERSION.search(_header(archive.read(_member(path, members, "METADATA")))) is None:
                return "its METADATA has no version"
    except InvalidWheelFilename as error:
        return str(error)
    except ManifestError as error:
        return error.problems[0].message
    return None


@dataclass(frozen=True)
class Shipped:
    """The files beside a wheel. `own` is the library that is dbxdec itself, a requirement or a file's name."""

    own: str | None
    files: tuple[Path, ...]


def ship(manifest: Manifest, root: Path, wheel: Path, *, anew: bool = False) -> Shipped:
    """Put the wheels that the build of `manifest` needs beside its own `wheel`.

    Those of the tree at `root` are copied where they are missing. With `anew` dbxdec itself is the one that runs, even
    if another one lies there. Raises ManifestError if a wheel is missing or has other content than in the build, and
    OSError if one can't be written.
    """
    folder = wheel.parent / FOLDER
    own = own_wheel.library(manifest, folder, anew=anew)
    there = []
    problems: list[Problem] = []
    for path, digest in manifest.wheels.items():
        target = folder / own_name(path, digest)
        if not target.is_file():
            if problem := _wrong(root / path, path, digest, target):
                problems.append(problem)
                continue
            _copy(root / path, digest, target)
        there.append(target)
    if problems:
        raise ManifestError(problems)
    if own.content is not None:
        folder.mkdir(parents=True, exist_ok=True)
        files.replace(folder / str(own.library), own.content, mode=0o644)
    if own.library is not None and own.library.endswith(".whl"):
        there.append(folder / own.library)
    remove(wheel, but=there)
    return Shipped(own.library, tuple(there))


def _wrong(path: Path, shown: str, digest: str, target: Path) -> Problem | None:
    """Return why the wheel at `path` can't be deployed with a build that had one with `digest`."""
    hint = f"build again; a wheel that is deployed elsewhere needs its folder {FOLDER} beside it"
    if not path.is_file():
        return Problem(f"{shown} is not there, which the build had among its libraries, nor is {target}", None, hint)
    if digests.of_file(path) != digest:
        return Problem(f"{shown} is not the wheel that the build had: its content has changed", None, hint)
    return None


def remove(wheel: Path, *, but: Iterable[Path] = ()) -> None:
    """Remove the wheels that builds have put beside `wheel`, and their folder if nothing else is in it."""
    folder = wheel.parent / FOLDER
    if not folder.is_dir() or folder.is_symlink():
        return
    kept = {path.name for path in but}
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name not in kept and _OURS.fullmatch(path.name) and path.is_file():
                path.unlink()
        if not kept and not any(folder.iterdir()):
            folder.rmdir()


def _copy(path: Path, digest: str, target: Path) -> None:
    """Write the wheel for `target` beside it, and then put it there: it may be larger than memory."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            reversion(path, digest, file)
        partial.chmod(0o644)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def reversion(path: Path, digest: str, target: IO[bytes]) -> None:
    """Write the wheel at `path` to `target` with the local version of its content.

    It is in the wheel's METADATA, in its folders and its RECORD. Raises ManifestError if it can't be read as a wheel.
    """
    with opened(path) as (archive, members), zipfile.ZipFile(target, "w") as out:
        info = _info_folder(path, members)
        stem = info.removesuffix(_INFO)
        version = stem.rpartition("-")[2]
        new = stem + local_version(version, digest)
        record = archive.read(_member(path, members, "RECORD"))
        metadata = _with_version(archive.read(_member(path, members, "METADATA")), digest)

        def moved(name: str) -> str:
            folder, slash, rest = name.partition("/")
            return f"{new}{folder[len(stem) :]}{slash}{rest}" if folder in (info, f"{stem}.data") else name

        for member in members:
            kind = member.filename.removeprefix(f"{info}/")
            if member.filename != kind and kind in _SIGNATURES:
                continue
            copied = zipfile.ZipInfo(moved(member.filename), member.date_time)
            copied.compress_type, copied.external_attr = member.compress_type, member.external_attr
            if member.filename == f"{info}/METADATA":
                out.writestr(copied, metadata)
            elif member.filename == f"{info}/RECORD":
                out.writestr(copied, _record(record, moved, f"{new}{_INFO}", metadata))
            else:
                copied.file_size = member.file_size  # decides on the format of large members
                with archive.open(member) as source, out.open(copied, "w") as file:
                    shutil.copyfileobj(source, file)


def _info_folder(path: Path, members: Sequence[zipfile.ZipInfo]) -> str:
    folders = {name.partition("/")[0] for member in members if "/" in (name := member.filename)}
    found = sorted(folder for folder in folders if folder.endswith(_INFO))
    if len(found) != 1:
        raise ManifestError(f"{path.name} has {len(found)} folders of metadata")
    return found[0]


def _member(path: Path, members: Sequence[zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    wanted = f"{_info_folder(path, members)}/{name}"
    for member in members:
        if member.filename == wanted:
            if member.file_size > _LARGEST:
                raise ManifestError(f"{path.name} has a {name} of {member.file_size:,} bytes")
            return member
    raise ManifestError(f"{path.name} has no {name}")


def _header(metadata: bytes) -> bytes:
    """Return METADATA without its description, in which a line may look like a field."""
    return re.split(rb"\r?\n\r?\n", metadata, maxsplit=1)[0]


def _with_version(metadata: bytes, digest: str) -> bytes:
    header = _header(metadata)

    def longer(found: re.Match[bytes]) -> bytes:
        version = found[2].decode("utf-8", "replace")
        return found[1] + f"{version}{local_version(version, digest)}".encode() + found[3]

    return _VERSION.sub(longer, header, count=1) + metadata[len(header) :]


def _record(record: bytes, moved: Callable[[str], str], info: str, metadata: bytes) -> bytes:
    """Return a RECORD for the new names, with the digest of the new METADATA."""
    rows = []
    for row in csv.reader(io.StringIO(record.decode("utf-8", "replace"), newline="")):
        if not row:
            continue
        name = moved(row[0])
        if name == f"{info}/METADATA":
            row = [name, f"sha256={digests.in_record(metadata)}", str(len(metadata))]
        if name.removeprefix(f"{info}/") not in _SIGNATURES:
            rows.append([name, *row[1:]])
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
