"""Bundle variables that a task's function uses from its surroundings, itself or through IoManagers and strings.

The build passes these variables to the task, so that the function finds their values in a run. Job parameters and
results of tasks have none there: inside of what a function uses they are mistakes. Those that its own closure has are
looked for in `definitions`.
"""

from __future__ import annotations

import dis
import enum
import functools
from dataclasses import field
from types import FunctionType, MappingProxyType, MethodType, ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from dbxdec.authoring.references import Reference, Spoiled
from dbxdec.authoring.tasks import Task
from dbxdec.errors import Problem, SourceLocation
from dbxdec.io_managers.base import IoManager
from dbxdec.model.typehints import layers
from dbxdec.model.variables import BundleVariable, has_token, names_in
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType

_MANY = 1_000
_DEEPEST = 3
_HOLDERS = (MethodType, SimpleNamespace)
_CONTAINERS = (list, tuple, dict, set, frozenset, MappingProxyType)


@dataclass()
class Surroundings:
    """The surroundings of the functions of a project. Each function is searched once, however many tasks call it."""

    _found: dict[int, tuple[Any, frozenset[str], tuple[Problem, ...]]] = field(default_factory=dict)

    def of(self, function: Callable[..., Any]) -> tuple[frozenset[str], tuple[Problem, ...]]:
        """Return the bundle variables that `function` uses, and the problems of how it uses them."""
        known = self._found.get(id(function))
        if known is None:
            own = list(layers(function))
            look = _Look(function.__module__.partition(".")[0], own)
            for layer in own:
                look.function(layer)
            known = (
                function,
                frozenset(look.variables),
                tuple(look.problems),
            )  # keeps the function, because its id may be reused
            self._found[id(function)] = known
        return known[1], known[2]


class _Look:
    """A search of a function, and of the functions of the project that it calls.

    `package` is the project's own, and `task` are the function of a task and those that its decorators wrap.
    """

    def __init__(self, package: str, task: list[Any]) -> None:
        self._task = task
        self.variables: set[str] = set()
        self.problems: list[Problem] = []
        self._package = package
        self._seen: set[int] = set()

    def function(self, function: Any) -> None:
        if id(function) in self._seen or len(self._seen) > _MANY or not hasattr(function, "__code__"):
            return
        self._seen.add(id(function))
        code, namespace = function.__code__, getattr(function, "__globals__", {})
        of_task = any(function is one for one in self._task)
        defaults = (*(getattr(function, "__defaults__", None) or ()), *(function.__kwdefaults__ or {}).values())
        for name, value in (*_closure(function), *(("", default) for default in defaults)):
            if not (of_task and isinstance(value, Reference)):
                self._value(name, value, code)
        wanted = {name for part in _parts(code) for name in part.co_names if self._matters(namespace.get(name))}
        for name in sorted(wanted & _globals_of(code)) if wanted else ():
            self._value(name, namespace[name], code)

    def _matters(self, value: object) -> bool:
        """Return whether a global may lead to a variable: nearly all are modules and functions of libraries."""
        if isinstance(value, str):
            return has_token(value)
        if isinstance(value, (BundleVariable, Reference, IoManager, Task, functools.partial, *_HOLDERS, *_CONTAINERS)):
            return True
        return type(value).__module__ == "functools" or self._is_own(value)

    def _is_own(self, value: object) -> bool:
        """Return whether `value` is a function, class, module or object of the project."""
        if value is None or isinstance(value, bool | int | float | bytes):
            return False
        if isinstance(value, ModuleType):
            name: Any = value.__name__
        else:
            name = getattr(value if isinstance(value, type | FunctionType) else type(value), "__module__", None)
        return isinstance(name, str) and name.partition(".")[0] == self._package

    def _value(self, name: str, value: Any, code: CodeType, depth: int = 0) -> None:
        """Search `value`, which is `name` in `code`."""
        if isinstance(value, str) and has_token(value):
            self._refuse(name, value, code)
        elif isinstance(value, BundleVariable):
            self.variables |= names_in(value)
        elif isinstance(value, Reference):
            if not isinstance(value, Spoiled):  # whose mistake is noted already
                self._refuse_reference(name, value, code)
        elif isinstance(value, IoManager):
            self.variables |= value.variables()
        elif isinstance(value, _CONTAINERS):
            items = value.values() if isinstance(value, dict | MappingProxyType) else value
            for item in items if depth < _DEEPEST else ():
                self._value(name, item, code, depth + 1)
        elif isinstance(value, Task):
            self.function(value.fn)
        elif isinstance(value, functools.partial):
            self._value(name, [value.func, *value.args, *value.keywords.values()], code, depth + 1)
        elif isinstance(value, MethodType):
            self._value(name, [value.__self__, value.__func__], code, depth + 1)
        elif isinstance(value, SimpleNamespace):
            if depth < _DEEPEST:
                self._members(name, vars(value), code, depth)
        elif type(value).__module__ == "functools":  # a cache around a function
            self._value(name, getattr(value, "__wrapped__", None), code, depth)
        elif self._is_own(value):
            self._own(name, value, code, depth)

    def _own(self, name: str, value: Any, code: CodeType, depth: int) -> None:
        if isinstance(value, FunctionType):
            self.function(value)
        elif isinstance(value, ModuleType):
            used = {attribute for part in _parts(code) for attribute in part.co_names}
            for attribute in sorted(used & vars(value).keys()) if depth < _DEEPEST else ():
                if self._matters(item := vars(value)[attribute]):
                    self._value(f"{name}.{attribute}", item, code, depth + 1)
        elif isinstance(value, type):
            self._members(name, self._of_class(value), code, depth)
        elif depth < _DEEPEST:
            self._members(name, self._of_class(type(value)) | _held(value), code, depth)

    def _of_class(self, cls: type) -> dict[str, Any]:
        """Return the members of a class and of its bases, if they belong to the project."""
        found = {
            name: item for base in reversed(cls.__mro__) if self._is_own(base) for name, item in vars(base).items()
        }
        if issubclass(cls, enum.Enum):
            hidden = {name for name in found if name.startswith("_") and name.endswith("_")}
            found = {name: found[name] for name in found.keys() - hidden}
            found |= {name: member.value for name, member in cls.__members__.items()}
        return found

    def _members(self, name: str, members: dict[str, Any], code: CodeType, depth: int) -> None:
        """Search a class or an object: all its functions and variables, and the strings that some code reads."""
        functions = [function for item in members.values() for function in _functions_of(item)]
        codes = [code, *(function.__code__ for function in functions if _reads(function))]
        asked = {word for one in codes for part in _parts(one) for word in part.co_names}
        for function in functions:
            self._value(name, function, code, depth + 1)
        for attribute, item in members.items():
            if isinstance(item, (str, Reference, *_CONTAINERS)) and attribute not in asked:
                self.variables |= names_in(item) if isinstance(item, _CONTAINERS) else set()
            elif not isinstance(item, FunctionType) and self._matters(item):
                self._value(f"{name}.{attribute}", item, code, depth + 1)

    def _refuse(self, name: str, value: str, code: CodeType) -> None:
        where = SourceLocation(code.co_filename, _line_of(code, name))
        what = f"`{name}`, " if name else ""
        problem = Problem(
            f"`{code.co_name}` uses {what}the string {value!r:.60}, which contains the name of a bundle variable, not "
            "its value: it was created while the pipeline was defined",
            where,
            'create it inside the function, as in `f"{root}/t"`, or keep it a bundle variable: `root / "t"`',
        )
        if problem not in self.problems:
            self.problems.append(problem)

    def _refuse_reference(self, name: str, value: Reference, code: CodeType) -> None:
        what = f"`{name}`, with " if name else ""
        problem = Problem(
            f"`{code.co_name}` uses {what}{value.describe()}, which has a value only when the job runs",
            SourceLocation(code.co_filename, _line_of(code, name)),
            "pass it to the task as an argument",
        )
        if problem not in self.problems:
            self.problems.append(problem)


