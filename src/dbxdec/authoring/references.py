"""Values that a job's body handles before they exist, such as results of tasks, and every way of using one too early.

Each misuse is noted at the author's line and returns something harmless, so that the rest of the body is checked in the
same build.
"""

from __future__ import annotations

import dis
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from dbxdec.authoring import recording
from dbxdec.errors import Problem, shown
from dbxdec.model.mistakes import UNSAID, give_for_spoiled
from dbxdec.platform import references

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_LATER = "it has a value only when the job runs"


_UNPACK = dis.opmap["UNPACK_SEQUENCE"]


def _unpacked_into(frame: FrameType) -> int | None:
    """Return the number of names that the current statement of `frame` unpacks into; None for other statements."""
    code = frame.f_code.co_code
    return code[frame.f_lasti + 1] if code[frame.f_lasti] == _UNPACK else None


class Reference:
    """A value that exists only when the job runs. Subclasses describe it with `describe`."""

    def describe(self) -> str:
        """Return a description for messages: "the result of `extract`"."""
        raise NotImplementedError

    def text(self) -> str | None:
        """Return the reference for the platform's own fields; None if they can't refer to this value."""
        return None

    def _misused(self, how: str, hint: str) -> None:
        recording.take(self)
        # One expression of Python may use a value in several ways: the first one tells what is wrong.
        if recording.is_first_misuse(self):
            called = recording.called_by_job()
            hint += f"; or is `@task` missing on `{called}`?" if called else ""
            recording.refuse([Problem(f"{self.describe()} is used {how}; {_LATER}", hint=hint)])

    def __bool__(self) -> bool:
        self._misused(
            "as a truth value (`if`, `while`, `and`, `or`, `not`)",
            "decide inside a task that receives it, or branch with `condition(...)`",
        )
        return not recording.is_stuck()

    def __iter__(self) -> Iterator[Any]:
        if (count := _unpacked_into(sys._getframe(1))) is not None:
            self._misused("by unpacking it", self._unpack_hint())
            return iter((self,) * count)
        self._misused("in a loop", "loop inside a task that receives it, or pass a task `each(...)` of it")
        return iter(())

    def _unpack_hint(self) -> str:
        return "unpack it inside a task that receives it"

    def __len__(self) -> int:
        self._misused("for its length", "take the length inside a task")
        return 0

    def __contains__(self, item: object) -> bool:
        self._misused("with `in`", "look inside it in a task")
        return recording.is_stuck()

    def _compare(self, other: object) -> bool:
        self._misused("in a comparison", "compare inside a task that receives it, or with `condition(left, op, right)`")
        return recording.is_stuck()

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _compare

    def __hash__(self) -> int:
        self._misused("as a key of a dict or in a set", "look it up inside a task that receives it")
        return id(self)

    def _arithmetic(self, *_: object) -> Any:
        self._misused("in arithmetic", "compute inside a task that receives it")
        return Spoiled(self)

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _arithmetic
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __and__ = __rand__ = _arithmetic
    __or__ = __ror__ = __xor__ = __rxor__ = __matmul__ = __rmatmul__ = __divmod__ = __rdivmod__ = _arithmetic
    __neg__ = __pos__ = __abs__ = __invert__ = __round__ = _arithmetic

    def __lshift__(self, other: object) -> Any:
        self._misused("with `<<`", "order tasks with `a >> b` or `b.after(a)`")
        return other

    __rlshift__ = __lshift__

    def __rshift__(self, other: object) -> Any:
        if isinstance(other, Reference) and type(other).__rrshift__ is not Reference.__rrshift__:
            return NotImplemented
        self._misused("with `>>`", "`>>` orders task results: write `a(...) >> b(...)`")
        return other

    def __rrshift__(self, other: object) -> Any:
        return self.__rshift__(other)

    def _converted(self) -> str:
        self._misused("as a string (f-string, `str()`, `format`)", "build the string inside a task")
        return UNSAID

    __str__ = _converted

    def __format__(self, spec: str) -> str:
        return self._converted()

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def __int__(self) -> int:
        self._misused("as a number", "compute inside a task")
        return 0

    def __float__(self) -> float:
        return float(self.__int__())

    __index__ = __int__

    def __complex__(self) -> complex:
        return complex(self.__int__())

    def __bytes__(self) -> bytes:
        return self._converted().encode()

    def __fspath__(self) -> str:
        self._misused("as a path", "open it inside a task that receives it")
        return os.devnull

    def __reversed__(self) -> Iterator[Any]:
        return self.__iter__()

    def __getitem__(self, key: object) -> Any:
        self._misused("with `[...]`", "take the element inside a task")
        return Spoiled(self)

    def __setitem__(self, key: object, value: object) -> None:
        self._misused("with `[...] =`", "change it inside a task that receives it")

    def __delitem__(self, key: object) -> None:
        self._misused("with `del`", "change it inside a task that receives it")

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._misused(f"by setting `.{name}`", "settings of a task are keywords: `task.override(...)(...)`")

    def __delattr__(self, name: str) -> None:
        self._misused("with `del`", "change it inside a task that receives it")

    def __enter__(self) -> Any:
        self._misused("with `with`", "open it inside a task that receives it")
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: the misuse has been noted."""

    def __call__(self, *_: object, **__: object) -> Any:
        self._misused("as a function", "call it inside a task")
        return Spoiled(self)

    def __getattr__(self, name: str) -> Any:
        # Protocol look-ups (copy, pickle, numpy, ...) must simply not find anything.
        if name.startswith("_"):
            raise AttributeError(name)
        self._misused(f"with `.{name}`", f"use `.{name}` inside a task that receives this value")
        return Spoiled(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self.describe()} can't be pickled")


class Spoiled(Reference):
    """The result of a misuse. The mistake has been noted, so any use of this object is accepted."""

    def __init__(self, of: Reference | None = None) -> None:
        self._of = of

    def describe(self) -> str:
        return "the result of a mistake" if self._of is None else self._of.describe()

    def _misused(self, how: str, hint: str) -> None:
        """Do nothing: the misuse has been noted."""

    def __call__(self, *args: object, **kwargs: object) -> Any:
        recording.take((args, kwargs))
        return Spoiled(self)


def first_in(value: object) -> Reference | None:
    """Return the first reference inside lists, tuples and dicts; None if they have no reference."""
    if isinstance(value, Reference):
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return next((found for item in inner if (found := first_in(item)) is not None), None)


give_for_spoiled(Spoiled)


class ParameterProxy(Reference):
    """A job parameter while the body of the job runs."""

    is_job_parameter = True  # IoManagers recognise it by this among their options

    def __init__(self, recorder: recording.Recording, name: str) -> None:
        self._recorder = recorder
        self._name = name

    def describe(self) -> str:
        return f"the job parameter `{self._name}`"

    def text(self) -> str:
        return references.job_parameter(self._name)


def told(value: object) -> str:
    """Return a value for a message; of one that exists only in a run, what it is."""
    return value.describe() if isinstance(value, Reference) else shown(value)
