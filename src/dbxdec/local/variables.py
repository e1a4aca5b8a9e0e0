"""Values of bundle variables on this machine.

`--var` and `DBXDEC_VAR_<name>` come first. Then `[tool.dbxdec.variables]`, which holds this machine's values, and then
the bundle's values: `BUNDLE_VAR_<name>`, the file of overrides, the target's own value, the default. When a person
names the target, the bundle's values come before `[tool.dbxdec.variables]`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.build import config
from dbxdec.errors import Problem, RunError
from dbxdec.local import targets
from dbxdec.model.variables import TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dbxdec.local.targets import BundleVariables

_LOCAL_TARGET = "local"
_PREFIX = "DBXDEC_VAR_"
# libs/dyn/dynvar of the bundle's CLI.
_REFERENCE = re.compile(r"\$\{([^\W\d_]+(?:[-_]*[^\W_]+)*(?:\.[^\W\d_]+(?:[-_]*[^\W_]+)*(?:\[\d+\])*)*(?:\[\d+\])*)\}")


def local_values(
    names: Iterable[str], given: Mapping[str, str], folder: Path, target: str | None = None
) -> dict[str, str]:
    """Return a value for each of `names`. `folder` is where the search for the project's files begins.

    Raises RunError, naming all of them, for variables without a value or with one that only the bundle's CLI can know,
    and ConfigError for a file of the project that is wrong.
    """
    names = sorted(set(names))
    if target is not None and given.get(TARGET, target) != target:
        raise RunError(f"`--target` says {target}, and `--var {TARGET}` says {given[TARGET]}", hint="give one of them")
    bundle = targets.find(folder, target) if target is not None or set(names) - set(given) else None
    if not names:
        return {}
    own = _project_variables(folder)
    sources: list[Callable[[str], str | None]] = [given.get, lambda name: os.environ.get(_PREFIX + name)]
    of_bundle = _of(bundle)
    sources += [own.get, of_bundle] if target is None else [of_bundle, own.get]
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for name in names:
        try:
            values[name] = _resolved(name, sources, bundle, ())
        except RunError as error:
            problems += error.problems
    if problems:
        raise RunError(dict.fromkeys(problems))
    return values


def _of(bundle: BundleVariables | None) -> Callable[[str], str | None]:
    """Return the lookup of the bundle's values, which include its target's name."""

    def value(name: str) -> str | None:
        if name == TARGET:
            return (bundle.target if bundle else None) or _LOCAL_TARGET
        return bundle.value(name) if bundle else None

    return value


def _resolved(
    name: str,
    sources: Iterable[Callable[[str], str | None]],
    bundle: BundleVariables | None,
    inside: tuple[str, ...],
) -> str:
    """Return the value of a variable, with the variables that it refers to resolved. Raises RunError."""
    if name in inside:
        circle = " -> ".join([*inside[inside.index(name) :], name])
        raise RunError(f"bundle variables refer to each other in a cycle: {circle}")
    text = next((found for source in sources if (found := source(name)) is not None), None)
    if text is None:
        of = f" for the target `{bundle.target}`" if bundle and bundle.target else ""
        raise RunError(
            f"the bundle variable `{name}` has no value on this machine{of}",
            hint=f"`--var {name}=VALUE`, or {name} = ... under [{config.TABLE}.variables] in pyproject.toml",
        )

    def referred(match: re.Match[str]) -> str:
        path = match[1]
        if path.startswith("var."):
            return _resolved(path.removeprefix("var."), sources, bundle, (*inside, name))
        if path in ("bundle.target", "bundle.environment"):
            return _resolved(TARGET, sources, bundle, (*inside, name))
        if path == "bundle.name" and bundle is not None and bundle.name is not None:
            return bundle.name
        raise RunError(
            f"the bundle variable `{name}` is {text}, and only the bundle's CLI knows {match[0]}",
            hint=f"give it a value for this run: `--var {name}=VALUE`",
        )

    return _REFERENCE.sub(referred, text)


def _project_variables(folder: Path) -> Mapping[str, str]:
    found = next((place for above in (folder, *folder.parents) if (place := above / "pyproject.toml").is_file()), None)
    return config.load(found).variables if found else {}