def _functions_of(member: Any) -> list[FunctionType]:
    """Return the functions behind a member of a class."""
    match member:
        case FunctionType():
            return [member]
        case staticmethod() | classmethod():
            return _functions_of(member.__func__)
        case property():
            return [one for one in (member.fget, member.fset) if isinstance(one, FunctionType)]
        case functools.cached_property():
            return _functions_of(member.func)
    return []


def _reads(method: FunctionType) -> bool:
    """Return whether a method reads attributes: `__init__` and methods of dataclasses set them."""
    return method.__name__ != "__init__" and not method.__code__.co_filename.startswith("<")


def _held(value: object) -> dict[str, Any]:
    """Return an object's own attributes, including slots."""
    held = dict(getattr(value, "__dict__", {}))
    for cls in type(value).__mro__:
        slots = vars(cls).get("__slots__", ())
        for slot in [slots] if isinstance(slots, str) else slots:
            if isinstance(slot, str) and slot in vars(cls) and hasattr(value, slot):
                held[slot] = getattr(value, slot)
    return held


def _closure(function: Any) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue


@functools.lru_cache(1024)
def _parts(code: CodeType) -> tuple[CodeType, ...]:
    """Return the code and that of the functions inside it."""
    inner = (constant for constant in code.co_consts if isinstance(constant, type(code)))
    return (code, *(part for one in inner for part in _parts(one)))


@functools.lru_cache(1024)
def _globals_of(code: CodeType) -> frozenset[str]:
    """Return the names that are globals in `code`, not attributes."""
    return frozenset(
        step.argval
        for part in _parts(code)
        for step in dis.get_instructions(part)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    )


def _line_of(code: CodeType, name: str) -> int:
    """Return the first line at which `code` uses `name`, or else the first line of `code`."""
    wanted = name.partition(".")[0]
    for part in _parts(code):
        line = part.co_firstlineno
        for step in dis.get_instructions(part):
            line = getattr(step.positions, "lineno", None) or line
            if step.argval == wanted and step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"):
                return line
    return code.co_firstlineno
