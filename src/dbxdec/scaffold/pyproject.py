"""The settings of dbxdec in a project's pyproject.toml or hatch.toml."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from dbxdec.build import config
from dbxdec.errors import Problem
from dbxdec.records import dataclass
from dbxdec.scaffold import tests
from dbxdec.scaffold.edits import TomlEditing, literal
from dbxdec.support.forms import at, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dbxdec.scaffold.edits import Path
    from dbxdec.scaffold.layout import Package

FILE = "pyproject.toml"
HATCH_FILE = "hatch.toml"
BACKEND = "hatchling.build"
UV_BACKEND = "uv_build"
OLDEST_PYTHON = 11
"""The minor version of Python that dbxdec needs at least."""

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)(?:\s*\[([^\]]*)\])?(.*)", re.DOTALL)
_TARGET = ("build", "targets", "wheel")
_DEV = ("dependency-groups", "dev")
_HATCHLING = "hatchling>=1.27"

# The obstacles to hatchling, by the start of the backend's name, and the place for their settings.
_MOVES = {
    "setuptools": "`hatch new --init` takes over what setup.py and setup.cfg say, and `packages` or `package-dir` of "
    "[tool.setuptools] become `packages` under [tool.hatch.build.targets.wheel]",
    "poetry": "name, version and dependencies of [tool.poetry] go to [project], its `packages` to `packages` under "
    "[tool.hatch.build.targets.wheel]",
    "pdm": "`package-dir` and `includes` of [tool.pdm.build] become `packages` under [tool.hatch.build.targets.wheel]",
    "uv_build": "hatchling finds src/<name> by itself; `module-root` and `module-name` of [tool.uv.build-backend] "
    "become `packages` under [tool.hatch.build.targets.wheel]",
    "flit": "`name` of [tool.flit.module] becomes `packages` under [tool.hatch.build.targets.wheel]",
}


@dataclass(frozen=True)
class Wanted:
    """The settings that one project needs.

    `engine` is the extra for what its first pipeline needs; `lake` whether a local place of tables is; `hatch_file`
    whether the settings of builds are in hatch.toml. `watched` are patterns of the files that a wheel depends on,
    which uv is told to look at; none where uv is not used. `required_elsewhere` is whether a file that dependencies are
    taken from has dbxdec. `group` is whether the commands of dbxdec come from the group of dependencies `dev`.
    `tests` says where pytest's settings are; None where there is no first test.
    """

    name: str
    package: Package
    version: str
    engine: str | None = None
    lake: bool = False
    pydabs: bool = False
    hatch_file: bool = False
    watched: tuple[str, ...] = ()
    required_elsewhere: bool = False
    group: bool = False
    tests: tests.Settings | None = None


def requirement(extra: str | None, version: str) -> str:
    """Return a requirement of dbxdec that the running version meets."""
    final = re.fullmatch(r"(\d+\.\d+)(\.\d+)*", version)
    return f"dbxdec{f'[{extra}]' if extra else ''}{f'>={final[1]}' if final else ''}"


def refusals(document: Mapping[str, Any], files: Iterable[str], version: str) -> list[Problem]:
    """Return why dbxdec can't be set up in the project with these settings; `files` are the names in its folder."""
    return [*_backend(document, set(files), version), *_shapes(document)]


def use_hatchling(text: str) -> tuple[str, list[Problem]]:
    """Return the content with hatchling as the backend instead of uv's own, unless other settings depend on that."""
    document = tomllib.loads(text)
    if at(document, "build-system", "build-backend") != UV_BACKEND:
        return text, []
    if at(document, "tool", "uv", "build-backend"):
        move = f"move them to [tool.hatch.build.targets.wheel] first: {_MOVES[UV_BACKEND]}"
        return text, [Problem("are settings that hatchling does not read", "tool.uv.build-backend", move)]
    requires = at(document, "build-system", "requires")
    editing = TomlEditing(FILE, text)
    for item in requires if isinstance(requires, list) else ():
        if isinstance(item, str) and re.match(r"\s*uv[-_.]build\b", item):
            editing.replace(("build-system", "requires"), item, _HATCHLING)
    editing.replace(("build-system", "build-backend"), UV_BACKEND, BACKEND)
    return text if editing.notes else editing.text, []  # the rest is refused, with a hint


