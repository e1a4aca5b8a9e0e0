"""The author's line of an error: where a traceback has none, as of a lazy query, and where it goes on in dbxdec."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import DbxdecError, QueryError
from dbxdec.support import environment

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterator
    from types import CodeType

SOURCES = "DBXDEC_SOURCES"
"""The environment variable that has the author's own file for each file that is imported from a copy, as JSON."""
# More lines than these say less than the line of the function.
_LINES = 3


@contextmanager
def noted(tell: Callable[[], str]) -> Iterator[None]:
    """Add a note to an exception, unless it is dbxdec's own, which already says what is wrong.

    That of a query may not say where it was made.
    """
    try:
        yield
    except QueryError as error:
        if any(one.where is not None for one in error.problems):
            raise
        told = [replace(one, message=f"{one.message} ({tell()})") for one in error.problems]
        raise QueryError(told) from error
    except (DbxdecError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of Polars is not an Exception
        error.add_note(tell())
        raise


@contextmanager
def ending_at_the_author() -> Iterator[None]:
    """Let a traceback of dbxdec's own error end at the author's line: what dbxdec does below it is no mistake."""
    try:
        yield
    except DbxdecError as error:
        last = trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in ("dbxdec", "contextlib"):
                last = trace
            trace = trace.tb_next
        if last is not None and last is not error.__traceback__:
            last.tb_next = None
        raise


def own_files(text: str) -> str:
    """Return `text` with the paths of the author's own files in the place of their copies."""
    for copy, own in json.loads(environment.given(SOURCES) or "{}").items():
        text = text.replace(copy, own)
    return text


def returned_at(function: Callable[..., Any]) -> str:
    """Return the lines on which `function` returns a value, or else its definition: "sales.py:12 or sales.py:15"."""
    import inspect

    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return repr(function)
    lines = _return_lines(code)
    if not 0 < len(lines) <= _LINES:
        lines = [code.co_firstlineno]
    return " or ".join(f"{code.co_filename}:{line}" for line in lines)


def _return_lines(code: CodeType) -> list[int]:
    """Return the lines of the `return`s of a function; none where its file can't be read."""
    import ast

    try:
        with open(code.co_filename, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return []
    return [
        statement.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _begins(node) == code.co_firstlineno
        for statement in _own_statements(node)
        if isinstance(statement, ast.Return) and not _is_none(statement.value)
    ]


def _begins(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _own_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements of a function in their order, but not those of functions and classes in it."""
    import ast

    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield child
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _own_statements(child)


def _is_none(value: ast.expr | None) -> bool:
    return value is None or getattr(value, "value", value) is None
