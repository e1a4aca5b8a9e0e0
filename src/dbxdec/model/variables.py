"""Bundle variables: values that a bundle sets for each target at deploy, `${var.name}` and `${bundle.target}`.

A reference is a string with tokens in the bundle's own syntax, so settings pass it to the deploy unchanged. IoManagers
and literals resolve the tokens at run time, from the values in task parameters.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from dbxdec.errors import Problem, RunError
from dbxdec.model.mistakes import UNSAID, forgiving, giving, is_wiring, spoiled
from dbxdec.support import environment
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TARGET = "bundle.target"
"""The name of the bundle's target among the variables."""

_NAME = r"[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
REFERABLE = pattern(_NAME)
"""The names that the bundle's CLI finds in `${...}`; it takes others for literal strings (libs/dyn/dynvar/ref.go)."""
_TOKEN = pattern(rf"\$\{{(?:var\.({_NAME})|(bundle\.target))\}}")
_current: Mapping[str, str] = {}
_live = False
_became_strings = False

NO_VALUE = "has no value while the pipeline is defined"
"""The words of each error about a bundle variable whose value a definition needs."""


if TYPE_CHECKING:
    # A type checker accepts a variable wherever its value fits: as any argument of a task, and in settings.
    class _Anything(Any):  # type: ignore[misc]
        pass

else:
    _Anything = object


JOINING = 'f-strings, `+` and `/` make longer strings: `f"{root}/x"`, `root + "/x"`, `root / "x"`'
"""The hint for making a longer string from a bundle variable."""
_STR_METHODS = frozenset(name for name in dir(str) if not name.startswith("_"))
_TAKE_APART = "; or do it inside a task"


def _of_value(name: str, how: str, instead: str, harmless: Any = None) -> Any:
    """Return a method of strings, which a variable has while a task runs."""

    @forgiving(giving(harmless) if harmless is not None else spoiled)
    def method(self: BundleVariable, *args: Any) -> Any:
        if not _live:
            self._refuse(how, instead)
        return getattr(str, name)(str(self), *(str(arg) if isinstance(arg, BundleVariable) else arg for arg in args))

    return method


class BundleVariable(_Anything):
    """A string with at least one bundle reference. `/`, `+` and f-strings make longer ones.

    While a task runs, it acts as its value wherever a string is expected.
    """

    __slots__ = ("template",)

    def __init__(self, template: str) -> None:
        self.template = template

    def __truediv__(self, part: object) -> BundleVariable:
        return BundleVariable(f"{self.template.rstrip('/')}/{_of_path(part).lstrip('/')}")

    def __rtruediv__(self, part: object) -> BundleVariable:
        return BundleVariable(f"{_of_path(part).rstrip('/')}/{self.template.lstrip('/')}")

    def __add__(self, part: object) -> BundleVariable:
        return BundleVariable(f"{self.template}{part}") if isinstance(part, str | BundleVariable) else NotImplemented

    def __radd__(self, part: object) -> BundleVariable:
        return BundleVariable(f"{part}{self.template}") if isinstance(part, str) else NotImplemented

    def __str__(self) -> str:
        return resolve(self.template) if _live else _noted(self.template)

    @forgiving(giving(UNSAID))
    def __format__(self, spec: str) -> str:
        if spec and not _live:
            self._refuse(f"is formatted with {spec!r}, but ", f"; {JOINING}")
        return format(str(self), spec)

    def __repr__(self) -> str:
        if _live:  # its value, as a string has it
            with suppress(RunError):
                return repr(str(self))
        return f"BundleVariable({self.template!r})"

    @forgiving(giving(False))
    def __eq__(self, other: object) -> bool:
        if _live:
            return isinstance(other, str | BundleVariable) and str(self) == str(other)
        if isinstance(other, str):
            self._refuse("is compared, but ", '; or branch with `condition(..., "==", ...)`')
        return isinstance(other, BundleVariable) and other.template == self.template

    @forgiving(giving(0))
    def __hash__(self) -> int:
        if not _live:
            self._refuse("is looked up in a set or a dict, but ", '; or branch with `condition(..., "==", ...)`')
        return hash(str(self))

    @forgiving(giving(True))
    def __bool__(self) -> bool:
        if not _live:
            self._refuse("is used as a truth value, but ", '; or branch with `condition(..., "==", ...)`')
        return bool(str(self))

    @forgiving(giving(os.devnull))
    def __fspath__(self) -> str:
        if not _live:
            self._refuse("is used as a path, but ", f"; {JOINING}")
        return str(self)

    __len__ = _of_value("__len__", "is taken apart, but ", _TAKE_APART, 0)
    __iter__ = _of_value("__iter__", "is taken apart, but ", _TAKE_APART, iter(()))
    __getitem__ = _of_value("__getitem__", "is taken apart, but ", _TAKE_APART)
    __contains__ = _of_value("__contains__", "is searched, but ", _TAKE_APART, False)
    __mod__ = _of_value("__mod__", "is used as a format, but ", f"; {JOINING}")
    __lt__ = _of_value("__lt__", "is compared, but ", _TAKE_APART, False)
    __le__ = _of_value("__le__", "is compared, but ", _TAKE_APART, False)
    __gt__ = _of_value("__gt__", "is compared, but ", _TAKE_APART, False)
    __ge__ = _of_value("__ge__", "is compared, but ", _TAKE_APART, False)

    @forgiving(giving(0))
    def __int__(self) -> int:
        return int(self._number())

    @forgiving(giving(0.0))
    def __float__(self) -> float:
        return float(self._number())

    def _number(self) -> str:
        if not _live:
            self._refuse("is used as a number, but ", "; or convert it to a number inside a task")
        return str(self)

    @forgiving()
    def __getattr__(self, name: str) -> Any:
        if name not in _STR_METHODS:
            raise AttributeError(f"a bundle variable has no attribute {name!r}")
        if not _live:
            self._refuse(f"is changed with `.{name}`, but ", _TAKE_APART)
        return getattr(str(self), name)

    def _refuse(self, how: str = "", instead: str = "") -> NoReturn:
        raise has_no_value(self.template, how, instead)


