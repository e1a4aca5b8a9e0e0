"""Errors of Spark's in evaluating a condition for a row, such as a division by zero: whose condition it was.

Spark says which expression failed: for SQL the line of it, for columns the line of Python that made them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.spark_errors import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_SQL = re.compile(r"^== SQL .*\(line (\d+), position \d+\) ==\n(.*)$", re.MULTILINE)
_PYTHON = re.compile(r'^== DataFrame ==\n".*" was called from\n(.*):(\d+)$', re.MULTILINE)
_NAME = re.compile(r"\[([A-Z][A-Z0-9_.]+)\]")
_FIRST_LINE = 2
"""The line on which a condition begins, in its brackets."""


def found(error: BaseException, conditions: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    """Return Spark's name for an error, and the names of the conditions that it may be of; None if of none.

    `conditions` are SQL, as Spark was given it, or functions.
    """
    text = text_of(error)
    for pattern, is_of in ((_SQL, _is_of_sql), (_PYTHON, _is_of_function)):
        for place in pattern.finditer(text):
            names = [name for name, condition in conditions.items() if is_of(condition, *place.groups())]
            kinds = _NAME.findall(text, 0, place.start())
            if names and kinds:
                return kinds[-1], names
    return None


def _is_of_sql(condition: Any, line: str, shown: str) -> bool:
    """Return whether a line that Spark shows, with dots for what it leaves out, is this line of a condition."""
    if not isinstance(condition, str):
        return False
    lines = condition.splitlines()
    number = int(line) - _FIRST_LINE
    part = shown.strip().removeprefix("...").removesuffix("...")
    return 0 <= number < len(lines) and bool(part) and part in lines[number]


def _is_of_function(condition: Any, file: str, line: str) -> bool:
    code = getattr(condition, "__code__", None)
    if code is None or code.co_filename != file:
        return False
    return int(line) in {number for _, _, number in code.co_lines() if number is not None}
