"""Strings with bundle variables inside: a job must not depend on their text, which is another one on the platform.

An f-string over a variable is an ordinary string, which holds the reference instead of the value. A project that makes
such strings while it is defined is discovered once more, rewritten so that its operations on strings ask here first
(`rewriting`). What is certain whatever the values are, such as how `f"{root}/x"` ends, is answered. All else is a
mistake.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from dbxdec.build.discovery.certainties import begins, contains, ends, equal, order
from dbxdec.model import mistakes
from dbxdec.model.mistakes import forgiving, giving, itself
from dbxdec.model.variables import has_no_value, has_token, pieces_of

if TYPE_CHECKING:
    from collections.abc import Callable

_TASK = "; or do it inside a task"
_COMPARED = ("is compared, but ", '; or branch with `condition(..., "==", ...)`')
_SEARCHED = ("is searched, but ", _TASK)
_TAKEN_APART = ("is taken apart, but ", _TASK)
_LOOKED_UP = ("is looked up, but ", _TASK)

_FILLING = frozenset({"join", "format", "format_map"})
STRINGS = frozenset(name for name in dir(str) if not name.startswith("_")) - _FILLING
"""The methods of strings that read their text."""
_LOOKUPS = frozenset({"get", "pop", "setdefault"})
_PATTERNS = frozenset({"match", "fullmatch", "search", "findall", "finditer", "sub", "subn", "split"})
_PATHS = frozenset(
    {
        *("exists", "is_dir", "is_file", "is_absolute", "is_relative_to", "relative_to"),
        *("match", "glob", "rglob", "iterdir", "resolve", "samefile"),
    }
)
_FUNCTIONS = frozenset(
    {
        *("fnmatch", "fnmatchcase", "filter", "urlparse", "urlsplit"),
        *("isabs", "exists", "lexists", "isdir", "isfile", "relpath", "commonpath"),
    }
)
_OF_FUNCTIONS = frozenset({"fnmatch", "urllib.parse", "genericpath", "posixpath", "ntpath", re.__name__})
CALLS = STRINGS | _LOOKUPS | _PATTERNS | _PATHS | _FUNCTIONS
"""The names of functions and methods whose result may depend on the text of a string that they are given."""
_HASHED: tuple[type[Any], ...] = (dict, set, frozenset, type({}.keys()))


class UnresolvedString(str):
    """A string with at least one reference, as the operand of one operation of the project."""

    __slots__ = ()

    @property
    def text(self) -> str:
        """The string that the project has."""
        return str.__str__(self)

    @forgiving(itself)
    def __format__(self, spec: str) -> str:
        if spec:
            self._refuse(f"is formatted with {spec!r}, but ")
        return self.text

    @forgiving(giving(False))
    def __eq__(self, other: object) -> bool:
        other = str(other) if isinstance(other, PurePath) else other
        return isinstance(other, str) and self._certain(equal(self.text, plain(other)), _COMPARED)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    @forgiving(giving(True))
    def __bool__(self) -> bool:
        return self._certain(any(pieces_of(self.text)[::2]) or None, _COMPARED)

    @forgiving(giving(False))
    def __contains__(self, part: object) -> bool:
        return isinstance(part, str) and self._certain(contains(self.text, plain(part)), _SEARCHED)

    @forgiving(giving(False))
    def startswith(self, prefix: str | tuple[str, ...], *where: Any) -> bool:
        """Answer where no value matters."""
        return self._certain(_any_of(begins, self.text, prefix, where), _SEARCHED)

    @forgiving(giving(False))
    def endswith(self, suffix: str | tuple[str, ...], *where: Any) -> bool:
        """Answer where no value matters."""
        return self._certain(_any_of(ends, self.text, suffix, where), _SEARCHED)

    @forgiving(itself)
    def removeprefix(self, prefix: str, /) -> str:
        """Answer where no value matters."""
        self._certain(begins(self.text, prefix), _changed("removeprefix"))
        return str.removeprefix(self, prefix)

    @forgiving(itself)
    def removesuffix(self, suffix: str, /) -> str:
        """Answer where no value matters."""
        self._certain(ends(self.text, suffix), _changed("removesuffix"))
        return str.removesuffix(self, suffix)

    def lstrip(self, letters: str | None = None, /) -> str:
        """Answer where no value matters."""
        return self._stripped("lstrip", letters, 0)

    def rstrip(self, letters: str | None = None, /) -> str:
        """Answer where no value matters."""
        return self._stripped("rstrip", letters, -1)

    def strip(self, letters: str | None = None, /) -> str:
        """Answer where no value matters."""
        return self._stripped("strip", letters, 0, -1)

    @forgiving(itself)
    def _stripped(self, name: str, letters: str | None, *edges: int) -> str:
        pieces = pieces_of(self.text)
        if not all(pieces[edge].strip(letters) for edge in edges):
            self._refuse(*_changed(name))
        return getattr(str, name)(self, letters)  # type: ignore[no-any-return]

    def _certain(self, answer: bool | None, use: tuple[str, str]) -> bool:
        if answer is None:
            self._refuse(*use)
        return bool(answer)

    def _refuse(self, how: str, instead: str = "") -> None:
        raise has_no_value(self.text, how, instead)


def _any_of(rule: Callable[[str, str], bool | None], text: str, wanted: Any, where: tuple[Any, ...]) -> bool | None:
    answers = {None} if where else {rule(text, one) for one in (wanted if isinstance(wanted, tuple) else (wanted,))}
    return True if True in answers else None if None in answers else False


def _changed(name: str) -> tuple[str, str]:
    return f"is changed with `.{name}`, but ", _TASK


def _sorts(name: str) -> Callable[[UnresolvedString, Any], bool]:
    """Return a method that compares two strings where no value matters."""

    @forgiving(giving(False))
    def method(self: UnresolvedString, other: Any) -> bool:
        sorts = order(self.text, plain(other))
        return self._certain(None if sorts is None else getattr(int, name)(sorts, 0), _COMPARED)

    return method


def _refused(use: tuple[str, str]) -> Callable[..., Any]:
    """Return a method of strings whose result always depends on values."""

    @forgiving()
    def method(self: UnresolvedString, *_: Any, **__: Any) -> Any:
        self._refuse(*use)

    return method


for _name in ("__lt__", "__le__", "__gt__", "__ge__"):
    setattr(UnresolvedString, _name, _sorts(_name))
for _name in ("__len__", "__iter__", "__getitem__"):
    setattr(UnresolvedString, _name, _refused(_TAKEN_APART))
for _name in STRINGS - set(vars(UnresolvedString)):
    setattr(UnresolvedString, _name, _refused(_changed(_name)))


def watched(value: Any) -> Any:
    """Return a string with a reference as the operand that refuses, and all else as it is."""
    return UnresolvedString(value) if type(value) is str and has_token(value) else value


def compared(value: Any) -> Any:
    """Return a string or a path with a reference as the operand that refuses, and all else as it is."""
    return watched(str(value)) if isinstance(value, PurePath) and has_token(str(value)) else watched(value)


def plain(value: Any) -> Any:
    """Return an operand as the ordinary string that it was."""
    return value.text if type(value) is UnresolvedString else value


def called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the result of `function(...)`, unless it depends on the text of a string with a reference."""
    name, owner = getattr(function, "__name__", ""), getattr(function, "__self__", None)
    if getattr(function, "__objclass__", None) is str and args:  # `str.upper(text)`
        return getattr(watched(args[0]), name)(*args[1:], **kwargs)
    if not _may_call(function, name, owner, (*args, *kwargs.values())):
        return mistakes.spoiled()
    if name in _LOOKUPS and args and not _may_look_up(args[0], owner):
        return mistakes.spoiled()
    if isinstance(owner, list | tuple) and name in ("index", "count"):
        return getattr(list(map(watched, owner)), name)(*args, **kwargs)
    return function(*args, **kwargs)


