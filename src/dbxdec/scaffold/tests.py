"""The first test of a project: where it goes, and what pytest needs for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbxdec.records import dataclass
from dbxdec.scaffold.edits import literal
from dbxdec.support.forms import at, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dbxdec.scaffold.edits import TomlEditing
    from dbxdec.scaffold.layout import Package

FILE = "pyproject.toml"
REQUIREMENT = "pytest>=8"
# Files with settings of pytest, and the table that makes them one: before pyproject.toml, and after it
# (docs.pytest.org, "Configuration file formats"). Only the first one counts.
_BEFORE = {"pytest.toml": "", ".pytest.toml": "", "pytest.ini": "", ".pytest.ini": ""}
_AFTER = {"tox.ini": "[pytest]", "setup.cfg": "[tool:pytest]"}


@dataclass(frozen=True)
class Settings:
    """The place of pytest's settings in a project: `file`, pyproject.toml where none has any.

    `have_path` is whether they say where packages are.
    """

    file: str
    have_path: bool

    @classmethod
    def of(cls, root: Path, document: Mapping[str, Any]) -> Settings:
        """Return those of the project at `root`, with `document` as its pyproject.toml."""
        own = at(document, *_table_of(document))
        for name, mark in {**_BEFORE, **({} if own is not None else _AFTER)}.items():
            content = (root / name).read_bytes() if (root / name).is_file() else None
            if content is not None and mark.encode() in content:
                return cls(name, b"pythonpath" in content)
        return cls(FILE, at(own, "pythonpath") is not None)


def place(document: Mapping[str, Any]) -> str:
    """Return the path of the first test in a project with these settings."""
    testpaths = at(document, *_table_of(document), "testpaths")
    first = testpaths[0] if isinstance(testpaths, list) and testpaths and isinstance(testpaths[0], str) else "tests"
    return f"{first.strip('/')}/test_hello.py"


def command(hatch: Mapping[str, Any], *, uses_uv: bool) -> tuple[str, str]:
    """Return the command that runs the tests of a project, and what to say of it."""
    if uses_uv:
        return "uv run pytest", "runs its test"
    return (
        ("hatch test", "runs its test") if _uses_hatch(hatch) else ("pytest", "runs its test, after pip install pytest")
    )


def is_installed(document: Mapping[str, Any], hatch: Mapping[str, Any], *, uses_uv: bool) -> bool:
    """Return whether the tool that runs pytest installs the project first, so that the test can import it."""
    return (uses_uv and at(document, "tool", "uv", "package") is not False) or _uses_hatch(hatch)


def needs_pytest(document: Mapping[str, Any]) -> bool:
    """Return whether no requirement of the project brings pytest."""
    return not any(re.match(r"\s*pytest\b", item, re.IGNORECASE) for item in _requirements(document))


def find_package(editing: TomlEditing, settings: Settings, package: Package) -> None:
    """Have pytest find a package that is not installed, unless its settings say already where packages are."""
    folder = _top(package)
    if folder is None or settings.have_path:
        return
    if settings.file == FILE:
        editing.put((*_table_of(editing.document), "pythonpath"), [folder])
        return
    value = literal([folder]) if settings.file.endswith(".toml") else folder
    editing.notes.append(f"{settings.file}: `pythonpath = {value}`, with which pytest finds the package")


def _table_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the table of pytest's settings in pyproject.toml; since pytest 9 they may be in [tool.pytest] itself."""
    found = table(document, "tool", "pytest")
    return ("tool", "pytest") if found and "ini_options" not in found else ("tool", "pytest", "ini_options")


def _uses_hatch(hatch: Mapping[str, Any]) -> bool:
    """Return whether the project has environments of Hatch, in which it is installed."""
    return bool(table(hatch, "envs"))


def _requirements(document: Mapping[str, Any]) -> Iterator[str]:
    places = (("dependency-groups",), ("project", "optional-dependencies"))
    lists = [items for path in places for items in table(document, *path).values()]
    lists += [at(document, "project", "dependencies"), at(document, "tool", "uv", "dev-dependencies")]
    for items in lists:
        yield from (item for item in (items if isinstance(items, list) else ()) if isinstance(item, str))


def _top(package: Package) -> str | None:
    """Return the folder from which the package is imported, relative to the root; None if `sources` rename it."""
    end = package.name.replace(".", "/")
    if package.folder == end:
        return "."
    return package.folder.removesuffix(f"/{end}") if package.folder.endswith(f"/{end}") else None