def has_no_value(template: str, how: str = "", instead: str = "") -> RunError:
    """Return the error of a use of `template` that needs its value, `how` as in `"is compared, but "`."""
    return RunError(
        f"{template} {how}{NO_VALUE}",
        hint=f"pass it to an IoManager, a task or a setting, which resolve it at run time{instead}",
    )


def became_strings() -> bool:
    """Return whether code outside of dbxdec has made a string of a bundle variable that had no value."""
    return _became_strings


def _noted(template: str) -> str:
    global _became_strings
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"] in (__name__, forgiving.__module__):
        frame = frame.f_back
    if not str(frame.f_globals.get("__name__")).startswith(f"{__package__.partition('.')[0]}."):
        _became_strings = True
    return template


def _of_path(part: object) -> str:
    """Return `part` with forward slashes on every system."""
    as_posix = getattr(type(part), "as_posix", None)
    return str(part) if as_posix is None else as_posix(part)


MISTAKEN = "unknown"
"""The name of the variable in the place of one that could not be declared."""
UNKNOWN = f"${{var.{MISTAKEN}}}"
"""The same as a string, for what a mistake leaves unknown."""


@forgiving(giving(BundleVariable(UNKNOWN)))
def bundle_variable(name: str) -> BundleVariable:
    """Return the bundle variable `name`: `${var.name}` in resources, its value at run time.

    Use it as an argument of an IoManager, of a task or of a condition, and in settings of jobs, tasks and clusters.
    `/`, `+` and f-strings make longer strings of it. It has no value while the pipeline is defined: a comparison, an
    `if` or a conversion to a number is a mistake there.

    Args:
        name: A name that the bundle declares: letters, digits, `_` and `-`, a letter first, a letter or a digit last.

    Returns:
        The variable. While a task runs, it is its value wherever a string is asked for.

    Raises:
        ValueError: A bundle could not declare the name.

    Example:
        ```python
        from dbxdec import bundle_variable
        from dbxdec.io_managers import PolarsDeltaIoManager

        root = bundle_variable("lake_root")
        bronze = PolarsDeltaIoManager(root / "bronze", mode="append")
        ```
    """
    if not isinstance(name, str) or not _TOKEN.fullmatch(f"${{var.{name}}}"):
        raise ValueError(
            f"{name!r} can't be the name of a bundle variable: "
            "use letters, digits, `_` and `-`, with a letter first and a letter or a digit last"
        )
    return BundleVariable(f"${{var.{name}}}")


