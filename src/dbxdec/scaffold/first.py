"""The key of a project's first job: `hello`, or another one where the bundle has that already."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from dbxdec.build import bundlefile
from dbxdec.errors import ConfigError
from dbxdec.scaffold import layout
from dbxdec.support.forms import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.scaffold.layout import Package

_KEY = "hello"
_FILE = f"{layout.PIPELINES}/hello.py"
_JOB = re.compile(rb"^@job\b.*\ndef (\w+)", re.MULTILINE)


def key_of(root: Path, package: Package) -> str:
    """Return the key of the first job of the project at `root`: the existing one, or the one to be made."""
    file = root / package.folder / _FILE
    if file.is_file():
        found = _JOB.search(file.read_bytes())
        return found[1].decode() if found else _KEY
    return f"{package.name.rpartition('.')[2]}_{_KEY}" if _is_taken(root) else _KEY


def _is_taken(root: Path) -> bool:
    """Return whether the bundle around the project has a job `hello`, or another project that is to have it."""
    path = bundlefile.find(root)
    if path is None:
        return False
    with suppress(ConfigError):  # it is reported where the bundle is edited
        bundle = bundlefile.load(path)
        others = [one for one in bundle.documents if not one.path.is_relative_to(root) or one.path == path]
        if any(_KEY in table(one.content, "resources", kind) for one in others for kind in ("jobs", "pipelines")):
            return True
        return any(place != root and _has_first(place) for place in _projects(bundle))
    return False


def _projects(bundle: bundlefile.Bundle) -> Iterator[Path]:
    """Yield the folders whose resources the bundle includes."""
    patterns = bundle.main.content.get("include")
    for pattern in patterns if isinstance(patterns, list) else ():
        folder = PurePosixPath(str(pattern)).parent.parent
        if folder.is_absolute() or ".." in folder.parts or "**" in folder.parts:
            continue
        yield from [bundle.root] if str(folder) == "." else bundle.root.glob(str(folder))


def _has_first(project: Path) -> bool:
    return any(
        b"def hello(" in file.read_bytes()
        for pattern in (f"*/{_FILE}", f"*/*/{_FILE}", f"*/*/*/{_FILE}")
        for file in project.glob(pattern)
        if file.is_file()
    )
