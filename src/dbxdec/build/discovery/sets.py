"""Sets in a project: their order is another one in each process, so a job must not depend on it.

A project that makes sets while it is imported, or in the body of a job, is discovered again with other orders. Whether
it does is read from compiled code, so that other projects pay nothing.
"""

from __future__ import annotations

import dis
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import CodeType

SEED = "PYTHONHASHSEED"
"""The environment variable from which Python takes the order of sets of strings."""
FIRST_SEED = "0"
OTHER_SEEDS = ("1", "2")
"""Of two strings each seed has either order: with two more, three of four sets of two are seen in both."""
# `x in {"a", "b"}` compiles to a constant, not to one of these.
_MAKES_SETS = frozenset(dis.opmap[name] for name in ("BUILD_SET", "SET_ADD", "SET_UPDATE"))
_NAMES = frozenset({"set", "frozenset"})


class Compiled:
    """The code of the modules below `root`, kept when they are compiled: to load it again would take as long."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._codes: dict[str, CodeType] = {}

    def install(self) -> None:
        """Keep what is compiled from now on. This changes the imports of the whole process."""
        loader: Any = SourceFileLoader
        compiled = loader.source_to_code

        def source_to_code(own: Any, data: Any, path: Any, **options: Any) -> Any:
            code = compiled(own, data, path, **options)
            if isinstance(path, str) and path.startswith(self._root):
                self._codes[path] = code
            return code

        loader.source_to_code = source_to_code

    def makes_sets(self, tasks: Iterable[Any]) -> bool:
        """Return whether a module makes a set outside of the functions of `tasks`, which only a run calls."""
        of_tasks = {getattr(task, "__code__", None) for task in tasks}
        return any(_makes(code, of_tasks) for code in self._codes.values())


def _makes(code: CodeType, left_out: set[Any]) -> bool:
    if code in left_out:
        return False
    if not _MAKES_SETS.isdisjoint(code.co_code[::2]):
        return True
    if not _NAMES.isdisjoint(code.co_names) and any(
        step.argval in _NAMES and step.opname in ("LOAD_GLOBAL", "LOAD_NAME") for step in dis.get_instructions(code)
    ):  # not an attribute, as in `task_values.set(...)`
        return True
    return any(_makes(inner, left_out) for inner in code.co_consts if isinstance(inner, type(code)))


def problems(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of tasks that differ between two discoveries of the same files, which are their results."""
    return [
        Problem(
            f"the body of the job `{key}` gives another task `{task['key']}` when it runs again with another order of "
            "the elements of sets, which is another one in each process",
            _place(first, key, task),
            "make a sorted list of a set before it is used: `sorted(...)`; nor may the task depend on the time or on "
            "random values",
            (key,),
        )
        for key, job in first["jobs"].items()
        for task in job["tasks"]
        if _form(task) != _forms(other, key).get(task["key"])
    ]


def _forms(found: Mapping[str, Any], job: str) -> dict[str, Any]:
    return {task["key"]: _form(task) for task in found["jobs"].get(job, {"tasks": ()})["tasks"]}


def _form(task: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a run compares with the build."""
    return tuple(task.get(name) for name in ("inputs", "outputs", "each", "closes_over"))


def _place(found: Mapping[str, Any], job: str, task: Mapping[str, Any]) -> SourceLocation:
    called, _ = found["places"].get(job, {}).get(task["key"], (None, None))
    if called is not None:
        return SourceLocation(*called)
    path, _, line = task["source"].rpartition(":")
    return SourceLocation(path, int(line))
