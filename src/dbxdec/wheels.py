"""Reads a finished wheel: its manifest, its entry points, and the digests of its payload."""

from __future__ import annotations

import hashlib
import re
import zipfile
from configparser import ConfigParser
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbxdec.errors import ManifestError
from dbxdec.manifest import PATH, Manifest, decode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


DATA = "*.data"
"""What the folder of scripts and data files is called in a payload: its real name holds the wheel's version."""

# Build backends make any shebang of Python this one, and installers that one theirs.
_SHEBANG = re.compile(rb"#![^\n]*(?:pythonw?|pypyw?)[0-9.]*")


@dataclass(frozen=True)
class Wheel:
    """What a wheel says of itself. `payload` is (path, sha256 in hex) of each file outside of `.dist-info`."""

    manifest: Manifest
    manifest_bytes: bytes
    entry_points: Mapping[str, Mapping[str, str]]
    payload: tuple[tuple[str, str], ...]


def read_wheel(path: Path) -> Wheel:
    """The wheel at `path`. Raises ManifestError where it is none of dbxdec's."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            manifest = next((n for n in names if n.endswith(f".dist-info/extra_metadata/{PATH}")), None)
            if manifest is None:
                raise ManifestError(
                    f"{path.name} carries no manifest of dbxdec",
                    hint="build it with `[tool.hatch.build.hooks.dbxdec]` in pyproject.toml",
                )
            content = archive.read(manifest)
            folder = manifest.partition("/")[0]
            points = ConfigParser(delimiters=("=",), interpolation=None)
            points.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
            if f"{folder}/entry_points.txt" in names:
                points.read_string(archive.read(f"{folder}/entry_points.txt").decode())
            payload = [
                _digest(name, archive.read(name))
                for name in names
                if not name.endswith("/") and not name.partition("/")[0].endswith(".dist-info")
            ]
    except (OSError, zipfile.BadZipFile) as error:
        raise ManifestError(f"{path} can't be read as a wheel: {error}") from None
    return Wheel(
        manifest=decode(content, path.name),
        manifest_bytes=content,
        entry_points={section: dict(points[section]) for section in points.sections()},
        payload=tuple(sorted(payload)),
    )


def data_digest(path: str, content: bytes) -> str:
    """The digest of a script or data file, the same before and after a backend has rewritten its shebang."""
    if path.startswith("scripts/") and (shebang := _SHEBANG.match(content)):
        content = b"#!python" + content[shebang.end() :]
    return hashlib.sha256(content).hexdigest()


def _digest(name: str, content: bytes) -> tuple[str, str]:
    folder, _, path = name.partition("/")
    if folder.endswith(".data"):
        return f"{DATA}/{path}", data_digest(path, content)
    return name, hashlib.sha256(content).hexdigest()
