"""Small wheels, written by hand: what a lock, a task's libraries or an installer may be given."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    requires: Iterable[str] = (),
    *,
    extras: Iterable[str] = (),
    files: Mapping[str, str] | None = None,
    tags: str = "py3-none-any",
    build: str = "",
    metadata: str = "",
) -> Path:
    """Write a wheel whose one module has `VERSION`, or with other `files`; return its path."""
    stem = f"{name.replace('-', '_')}-{version}"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {text}" for text in requires]
    content = dict(files) if files is not None else {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n"}
    content[f"{stem}.dist-info/METADATA"] = "\n".join(lines) + "\n" + metadata
    tag = "\n".join(f"Tag: {one}" for one in _each_tag(tags))
    content[f"{stem}.dist-info/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n{tag}\n"
    record = f"{stem}.dist-info/RECORD"
    entries = [f"{path},{_digest(text)},{len(text.encode())}" for path, text in content.items()]
    content[record] = "\n".join([*entries, f"{record},,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}{f'-{build}' if build else ''}-{tags}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in content.items():
            archive.writestr(zipfile.ZipInfo(file, (2020, 2, 2, 0, 0, 0)), text)
    return path


def _each_tag(tags: str) -> list[str]:
    pythons, abis, platforms = tags.split("-")
    return [f"{p}-{a}-{s}" for p in pythons.split(".") for a in abis.split(".") for s in platforms.split(".")]


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
