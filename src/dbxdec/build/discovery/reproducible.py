"""Jobs that are another one in each process: the order of sets, the time, random values.

A task runs the body of its job again, so a job must not depend on them. A project whose definition uses them is
discovered again, with other orders and on other days. Whether it does is read from compiled code, so that other
projects pay nothing.
"""

from __future__ import annotations

import dis
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, SourceLocation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import CodeType

SEED, ZONE = "PYTHONHASHSEED", "TZ"
"""The environment variables from which Python takes the order of sets of strings, and the system its time zone."""
FIRST_SEED = "0"
OTHERS = ({SEED: "1", ZONE: "<+14>-14"}, {SEED: "2", ZONE: "<-12>+12"})
"""Of two strings each seed has either order: with two more, three of four sets of two are seen in both. It is never the
same day in both zones (POSIX, "TZ": hours west of UTC)."""
# `x in {"a", "b"}` compiles to a constant, not to one of these.
_MAKES_SETS = frozenset(dis.opmap[name] for name in ("BUILD_SET", "SET_ADD", "SET_UPDATE"))
_NAMES = frozenset({"set", "frozenset"})
_ATTRIBUTES = frozenset(
    {
        *("now", "today", "utcnow", "time", "time_ns", "localtime", "gmtime", "monotonic", "perf_counter"),
        *("uuid1", "uuid4", "urandom", "token_hex", "token_bytes", "token_urlsafe", "getpid", "mkdtemp"),
        *("random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "uniform", "getrandbits"),
    }
)
"""Functions whose results differ from call to call, called as attributes or by their names."""
_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_ATTR", "LOAD_METHOD"})


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

    def may_differ(self, only_run: Collection[CodeType]) -> bool:
        """Return whether the project uses such values outside of the functions `only_run`, which only runs call."""
        return any(_uses(code, only_run) for code in self._codes.values())


def _uses(code: CodeType, left_out: Collection[CodeType]) -> bool:
    if code in left_out:
        return False
    if not _MAKES_SETS.isdisjoint(code.co_code[::2]):
        return True
    if not (_NAMES | _ATTRIBUTES).isdisjoint(code.co_names):
        steps = list(dis.get_instructions(code))
        if any(map(_is_use, steps, [*steps[1:], None])):
            return True
    return any(_uses(inner, left_out) for inner in code.co_consts if isinstance(inner, type(code)))


def _is_use(step: dis.Instruction, following: dis.Instruction | None) -> bool:
    """Return whether a step loads such a function; `task_values.set(...)` and `time.sleep(...)` don't."""
    of_name = step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    if step.argval in _NAMES:
        return of_name
    is_object = of_name and following is not None and following.opname in ("LOAD_ATTR", "LOAD_METHOD")
    return step.argval in _ATTRIBUTES and step.opname in _LOADS and not is_object


def problems(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of jobs that differ between two discoveries of the same files, which are their results."""
    known = {**first, "jobs": {key: job for key, job in first["jobs"].items() if key in other["jobs"]}}
    return [*_of_keys(first, other), *_of_parameters(known, other), *_of_tasks(known, other)]


def _of_keys(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem(
            f"the job `{key}` is not there each time that its module is imported, or has another key then",
            _location(job["source"]),
            "a task finds its job by the key: take no part of it from the time, a random value or the order of a set",
            (key,),
        )
        for key, job in first["jobs"].items()
        if key not in other["jobs"]
    ]


def _of_parameters(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem(
            f"the default of the job parameter `{name}` is another one each time that its module is imported, and all "
            "runs would have the one of the build",
            _location(job["source"]),
            f"let it follow the run, `{name}: dt.date = run_date()`; take a random value from a task, and sort sets",
            (key,),
        )
        for key, job in first["jobs"].items()
        for name, default in _defaults(job).items()
        if default != _defaults(other["jobs"][key]).get(name)
    ]


def _defaults(job: Mapping[str, Any]) -> dict[str, Any]:
    return {parameter["name"]: parameter["default"] for parameter in job["parameters"]}


def _of_tasks(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem(
            f"the body of the job `{key}` gives another task `{task['key']}` when it runs again, with another order of "
            "the elements of sets and at another time",
            _place(first, key, task),
            "each task runs the body again: sort sets, `sorted(...)`; take dates from `run_date()` or a parameter, and "
            "random values from a task",
            (key,),
        )
        for key, job in first["jobs"].items()
        for task in job["tasks"]
        if _form(task) != _forms(other, key).get(task["key"])
    ]


def _forms(found: Mapping[str, Any], job: str) -> dict[str, Any]:
    return {task["key"]: _form(task) for task in found["jobs"][job]["tasks"]}


def _form(task: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a run compares with the build."""
    return tuple(task.get(name) for name in ("inputs", "outputs", "each", "closes_over"))


def _place(found: Mapping[str, Any], job: str, task: Mapping[str, Any]) -> SourceLocation:
    called, _ = found["places"].get(job, {}).get(task["key"], (None, None))
    if called is not None:
        return SourceLocation(*called)
    return _location(task["source"])


def _location(source: str) -> SourceLocation:
    path, _, line = source.rpartition(":")
    return SourceLocation(path, int(line))
