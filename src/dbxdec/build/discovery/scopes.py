"""Names in the source of a module: those that it may define, and lines on which a missing name is expected."""

from __future__ import annotations

import ast
import dis
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

_CAUGHT = frozenset({"NameError", "AttributeError", "Exception", "BaseException"})
# Names that only notebooks have; a star import of these libraries never brings them.
_OF_NOTEBOOKS = frozenset(
    {"spark", "sc", "sqlContext", "dbutils", "display", "displayHTML", "getArgument", "get_ipython"}
)
_WITHOUT_NOTEBOOKS = frozenset({"pyspark", "delta", "polars", "pandas", "numpy"})
_DYNAMIC = frozenset({"globals", "vars", "exec", "builtins", "__builtins__", "setattr", "import_module", "__import__"})


@dataclass(frozen=True)
class Scopes:
    """The names of one module.

    `bound` are the names that some line of it may define, and `for_checkers` those that only a type checker sees. With
    `is_open` names may come from anywhere; with `has_stars` all names may, except those of notebooks. `guarded` are
    lines on which a missing name is expected.
    """

    bound: frozenset[str]
    for_checkers: frozenset[str]
    is_open: bool
    has_stars: bool
    guarded: tuple[range, ...]

    @classmethod
    def read(cls, path: str) -> Scopes | None:
        """Return the names of the module at `path`; None if Python can't read it."""
        try:
            tree = ast.parse(Path(path).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return None
        nodes = list(ast.walk(tree))
        checked = [node for node in nodes if isinstance(node, ast.If) and _is_for_checkers(node.test)]
        inside = {id(one) for node in checked for part in node.body for one in ast.walk(part)}
        at_top = list(_at_top(tree.body))
        return cls(
            bound=frozenset(
                [name for node in at_top if id(node) not in inside for name in _binds(node)]
                + [name for node in nodes if isinstance(node, ast.Global) for name in node.names]
            ),
            for_checkers=frozenset(name for node in at_top if id(node) in inside for name in _binds(node)),
            is_open=any(map(_is_dynamic, nodes)),
            has_stars=any(map(_is_star_of_a_library, nodes)),
            guarded=tuple(_guarded(nodes)),
        )

    def may_define(self, name: str) -> bool:
        """Return whether some line of the module, or something that it does, may define `name`."""
        return self.is_open or name in self.bound or (self.has_stars and name not in _OF_NOTEBOOKS)

    def is_guarded(self, line: int) -> bool:
        """Return whether a missing name is expected on that line."""
        return any(line in lines for lines in self.guarded)

    def first_use(self, code: CodeType, spelt: str) -> int | None:
        """Return the first unguarded line on which `code` uses a name, or an attribute of a name."""
        lines = sorted(set(_lines(code, *spelt.split("."))))
        return next((line for line in lines if not self.is_guarded(line)), None)


def _lines(code: CodeType, name: str, attribute: str = "") -> Iterator[int]:
    before = ""
    for step in dis.get_instructions(code):
        line = step.positions.lineno if step.positions else None
        is_global = step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
        found = before == name and step.argval == attribute if attribute else is_global and step.argval == name
        if found and line is not None:
            yield line
        before = str(step.argval) if is_global else ""
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield from _lines(constant, name, attribute)


def _at_top(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the statements and expressions of a module that run when it is imported."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.stmt):
                yield from _at_top([child])
            elif isinstance(child, ast.ExceptHandler | ast.match_case):
                yield child
                yield from _at_top(child.body)
            else:
                yield from ast.walk(child)


def _binds(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement or expression assigns."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            for alias in names:
                yield alias.asname or alias.name.partition(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name


def _is_for_checkers(test: ast.expr) -> bool:
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
    return False


def _is_dynamic(node: ast.AST) -> bool:
    """Return whether a module with this node may have names that none of its lines binds."""
    match node:
        case ast.Name(id=name) if name in _DYNAMIC:
            return True
        case ast.Attribute(attr="__dict__" | "modules" | "import_module"):
            return True
        case ast.ImportFrom(names=[ast.alias(name="*")], module=module, level=level):
            # The standard library and dbxdec have the same names everywhere.
            root = str(module).partition(".")[0]
            return level > 0 or root not in (*sys.stdlib_module_names, "dbxdec", *_WITHOUT_NOTEBOOKS)
        case ast.Import(names=names) if any(alias.name == "builtins" for alias in names):
            return True
    return False


def _is_star_of_a_library(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom(names=[ast.alias(name="*")], module=module, level=0):
            return str(module).partition(".")[0] in _WITHOUT_NOTEBOOKS
    return False


def _guarded(nodes: list[ast.AST]) -> Iterator[range]:
    """Yield lines whose NameError is caught, and lines that never run."""
    for node in nodes:
        match node:
            case ast.Try(body=body, handlers=handlers) | ast.TryStar(body=body, handlers=handlers):
                if any(_catches(handler.type) for handler in handlers):
                    yield _lines_of(body)
            case ast.FunctionDef(decorator_list=decorators) | ast.AsyncFunctionDef(decorator_list=decorators):
                # A handler of this very error may expect it from any function that is called inside.
                if any(isinstance(one, ast.ExceptHandler) and _names_it(one.type) for one in ast.walk(node)):
                    first = min([node.lineno, *(one.lineno for one in decorators)])
                    yield range(first, (node.end_lineno or node.lineno) + 1)
            case ast.With(items=items, body=body) if any(_suppresses(item.context_expr) for item in items):
                yield _lines_of(body)
            case ast.If(test=test, body=body) if _is_for_checkers(test) or _is_false(test):
                yield _lines_of(body)


def _lines_of(body: list[ast.stmt]) -> range:
    return range(body[0].lineno, (body[-1].end_lineno or body[-1].lineno) + 1)


def _catches(kind: ast.expr | None) -> bool:
    match kind:
        case None:
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in _CAUGHT
        case ast.Tuple(elts=kinds):
            return any(map(_catches, kinds))
    return False


def _names_it(kind: ast.expr | None) -> bool:
    return kind is not None and any(isinstance(one, ast.Name) and one.id == "NameError" for one in ast.walk(kind))


def _suppresses(context: ast.expr) -> bool:
    match context:
        case ast.Call(args=kinds):
            return any(map(_catches, kinds))
    return False


def _is_false(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and not test.value
