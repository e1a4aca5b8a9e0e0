"""Placeholders for third-party modules that the build environment lacks.

Building a wheel needs names, annotations and base classes of polars or pyspark, but not their code. A stand-in provides
just these. It refuses whatever would make the built DAG depend on the real module, and names the module and the ways
out.
"""

from __future__ import annotations

import os
import sys
import typing
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from dbxdec.authoring import recording
from dbxdec.authoring.jobs import Job
from dbxdec.authoring.references import Reference, Spoiled
from dbxdec.authoring.tasks import Task
from dbxdec.build.discovery import own_names
from dbxdec.errors import Problem, StandInError
from dbxdec.model.contracts import LIBRARIES, STAND_IN_BASE, STAND_IN_ITEM
from dbxdec.model.literals import STAND_IN_NAME
from dbxdec.model.mistakes import refuse, spoiled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.abc import Loader, MetaPathFinder
    from types import FrameType

    class _Finder(MetaPathFinder, Loader):
        """The interface of the import system. `importlib.abc` itself costs more than the rest of this module."""

else:
    _Finder = object

_interned: dict[str, StandIn] = {}
_TYPING = ("typing", "typing_extensions")
# Modules that compare the arguments of annotations.
_COMPARING = (*_TYPING, "types", "functools")


def stand_in(name: str) -> StandIn:
    """Return the stand-in for the dotted `name`: one object for each name, since `typing` compares its arguments."""
    if name not in _interned:
        made = object.__new__(StandIn)
        object.__setattr__(made, STAND_IN_NAME, name)
        _interned[name] = made
    return _interned[name]


def _refuse(name: str, how: str, *, instead: str = "do it inside a task") -> None:
    refuse(_problem(name, how, instead), StandInError)


def _problem(name: str, how: str, instead: str = "do it inside a task") -> Problem:
    root = name.partition(".")[0]
    message = f"`{name}` is {how}, but `{root}` is not installed where the wheel is built"
    hint = (
        f"{instead}, or install {root} for the build: add it to `requires` of [build-system], or set "
        "`require-runtime-dependencies = true` in [tool.hatch.build.hooks.dbxdec]"
    )
    return Problem(message, hint=hint)


class StandIn:
    """A name of an absent module. Attributes, subscripts, annotations, base classes and plain calls are allowed."""

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        return stand_in(f"{_name(self)}.{name}")

    def __getitem__(self, item: object) -> StandIn:
        made = stand_in(f"{_name(self)}[{item!r}]")
        object.__setattr__(made, STAND_IN_ITEM, (_name(self), item))
        return made

    def __call__(self, *args: object, **kwargs: object) -> StandIn:
        name = _name(self)
        if (recorder := recording.current()) is not None:
            _refuse(name, f"called in the body of the job `{recorder.job}`")
            return spoiled()  # type: ignore[no-any-return]
        for value in (*args, *kwargs.values()):
            if _is_rule(name, value):
                continue
            if isinstance(value, Task | Job | Reference | FunctionType) and not isinstance(value, Spoiled):
                _refuse(name, f"called with `{getattr(value, '__name__', repr(value))}`, which it would replace")
                return spoiled()  # type: ignore[no-any-return]
        return stand_in(name if name.endswith("()") else f"{name}()")

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        # A fresh type for each base: one shared type twice among the bases would be an error.
        return (_base_class(_name(self)),)

    def __or__(self, other: Any) -> Any:
        return typing.Union[self, other]  # noqa: UP007 - `|` is what is being defined

    def __ror__(self, other: Any) -> Any:
        return typing.Union[other, self]  # noqa: UP007

    def __eq__(self, other: object) -> bool:
        if self is other or sys._getframe(1).f_globals.get("__name__") in _COMPARING:
            return self is other
        _refuse(_name(self), "compared")
        return False

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return _name(self)

    def __bool__(self) -> bool:
        if sys._getframe(1).f_globals.get("__name__") in _TYPING:
            return True  # the bound of a type variable
        _refuse(_name(self), "used as a truth value")
        return True

    def __iter__(self) -> Iterator[Any]:
        _refuse(_name(self), "iterated")
        return iter(())

    def __len__(self) -> int:
        _refuse(_name(self), "asked for its length")
        return 0

    def __contains__(self, _: object) -> bool:
        _refuse(_name(self), "searched with `in`")
        return False

    def _ordered(self, _: object) -> bool:
        _refuse(_name(self), "compared")
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _ordered

    def __str__(self) -> str:
        _refuse(_name(self), "converted to a string")
        return "?"

    def __format__(self, _: str) -> str:
        return str(self)

    def __instancecheck__(self, _: object) -> bool:
        _refuse(_name(self), "used in `isinstance`")
        return False

    def __subclasscheck__(self, _: type) -> bool:
        _refuse(_name(self), "used in `issubclass`")
        return False

    def __enter__(self) -> Any:
        _refuse(_name(self), "used in `with`")
        return spoiled()

    def __exit__(self, *_: object) -> None:
        """Do nothing: `__enter__` has refused it."""

    def _converted(self) -> NoReturn:
        # Raised even if mistakes are noted: no number is harmless to `open` and `range`.
        raise StandInError(_problem(_name(self), "used as a number"))

    __int__ = __float__ = __complex__ = __index__ = _converted

    def __fspath__(self) -> str:
        _refuse(_name(self), "used as a path")
        return os.devnull

    def __bytes__(self) -> bytes:
        _refuse(_name(self), "converted to bytes")
        return b""

    def __setitem__(self, _: object, value: object) -> None:
        """Do nothing, as for attributes: code that depends on the value would have to read it."""

    def __delitem__(self, _: object) -> None:
        """Do nothing, as in `__setitem__`."""

    __delattr__ = __delitem__

    def _computed(self, *_: object) -> StandIn:
        return stand_in(f"{_name(self)}()")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _computed
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _computed
    __divmod__ = __rdivmod__ = __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = __xor__ = __rxor__ = _computed
    __and__ = __rand__ = __neg__ = __pos__ = __abs__ = __invert__ = __round__ = _computed


