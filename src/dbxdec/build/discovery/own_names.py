"""Absent modules that may be meant for the project's: a script finds modules beside it, a package does not."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import FrameType


def problem(name: str, frame: FrameType, own: Collection[str], root: Path) -> Problem | None:
    """Return what to say of the absent module `name` if the project has one of that name near the importing module.

    `frame` runs the import statement, `own` are the modules below `root`. What the source asks of the module tells
    `shop.kafka` from a package `kafka` of others.
    """
    importing = str(frame.f_globals.get("__name__"))
    known = {*own, *(parent for one in own for parent in _parents(one))}
    found = next((near for parent in _parents(importing) if (near := f"{parent}.{name}") in known), None)
    if found is None or found == importing:  # `shop.sources.stripe` is where `import stripe` belongs
        return None
    module, some, each = _asked(name, frame)
    place = found + module.removeprefix(name)

    def has(one: str) -> bool:
        return f"{place}.{one}" in known or _names(root, place, one)

    if place not in known or not all(map(has, each)) or (some and not any(map(has, some))):
        return None
    return Problem(
        f"`{name}` is not installed, and no dependency of the project has that name, but the wheel has `{found}`",
        SourceLocation.of_frame(frame),
        f"import a module of the project by its whole name, `{found}`; name a package of others in "
        "[project.dependencies]",
    )


def _asked(name: str, frame: FrameType) -> tuple[str, set[str], set[str]]:
    """Return the module that the import statement of `name` asks for, and names: the file uses some, imports each.

    A call that imports asks for nothing but the module.
    """
    file = Path(frame.f_code.co_filename)
    tree = ast.parse(file.read_bytes() if file.is_file() else b"")
    for one in ast.walk(tree):
        if not isinstance(one, ast.Import | ast.ImportFrom) or one.lineno != frame.f_lineno:
            continue
        if isinstance(one, ast.ImportFrom):
            if one.module is not None and one.module.partition(".")[0] == name:
                return one.module, set(), {alias.name for alias in one.names} - {"*"}
            continue
        for alias in one.names:
            if alias.name == name:
                return name, _used(tree, alias.asname or name), set()
            if alias.name.startswith(f"{name}."):
                return alias.name, set(), set()
    return name, set(), set()


def _used(tree: ast.Module, name: str) -> set[str]:
    """Return the attributes of a name that the code uses."""
    found = (one for one in ast.walk(tree) if isinstance(one, ast.Attribute))
    return {one.attr for one in found if isinstance(one.value, ast.Name) and one.value.id == name}


def _names(root: Path, module: str, name: str) -> bool:
    """Return whether the source of a module has the name."""
    place = root.joinpath(*module.split("."))
    files = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    texts = (file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())
    return any(re.search(rf"\b{re.escape(name)}\b", text) for text in texts)


def _parents(module: str) -> list[str]:
    """Return the packages that a module is in, the innermost first."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
