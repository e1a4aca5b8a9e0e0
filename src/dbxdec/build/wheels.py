"""Reads a finished wheel: its manifest, its entry points, and the digests of its payload.

A wheel may come from anywhere. Nothing in it names a place on this machine. Reading it takes no more memory than its
manifest, whatever the unpacked size of its members is.
"""

from __future__ import annotations

import configparser
import hashlib
import re
import shutil
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING

from dbxdec.build import wheel_names
from dbxdec.errors import ManifestError, Problem, RunError
from dbxdec.model import contract_forms, protocol
from dbxdec.model.manifest import MAX_BYTES, PATH, Manifest, decode
from dbxdec.records import dataclass
from dbxdec.support import digests

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path
    from typing import IO

    from dbxdec.model.contract_forms import Columns


DATA = "*.data"
"""The name of the folder of scripts and data files in a payload: its real name holds the wheel's version."""

# Build backends turn any shebang of Python into this one, and installers replace this one by their own.
_SHEBANG = re.compile(rb"#![^\n]*(?:pythonw?|pypyw?)[0-9.]*")
_CHUNK = 2**16
_METADATA, _ENTRY_POINTS, _RECORD = "METADATA", "entry_points.txt", "RECORD"
_LONGEST_INFO = {_METADATA: MAX_BYTES, _ENTRY_POINTS: 2**20, _RECORD: MAX_BYTES}
# A wheel beyond both limits is a zip bomb: weights of a model are large, and hardly shrink.
_MAX_UNPACKED, _MAX_RATIO = 2**30, 100
_DAMAGED = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, OSError, EOFError, ValueError),
    *(NotImplementedError, RuntimeError, OverflowError, LookupError, MemoryError),
)


@dataclass(frozen=True)
class Wheel:
    """The content of a wheel. `payload` is (path, sha256 in hex) of each file outside of `.dist-info`.

    `contracts` are the columns of contracts by their names, of those that were known where it was built.
    """

    manifest: Manifest
    manifest_bytes: bytes
    entry_points: Mapping[str, Mapping[str, str]]
    payload: tuple[tuple[str, str], ...]
    contracts: Mapping[str, Columns] = field(default_factory=dict)


def read_wheel(path: Path, *, verified: bool = True) -> Wheel:
    """Return the wheel at `path`. Raises ManifestError when dbxdec has not built it, or it has changed since.

    Without `verified`, neither the jobs nor the payload are compared with the build id: an editable wheel has none.
    """
    with opened(path) as (archive, members):
        manifest = _manifest(path, members)
        folder = manifest.filename.partition("/")[0]
        content = _read(archive, manifest, MAX_BYTES)
        wanted = {f"{folder}/{name}": name for name in _LONGEST_INFO}
        info = {
            name: _read(archive, member, _LONGEST_INFO[name])
            for member in members
            if (name := wanted.get(member.filename)) is not None
        }
        found = Wheel(
            manifest=decode(content, path.name),
            manifest_bytes=content,
            entry_points=_entry_points(info[_ENTRY_POINTS]) if _ENTRY_POINTS in info else {},
            payload=tuple(sorted(_digests(archive, members))),
            contracts=_contracts(archive, members, f"{folder}/extra_metadata/{contract_forms.PATH}", path.name),
        )
    if verified:
        _verify(path, found, info)
    return found


