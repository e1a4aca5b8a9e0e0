"""Generated columns whose expressions mean the same to delta-rs and to Spark.

They are SQL of Spark (Delta protocol, "Generated Columns"), but delta-rs computes and checks them by the rules of
another engine, without an error where the two differ: `date_format(t, 'yyyy-MM')` is the string 'yyyy-MM' there,
`a / 2` has no remainder, and `CAST(t AS STRING)` looks otherwise. So only what was tried in both is let through.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

# Functions, and other words that may stand before a parenthesis.
_SAME = frozenset(
    {
        "abs", "cast", "coalesce", "date_trunc", "instr", "length", "lower", "lpad", "md5", "round", "trim", "upper",
        "and", "as", "between", "case", "decimal", "else", "in", "is", "like", "not", "or", "then", "when",
    }
)  # fmt: skip
_STRING = re.compile(r"'(?:[^']|'')*'")
_QUOTES = re.compile(r"[`\"]")
_TO_DATE = re.compile(r"\bCAST\s*\(\s*\w+\s+AS\s+DATE\s*\)", re.IGNORECASE)
# The first letter has the number 1 in both, and 0 only in Spark.
_FROM_A_LETTER = re.compile(r"\bSUBSTR(?:ING)?\s*\(([^(),]*),\s*[1-9]\d*\s*(?:,\s*\d+\s*)?\)", re.IGNORECASE)
_FUNCTION = re.compile(r"(\w+)\s*\(")
_CAST = re.compile(r"\bCAST\b|::", re.IGNORECASE)
_TO_STRING = re.compile(r"(?:\bAS\s+|::\s*)(?:STRING|VARCHAR|CHAR|TEXT)\b", re.IGNORECASE)


def refuse_others(computed: Mapping[str, str], schema: Mapping[str, pl.DataType], uri: str) -> None:
    """Raise RunError, naming them all, for expressions that delta-rs may compute differently than Spark.

    `computed` has them by the names of their columns, `schema` the types of all columns.
    """
    problems = [
        Problem(
            f"the generated column `{name}` of {uri} is {expression!r}, of which delta-rs may make other values than "
            "Spark",
            hint="write the table through Spark (SparkDeltaIoManager). Through Polars an expression may have +, -, *, "
            "%, ||, comparisons, CASE, CAST(... AS DATE), date_trunc, coalesce, upper, lower, trim and length",
        )
        for name, expression in computed.items()
        if not _is_same(expression, schema)
    ]
    if problems:
        raise RunError(problems)


def _is_same(expression: str, schema: Mapping[str, pl.DataType]) -> bool:
    import polars as pl

    text = _QUOTES.sub("", _STRING.sub("''", expression))
    text = _FROM_A_LETTER.sub(r"(\1)", _TO_DATE.sub("a_day", text))
    if "/" in text or any(found.lower() not in _SAME for found in _FUNCTION.findall(text)):
        return False
    if not _CAST.search(text):
        return True
    words = {word.lower() for word in re.findall(r"\w+", text)}
    kinds = [kind for name, kind in schema.items() if name.lower() in words]
    if any(isinstance(kind, pl.Datetime) for kind in kinds):
        return False
    return not (
        _TO_STRING.search(text) and any(isinstance(kind, pl.Float32 | pl.Float64 | pl.Binary) for kind in kinds)
    )
