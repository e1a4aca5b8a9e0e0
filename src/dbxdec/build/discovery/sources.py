"""The source of functions, each file read once."""

from __future__ import annotations

import ast
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.records import dataclass

if TYPE_CHECKING:
    from types import CodeType

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Sources:
    _files: dict[str, dict[int, Function]] = field(default_factory=dict)

    def function(self, code: CodeType) -> Function | None:
        """Return the function of which `code` is; None for lambdas and where the file can't be read."""
        path = code.co_filename
        if path not in self._files:
            self._files[path] = _functions(path)
        found = self._files[path].get(code.co_firstlineno)
        return found if found is not None and found.name == code.co_name else None


def _functions(path: str) -> dict[int, Function]:
    """Return the functions of a file by their first lines as code has them: a decorator's, if there is one."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    return {
        min([node.lineno, *(one.lineno for one in node.decorator_list)]): node
        for node in ast.walk(tree)
        if isinstance(node, Function)
    }
