"""Undefined names in tasks: a NameError in the run, and the most common mistake after moving from notebooks.

Only certain cases are errors. A name is undefined if neither the module, once imported, nor Python has it, if no line
of the module could define it later, and if no line around its use handles the NameError.
"""

from __future__ import annotations

import builtins
import sys
from contextlib import suppress
from dataclasses import field, replace
from dis import opmap
from keyword import iskeyword
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from dbxdec.authoring.tasks import Task
from dbxdec.errors import Problem, SourceLocation, did_you_mean
from dbxdec.model.typehints import layers
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dbxdec.build.discovery.scopes import Scopes

_GLOBAL, _EXTENDED, _CACHE = opmap["LOAD_GLOBAL"], opmap["EXTENDED_ARG"], opmap["CACHE"]
# The number of bits by which the argument of an attribute is shifted from the number of its name.
_ATTRIBUTES = {opmap["LOAD_ATTR"]: 1 if sys.version_info >= (3, 12) else 0}
if "LOAD_METHOD" in opmap and sys.version_info < (3, 12):
    _ATTRIBUTES[opmap["LOAD_METHOD"]] = 0
_OPTIMIZED = 0x1  # inspect.CO_OPTIMIZED: the code of functions, not of classes
_SESSION = "`SparkSession.builder.getOrCreate()`, with `from pyspark.sql import SparkSession`"
_NO_NOTEBOOK = "a task runs without a notebook: print it, or return it through an IoManager"
_INSTEAD = {
    "spark": "give the task a parameter `spark: SparkSession`, or make it inside: "
    "`spark = SparkSession.builder.getOrCreate()`; both with `from pyspark.sql import SparkSession`",
    "sc": f"take `.sparkContext` of {_SESSION}",
    "sqlContext": f"use {_SESSION}",
    "sql": f"use `.sql(...)` of {_SESSION}",
    "table": f"use `.table(...)` of {_SESSION}, or give the task a table: `io.table(...)`",
    "dbutils": "write `from databricks.sdk.runtime import dbutils` inside the task; for secrets and task values there "
    "are `secret(scope, key)` and `set_task_value(...)`",
    "display": _NO_NOTEBOOK,
    "displayHTML": _NO_NOTEBOOK,
    "get_ipython": _NO_NOTEBOOK,
    "getArgument": "give the job a parameter and pass it to the task",
    "pd": "write `import pandas as pd` at the top of the module",
    "pl": "write `import polars as pl` at the top of the module",
    "np": "write `import numpy as np` at the top of the module",
    "dt": "write `import datetime as dt` at the top of the module",
    "F": "write `from pyspark.sql import functions as F` at the top of the module",
    "T": "write `from pyspark.sql import types as T` at the top of the module",
}


@dataclass(frozen=True)
class _Use:
    """A name that a function uses, such as `helpers.load`: of its module, or of another module of the project."""

    spelt: str
    name: str
    of: ModuleType | None


@dataclass(frozen=True)
class _Seen:
    """The names that one function uses: those that do not exist, and functions and tasks of the project."""

    missing: list[_Use]
    used: list[FunctionType]
    tasks: list[FunctionType]


