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


if TYPE_CHECKING:
    # For a type checker a variable fits wherever its value would: as any argument of a task, and in settings.
    class _Anything(Any):  # type: ignore[misc]
        pass

else:
    _Anything = object


class BundleVariable(_Anything):
    """Text that holds at least one bundle reference; `/` and f-strings make longer ones."""

    __slots__ = ("template",)

    def __init__(self, template: str) -> None:
        self.template = template

    def __truediv__(self, part: object) -> BundleVariable:
        return BundleVariable(f"{self.template.rstrip('/')}/{str(part).lstrip('/')}")

    def __str__(self) -> str:
        return self.template

    def __repr__(self) -> str:
        return f"BundleVariable({self.template!r})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            self._refuse("is compared, and ", '; or branch with `condition(..., "==", ...)`')
        return isinstance(other, BundleVariable) and other.template == self.template

    def __hash__(self) -> int:
        return hash(self.template)

    def __bool__(self) -> bool:
        self._refuse("is used as a truth value, and ", '; or branch with `condition(..., "==", ...)`')

    def __fspath__(self) -> NoReturn:
        self._refuse()

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


def without_tokens(text: str, instead: str) -> str:
    """`text` with `instead` for every reference to a bundle variable or to the target."""
    return _TOKEN.sub(instead, text)


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


def resolve(text: str | BundleVariable, variables: Mapping[str, str] | None = None) -> str:
    """`text` with every token replaced, from `variables`, else this run's, else `DBXDEC_VAR_<name>`.

    Raises RunError with all variables that have no value.
    """
    known = _current if variables is None else variables
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
    return _TOKEN.sub(lambda match: names[match[1] or match[2]] or "", str(text))


@contextmanager
def using(variables: Mapping[str, str]) -> Iterator[None]:
    """Make `variables` the values of this run for as long as the block lasts."""
    global _current
    before, _current = _current, variables
    try:
        yield
    finally:
        _current = before
