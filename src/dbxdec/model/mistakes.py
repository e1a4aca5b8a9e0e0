"""Mistakes in the wiring: noted while a pipeline is defined, so that the rest is checked too, and raised otherwise.

Code that runs an author's wiring uses `noted_by` to collect its mistakes. Each mistake is noted, and a harmless value
lets the author's code continue: one build reports all mistakes.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dbxdec.errors import DbxdecError, Problem, counted, did_you_mean

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Note = Callable[[Problem], None]

F = TypeVar("F", bound="Callable[..., Any]")
T = TypeVar("T")

_note: Note | None = None
_defining = False
_forgiving = False
_make_spoiled: Callable[[], Any] = lambda: None  # noqa: E731


@contextmanager
def defining() -> Iterator[None]:
    """Declare that modules are imported only to define pipelines, for as long as the block lasts."""
    global _defining
    before, _defining = _defining, True
    try:
        yield
    finally:
        _defining = before


def is_defining() -> bool:
    """Return whether a pipeline module is being imported only to define its pipelines."""
    return _defining


def is_wiring() -> bool:
    """Return whether the running code defines pipelines or is the body of a job."""
    return _defining or _note is not None


@contextmanager
def noted_by(note: Note) -> Iterator[None]:
    """Pass mistakes to `note` for as long as the block lasts."""
    before = exchange(note)
    try:
        yield
    finally:
        exchange(before)


def exchange(note: Note | None) -> Note | None:
    """Pass mistakes to `note` from now on. Return the previous receiver."""
    global _note
    before, _note = _note, note
    return before


def refuse(problems: Problem | Iterable[Problem], kind: type[DbxdecError] = DbxdecError) -> None:
    """Note `problems`, or raise them as `kind` if no pipeline is being defined."""
    found = [problems] if isinstance(problems, Problem) else list(problems)
    if found and _note is None:
        raise kind(found)
    for problem in found:
        assert _note is not None  # noqa: S101 - narrowed above
        _note(problem)


class Arguments:
    """The wrong arguments of one call: the first error is raised, with the others as its notes."""

    def __init__(self) -> None:
        self._errors: list[TypeError | ValueError] = []

    def checked(self, check: Callable[..., T], *args: Any, instead: T) -> T:
        """Return what `check` makes of `args`; `instead` if it raises TypeError or ValueError, which is kept."""
        try:
            return check(*args)
        except (TypeError, ValueError) as error:
            self._errors.append(error)
            return instead

    def raise_all(self) -> None:
        """Raise the first error that was kept, if any."""
        for error in self._errors[1:]:
            self._errors[0].add_note(str(error))
        if self._errors:
            raise self._errors[0]


def spoiled(*_: object, **__: object) -> Any:
    """Return a substitute for the result of a wrong call. The one of `authoring` accepts every use silently."""
    return _make_spoiled()


def giving(value: object) -> Callable[..., Any]:
    """Return a function that returns `value` for any arguments."""
    return lambda *_, **__: value


_MARK = "\N{INVISIBLE SEPARATOR}"
UNSAID = f"?{_MARK}"
"""The string in place of one that only a run knows: that is noted, and strings which are made of it are no mistakes."""


def is_of_mistake(value: object) -> bool:
    """Return whether a string was made of one that only a run knows, which has been noted."""
    return isinstance(value, str) and _MARK in value


def itself(self: Any, *_: object, **__: object) -> Any:
    """Return the object whose method was called with wrong arguments."""
    return self


def give_for_spoiled(make: Callable[[], Any]) -> None:
    """Make `spoiled` return the result of `make`."""
    global _make_spoiled
    _make_spoiled = make


def forgiving(instead: Callable[..., Any] = spoiled) -> Callable[[F], F]:
    """Decorate a function so that a wrong call is noted and `instead` is called with the same arguments.

    If no pipeline is being defined, errors are raised as usual. Inside a forgiving function, other forgiving functions
    raise as usual, too.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            global _forgiving
            if _forgiving or (_note is None and not _defining):
                return function(*args, **kwargs)
            _forgiving = True
            try:
                return function(*args, **kwargs)
            except DbxdecError as error:
                problems: Iterable[Problem] = error.problems
            except TypeError as error:
                within = error.__traceback__ is not None and error.__traceback__.tb_next is not None
                problems = _all_of(error) if within else _of_call(function, args, kwargs, error)
            except ValueError as error:
                problems = _all_of(error)
            finally:
                _forgiving = False
            refuse(problems)
            return instead(*args, **kwargs)

        return cast("F", call)

    return decorate


def _all_of(error: TypeError | ValueError) -> list[Problem]:
    return [Problem(text) for text in (str(error), *getattr(error, "__notes__", ()))]


def signature_of(function: Callable[..., Any]) -> str:
    """Return the signature without types, which would depend on how a module imports them; `...` marks a default."""
    import inspect  # not needed if nothing is wrong

    plain = [
        p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else ...) for p in _parameters(function)
    ]
    return str(inspect.Signature(plain)).replace("Ellipsis", "...")


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    from dbxdec.model import signatures

    return [p for p in signatures.signature(function).parameters.values() if p.name != "self"]


def _of_call(
    function: Callable[..., Any], args: Sequence[object], kwargs: Mapping[str, object], error: TypeError
) -> list[Problem]:
    """Return the problems of a call that does not fit the signature of `function`."""
    parameters = _parameters(function)
    # The name in the call: the name of the class, which may inherit `__init__`, or that of the method.
    name = type(args[0]).__name__ if function.__name__ == "__init__" else function.__name__
    signature = f"its signature is `{name}{signature_of(function)}`"
    is_method = function.__code__.co_varnames[:1] == ("self",)
    by_position = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_keyword = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    given = args[1:] if is_method else args
    problems = []
    if len(given) > len(by_position):
        takes = counted(len(by_position), "positional argument")
        problems.append(Problem(f"{name}() takes {takes} but got {len(given)}", hint=signature))
    taken = {*by_position[: len(given)], *kwargs}
    meant: set[str] = set()  # a misspelt argument is one mistake: the right one is not reported as missing
    for key in kwargs if not any(p.kind is p.VAR_KEYWORD for p in parameters) else ():
        if key not in by_keyword:
            near = did_you_mean(key, set(by_keyword) - taken)
            meant |= {known for known in by_keyword if near and f"`{known}`" in near}
            problems.append(Problem(f"{name}() has no parameter `{key}`", hint=near or signature))
    problems += [
        Problem(f"{name}() needs a value for `{p.name}`", hint=signature)
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in taken | meant
    ]
    return problems or [Problem(str(error), hint=signature)]