def _contracts(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], name: str, origin: str
) -> Mapping[str, Columns]:
    for member in members:
        if member.filename == name:
            return contract_forms.decode(_read(archive, member, contract_forms.MAX_BYTES), origin)
    return {}


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in the wheel at `path` without any comparison. Raises ManifestError if it has no manifest."""
    with opened(path) as (archive, members):
        return decode(_read(archive, _manifest(path, members), MAX_BYTES), path.name)


def read_record(path: Path) -> bytes:
    """Return the RECORD of the wheel at `path`, the digests of all its files. Raises ManifestError without one."""
    with opened(path) as (archive, members):
        for member in members:
            folder, _, name = member.filename.partition("/")
            if folder.endswith(".dist-info") and name == "RECORD":
                return _read(archive, member, MAX_BYTES)
    raise ManifestError(f"{path} can't be read as a wheel: it has no RECORD")


def unpack(path: Path, folder: Path, *, without: Collection[str] = ()) -> None:
    """Write the files of the wheel at `path` below `folder`, `without` these.

    Raises ManifestError for a damaged wheel, and RunError when the folder can't be written.
    """
    with opened(path) as (archive, members):
        for member in members:
            if member.filename in without:
                continue
            target = folder / member.filename
            try:
                (target if member.is_dir() else target.parent).mkdir(parents=True, exist_ok=True)
                if not member.is_dir():
                    with archive.open(member) as source, target.open("xb") as file:
                        shutil.copyfileobj(source, file, _CHUNK)
            except OSError as error:
                what = f"{member.filename} of {path.name} can't be unpacked to {folder}: {error.strerror or error}"
                raise RunError(what) from None


def payload_of(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return the payload of an unpacked wheel, as `read_wheel` has it, without byte code that Python has left there."""
    found = []
    for file in folder.rglob("*"):
        name = file.relative_to(folder).as_posix()
        if file.is_dir() or _is_info(name) or file.parent.name == "__pycache__":
            continue
        with file.open("rb") as content:
            found.append(_digest(name, content))
    return tuple(sorted(found))


def data_digest(path: str, content: IO[bytes]) -> str:
    """Return the digest of a script or data file, the same before and after a backend has rewritten its shebang."""
    start = content.read(_CHUNK)
    if path.startswith("scripts/") and (shebang := _SHEBANG.match(start)):
        start = b"#!python" + start[shebang.end() :]
    found = hashlib.sha256(start)
    while start:
        start = content.read(_CHUNK)
        found.update(start)
    return found.hexdigest()


def _digest(name: str, content: IO[bytes]) -> tuple[str, str]:
    folder, _, path = name.partition("/")
    if folder.endswith(".data"):
        return f"{DATA}/{path}", data_digest(path, content)
    return name, data_digest(name, content)


