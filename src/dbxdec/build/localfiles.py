"""Checks of the project's files that a job definition names: they must exist, and be of a kind that the platform takes.

The bundle's CLI checks them in the middle of a command, and names no place (databricks/cli, libs/notebook and
bundle/config/mutator/translate_paths.go).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dbxdec.errors import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from dbxdec.build.codegen.paths import LocalPath

Finding = tuple[str, str | None]

# The suffixes of notebooks that are source files, and how a comment begins there.
_NOTEBOOK = {".py": "#", ".r": "#", ".scala": "//", ".sql": "--"}
_NOTEBOOK_MARK = "Databricks notebook source"


def is_there(root: Path, pattern: str) -> bool:
    """Return whether a library, or a match of its pattern, exists; a library that is not local counts as existing."""
    from dbxdec.build.codegen.paths import is_local

    return not is_local(pattern) or (root / pattern).is_file() or any(root.glob(os.path.normpath(pattern)))


def wrong(root: Path, path: LocalPath) -> Finding | None:
    """Return the problem of a file of the project at `root` that a job names, as (message, hint)."""
    there = root / path.path
    match path.kind:
        case "notebook":
            return _wrong_notebook(there)
        case "file":
            return _wrong_source(there)
        case "folder":
            found = there.is_dir()
        case "library":
            found = is_there(root, path.path)
        case _:
            found = there.exists()
    return None if found else _absent(there)


def _absent(there: Path) -> Finding:
    beside = sorted(entry.name for entry in there.parent.iterdir()) if there.parent.is_dir() else []
    return "which is not there", did_you_mean(there.name, beside) or "its path starts at the project's root"


def _wrong_notebook(there: Path) -> Finding | None:
    if not there.is_file():
        if not there.suffix:
            for suffix in (*_NOTEBOOK, ".ipynb"):
                if there.with_name(there.name + suffix).is_file():
                    return "which is not there", f"a notebook is named with its ending: {there.name + suffix!r}"
        return _absent(there)
    if there.suffix.lower() in (*_NOTEBOOK, ".ipynb"):
        if _is_notebook(there):
            return None
        first = f"{_NOTEBOOK.get(there.suffix.lower(), '')} {_NOTEBOOK_MARK}"
        return (
            "a file that is not a notebook",
            f"its first line has to be `{first}`; a plain file goes into spark_python_task",
        )
    return "a file that is not a notebook", f"notebooks end in {', '.join((*_NOTEBOOK, '.ipynb'))}"


def _wrong_source(there: Path) -> Finding | None:
    if not there.is_file():
        return _absent(there)
    return ("which is a notebook", "run it with `notebook_task`") if _is_notebook(there) else None


def _is_notebook(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix == ".ipynb":
        return True
    if suffix not in _NOTEBOOK:
        return False
    with path.open("rb") as file:
        first = file.readline(200).decode("utf-8", "replace").strip().removeprefix("\ufeff")
    return first == f"{_NOTEBOOK[suffix]} {_NOTEBOOK_MARK}"
