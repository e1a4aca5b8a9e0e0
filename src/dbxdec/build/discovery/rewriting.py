"""The rewritten project: its operations on strings ask `unresolved` whether they depend on bundle variables.

Operands are wrapped for one operation only, so that dbxdec and libraries get the strings that the project makes.
"""

from __future__ import annotations

import ast
import builtins
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Any

from dbxdec.build.discovery import unresolved

if TYPE_CHECKING:
    from collections.abc import Callable

# Names that no project has; those of built-ins, since a wrapped operation may be in any scope.
_NAMES: dict[Callable[..., Any], str] = {
    one: f"__dbxdec_{one.__name__}__"
    for one in (
        unresolved.watched,
        unresolved.compared,
        unresolved.plain,
        unresolved.called,
        unresolved.ordered,
        unresolved.within,
        unresolved.item,
    )
}
_ORDERING = frozenset({"sorted", "min", "max"})
_TAKING_APART = frozenset({"len", "list", "tuple", "set", "frozenset", "bool", "iter", "enumerate", "reversed"})


def install(root: str) -> None:
    """Rewrite the modules below `root` that are imported from now on. This changes the imports of the whole process."""
    for function, name in _NAMES.items():
        setattr(builtins, name, function)
    loader: Any = SourceFileLoader
    usual = loader.get_code

    def get_code(own: Any, fullname: str) -> Any:
        path = own.get_filename(fullname)
        if not path.startswith(root):
            return usual(own, fullname)
        tree = ast.parse(own.get_data(path), path)
        return compile(ast.fix_missing_locations(_Rewriter().visit(tree)), path, "exec", dont_inherit=True)

    loader.get_code = get_code


class _Rewriter(ast.NodeTransformer):
    """Wraps the operands of each operation that reads the text of strings. Annotations stay as they are."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        annotations = {name: getattr(node, name) for name in ("annotation", "returns") if hasattr(node, name)}
        for name in annotations:
            setattr(node, name, None)
        super().generic_visit(node)
        for name, annotation in annotations.items():
            setattr(node, name, annotation)
        for name in ("test", "iter", "subject"):  # of `if`, `while`, `assert`, `for`, `match` and their expressions
            if hasattr(node, name):
                setattr(node, name, _watched(getattr(node, name)))
        if isinstance(node, ast.comprehension):
            node.ifs = list(map(_watched, node.ifs))
        return node

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        self.generic_visit(node)
        if node.format_spec is not None and node.conversion == -1:
            node.value = _watched(node.value)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            found = _wrapped(unresolved.within, node, node.left, *node.comparators)
            return found if isinstance(node.ops[0], ast.In) else ast.copy_location(ast.UnaryOp(ast.Not(), found), node)
        if not any(isinstance(one, ast.Is | ast.IsNot) for one in node.ops):
            node.left, node.comparators = _compared(node.left), list(map(_compared, node.comparators))
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func
        if isinstance(name, ast.Attribute) and name.attr in unresolved.CALLS:
            if name.attr in unresolved.STRINGS:
                name.value = _watched(name.value)
            return _wrapped(unresolved.called, node, name, *node.args, keywords=node.keywords)
        if isinstance(name, ast.Name) and name.id in _ORDERING and node.args:
            return _wrapped(unresolved.ordered, node, name, *node.args, keywords=node.keywords)
        if isinstance(name, ast.Name) and name.id in unresolved.CALLS:
            return _wrapped(unresolved.called, node, name, *node.args, keywords=node.keywords)
        if isinstance(name, ast.Name) and name.id in _TAKING_APART and not node.keywords:
            node.args = [one if isinstance(one, ast.Starred) else _watched(one) for one in node.args]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            return node
        if isinstance(node.slice, ast.Name | ast.JoinedStr | ast.Call | ast.Attribute | ast.Subscript):
            return _wrapped(unresolved.item, node, node.value, node.slice)
        node.value = _watched(node.value)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        node.values = [*map(_watched, node.values[:-1]), node.values[-1]]
        return _wrapped(unresolved.plain, node, node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        node.operand = _watched(node.operand) if isinstance(node.op, ast.Not) else node.operand
        return node


def _watched(node: ast.expr) -> ast.expr:
    return node if isinstance(node, ast.Constant) else _wrapped(unresolved.watched, node, node)


def _compared(node: ast.expr) -> ast.expr:
    return node if isinstance(node, ast.Constant) else _wrapped(unresolved.compared, node, node)


def _wrapped(
    function: Callable[..., Any], node: ast.expr, *args: ast.expr, keywords: list[ast.keyword] | None = None
) -> ast.expr:
    name = ast.Name(_NAMES[function], ast.Load())
    return ast.copy_location(ast.Call(name, list(args), keywords or []), node)