def _name(value: StandIn) -> str:
    name: str = object.__getattribute__(value, STAND_IN_NAME)
    return name


def _is_rule(name: str, value: object) -> bool:
    """Return whether a library of contracts gets a function of a class: a rule in it, which no job calls."""
    outer = value.__qualname__.rpartition(".")[0] if isinstance(value, FunctionType) else ""
    return bool(outer) and not outer.endswith("<locals>") and name.partition(".")[0] in LIBRARIES


def _base_class(name: str) -> type:
    def make(cls: type, *_: object, **__: object) -> Any:
        _refuse(name, f"the base of `{cls.__qualname__}`, which is instantiated")
        return spoiled()

    def accept(cls: type, /, **_: object) -> None:
        """Accept class keywords, which concern only the absent base."""

    body = {"__new__": make, "__init_subclass__": classmethod(accept), STAND_IN_NAME: None, STAND_IN_BASE: name}
    return type(name.rpartition(".")[2].strip("()[]") or "Base", (), body)


class StandInModule(ModuleType):
    """An absent module. Every attribute is a stand-in."""

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            _refuse(
                self.__name__, "imported with `*`, which needs its real names", instead="import each name by itself"
            )
            return []
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        return stand_in(f"{self.__name__}.{name}")


class StandInFinder(_Finder):
    """The last finder, for modules that no other finder has and that the project's own files import."""

    def __init__(
        self, root: Path, own: frozenset[str], unshipped: frozenset[str], by_folder: Mapping[str, str] | None = None
    ) -> None:
        self._root = str(root)
        self._own = own
        self._by_folder = by_folder or {}
        self._unshipped = unshipped
        self.used: set[str] = set()
        self.own: dict[str, Problem] = {}
        """The problems of absent modules that may be meant for the project's, by their names as dependencies."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root = fullname.partition(".")[0]
        if root in sys.stdlib_module_names or fullname in self._own or fullname in self._unshipped:
            return None
        if fullname in self._by_folder:
            return None
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if parent is None and root in self._own:
            return None
        if parent is not None and not isinstance(parent, StandInModule) and not _is_namespace(parent):
            return None
        if not isinstance(parent, StandInModule) and not self._imported_by_project():
            return None
        self.used.add(root if parent is None else fullname)
        if parent is None and (frame := self._importing()) is not None:
            self._note_own(root, frame)
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = StandInModule(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module has no code."""

    def _imported_by_project(self) -> bool:
        """Return whether the running import statement is in a file of the project."""
        frame = self._importing()
        return frame is not None and frame.f_code.co_filename.startswith(self._root)

    def _importing(self) -> FrameType | None:
        """Return the frame of the running import statement."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and _is_import_machinery(frame):
            frame = frame.f_back
        return frame

    def _note_own(self, name: str, frame: FrameType) -> None:
        if (problem := own_names.problem(name, frame, self._own, Path(self._root))) is not None:
            self.own.setdefault(name.lower().replace("_", "-"), problem)

    def listed(self) -> list[str]:
        """Return the absent modules, without submodules of another absent one."""
        return sorted(name for name in self.used if not any(name.startswith(f"{other}.") for other in self.used))


def _is_import_machinery(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    return name == __name__ or str(name).partition(".")[0] in ("importlib", "_frozen_importlib")


def _is_namespace(module: ModuleType) -> bool:
    """Return whether a module is a namespace package: implicit, or one that extends its path (as `databricks` does)."""
    if not hasattr(module, "__path__"):
        return False
    origin = getattr(module, "__file__", None)
    if origin is None:
        return True
    source = Path(origin)
    return source.name == "__init__.py" and any(
        marker in source.read_text(encoding="utf-8", errors="replace")
        for marker in ("extend_path", "declare_namespace")
    )
