"""Dicts that tasks with several outputs return: their keys are those of the outputs."""

from __future__ import annotations

import ast
from types import CodeType
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, SourceLocation, did_you_mean, listed
from dbxdec.model import dag
from dbxdec.model.typehints import unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dbxdec.authoring.tasks import Task
    from dbxdec.build.discovery.sources import Function, Sources


def wrong_keys(job: dag.Job, tasks: Mapping[str, Task[..., Any]], sources: Sources) -> Iterator[Problem]:
    """Yield each `return {...}` of a task whose keys, all written as strings, are not those of its outputs."""
    for one in job.tasks:
        # A decorator may make another dict of what the function returns.
        code = getattr(tasks[one.key].fn, "__code__", None) if one.key in tasks else None
        if not isinstance(code, CodeType) or not one.outputs or dag.RESULT in one.outputs:
            continue
        node = sources.function(code) if unwrapped(tasks[one.key].fn) is tasks[one.key].fn else None
        for line, given in _returned(node) if node else ():
            unknown, missing = [k for k in given if k not in one.outputs], [k for k in one.outputs if k not in given]
            if unknown or missing:
                said = [f"has no output {listed(unknown)}"] if unknown else []
                said += [f"returns nothing for its output {listed(missing)}"] if missing else []
                hint = did_you_mean(unknown[0], missing) if unknown else None
                hint = hint or f"return a dict with exactly the keys {listed(list(one.outputs))}"
                place = SourceLocation(code.co_filename, line)
                yield Problem(f"the task `{one.key}` {' and '.join(said)}", place, hint, jobs=(job.key,))


def _returned(function: Function) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the keys of each dict that the function itself returns, if all keys are strings."""
    for node in _own(function.body):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in node.value.keys]
            if all(isinstance(key, str) for key in keys):
                yield node.lineno, [str(key) for key in keys]


def _own(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of functions and classes inside it."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _own(ast.iter_child_nodes(node))