def bundle_target() -> BundleVariable:
    """Return the name of the bundle's target, such as `dev` or `prod`: `${bundle.target}`.

    It is used as `bundle_variable(...)` is. In a local run without a target it is `local`.

    Returns:
        The variable.

    Example:
        ```python
        from dbxdec import bundle_target, job, task


        @task
        def report(target: str) -> None: ...


        @job(tags={"target": bundle_target()})
        def daily() -> None:
            report(bundle_target())
        ```
    """
    return BundleVariable("${bundle.target}")


def has_token(text: str) -> bool:
    """Return whether `text` has a reference to a bundle variable or to the target."""
    return "${" in text and _TOKEN.search(text) is not None


def pieces_of(text: str) -> list[str]:
    """Return plain text and references in turn; plain text, which may be empty, comes first and last."""
    found, end = [], 0
    for match in _TOKEN.finditer(text):
        found += [text[end : match.start()], match[0]]
        end = match.end()
    return [*found, text[end:]]


def unknown_in(text: str) -> list[str]:
    """Return what looks like a reference or a placeholder in `text` but has no value in a run."""
    return re.findall(r"\$?\{[^{}]*\}?", _TOKEN.sub("", text))


def without_tokens(text: str) -> str:
    """Return `text` with `v` in place of every reference to a bundle variable or to the target."""
    return _TOKEN.sub("v", text)


def names_in(value: object) -> set[str]:
    """Return the variables referenced inside `value`: str, BundleVariable, and lists, tuples and dicts of them."""
    if isinstance(value, BundleVariable):
        return names_in(value.template)
    if isinstance(value, str):
        return {var or target for var, target in _TOKEN.findall(value)} if "${" in value else set()
    if isinstance(value, dict):
        return set().union(*map(names_in, value.values()), *map(names_in, value))
    if isinstance(value, list | tuple):
        return set().union(*map(names_in, value))
    return set()


def only_name_in(text: str) -> str | None:
    """Return the name of the variable if `text` is exactly one reference; None for anything else."""
    match = _TOKEN.fullmatch(text)
    return match and (match[1] or match[2])


def resolve(text: str | BundleVariable, variables: Mapping[str, str] | None = None) -> str:
    """Return `text` with every token replaced, from `variables`, else this run's, else `DBXDEC_VAR_<name>`.

    Raises RunError with all variables that have no value.
    """
    known = _current if variables is None else variables
    text = text.template if isinstance(text, BundleVariable) else text
    names = {name: known.get(name, environment.get(f"DBXDEC_VAR_{name}")) for name in sorted(names_in(text))}
    problems = [
        Problem(
            f"the bundle variable `{name}` has no value {'while the pipeline is defined' if is_wiring() else 'here'}",
            hint=_where_from(name),
        )
        for name, value in names.items()
        if value is None
    ]
    if problems:
        raise RunError(problems)
    return _TOKEN.sub(lambda match: names[match[1] or match[2]] or "", text)


def _where_from(name: str) -> str:
    """Return the hint for a variable without a value."""
    if is_wiring():
        return "use it inside a task: pass the task the table itself, `io.table(...)`, or the variable"
    if _live:
        return (
            "create it at the top of the module, or pass it to the task: a build passes on the variables "
            f"that it finds there; in a test use `variables={{{name!r}: ...}}`"
        )
    return f"`dbxdec run ... --var {name}=VALUE`; outside a run set DBXDEC_VAR_{name} in the environment"


@contextmanager
def using(variables: Mapping[str, str], *, live: bool = False) -> Iterator[None]:
    """Make `variables` the values of this run for as long as the block lasts.

    With `live` a task runs in the block: a bundle variable is its value there, not a token.
    """
    global _current, _live
    before, (_current, _live) = (_current, _live), (variables, live)
    try:
        yield
    finally:
        _current, _live = before


def tokens_of_run(value: object) -> set[str]:
    """Return the variables of this run whose tokens are inside `value`, a string that was made too early."""
    return names_in(value) & set(_current)
