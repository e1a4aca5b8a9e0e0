"""The values of a bundle's variables for one of its targets, by the rules of the bundle's own CLI."""

from __future__ import annotations

import json
import math
import os
from dataclasses import field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.build import bundlefile
from dbxdec.errors import ConfigError, Problem, RunError, SourceLocation, did_you_mean, listed
from dbxdec.records import dataclass
from dbxdec.support.forms import at, kind_of, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.build.bundlefile import Bundle, Document

_NAMED_BY = ("DATABRICKS_BUNDLE_TARGET", "DATABRICKS_BUNDLE_ENV")
_PREFIX = "BUNDLE_VAR_"
# The forms of a variable in a target, besides its value alone.
_WHOLE = ({"default"}, {"lookup"})
_BESIDE = {"type", "description"}


@dataclass(frozen=True)
class BundleVariables:
    """The variables of a bundle for `target`; `target` is None when the bundle has no default one.

    `definitions` are those of the bundle, overridden by the target's own.
    """

    path: Path
    name: str | None
    target: str | None
    definitions: Mapping[str, Mapping[str, Any]]
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> str | None:
        """Return the value of a variable as the bundle has it, references included; None when it has none.

        Raises RunError for a value that no string can carry, and for a value that only the workspace knows.
        """
        if (given := os.environ.get(_PREFIX + name)) is not None:
            return given
        entry = self.definitions.get(name, {})
        if entry.get("lookup"):
            raise self._refused(name, "is looked up in the workspace")
        found = self.overrides.get(name)
        found = entry.get("default") if found is None else found
        if isinstance(found, dict | list) or entry.get("type") == "complex":
            raise self._refused(name, "is complex, but a task takes only strings")
        if isinstance(found, bool):
            return str(found).lower()
        if isinstance(found, float):
            return _digits(found)
        return None if found is None else str(found)

    def _refused(self, name: str, why: str) -> RunError:
        of = f" of the target `{self.target}`" if self.target else ""
        return RunError(
            f"the bundle variable `{name}`{of} {why} ({self.path.name})",
            hint=f"give it a value for this run: `--var {name}=VALUE`",
        )


def _digits(number: float) -> str:
    """Return a number without an exponent and with as few digits as tell it from others, as the CLI writes it.

    That is Go's `strconv.FormatFloat(number, 'f', -1, 64)`.
    """
    if not math.isfinite(number):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(number), "NaN")
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def find(folder: Path, target: str | None) -> BundleVariables | None:
    """Return the variables of the bundle that `folder` is in, for `target` or the bundle's default target.

    Return None when there is no bundle. Raises RunError for a target that it does not have. Raises ConfigError when one
    of its files can't be read, or has something else in the place of variables or targets.
    """
    found = _load(folder)
    if found is None:
        if target is not None:
            raise RunError(
                f"there is no bundle for the target `{target}`",
                hint=f"none of {', '.join(bundlefile.NAMES)} is here or in a folder above",
            )
        return None
    if problems := [problem for document in found.documents for problem in _not_mappings(document)]:
        raise ConfigError(problems)
    targets = _targets(found)
    chosen = target or next((os.environ[name] for name in _NAMED_BY if os.environ.get(name)), None)
    if chosen is not None and chosen not in targets:
        hint = did_you_mean(chosen, targets) or (f"its targets are {listed(list(targets))}" if targets else None)
        raise RunError(f"the bundle {found.main.path.name} has no target `{chosen}`", hint=hint)
    chosen = chosen or _default(targets)
    name = _merged(found, "bundle").get("name")
    return BundleVariables(
        found.main.path,
        name if isinstance(name, str) else None,
        chosen,
        _definitions(_merged(found, "variables"), (targets.get(chosen) or {}) if chosen else {}),
        _overrides(found.root, chosen) if chosen else {},
    )


def names(folder: Path) -> list[str]:
    """Return the targets of the bundle that `folder` is in."""
    found = _load(folder)
    return list(_targets(found)) if found is not None else []


def _load(folder: Path) -> Bundle | None:
    """Return the bundle with only the files that have variables: resources may be long, and are not read."""
    places = (place / name for place in (folder, *folder.parents) for name in bundlefile.NAMES)
    path = next((path for path in places if path.is_file()), None)
    return None if path is None else bundlefile.load(path, words=("variables", "targets"))


def _not_mappings(document: Document) -> Iterator[Problem]:
    """Yield values that are no mapping, in the places of variables and targets in a file."""
    lists = [("variables",), *(("targets", name, "variables") for name in table(document.content, "targets"))]
    declared = [("variables", name) for name in table(document.content, "variables")]
    chosen = [("targets", name) for name in table(document.content, "targets")]
    hints = {"variables": "declare each by its name, below it", "targets": "name each target below it"}
    for path in (*lists, *declared, ("targets",), *chosen):
        value = at(document.content, *path)
        if not isinstance(value, dict | None):
            hint = hints.get(path[-1]) if path not in declared else "give its value as `default: ...` below its name"
            where = SourceLocation(str(document.path), document.lines.get(path, 1))
            yield Problem(f"`{'.'.join(map(str, path))}` is {kind_of(value)}, not a mapping", where, hint)


def _targets(bundle: Bundle) -> dict[str, Any]:
    return {str(name): found for name, found in _merged(bundle, "targets").items()}


def _default(targets: Mapping[str, Any]) -> str | None:
    if len(targets) == 1:
        return next(iter(targets))
    marked = [name for name, found in targets.items() if isinstance(found, dict) and found.get("default") is True]
    return marked[0] if len(marked) == 1 else None


def _definitions(own: Mapping[str, Any], target: Any) -> dict[str, dict[str, Any]]:
    """Return the definitions of variables; a value of a target replaces both default and lookup."""
    found = {str(name): dict(entry) if isinstance(entry, dict) else {} for name, entry in own.items()}
    given = target.get("variables") if isinstance(target, dict) else None
    for name, value in (given if isinstance(given, dict) else {}).items():
        if value is None:
            continue
        is_whole = isinstance(value, dict) and any(set(value) - _BESIDE == keys for keys in _WHOLE)
        entry = value if is_whole else {"default": value}
        kept = {key: text for key, text in found.get(str(name), {}).items() if key not in ("default", "lookup")}
        found[str(name)] = {**kept, **entry}
    return found


def _overrides(root: Path, target: str) -> dict[str, Any]:
    """Return the values that a person keeps for a target next to the bundle."""
    path = root / ".databricks" / "bundle" / target / "variable-overrides.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"{path} can't be read: {error}") from None
    if not isinstance(found, dict):
        raise RunError(f"{path} does not contain a JSON object", hint='write {"name": "value"}')
    return found


def _merged(bundle: Bundle, key: str) -> dict[str, Any]:
    """Return a mapping of all files of the bundle, merged; a later file wins."""
    found: dict[str, Any] = {}
    for document in bundle.documents:
        value = document.content.get(key)
        if isinstance(value, dict):
            found = _put_together(found, value)
    return found


def _put_together(first: dict[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(first)
    for name, value in second.items():
        before = found.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            found[name] = _put_together(before, value)
        elif value is not None:
            found[name] = value
        else:
            found.setdefault(name, None)
    return found
