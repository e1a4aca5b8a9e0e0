"""Mistakes in the wiring: noted while a pipeline is being defined, so that the rest of it is checked too; else raised.

Whoever runs an author's wiring says by `noted_by` where its mistakes go. A mistake is then noted, and a harmless value
lets the code go on: one build tells all of them.
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

_note: Note | None = None
_defining = False
_forgiving = False
_make_spoiled: Callable[[], Any] = lambda: None  # noqa: E731


@contextmanager
def defining() -> Iterator[None]:
    """Say that a pipeline is being imported only to be defined, for as long as the block lasts."""
    global _defining
    before, _defining = _defining, True
    try:
        yield
    finally:
        _defining = before


def is_defining() -> bool:
    """Whether a module of pipelines is being imported only to be defined."""
    return _defining


def is_wiring() -> bool:
    """Whether nothing runs yet: what is running defines pipelines, or is the body of a job."""
    return _defining or _note is not None


@contextmanager
def noted_by(note: Note) -> Iterator[None]:
    """Give mistakes to `note` for as long as the block lasts."""
    before = exchange(note)
    try:
        yield
    finally:
        exchange(before)


def exchange(note: Note | None) -> Note | None:
    """Give mistakes to `note` from here on, and return what they were given to."""
    global _note
    before, _note = _note, note
    return before


def refuse(problems: Problem | Iterable[Problem], kind: type[DbxdecError] = DbxdecError) -> None:
    """Note `problems`. Raises them as `kind` where no pipeline is being defined."""
    found = [problems] if isinstance(problems, Problem) else list(problems)
    if found and _note is None:
        raise kind(found)
    for problem in found:
        assert _note is not None  # noqa: S101 - narrowed above
        _note(problem)


def spoiled(*_: object, **__: object) -> Any:
    """Return what stands for the result of a wrong call: `authoring` has an object that takes every use in silence."""
    return _make_spoiled()


def giving(value: object) -> Callable[..., Any]:
    """Return a function that gives `value` whatever it is called with."""
    return lambda *_, **__: value


def itself(self: Any, *_: object, **__: object) -> Any:
    """Return the object whose method was called in a wrong way."""
    return self


def give_for_spoiled(make: Callable[[], Any]) -> None:
    """Have `spoiled` return what `make` makes."""
    global _make_spoiled
    _make_spoiled = make


def forgiving(instead: Callable[..., Any] = spoiled) -> Callable[[F], F]:
    """Let a wrong call of the function be refused, and give what `instead` makes of the same arguments.

    Where no pipeline is being defined, the function raises what it raises; so do those that a forgiving one calls.
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
                problems = [Problem(str(error))] if within else _of_call(function, args, kwargs, error)
            except ValueError as error:
                problems = [Problem(str(error))]
            finally:
                _forgiving = False
            refuse(problems)
            return instead(*args, **kwargs)

        return cast("F", call)

    return decorate


def signature_of(function: Callable[..., Any]) -> str:
    """Return names and which need a value, without types, whose text depends on how a module imports them."""
    import inspect  # what is right needs none

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
    """What is wrong with a call that the signature of `function` does not take."""
    parameters = _parameters(function)
    # As the author calls it: a class by its name, which may inherit `__init__`, a method by its own.
    name = type(args[0]).__name__ if function.__name__ == "__init__" else function.__name__
    signature = f"its signature is `{name}{signature_of(function)}`"
    is_method = function.__code__.co_varnames[:1] == ("self",)
    by_position = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_keyword = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    given = args[1:] if is_method else args
    problems = []
    if len(given) > len(by_position):
        takes = counted(len(by_position), "positional argument")
        problems.append(Problem(f"{name}() takes {takes} and was given {len(given)}", hint=signature))
    taken = {*by_position[: len(given)], *kwargs}
    meant: set[str] = set()  # a misspelt argument is one mistake, not a missing one beside it
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
