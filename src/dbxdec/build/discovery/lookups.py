"""Job parameters and task values that tasks look up by name, and that their run will not have.

Only certain cases are errors: the name is written as a string or an attribute, and no line around it expects that it
may be missing.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dbxdec
from dbxdec.errors import Problem, SourceLocation, did_you_mean, listed
from dbxdec.model import comparisons, dag
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import FunctionType

    from dbxdec.authoring.tasks import Task
    from dbxdec.build.discovery.names import UndefinedNames
    from dbxdec.build.discovery.sources import Sources

_PARAMETERS, _VALUES, _STORE = "params", "get_task_value", "task_values"
_LOOKED_UP = {id(getattr(dbxdec, name)): name for name in (_PARAMETERS, _VALUES, _STORE)}


@dataclass(frozen=True)
class _Lookup:
    """A line that looks up a job parameter, or the value `key` of a task. `key` is None where it is not a string."""

    line: int
    what: str
    name: str
    key: str | None = None


@dataclass()
class Lookups:
    """Compares what tasks look up with what their jobs have. `files` are the project's modules, below `root`."""

    root: str
    files: tuple[str, ...]
    names: UndefinedNames
    sources: Sources
    _found: dict[FunctionType, tuple[_Lookup, ...]] = field(default_factory=dict)
    _aliases: dict[int, dict[str, str]] = field(default_factory=dict)

    def wrong(self, job: dag.Job, tasks: Mapping[str, Task[..., Any]]) -> Iterator[Problem]:
        """Yield each lookup that fails in every run of the job."""
        upstream = _Upstream(job)
        for key, task in tasks.items():
            for function, by in self.names.reached(key, task):
                for one in self._of(function):
                    if (said := self._said(one, job, key, upstream)) is not None:
                        place = SourceLocation(function.__code__.co_filename, one.line)
                        yield Problem(f"{by} {said[0]}", place, said[1], jobs=(job.key,))
        for user, producer, value in _passed(job):
            if (said := self._unset(value, producer)) is not None:
                place = user.called_at or user.source
                yield Problem(f"the task `{user.key}` takes {said[0]}", place, said[1], jobs=(job.key,))

    def _said(self, one: _Lookup, job: dag.Job, key: str, upstream: _Upstream) -> tuple[str, str | None] | None:
        """Return what is wrong with a lookup of the task `key` of the job, and a hint."""
        if one.what == _PARAMETERS:
            known = [parameter.name for parameter in job.parameters]
            if one.name in known:
                return None
            missing = dag.no_parameter(job.key, one.name, known)
            return f"reads the parameter `{one.name}`, but {missing.message}", missing.hint
        producer = upstream.tasks.get(one.name)
        asks = "asks for a task value of"
        if producer is None:
            hint = did_you_mean(one.name, upstream.tasks) or f"its tasks are {listed(list(upstream.tasks))}"
            return f"{asks} `{one.name}`, but the job `{job.key}` has no such task", hint
        if producer.each is not None:
            hint = "the platform does not keep task values per iteration: store a table with an IoManager"
            return f"{asks} `{one.name}`, which runs for each of many items", hint
        if one.name not in upstream.of(key):
            hint = f"run it later: `.after(...)`; or give it the value as an argument: `x.value({one.key or 'key'!r})`"
            return f"{asks} `{one.name}`, but does not run after it", hint
        unset = None if one.key is None else self._unset(one.key, one.name)
        return unset and (f"asks for {unset[0]}", unset[1])

    def _unset(self, key: str, producer: str) -> tuple[str, str] | None:
        """Return what is wrong with a task value that no line of the project sets."""
        if self._set is None or key in self._set or key in dag.RESULTS or key.startswith(dag.DATE_OF):
            return None
        hint = did_you_mean(key, self._set) or f"set it in the task `{producer}`: `set_task_value({key!r}, ...)`"
        return f"the value `{key}` of the task `{producer}`, but nothing sets it", hint

    @cached_property
    def _set(self) -> set[str] | None:
        """The keys of all task values that the project sets; None if that is not certain."""
        found: set[str] = set()
        for file in self.files:
            try:
                content = (Path(self.root) / file).read_bytes()
                if b"task_value" not in content and b"taskValues" not in content:
                    continue
                tree = ast.parse(content)
            except (OSError, SyntaxError, ValueError):
                return None
            keys = _keys_set(tree)
            if keys is None:
                return None
            found |= keys
        return found or None  # a project that sets none gets them from a library

    def _of(self, function: FunctionType) -> tuple[_Lookup, ...]:
        """Return what a function looks up."""
        namespace = function.__globals__
        if id(namespace) not in self._aliases:
            self._aliases[id(namespace)] = {
                alias: "" if value is dbxdec else _LOOKED_UP[id(value)]
                for alias, value in namespace.items()
                if value is dbxdec or id(value) in _LOOKED_UP
            }
        aliases = self._aliases[id(namespace)]
        if not aliases and dbxdec.__name__ not in function.__code__.co_names:
            return ()
        if function not in self._found:
            node = self.sources.function(function.__code__)
            self._found[function] = () if node is None else tuple(_Reading(node, aliases).lookups())
        return self._found[function]


