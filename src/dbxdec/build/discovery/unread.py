"""Files that are never imported, which nothing else reports: their names show it, or what is in their source."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.build.discovery.modules import hidden, left_out
from dbxdec.errors import Problem, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbxdec.build.discovery.spec import ShippedFile

_DECORATORS = ("job", "task")


def problems(files: Sequence[ShippedFile], named: Sequence[str] | None) -> list[Problem]:
    """Return an error for each file beside the pipelines that defines jobs or tasks and can't be imported.

    So is each module whose name Python or dbxdec has taken.
    """
    paths = [file.path for file in files]
    reasons, names = left_out(paths, named), hidden(paths)
    return [
        Problem(
            f"the module `{names[file.path]}` can't be imported where the wheel is installed: "
            + ("dbxdec itself has" if names[file.path] == "dbxdec" else "a module of Python itself has")
            + " that name",
            file.source,
            "give it another name, or move it into a package",
        )
        for file in files
        if file.path in names
    ] + [
        Problem(
            f"`{definition.name}` is in a file that is never imported: {reasons[file.path]}",
            SourceLocation(file.source, definition.lineno),
            "rename it to letters, digits and `_`, without a leading digit, or move it out of the pipelines",
        )
        for file in files
        if file.path in reasons and (definition := _defines(Path(file.origin))) is not None
    ]


def _defines(path: Path) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Return the first function in a file that a decorator of dbxdec makes a job or a task."""
    text = path.read_bytes()
    if b"dbxdec" not in text:
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None  # such a file can't be imported anyway
    names, modules = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if _is_ours(decorator.func if isinstance(decorator, ast.Call) else decorator, names, modules):
                    return node
    return None


def _imported(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return the names that a module has for the decorators, and those for dbxdec itself."""
    names: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "dbxdec" and not node.level:
            for alias in node.names:
                if alias.name == "*":
                    names.update(_DECORATORS)
                elif alias.name in _DECORATORS:
                    names.add(alias.asname or alias.name)
        elif isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name == "dbxdec"}
    return names, modules


def _is_ours(node: ast.expr, names: set[str], modules: set[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in names
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            return module in modules and name in _DECORATORS
    return False
