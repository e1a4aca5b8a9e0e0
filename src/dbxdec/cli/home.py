"""The folder that runs belong to."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from dbxdec import config, freshness


def home() -> Path:
    """The root of the project around us, where it is one of dbxdec's; else the folder we are in.

    Runs, their local tables and relative places are there, from whichever folder of the project a command is given.
    """
    return _around(Path.cwd())


@cache
def _around(here: Path) -> Path:
    root = freshness.project_root(str(here))
    if root is None or Path(root) == here.resolve() or not config.turns_hook_on(Path(root, "pyproject.toml")):
        return here
    return Path(root)