@dataclass()
class _Upstream:
    """The tasks of a job, and those that run before each."""

    job: dag.Job
    _known: dict[str, set[str]] = field(default_factory=dict)

    @cached_property
    def tasks(self) -> dict[str, dag.Task]:
        return {task.key: task for task in self.job.tasks}

    def of(self, key: str) -> set[str]:
        if key not in self._known:
            found: set[str] = set()
            waiting = [key]
            while waiting:
                new = {one.task for one in self.tasks[waiting.pop()].depends_on if one.task in self.tasks} - found
                found |= new
                waiting += new
            self._known[key] = found
        return self._known[key]


class _Reading:
    """Reads the source of one function. `aliases` are the names that its module has for what looks up by name."""

    def __init__(self, function: ast.AST, aliases: Mapping[str, str]) -> None:
        self._nodes = list(ast.walk(function))
        own = {node.arg for node in self._nodes if isinstance(node, ast.arg)}
        own |= {node.id for node in self._nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
        imported = dict(one for node in self._nodes for one in _imported(node))
        known = {**aliases, **imported}
        self._aliases = {alias: what for alias, what in known.items() if what is not None and alias not in own}
        self._guarded = {id(one) for node in self._nodes for body in _tried(node) for one in ast.walk(body)}

    def lookups(self) -> Iterator[_Lookup]:
        """Yield the lookups whose names are written out; none in a function that asks which job it runs in."""
        tested = self._tested()
        if tested is None or any(isinstance(node, ast.Attribute) and node.attr == "job" for node in self._nodes):
            return
        for node in self._nodes:
            if id(node) in self._guarded:
                continue
            match node:
                case ast.Attribute(value=of, attr=str(name), ctx=ast.Load()) if self._is(of, _PARAMETERS):
                    if name not in tested and not hasattr(type(dbxdec.params), name):
                        yield _Lookup(node.lineno, _PARAMETERS, name)
                case ast.Subscript(value=of, slice=ast.Constant(value=str(name))) if self._is(of, _PARAMETERS):
                    if name not in tested:
                        yield _Lookup(node.lineno, _PARAMETERS, name)
                case ast.Call(func=of) if self._reads_a_value(of):
                    task, key, default = (_argument(node, i, name) for i, name in enumerate(_GIVEN))
                    if default is None and (producer := _text(task)) is not None:
                        yield _Lookup(node.lineno, _VALUES, producer, _text(key))

    def _reads_a_value(self, function: ast.expr) -> bool:
        match function:
            case ast.Attribute(value=of, attr="get") if self._is(of, _STORE):
                return True
        return self._is(function, _VALUES)

    def _is(self, node: ast.expr, what: str) -> bool:
        match node:
            case ast.Name(id=name):
                return self._aliases.get(name) == what
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                return self._aliases.get(name) == "" and attribute == what
        return False

    def _tested(self) -> set[str] | None:
        """Return the names that `in params` asks for; None if it may ask for any."""
        found = set()
        for node in self._nodes:
            match node:
                case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[of]) if self._is(
                    of, _PARAMETERS
                ):
                    if not (isinstance(left, ast.Constant) and isinstance(left.value, str)):
                        return None
                    found.add(left.value)
        return found


