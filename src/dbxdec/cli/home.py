"""The folder that runs belong to."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from dbxdec.build import config, freshness


def home() -> Path:
    """Return the root of the project around the working directory if it uses dbxdec; else the working directory.

    Runs, their local tables and relative places are there, for a command in any folder of the project.
    """
    return _around(Path.cwd())


def relative(path: str | Path, folder: str | Path | None = None) -> str:
    """Return `path` relative to `folder`, by default the working directory; whole when it is on another drive."""
    try:
        return os.path.relpath(path, folder or os.curdir)
    except ValueError:
        return str(path)


@cache
def _around(here: Path) -> Path:
    root = freshness.project_root(str(here))
    if root is None or Path(root) == here.resolve() or not config.turns_hook_on(Path(root, "pyproject.toml")):
        return here
    return Path(root)
