"""Checks that the libraries of an IoManager are installed and new enough."""

from __future__ import annotations

import importlib
import re
from functools import cache
from importlib import metadata

from dbxdec.errors import Problem, RunError

_FLOOR = re.compile(r"(?P<name>[\w-]+)>=(?P<version>[\d.]+)")


def require(extra: str, *modules: str) -> None:
    """Raise RunError, naming all `modules` that are missing or older than dbxdec's `extra` requires."""
    problems = []
    for module in modules:
        floor = _floors().get(module, "")
        hint = f'install "dbxdec[{extra}]"'
        try:
            found = str(importlib.import_module(module).__version__)
        except ModuleNotFoundError:
            problems.append(Problem(f"{module} is not installed", hint=hint))
            continue
        if floor and _numbers(found) < _numbers(floor):
            problems.append(Problem(f"{module} {found} is installed, but dbxdec needs {floor} or newer", hint=hint))
    if problems:
        raise RunError(problems)


@cache
def _floors() -> dict[str, str]:
    """Return the minimum versions from dbxdec's own metadata; pyproject.toml is the only place that states them."""
    try:
        required = metadata.requires("dbxdec") or ()
    except metadata.PackageNotFoundError:  # copied, not installed
        return {}
    found = [_FLOOR.match(text) for text in required]
    return {match["name"]: match["version"] for match in found if match}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))
