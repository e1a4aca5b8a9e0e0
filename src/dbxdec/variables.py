"""Values that a bundle fixes for each target at deploy: `${var.name}` and `${bundle.target}`.

A reference is text with tokens in the bundle's own spelling, so settings can carry it to the deploy as it is;
IoManagers and literals resolve the tokens at run time from the values that arrive as task parameters.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from dbxdec.errors import Problem, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TARGET = "bundle.target"
"""The name under which the bundle's target stands among the variables."""

_TOKEN = re.compile(r"\$\{(?:var\.([A-Za-z_][A-Za-z0-9_-]*)|(bundle\.target))\}")
_current: Mapping[str, str] = {}
_live = False


if TYPE_CHECKING:
    # For a type checker a variable fits wherever its value would: as any argument of a task, and in settings.
    class _Anything(Any):  # type: ignore[misc]
        pass

else:
    _Anything = object


class BundleVariable(_Anything):
    """A string that holds at least one bundle reference; `/` and f-strings make longer ones.

    While a task runs, it is its value wherever a string is asked for.
    """

    __slots__ = ("template",)

    def __init__(self, template: str) -> None:
        self.template = template

    def __truediv__(self, part: object) -> BundleVariable:
        return BundleVariable(f"{self.template.rstrip('/')}/{str(part).lstrip('/')}")

    def __str__(self) -> str:
        return resolve(self.template) if _live else self.template

    def __repr__(self) -> str:
        return f"BundleVariable({self.template!r})"

    def __eq__(self, other: object) -> bool:
        if _live:
            return isinstance(other, str | BundleVariable) and str(self) == str(other)
        if isinstance(other, str):
            self._refuse("is compared, and ", '; or branch with `condition(..., "==", ...)`')
        return isinstance(other, BundleVariable) and other.template == self.template

    def __hash__(self) -> int:
        return hash(self.template)

    def __bool__(self) -> bool:
        if not _live:
            self._refuse("is used as a truth value, and ", '; or branch with `condition(..., "==", ...)`')
        return bool(str(self))

    def __fspath__(self) -> str:
        return str(self) if _live else self._refuse()

    def __getattr__(self, name: str) -> Any:
        if not _live or name.startswith("__"):
            raise AttributeError(f"a bundle variable has no attribute {name!r} while the pipeline is defined")
        return getattr(str(self), name)

    def _refuse(self, how: str = "", instead: str = "") -> NoReturn:
        raise RunError(
            f"{self.template} {how}has no value while the pipeline is defined",
            hint=f"give it to an IoManager, a task argument or a setting; they resolve it at run time{instead}",
        )


def bundle_variable(name: str) -> BundleVariable:
    """The bundle variable `name`: `${var.name}` in resources, its value at run time.

    Usable as an argument of an IoManager or of a task, and in settings. Raises ValueError for a name that a
    bundle could not declare.
    """
    if not _TOKEN.fullmatch(f"${{var.{name}}}"):
        raise ValueError(
            f"{name!r} can't be the name of a bundle variable: "
            "names have letters, digits, `_` and `-`, and a letter or `_` first"
        )
    return BundleVariable(f"${{var.{name}}}")


def bundle_target() -> BundleVariable:
    """The name of the bundle's target (`dev`, `prod`, ...): `${bundle.target}`."""
    return BundleVariable("${bundle.target}")


def has_token(text: str) -> bool:
    """Whether `text` holds a reference to a bundle variable or to the target."""
    return "${" in text and _TOKEN.search(text) is not None


def unknown_in(text: str) -> list[str]:
    """What looks like a reference or a placeholder in `text`, and has no value in a run."""
    return re.findall(r"\$?\{[^{}]*\}?", _TOKEN.sub("", text))


def names_in(value: object) -> set[str]:
    """The variables referenced anywhere inside `value`: str, BundleVariable, and lists, tuples and dicts of them."""
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
    """Return the name of the variable whose reference `text` is; None for anything else."""
    match = _TOKEN.fullmatch(text)
    return match and (match[1] or match[2])


def resolve(text: str | BundleVariable, variables: Mapping[str, str] | None = None) -> str:
    """`text` with every token replaced, from `variables`, else this run's, else `DBXDEC_VAR_<name>`.

    Raises RunError with all variables that have no value.
    """
    known = _current if variables is None else variables
    text = text.template if isinstance(text, BundleVariable) else text
    names = {name: known.get(name, os.environ.get(f"DBXDEC_VAR_{name}")) for name in sorted(names_in(text))}
    problems = [
        Problem(
            f"the bundle variable `{name}` has no value here",
            hint=f"`dbxdec run ... --var {name}=VALUE`; outside a run set DBXDEC_VAR_{name} in the environment",
        )
        for name, value in names.items()
        if value is None
    ]
    if problems:
        raise RunError(problems)
    return _TOKEN.sub(lambda match: names[match[1] or match[2]] or "", text)


@contextmanager
def using(variables: Mapping[str, str], *, live: bool = False) -> Iterator[None]:
    """Make `variables` the values of this run for as long as the block lasts.

    With `live` a task runs in it: a bundle variable is its value there, and no token.
    """
    global _current, _live
    before, (_current, _live) = (_current, _live), (variables, live)
    try:
        yield
    finally:
        _current, _live = before


def tokens_of_run(value: object) -> set[str]:
    """Return the variables of this run whose tokens are inside `value`: strings that were made too early."""
    return names_in(value) & set(_current)