def ordered(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the result of `sorted`, `min` or `max`, which compare what they are given."""
    if "key" in kwargs:
        return function(*args, **kwargs)
    elements = map(watched, args[0] if len(args) == 1 else args)
    found = function(elements, **kwargs)
    return list(map(plain, found)) if isinstance(found, list) else plain(found)


def within(value: Any, container: Any) -> bool:
    """Return whether `value in container`."""
    if type(container) in (list, tuple):
        return watched(value) in list(map(watched, container))
    if type(container) is str and type(value) is str:
        return UnresolvedString(container).__contains__(value) if has_token(container + value) else value in container
    return _may_look_up(value, container) and value in container


def item(container: Any, key: Any) -> Any:
    """Return `container[key]`."""
    return watched(container)[key] if _may_look_up(key, container) else mistakes.spoiled()


@forgiving(giving(False))
def _may_call(function: Any, name: str, owner: Any, given: tuple[Any, ...]) -> bool:
    if isinstance(owner, PurePath) and name in _PATHS and has_token(str(owner)):
        raise has_no_value(str(owner), "is used as a path, but ", _TASK)
    of_text = (type(owner) is str and name in STRINGS - {"replace"}) or isinstance(owner, re.Pattern)
    if of_text or getattr(function, "__module__", None) in _OF_FUNCTIONS:
        for text in given:
            if type(text) is str and has_token(text):
                raise has_no_value(text, *_SEARCHED)
    return True


@forgiving(giving(False))
def _may_look_up(key: Any, container: Any) -> bool:
    """Return True if it is certain whether `key` is among the keys of `container`."""
    if not isinstance(container, _HASHED) or not isinstance(key, str) or key in container:
        return True
    start = key[: key.rfind("}") + 1] if has_token(key) else None  # the usual case, which is quick: the ends differ
    for one in container:
        if not isinstance(one, str) or (start is None and "${" not in one):
            continue
        if start and one.startswith(start) and "${" not in one[len(start) :]:
            continue
        if equal(key, one) is None:
            raise has_no_value(one if start is None else key, *_LOOKED_UP)
    return True
