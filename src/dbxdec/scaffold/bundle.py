"""The settings of dbxdec in databricks.yml."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from dbxdec.build import bundlefile
from dbxdec.records import dataclass
from dbxdec.scaffold.edits import YamlEditing
from dbxdec.support.forms import at, table

if TYPE_CHECKING:
    from pathlib import Path

    from dbxdec.build.bundlefile import Bundle

COMMAND = "dbxdec bundle"
# Without the project: its tree may not be buildable, and its runtime dependencies are not needed to build it.
_BY_UV = f"uv run --only-group dev {COMMAND}"
DESCRIPTION = "Where the tables of the pipelines live"


@dataclass(frozen=True)
class Wanted:
    """The settings that a bundle needs.

    `resources` is the file that builds write, from the bundle's root, None where Python makes the jobs: then `loader`
    names the function, and `wheels` is (the name of the artifact, the pattern of its files). `folder` is the project's,
    from the bundle's root. `lake_root` is where the tables of all targets live, None when no place uses it. `uv` is
    whether the project's environment is uv's.
    """

    folder: str
    resources: str | None
    loader: str | None
    lake_root: str | None
    wheels: tuple[str, str] = ("", "")
    uv: bool = False


def edit(bundle: Bundle, text: str, wanted: Wanted) -> YamlEditing:
    """Return the main file of a bundle, which holds `text`, with what none of its files has."""
    editing = YamlEditing(bundle.main.path.name, text)
    if wanted.resources is not None:
        _include(editing, bundle, wanted.resources)
        _preinit(editing, bundle, wanted.folder, script(wanted.folder, uv=wanted.uv))
    if wanted.loader is not None:
        _python(editing, bundle, wanted.loader)
        _artifact(editing, bundle, *wanted.wheels)
    if bundle.get("experimental", "skip_artifact_cleanup") is None:
        editing.put(("experimental", "skip_artifact_cleanup"), True)
    if wanted.lake_root is not None:
        _lake_root(editing, bundle, wanted.lake_root)
    return editing


def is_blank(text: str) -> bool:
    """Return whether a file in YAML has comments at most."""
    lines = map(str.strip, text.removeprefix("\ufeff").splitlines())
    return all(not line or line.startswith("#") or line == "---" for line in lines)


def below(comments: str, text: str) -> str:
    """Return the comments of a file without content, and `text` below them in the same line ends."""
    end = "\r\n" if "\r\n" in comments else "\n"
    start = f"{comments.rstrip()}{end}{end}" if comments.strip() else ""
    return start + text.replace("\n", end)


def include_pattern(resources: str, root: Path) -> str:
    """Return a pattern for the resources and no other file that is there: the plain name of a missing file fails."""
    folder, _, name = resources.rpartition("/")
    stem, _, suffix = name.rpartition(".")
    prefix = f"{folder}/" if folder else ""
    others = [path for path in (root / folder).glob(f"*.{suffix}") if path.name != name]
    return f"{prefix}*.{suffix}" if folder and not others else f"{prefix}{stem}*.{suffix}"


def script(folder: str, *, uv: bool) -> str:
    """Return the command that brings the project in `folder` up to date, from the bundle's root."""
    command = _BY_UV if uv else COMMAND
    return command if folder == "." else f"cd {shlex.quote(folder)} && {command}"


def _include(editing: YamlEditing, bundle: Bundle, resources: str) -> None:
    patterns = bundle.main.content.get("include")
    if isinstance(patterns, list) and any(bundlefile.includes(str(pattern), resources) for pattern in patterns):
        return
    pattern = include_pattern(resources, bundle.root)
    if patterns is None:
        editing.put(("include",), [pattern])
    else:
        editing.append(("include",), pattern, f"{editing.file}, under `include`:\n  - {pattern}")


def _preinit(editing: YamlEditing, bundle: Bundle, folder: str, command: str) -> None:
    found = at(bundle.get("experimental", "scripts"), "preinit")
    if found is None:
        editing.put(("experimental", "scripts", "preinit"), command)
    elif not _builds(str(found), folder):
        present = str(found).splitlines()
        together = "|" + "".join(f"\n      {line}" for line in [*present, command])
        # It is one script: a `cd` without parentheses would count for what follows.
        if len(present) == 1 and present[0].startswith(("cd ", "(")):
            together = f"{_apart(present[0])} && {_apart(command)}"
        editing.notes.append(
            f"{editing.file}: `preinit` under `experimental.scripts` has a command; have it run dbxdec's as well:\n"
            f"    preinit: {together}"
        )


def _builds(script: str, folder: str) -> bool:
    """Return whether a script runs dbxdec's command in `folder`; one that lists folders by itself may."""
    if COMMAND not in script or folder == ".":
        return COMMAND in script
    return bool(set("*$") & set(script)) or re.search(rf"(?<![\w-]){re.escape(folder)}(?![\w-])", script) is not None


def _apart(command: str) -> str:
    return command if command.startswith("(") else f"({command})"


def _python(editing: YamlEditing, bundle: Bundle, loader: str) -> None:
    found = bundle.get("python", "resources")
    if found is None:
        editing.put(("python", "resources"), [loader])
    elif not isinstance(found, list) or not {loader, "dbxdec.bundle:load_resources"} & set(map(str, found)):
        otherwise = f"{editing.file}, under `resources` of `python`:\n  - {loader}"
        editing.append(("python", "resources"), loader, otherwise)


def _artifact(editing: YamlEditing, bundle: Bundle, name: str, pattern: str) -> None:
    """Add the artifact: Python resources declare none, and only a declared wheel gets its own name at each deploy."""
    taken = [source for _, _, one in bundlefile.artifacts_of(bundle, None) for source in bundlefile.sources_of(one)]
    if name not in table(bundle.get("artifacts")) and pattern not in taken:
        editing.put(("artifacts", name), {"type": "whl", "files": [{"source": pattern}], "dynamic_version": True})


def _lake_root(editing: YamlEditing, bundle: Bundle, lake_root: str) -> None:
    """Add the variable, and a value for each target that has none: a place of its own."""
    variables, targets = table(bundle.get("variables")), table(bundle.get("targets"))
    declared: Any = variables.get("lake_root")
    if declared is None and "lake_root" not in variables:
        fields = {"description": DESCRIPTION, **({} if targets else {"default": lake_root})}
        editing.put(("variables", "lake_root"), fields)
    elif isinstance(declared, dict) and "default" in declared:
        return
    # The last one first: a target that a later one repeats (`<<: *dev`) can be edited when that one has its own.
    for target in reversed(targets):
        if "lake_root" not in table(bundle.get("targets", target, "variables")):
            editing.put(("targets", target, "variables", "lake_root"), f"{lake_root}/{target}")