def _digests(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> Iterator[tuple[str, str]]:
    for member in members:
        if not member.is_dir() and not _is_info(member.filename):
            with archive.open(member) as content:
                yield _digest(member.filename, content)


def _is_info(name: str) -> bool:
    return name.partition("/")[0].endswith(".dist-info")


def _verify(path: Path, wheel: Wheel, info: Mapping[str, bytes]) -> None:
    manifest = wheel.manifest
    manifest.require_sound()
    problems = []
    if manifest.digest_with(wheel.payload) != manifest.build_id:
        problems.append(
            Problem(
                f"{path.name} isn't what was built: its files or its jobs have changed since, and are not those of its "
                f"build {manifest.build_id[:12]}",
                hint="build it again; an editable wheel holds no files: build a standard one",
            )
        )
    if what := [*_of_entry_point(wheel.entry_points), *_of_names(manifest, info), *_of_record(info)]:
        problems.append(Problem(f"{path.name} isn't what was built: {'; '.join(what)}", hint="build it again"))
    if problems:
        raise ManifestError(problems)


def entry_point_of(entry_points: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return the object that a wheel's `dbxdec-run` calls; None if it has no such entry point."""
    return entry_points.get(protocol.ENTRY_POINT_GROUP, {}).get(protocol.ENTRY_POINT)


def _of_entry_point(entry_points: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    found = entry_point_of(entry_points)
    if found != protocol.ENTRY_POINT_OBJECT:
        what = "missing" if found is None else f"{found!a:.60}, not {protocol.ENTRY_POINT_OBJECT}"
        yield f"its entry point {protocol.ENTRY_POINT} is {what}"


def _of_names(manifest: Manifest, info: Mapping[str, bytes]) -> Iterator[str]:
    """Yield how the Name and the Version of METADATA differ from the manifest's.

    A bundle appends a local version to it at each deploy (`dynamic_version`).
    """
    head = info.get(_METADATA, b"").decode(errors="replace").partition("\n\n")[0]
    fields = dict(reversed([line.split(": ", 1) for line in head.splitlines() if ": " in line]))
    name, version = fields.get("Name"), fields.get("Version")
    if name is None or _normalised(name) != _normalised(manifest.project):
        yield f"its name is {name!a:.60}, not {manifest.project}"
    own = manifest.version
    if version is None or not (version == own or version.startswith(f"{own}." if "+" in own else f"{own}+")):
        yield f"its version is {version!a:.60}, not {own}"


def _of_record(info: Mapping[str, bytes]) -> Iterator[str]:
    """Yield the files of metadata that have changed since RECORD was written."""
    for line in info.get(_RECORD, b"").decode(errors="replace").splitlines():
        path, _, rest = line.partition(",")
        name, digest = path.rpartition("/")[2], rest.partition(",")[0]
        if name in (_METADATA, _ENTRY_POINTS) and _is_info(path) and path.count("/") == 1 and name in info:
            found = digests.in_record(info[name])
            if digest.startswith("sha256=") and digest != f"sha256={found}":
                yield f"its {name} is not the one that its RECORD lists"


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@contextmanager
def opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """Yield the archive at `path`, and its members, whose names have been checked.

    Raises ManifestError if it, or what is read from it, is damaged.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if problem := _problem(members, file.seek(0, 2)):
                raise ManifestError(f"{path} isn't a wheel that can be read: {problem}")
            yield archive, members
    except _DAMAGED as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else f"{error}" or type(error).__name__
        raise ManifestError(f"{path} can't be read as a wheel: {what!s:.200}") from None


def _problem(members: list[zipfile.ZipInfo], size: int) -> str | None:
    """Return why an archive must not be unpacked here, before anything of it is."""
    names: set[str] = set()
    folders: set[str] = set()
    unpacked = 0
    for member in members:
        name = member.orig_filename
        shown = f"its member {name!a:.100}"
        parts = name.removesuffix("/").split("/")
        if not wheel_names.is_of_member(name.removesuffix("/")):
            return f"{shown} is not a valid file name in a wheel"
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            return f"{shown} is a link or a device"
        if member.flag_bits & 1:
            return f"{shown} is encrypted"
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"{shown} is compressed in a way that wheels don't use"
        if name in names:
            return f"{shown} appears twice"
        names.add(name)
        folders.update("/".join(parts[:i]) for i in range(1, len(parts)))
        unpacked += member.file_size
    if twice := names & folders:
        return f"its member {min(twice)!a:.100} is a file and a folder"
    if unpacked > max(_MAX_UNPACKED, _MAX_RATIO * size):
        return f"unpacked it would have {unpacked:,} bytes, and it has {size:,}"
    return None


def _manifest(path: Path, members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    """Return the member that is the manifest. Raises ManifestError if none, or more than one, can be it."""
    folders = sorted({name.partition("/")[0] for member in members if _is_info(name := member.filename)})
    if len(folders) > 1:
        raise ManifestError(f"{path.name} has {len(folders)} folders of metadata: {', '.join(folders[:3])}")
    for member in members:
        if folders and member.filename == f"{folders[0]}/extra_metadata/{PATH}":
            return member
    raise ManifestError(
        f"{path.name} has no dbxdec manifest",
        hint="build it with `[tool.hatch.build.hooks.dbxdec]` in pyproject.toml",
    )


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, longest: int) -> bytes:
    if member.file_size > longest:
        raise zipfile.BadZipFile(f"{member.filename!a:.100} has {member.file_size:,} bytes, more than {longest:,}")
    return archive.read(member)


def _entry_points(content: bytes) -> dict[str, dict[str, str]]:
    points = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    points.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        points.read_string(content.decode())
    except configparser.Error as error:
        raise zipfile.BadZipFile(f"entry_points.txt is not INI: {' '.join(str(error).split())}") from None
    return {section: dict(points[section]) for section in points.sections()}