def hatch_settings(document: Mapping[str, Any], hatch_file: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of hatch: those of hatch.toml override those in [tool.hatch]."""
    return {**table(document, "tool", "hatch"), **hatch_file}


def hook_problem(hatch: Mapping[str, Any]) -> Problem | None:
    """Return the problem of a hook that is turned on already, if it has one."""
    hooks = list(dict.fromkeys([*_hooks(hatch, ("build",)), *_hooks(hatch, _TARGET)]))
    if config.HOOK not in hooks or hooks[-1] == config.HOOK:
        return None
    return Problem(
        f"the build hook `{hooks[-1]}` runs after `dbxdec`, which would not see the files it makes",
        "tool.hatch.build.hooks.dbxdec",
        "move the table of `dbxdec` behind those of all other hooks, and to [tool.hatch.build.targets.wheel.hooks] "
        "where the wheel has hooks of its own",
    )


def edit(text: str, hatch: Mapping[str, Any], wanted: Wanted) -> TomlEditing:
    """Return pyproject.toml with the wanted settings. `hatch` are the current settings of hatch."""
    editing = TomlEditing(FILE, text)
    _build_system(editing, wanted)
    _project(editing, wanted)
    if not wanted.hatch_file:
        _build(editing, ("tool", "hatch"), hatch, wanted)
    settings = ("tool", "dbxdec")
    if wanted.lake and at(editing.document, *settings, "variables", "lake_root") is None:
        editing.put((*settings, "variables", "lake_root"), "lake")
    if wanted.pydabs and at(editing.document, *settings, "resources") is None:
        editing.put((*settings, "resources"), False)
    if wanted.group:
        _group(editing, requirement("build,cli", wanted.version))
        if wanted.tests and tests.needs_pytest(editing.document):
            editing.append(_DEV, tests.REQUIREMENT, f"{_place(_DEV)}: {literal(tests.REQUIREMENT)}")
    if wanted.tests and not tests.is_installed(editing.document, hatch, uses_uv=wanted.group):
        tests.find_package(editing, wanted.tests, wanted.package)
    if wanted.watched:
        _cache_keys(editing, wanted.watched)
    return editing


def edit_hatch_file(text: str, hatch: Mapping[str, Any], wanted: Wanted) -> TomlEditing:
    """Return hatch.toml with the hook. It has the settings of builds, so those of pyproject.toml don't count."""
    editing = TomlEditing(HATCH_FILE, text)
    _build(editing, (), hatch, wanted)
    return editing


def _build(editing: TomlEditing, top: Path, hatch: Mapping[str, Any], wanted: Wanted) -> None:
    if wanted.package.packages:
        editing.put((*top, *_TARGET, "packages"), [wanted.package.packages])
    own = set(_hooks(hatch, _TARGET)) - set(_hooks(hatch, ("build",)))
    if config.HOOK not in {*_hooks(hatch, ("build",)), *_hooks(hatch, _TARGET)}:
        # Hooks of the wheel alone run after those of all targets.
        path = (*top, *(_TARGET if own else ("build",)), "hooks", config.HOOK)
        before = editing.text
        editing.put(path, {})
        if hook_problem(table(editing.document, *top)) is not None:
            editing.text = before
            editing.notes.append(f"{editing.file}:\n[{'.'.join(path)}]   # behind all other hooks")


def _hooks(hatch: Mapping[str, Any], path: Path) -> list[str]:
    return list(table(hatch, *path, "hooks"))


def _build_system(editing: TomlEditing, wanted: Wanted) -> None:
    needed = requirement("build", wanted.version)
    if "build-system" not in editing.document:
        editing.put(("build-system",), {"requires": [_HATCHLING, needed], "build-backend": BACKEND})
    elif "requires" not in editing.document["build-system"]:
        editing.put(("build-system", "requires"), [_HATCHLING, needed])
    else:
        _require(editing, ("build-system", "requires"), ("build",), needed)


def _project(editing: TomlEditing, wanted: Wanted) -> None:
    project = editing.document.get("project")
    needed = requirement(wanted.engine, wanted.version)
    python = f">=3.{OLDEST_PYTHON}"
    if project is None:
        values = {"name": wanted.name, "version": "0.1.0", "requires-python": python, "dependencies": [needed]}
        editing.put(("project",), values)
        return
    if "dependencies" in project.get("dynamic", []):
        if not wanted.required_elsewhere:
            editing.notes.append(f"the dependencies of the project are dynamic: add `{needed}` where they come from")
    elif "dependencies" in project:
        engines = (wanted.engine,) if wanted.engine else ()
        _require(editing, ("project", "dependencies"), engines, needed)
    else:
        editing.put(("project", "dependencies"), [needed])
    if _admits_older(project.get("requires-python")):
        found = str(project["requires-python"])
        newer = f'`requires-python = "{_newer(found)}"`'
        editing.notes.append(f"{FILE}: {newer}, since dbxdec needs Python 3.{OLDEST_PYTHON}; it is {found!r}")


def _group(editing: TomlEditing, needed: str) -> None:
    """Put the commands of dbxdec into the group `dev`: tasks on a cluster need neither click nor hatchling."""
    if at(editing.document, *_DEV) is None:
        editing.put(_DEV, [needed])
    else:
        _require(editing, _DEV, ("build", "cli"), needed)


def _require(editing: TomlEditing, path: Path, extras: tuple[str, ...], needed: str) -> None:
    """Put dbxdec with `extras` into the requirements at `path`; an existing requirement keeps its bounds."""
    own = [item for item in at(editing.document, *path) if isinstance(item, str) and _is_dbxdec(item)]
    if any({*extras} <= (found := _extras(item)) or "all" in found for item in own):
        return
    place = _place(path)
    if not own:
        editing.append(path, needed, f"{place}: {literal(needed)}")
        return
    match = _REQUIREMENT.fullmatch(own[0])
    assert match is not None  # noqa: S101 - _is_dbxdec has matched it
    instead = f"{match[1]}[{','.join(sorted({*_extras(own[0]), *extras}))}]{match[3]}"
    editing.replace(path, own[0], instead, f"{place}: {literal(instead)} instead of {literal(own[0])}")


def _place(path: Path) -> str:
    return f"{FILE}, in `{'.'.join(path)}`"


def _is_dbxdec(text: str) -> bool:
    match = _REQUIREMENT.fullmatch(text)
    return match is not None and match[1].lower() == "dbxdec"


def _extras(text: str) -> set[str]:
    match = _REQUIREMENT.fullmatch(text)
    return {extra.strip() for extra in (match[2] or "").split(",")} - {""} if match else set()


def _cache_keys(editing: TomlEditing, watched: tuple[str, ...]) -> None:
    path = ("tool", "uv", "cache-keys")
    keys = at(editing.document, *path)
    if keys is None:
        entries: list[Any] = [{"file": FILE}, *({"file": pattern} for pattern in watched)]
        if at(editing.document, "tool", "hatch", "version", "source") == "vcs":
            entries.append({"git": {"commit": True, "tags": True}})
        editing.put(path, entries)
        return
    files = [str(key.get("file", "")) if isinstance(key, dict) else str(key) for key in keys]
    if not any(name.endswith((".py", "**/*")) for name in files):
        for pattern in watched:
            key = {"file": pattern}
            editing.append(path, key, f"pyproject.toml, in `tool.uv.cache-keys`: {literal(key)}")


def _admits_older(requires: Any) -> bool:
    if not isinstance(requires, str):
        return False
    lower = [
        (int(major), int(minor or 0)) for major, minor in re.findall(r"(?:>=?|~=|={2,3})\s*(\d+)(?:\.(\d+))?", requires)
    ]
    return max(lower, default=(0, 0)) < (3, OLDEST_PYTHON)


def _newer(requires: str) -> str:
    """Return the Pythons of `requires` that dbxdec runs on; without the other bounds if they would leave none."""
    oldest = f">=3.{OLDEST_PYTHON}"
    found = [re.fullmatch(r"(<=?|!=|~=)\s*(\d+)((?:\.\d+)*)(\.\*)?", part.strip()) for part in requires.split(",")]
    kept = []
    for part in found:
        if part is None:
            continue
        operator, version = part[1], (int(part[2]), *map(int, part[3].split(".")[1:]))
        if operator == "~=" and len(version) == 2:  # 3.9 is at least that, and below 4
            kept.append(f"<{version[0] + 1}")
        elif operator == "!=" or (operator in ("<", "<=") and version > (3, OLDEST_PYTHON)):
            kept.append(part[0].replace(" ", ""))
    return ",".join([oldest, *kept])


def _backend(document: Mapping[str, Any], files: set[str], version: str) -> list[Problem]:
    system = document.get("build-system")
    if system is None and "project" not in document and at(document, "tool", "uv", "workspace"):
        what = "this is the top of a workspace of uv, which holds no project itself"
        return [Problem(what, "tool.uv.workspace", "run `dbxdec init` in a member of it, or `dbxdec init FOLDER`")]
    if system is None:
        tools = document.get("tool", {}) if isinstance(document.get("tool", {}), dict) else {}
        old = [
            *sorted(files & {"setup.py", "setup.cfg"}),
            *(f"[tool.{name}]" for name in ("setuptools", "poetry") if name in tools),
        ]
        if not old:
            return []
        backend = "poetry" if old == ["[tool.poetry]"] else "setuptools"
        what = f"this project is built by {backend} ({', '.join(old)})"
    elif not isinstance(system, dict):
        return []
    else:
        backend = str(system.get("build-backend", "setuptools, which is meant where none is named"))
        if backend == BACKEND and "backend-path" not in system:
            return []
        what = f"the build backend is {backend}"
    easy = "`dbxdec init --use-hatchling` changes it; or " if backend == UV_BACKEND else ""
    move = next((text for start, text in _MOVES.items() if backend.startswith(start)), None)
    hint = (
        f'{easy}under [build-system] write `requires = ["hatchling", "{requirement("build", version)}"]` and '
        f'`build-backend = "{BACKEND}"`{f"; {move}" if move else ""}. Or keep the pipelines in a project of their own: '
        "`dbxdec init pipelines`"
    )
    return [Problem(f"{what}, and dbxdec is a build hook of hatchling", "build-system.build-backend", hint)]


def _shapes(document: Mapping[str, Any]) -> list[Problem]:
    """Return problems of tables and lists that have another type: every tool would refuse them."""
    expected: list[tuple[Path, type, str]] = [
        (("build-system",), dict, "a table"),
        (("build-system", "requires"), list, "a list"),
        (("project",), dict, "a table"),
        (("project", "dependencies"), list, "a list"),
        (("project", "dynamic"), list, "a list"),
        (("dependency-groups",), dict, "a table"),
        (("dependency-groups", "dev"), list, "a list"),
        (("tool",), dict, "a table"),
        *((("tool", name), dict, "a table") for name in ("hatch", "dbxdec", "uv")),
        (("tool", "uv", "cache-keys"), list, "a list"),
        *((("tool", "hatch", *path), dict, "a table") for path in (("build",), ("build", "hooks"), _TARGET)),
    ]
    return [
        Problem(f"is not {what}", ".".join(path))
        for path, kind, what in expected
        if (value := at(document, *path)) is not None and not isinstance(value, kind)
    ]