def _imported(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Yield the names that an import in a function makes, and what each looks up; None for any other name."""
    match node:
        case ast.ImportFrom(module=module, names=names, level=level):
            ours = module == dbxdec.__name__ and not level
            for one in names:
                looks_up = ours and one.name in _LOOKED_UP.values()
                yield one.asname or one.name, one.name if looks_up else None
        case ast.Import(names=names):
            for one in names:
                root = one.name.partition(".")[0]
                is_ours = (one.name if one.asname else root) == dbxdec.__name__
                yield one.asname or root, "" if is_ours else None


_GIVEN = ("task_key", "key", "default")


def _text(node: ast.expr | None) -> str | None:
    """Return the string that is written there; None for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
        return call  # may be anything
    if place < len(call.args):
        return call.args[place]
    return next((one.value for one in call.keywords if one.arg == name), None)


def _tried(node: ast.AST) -> Iterable[ast.stmt]:
    """Return the statements whose errors are caught."""
    match node:
        case ast.Try(body=body, handlers=[_, *_]) | ast.TryStar(body=body, handlers=[_, *_]):
            return body
        case ast.With(items=items, body=body) if any(_suppresses(item.context_expr) for item in items):
            return body
    return ()


def _suppresses(context: ast.expr) -> bool:
    match context:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in ("suppress", "raises")
    return False


def _keys_set(tree: ast.AST) -> set[str] | None:
    """Return the keys of the task values that a module sets; None if it may set any others."""
    found: set[str] = set()
    known: set[int] = set()  # the names whose use is understood
    for node in ast.walk(tree):  # a call comes before the names in it
        match node:
            case (
                ast.Call(func=(ast.Name(id="set_task_value") | ast.Attribute(attr="set_task_value")) as of)
                | ast.Call(
                    func=ast.Attribute(
                        value=(ast.Name(id="task_values") | ast.Attribute(attr="task_values")) as of, attr="set"
                    )
                )
            ):
                if (key := _text(_argument(node, 0, "key"))) is None:
                    return None
                known.add(id(of))
                found.add(key)
            case ast.Attribute(
                value=(ast.Name(id="task_values") | ast.Attribute(attr="task_values")) as of, attr="get"
            ):
                known.add(id(of))
            case (
                ast.Name(id="set_task_value" | "task_values")
                | ast.Attribute(attr="set_task_value" | "taskValues" | "task_values")
            ):
                if id(node) not in known:
                    return None
            case ast.alias(name="set_task_value" | "task_values", asname=str()):
                return None
    return found


def _passed(job: dag.Job) -> Iterator[tuple[dag.Task, str, str]]:
    """Yield each task value that is given to a task, as `x.value(key)`: the taker, the producer's key, the value's."""
    python = {task.key for task in job.tasks if task.kind == "python"}
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for user, key, value in comparisons.referred_to(job):
        found[user.key].append((key, value))
    for task in job.tasks:
        items = [] if task.each is None else [task.each.items]
        for binding in (*task.inputs.values(), *items):
            leaves = dag.flatten(binding)
            found[task.key] += [(leaf.task, leaf.key) for leaf in leaves if isinstance(leaf, dag.TaskValue)]
        for key, value in dict.fromkeys(found[task.key]):
            if key in python:
                yield task, key, value