@dataclass()
class UndefinedNames:
    """Searches tasks, and the functions of the project that they use. `root` is the folder of the project's modules."""

    root: str
    modules: frozenset[str]
    _found: dict[tuple[CodeType, str], Problem] = field(default_factory=dict)
    _scopes: dict[str, Scopes | None] = field(default_factory=dict)
    _aliases: dict[int, dict[str, ModuleType]] = field(default_factory=dict)
    _looked: dict[FunctionType, _Seen] = field(default_factory=dict)

    def of(self, job: str, tasks: Mapping[str, Task[..., Any]]) -> Iterator[Problem]:
        """Yield the undefined names that the tasks of a job use. A name in one function is one problem."""
        for key, task in tasks.items():
            for function, by in self.reached(key, task):
                for use in self._looked[function].missing:
                    if (problem := self._problem(function, use, by)) is not None:
                        known = self._found.setdefault((function.__code__, use.spelt), problem)
                        yield replace(known, jobs=(job,))

    def reached(self, key: str, task: Task[..., Any]) -> Iterator[tuple[FunctionType, str]]:
        """Yield the function of a task, those of the project that it uses by name, and how a message names each."""
        for layer in _functions(task.fn):
            for function in self._used_by(layer):
                by = f"the task `{key}`"
                yield function, by if function is layer else f"`{function.__name__}`, which {by} calls,"

    def defining(self, body: Any) -> Iterator[FunctionType]:
        """Yield the functions that run with the body of a job: those that it uses by name, but not those of tasks."""
        for layer in _functions(body):
            yield from self._used_by(layer, tasks=False)

    def _used_by(self, function: FunctionType, *, tasks: bool = True) -> Iterator[FunctionType]:
        """Yield the function and the functions of the project that it uses by name, directly or not."""
        waiting, seen = [function], set()
        while waiting:
            one = waiting.pop()
            if one in seen or not one.__code__.co_filename.startswith(self.root):
                continue
            seen.add(one)
            if one not in self._looked:
                self._looked[one] = self._look(one)
            yield one
            waiting += self._looked[one].used + (self._looked[one].tasks if tasks else [])

    def _look(self, function: FunctionType) -> _Seen:
        """Return what a function uses from its module, its closure, and other modules of the project."""
        namespace = function.__globals__
        names, attributes = _names_of(function.__code__)
        modules = self._modules_in(namespace)
        missing = [_Use(n, n, None) for n in sorted(names) if n not in namespace and not hasattr(builtins, n)]
        values = [namespace[name] for name in names if name in namespace]
        for alias, name in sorted(attributes):
            module = modules.get(alias)
            if module is None or "__getattr__" in vars(module):
                continue
            if name in vars(module):
                values.append(vars(module)[name])
            else:
                missing.append(_Use(f"{alias}.{name}", name, module))
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # not assigned yet
                values.append(cell.cell_contents)
        if self._expects(function):
            return _Seen(missing, [], [])
        used = [f for value in values if not isinstance(value, Task) for f in _functions(value)]
        return _Seen(missing, used, [f for value in values if isinstance(value, Task) for f in _functions(value.fn)])

    def _expects(self, function: FunctionType) -> bool:
        """Return whether the function catches NameError for whatever it calls."""
        code = function.__code__
        scopes = self._scopes_of(code.co_filename) if "NameError" in code.co_names else None
        return scopes is not None and scopes.is_guarded(code.co_firstlineno)

    def _problem(self, function: FunctionType, use: _Use, by: str) -> Problem | None:
        """Return the problem of a use of a missing name; None if the name may exist in the run."""
        path = function.__code__.co_filename
        scopes, there = self._scopes_of(path), self._scopes_of(path if use.of is None else str(use.of.__file__))
        if scopes is None or there is None or there.may_define(use.name):
            return None
        line = scopes.first_use(function.__code__, use.spelt)
        if line is None or (use.of is not None and f"{use.of.__name__}.{use.name}" in self.modules):
            return None
        lacks = "which is not defined" if use.of is None else f"but the module `{use.of.__name__}` has no such name"
        around = {*function.__globals__, *dir(builtins), *function.__code__.co_varnames}
        known = around if use.of is None else vars(use.of)
        return Problem(f"{by} uses `{use.spelt}`, {lacks}", SourceLocation(path, line), _hint(use, there, known))

    def _modules_in(self, namespace: Mapping[str, Any]) -> dict[str, ModuleType]:
        """Return the modules of the project by the names that a module has for them."""
        if id(namespace) not in self._aliases:
            self._aliases[id(namespace)] = {
                alias: value
                for alias, value in namespace.items()
                if isinstance(value, ModuleType) and value.__name__ in self.modules and value.__file__
            }
        return self._aliases[id(namespace)]

    def _scopes_of(self, path: str) -> Scopes | None:
        from dbxdec.build.discovery.scopes import Scopes

        if path not in self._scopes:
            self._scopes[path] = Scopes.read(path)
        return self._scopes[path]


def _hint(use: _Use, scopes: Scopes, known: Iterable[str]) -> str:
    name = use.name
    if use.of is not None:
        return did_you_mean(name, known) or f"define it in `{use.of.__name__}`, or import the module that has it"
    if name in scopes.for_checkers:
        return "it is imported only under TYPE_CHECKING: import it at run time too"
    if name in _INSTEAD:
        return _INSTEAD[name]
    if name in sys.stdlib_module_names:
        return f"write `import {name}` at the top of the module"
    near = did_you_mean(name, [one for one in known if not one.startswith("__") and not iskeyword(one)])
    return near or "import or define it at the top of the module, or make it a parameter of the task"


def _functions(value: Any) -> list[FunctionType]:
    """Return a function and those that its decorators wrap; nothing for other values."""
    if type(value) is FunctionType and not hasattr(value, "__wrapped__"):
        return [value]
    known = isinstance(value, FunctionType) or type(value).__module__ == "functools"
    return [layer for layer in layers(value) if isinstance(layer, FunctionType)] if known else []


def _names_of(code: CodeType) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the globals that `code`, and code inside it, loads, and the attributes that it takes from them.

    It reads the bytes of the code: `dis` takes thirty times as long, and a large project has many functions.
    """
    names: set[str] = set()
    attributes: set[tuple[str, str]] = set()
    if code.co_flags & _OPTIMIZED:
        more, before, content, known = 0, "", code.co_code, code.co_names
        for i in range(0, len(content), 2):
            operation = content[i]
            if operation == _CACHE:
                continue
            argument = more | content[i + 1]
            more = argument << 8 if operation == _EXTENDED else 0
            if operation == _GLOBAL:
                before = known[argument >> 1]
                names.add(before)
            elif operation in _ATTRIBUTES and before:
                attributes.add((before, known[argument >> _ATTRIBUTES[operation]]))
                before = ""
            elif operation != _EXTENDED:
                before = ""
    else:
        names |= _names_of_class(code)
    for constant in code.co_consts:
        # Code that Python 3.14 runs only to read annotations does not count.
        if isinstance(constant, CodeType) and constant.co_name != "__annotate__":
            inner = _names_of(constant)
            names |= inner[0]
            attributes |= inner[1]
    return names, attributes


def _names_of_class(code: CodeType) -> set[str]:
    """Return the globals that the body of a class loads and does not assign itself."""
    import dis

    steps = list(dis.get_instructions(code))
    own = {step.argval for step in steps if step.opname == "STORE_NAME"}
    loads = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
    return {str(step.argval) for step in steps if step.opname in loads} - own - {"__name__", "__qualname__"}
