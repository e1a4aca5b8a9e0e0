"""Values of bundle variables on this machine: `--var`, then `[tool.dbxdec.variables]`, then the bundle's defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec import config, documents
from dbxdec.errors import ConfigError, Problem, RunError, SourceLocation
from dbxdec.forms import at, kind_of, table
from dbxdec.variables import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LOCAL_TARGET = "local"
# The names under which the bundle's CLI looks for its file.
_BUNDLE_FILES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")


def local_values(names: Iterable[str], given: Mapping[str, str], folder: Path) -> dict[str, str]:
    """A value for each of `names`. `folder` is where the search for the project's files begins.

    Raises RunError, naming all of them, for variables without a value, and ConfigError for a wrong pyproject.toml.
    """
    names = sorted(set(names))
    if not names:
        return {}
    known = {TARGET: _LOCAL_TARGET, **_bundle_defaults(folder), **_project_variables(folder), **_environment(), **given}
    missing = [name for name in names if name not in known]
    if missing:
        raise RunError(
            [
                Problem(
                    f"the bundle variable `{name}` has no value on this machine",
                    hint=f"`--var {name}=VALUE`, or {name} = ... under [{config.TABLE}.variables] in pyproject.toml",
                )
                for name in missing
            ]
        )
    return {name: known[name] for name in names}


def _environment() -> dict[str, str]:
    prefix = "DBXDEC_VAR_"
    return {name.removeprefix(prefix): value for name, value in os.environ.items() if name.startswith(prefix)}


def _project_variables(folder: Path) -> Mapping[str, str]:
    found = _find(folder, ("pyproject.toml",))
    return config.load(found).variables if found else {}


def _bundle_defaults(folder: Path) -> dict[str, str]:
    found = _find(folder, _BUNDLE_FILES)
    if found is None:
        return {}
    document = documents.yaml_of(found)
    variables = at(document.value, "variables")
    if not isinstance(variables, dict | None):
        line = document.lines.get(("variables",), 1)
        what = f"`variables` is {kind_of(variables)}, not a mapping"
        raise ConfigError(Problem(what, SourceLocation(str(found), line), "declare each by its name, below it"))
    defaults = {name: entry.get("default") for name, entry in table(variables).items() if isinstance(entry, dict)}
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in defaults.items()
        if isinstance(value, str | int | float)
    }


def _find(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The nearest of the files, here or in a folder above."""
    for place in (folder, *folder.parents):
        for name in names:
            if (place / name).is_file():
                return place / name
    return None
