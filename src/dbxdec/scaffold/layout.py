"""The package that a project's wheel holds, and the place of pipelines in it."""

from __future__ import annotations

import contextlib
import keyword
import re
import sys
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem
from dbxdec.records import dataclass
from dbxdec.support.forms import at, strings_in, table
from dbxdec.support.patterns import PACKAGE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PIPELINES = "pipelines"
_OTHERS = {"tests", "test", "docs", "doc", "examples", "scripts", "notebooks", "resources", "build", "dist", "bench"}
# A project of one of these names would stand in the way of what a pipeline imports.
_TAKEN = {
    "dbxdec",
    "hatch_dbxdec",
    "polars",
    "deltalake",
    "pyspark",
    "delta",
    "databricks",
    "pytest",
    "tests",
    "resources",
}


@dataclass(frozen=True)
class Package:
    """A package that is shipped: its folder relative to the root, and its dotted name.

    `packages` is the setting for hatchling, None when it finds the package by itself, or has the setting already.
    """

    folder: str
    name: str
    packages: str | None = None


def check_name(name: str) -> Problem | None:
    """Return what is wrong with the name of a new project, if anything is."""
    if not PACKAGE_NAME.fullmatch(name):
        return Problem(
            f"{name!r} can't be the name of a project",
            hint="letters, digits, `.`, `_` and `-`, with a letter or digit first and last: "
            f"`--name {re.sub('[^a-z0-9]+', '-', name.lower()).strip('-') or 'my-pipeline'}`",
        )
    package = module_name(name)
    if not package.isidentifier() or keyword.iskeyword(package):
        return Problem(
            f"the project's name {name!r} makes no name of a package", hint=f"begin with a letter: `--name p-{name}`"
        )
    if package in _TAKEN or package in sys.stdlib_module_names:
        return Problem(
            f"a project named {name!r} would hide the package `{package}` that others import",
            hint=f"choose another name: `--name {name}-pipeline`",
        )
    return None


def module_name(name: str) -> str:
    """Return the package that hatchling looks for, for a project's name."""
    return re.sub(r"[-_.]+", "_", name).lower()


def find(root: Path, name: str, hatch: Mapping[str, Any]) -> Package | Problem:
    """Return the package of the project `name` at `root` with these settings of hatch; without one, one to be made."""
    target = table(hatch, "build", "targets", "wheel")
    chosen = {key: target.get(key, at(hatch, "build", key)) for key in ("packages", "only-include", "include")}
    if packages := strings_in(chosen["packages"]):
        return _declared(root, packages)
    if any(chosen.values()):
        sources = target.get("sources", at(hatch, "build", "sources"))
        return _selected(root, strings_in(chosen["only-include"]), sources, module_name(name))
    package = module_name(name)
    for folder in (package, f"src/{package}"):
        if (root / folder / "__init__.py").is_file():
            return Package(folder, package)
    if (root / f"{package}.py").is_file():
        return Problem(
            f"the wheel holds the single module {package}.py, beside which no package of pipelines can be",
            hint=f"make it a package: move it to src/{package}/__init__.py",
        )
    within = [path.parent for path in root.glob(f"*/{package}/__init__.py")]
    if len(within) == 1:
        folder = within[0].relative_to(root).as_posix()
        return Package(folder, folder.replace("/", "."))
    return _only_one(root, package)


def has_pipelines(root: Path, package: Package) -> bool:
    """Return whether the package has modules where pipelines are looked for."""
    folder = root / package.folder
    return any(
        path.name != "__init__.py" or _content(path).strip()
        for place in folder.rglob(PIPELINES)
        if place.is_dir()
        for path in place.rglob("*.py")
    ) or any(folder.rglob(f"{PIPELINES}.py"))


def mentions(root: Path, package: Package, word: str) -> bool:
    """Return whether a module of the package has `word` in it."""
    return any(word.encode() in _content(path) for path in (root / package.folder).rglob("*.py"))


def _content(path: Path) -> bytes:
    """Return the content of a file; b"" when it can't be read or is no file, as the locks of Emacs are."""
    with contextlib.suppress(OSError):
        return path.read_bytes() if path.is_file() else b""
    return b""


