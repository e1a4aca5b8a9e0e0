"""Reads the file of a lock, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import ConfigError, Problem
from dbxdec.support import documents
from dbxdec.support.forms import at

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeAlias

    from dbxdec.build.locks.pylock import PyLock
    from dbxdec.build.locks.uv import UvLock

    Lock: TypeAlias = UvLock | PyLock

MAX_BYTES = 32 * 2**20
"""The size of the largest lock that is read. One of a thousand packages has a tenth of it."""


def read(path: Path, shown: str, project: str) -> Lock:
    """Return the lock at `path`, called `shown` in messages, for `project`.

    Raises ConfigError for a file that can't be read, that is no lock, or the lock of another project.
    """
    if not path.exists():
        again = "make it: `uv lock`" if path.name == "uv.lock" else "make it with the tool that locks this project"
        raise ConfigError(Problem(f"is {shown!r}, which does not exist", "tool.dbxdec.lock", again))
    document = _document(path, shown)
    if path.name == "uv.lock":
        from dbxdec.build.locks.uv import UvLock

        return UvLock(document, shown, project)
    from dbxdec.build.locks.pylock import PyLock

    return PyLock(document, shown, project)


def wheels_beside(path: Path, shown: str) -> list[str]:
    """Return the paths of wheels that the lock at `path` has, from its folder. Raises ConfigError."""
    document = _document(path, shown)
    found: list[str] = []
    packages = document.get("package", document.get("packages"))
    for form in packages if isinstance(packages, list) else ():
        entries = [at(form, "source", "path"), at(form, "archive", "path")]
        wheels = at(form, "wheels")
        entries += [at(wheel, "path") for wheel in (wheels if isinstance(wheels, list) else ())]
        found += [entry for entry in entries if isinstance(entry, str) and entry.endswith(".whl")]
    return found


def _document(path: Path, shown: str) -> dict[str, Any]:
    return documents.toml(documents.text_of(path, MAX_BYTES, shown), shown)
