"""The folder that runs belong to."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from dbxdec.build import config, freshness


def home() -> Path:
    """The root of the project around us, where it is one of dbxdec's; else the folder we are in.

    Runs, their local tables and relative places are there, from whichever folder of the project a command is given.
    """
    return _around(Path.cwd())


def relative(path: str | Path, folder: str | Path | None = None) -> str:
    """`path` as from `folder`, by default the one we are in; whole where it is on another drive."""
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
