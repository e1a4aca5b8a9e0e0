"""Conditions: `==` and `!=` compare strings, the others compare numbers (docs.databricks.com, "If/else")."""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.platform.references import found_in, path
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OPERATORS = {
    "==": "EQUAL_TO",
    "!=": "NOT_EQUAL",
    ">": "GREATER_THAN",
    ">=": "GREATER_THAN_OR_EQUAL",
    "<": "LESS_THAN",
    "<=": "LESS_THAN_OR_EQUAL",
}
SYMBOLS = {name: symbol for symbol, name in OPERATORS.items()}
EQUALITY = frozenset({"EQUAL_TO", "NOT_EQUAL"})
_NUMBER = pattern(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DIGITS = 15
"""The significant digits that a double can hold: the documentation doesn't say how exact numbers are."""


def is_number(text: str) -> bool:
    """Return whether the platform takes `text` for a number."""
    return _NUMBER.fullmatch(text) is not None


def is_exact(number: int | Decimal) -> bool:
    """Return whether `number` stays distinct from its neighbours as a double."""
    return len(Decimal(number).as_tuple().digits) <= _DIGITS or (isinstance(number, int) and abs(number) <= 2**53)


def holds(op: str, left: str, right: str) -> bool:
    """Return whether a condition holds. Raises RunError if a side compared by size is not a number."""
    if op in EQUALITY:
        return (left == right) == (op == "EQUAL_TO")
    for side in (left, right):
        if not is_number(side):
            raise RunError(f"the condition compares {left!r} and {right!r} by size, but {side!r} is not a number")
    compare: Callable[[float, float], bool] = {
        "GREATER_THAN": operator.gt,
        "GREATER_THAN_OR_EQUAL": operator.ge,
        "LESS_THAN": operator.lt,
        "LESS_THAN_OR_EQUAL": operator.le,
    }[op]
    return compare(float(left), float(right))


def decide(condition: Mapping[str, str], resolve: Callable[[str], str]) -> tuple[bool, str]:
    """Return whether the condition task with these fields holds, and the comparison in words.

    `resolve` replaces variables and references. Raises RunError for a reference that stays unresolved: the platform
    would compare its literal string.
    """
    sides = []
    for side in ("left", "right"):
        text = resolve(condition[side])
        if left_over := set(found_in(text)) & set(found_in(condition[side])):
            name = path(*min(left_over))
            raise RunError(
                f"the condition compares {{{{{name}}}}}, which has no value in this run",
                hint="the task that it names has to run first and set this value; native tasks are skipped here",
            )
        sides.append(text)
    held = holds(condition["op"], *sides)
    symbol = SYMBOLS.get(condition["op"], condition["op"])
    return held, f"{sides[0]} {symbol} {sides[1]}: {'true' if held else 'false'}"