def _declared(root: Path, packages: list[str]) -> Package | Problem:
    """Return the one of `packages` that has pipelines, or else the first."""
    found = []
    for each in packages:
        folder = each.strip("/")
        inner = root / folder
        name = folder.rpartition("/")[2]
        if not (inner / "__init__.py").is_file():
            children = sorted(path.parent.name for path in inner.glob("*/__init__.py"))
            if len(children) == 1:  # a namespace package
                found.append(Package(f"{folder}/{children[0]}", f"{name}.{children[0]}"))
                continue
            if children:
                return _ambiguous([f"{folder}/{child}" for child in children])
        found.append(Package(folder, name))
    return next((package for package in found if has_pipelines(root, package)), found[0])


def _selected(root: Path, included: list[str], sources: Any, wanted: str) -> Package | Problem:
    """Return the package among files that are selected by other settings than `packages`."""
    places = [root / each.strip("/") for each in included] or [root, root / "src"]
    folders = {
        path.parent
        for place in places
        for pattern in ("__init__.py", "*/__init__.py")
        for path in place.glob(pattern)
        if path.parent.name not in _OTHERS and not (path.parent.parent / "__init__.py").is_file()
    }
    found = [
        Package(folder, _shipped(folder, sources).replace("/", "."))
        for folder in sorted(path.relative_to(root).as_posix() for path in folders)
    ]
    with_pipelines = [package for package in found if has_pipelines(root, package)]
    named = [package for package in found if package.name.rpartition(".")[2] == wanted]
    for some in (with_pipelines, named, found):
        if len(some) == 1:
            return some[0]
    return _ambiguous([package.folder for package in found])


def _shipped(folder: str, sources: Any) -> str:
    """Return the place of a folder in the wheel, by the setting `sources`."""
    renames = sources if isinstance(sources, dict) else dict.fromkeys(strings_in(sources), "")
    for prefix, instead in renames.items():
        start = prefix.strip("/")
        if not start:
            return f"{str(instead).strip('/')}/{folder}"
        if folder == start or folder.startswith(f"{start}/"):
            return f"{instead}/{folder[len(start) :].strip('/')}".strip("/")
    return folder


def _only_one(root: Path, wanted: str) -> Package | Problem:
    """Return the only package that there is, of another name than the project; or one to be made."""
    folders = sorted(
        path.parent.relative_to(root).as_posix()
        for pattern in ("*/__init__.py", "src/*/__init__.py")
        for path in root.glob(pattern)
        if path.parent.name.isidentifier() and path.parent.name not in _OTHERS
    )
    if len(folders) > 1:
        return _ambiguous(folders)
    if folders:
        return Package(folders[0], folders[0].rpartition("/")[2], packages=folders[0])
    return Package(f"src/{wanted}", wanted)


def _ambiguous(folders: list[str]) -> Problem:
    named = ", ".join(folders) or "none"
    example = folders[0] if folders else "src/my_package"
    return Problem(
        f"which package holds the pipelines can't be told: found {named}",
        "tool.hatch.build.targets.wheel.packages",
        f'name it: `packages = ["{example}"]`',
    )


def name_of_folder(folder: str) -> str:
    """Return a project's name for a folder: `My Pipelines` is `my-pipelines`."""
    return re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")


def watched(root: Path, package: Package, hatch: Mapping[str, Any]) -> tuple[str, ...]:
    """Return patterns of the files that a wheel with this package depends on, by the kinds of existing files.

    Files that each build writes anew are left out, such as `_version.py`: uv would build at every command.
    """
    files = [path for path in (root / package.folder).rglob("*") if path.is_file()]
    suffixes = {path.suffix for path in files} - {"", ".pyc", ".pyo", ".typed"}
    writes = [
        at(hatch, *place, "hooks", *key)
        for place in (("build",), ("build", "targets", "wheel"))
        for key in (("vcs", "version-file"), ("version", "path"))
    ]
    python = ["[!_]*.py", "__init__.py"] if any("/_" in str(path) for path in writes) else ["*.py"]
    names = [*python, *(f"*{suffix}" for suffix in sorted(suffixes - {".py"}))]
    return tuple(f"{package.folder}/**/{name}" for name in names)
