"""Expressions of a table, of its generated columns and constraints, that mean the same to delta-rs and to Spark.

They are SQL of Spark (Delta protocol, "Generated Columns" and "CHECK Constraints"), but delta-rs evaluates them by the
rules of another engine, without an error where the two differ: `date_format(t, 'yyyy-MM')` is the string 'yyyy-MM'
there, `a / 2` has no remainder, and `CAST(t AS STRING)` looks otherwise. So only what was tried in both is let through
(`test_expressions.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError
from dbxdec.io_managers.delta.definition import CONSTRAINT
from dbxdec.io_managers.polars_frames import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl
    from deltalake import DeltaTable

_FUNCTIONS = frozenset(
    {
        "abs", "cast", "char_length", "coalesce", "contains", "date_trunc", "ifnull", "instr", "isnan", "length",
        "lower", "lpad", "ltrim", "md5", "nullif", "nvl", "round", "rpad", "rtrim", "trim", "upper",
    }
)  # fmt: skip
# They may stand before a parenthesis, too.
_WORDS = frozenset(
    {
        "and", "as", "between", "case", "distinct", "else", "end", "false", "from", "ilike", "in", "is", "like", "not",
        "null", "or", "then", "true", "when",
        "bigint", "boolean", "date", "decimal", "double", "float", "int", "integer", "long", "string", "timestamp",
    }
)  # fmt: skip
_STRING = re.compile(r"'(?:[^']|'')*'")
_QUOTED = re.compile(r'`([^`]+)`|"([^"]+)"')
_UNIT = re.compile(r"\bDATE_TRUNC\s*\(\s*'(?:YEAR|QUARTER|MONTH|WEEK|DAY|HOUR|MINUTE|SECOND)'", re.IGNORECASE)
_TRUNC = re.compile(r"\bDATE_TRUNC\b", re.IGNORECASE)
_TO_DATE = re.compile(r"\bCAST\s*\(\s*(\w+)\s+AS\s+DATE\s*\)", re.IGNORECASE)
_AS_DATE = re.compile(r"\bTO_DATE\s*\(\s*(\w+)\s*\)", re.IGNORECASE)
_EXTRACT = re.compile(r"\bEXTRACT\s*\(\s*(?:YEAR|QUARTER|MONTH|WEEK|DAY|HOUR|MINUTE)\s+FROM\b", re.IGNORECASE)
# The first letter has the number 1 in both, and 0 only in Spark. The last ones have negative numbers in delta-rs alone.
_FROM_A_LETTER = re.compile(r"\bSUBSTR(?:ING)?\s*\(([^(),]*),\s*[1-9]\d*\s*(?:,\s*\d+\s*)?\)", re.IGNORECASE)
_END = re.compile(r"\b(?:LEFT|RIGHT)\s*\(([^(),]*),\s*\d+\s*\)", re.IGNORECASE)
_REPLACE = re.compile(r"\bREPLACE\s*\(([^(),]*),\s*''\s*,\s*''\s*\)", re.IGNORECASE)
_ROUNDED = re.compile(r"\b(?:FLOOR|CEIL)\s*\(", re.IGNORECASE)
_FUNCTION = re.compile(r"(\w+)\s*\(")
_WORD = re.compile(r"\b[A-Za-z_]\w*")
_NUMBER = re.compile(r"(?<!\w)\.?\d\w*(?:\.\d*)?(?:[eE][+-]?\d+)?")
_OTHER_SIGN = re.compile(r"""[\\/"`&^~\[\]{}@#$?;]|--|(?<!\|)\|(?!\|)|!(?!=)|(?<!:):(?!:)""")
_CAST = re.compile(r"\bCAST\b|::", re.IGNORECASE)
_TO_STRING = re.compile(r"(?:\bAS\s+|::\s*)(?:STRING|VARCHAR|CHAR|TEXT)\b", re.IGNORECASE)
_TO_WHOLE = re.compile(r"(?:\bAS\s+|::\s*)(?:INT|INTEGER|LONG|BIGINT)\b", re.IGNORECASE)
_HINT = (
    "write the table through Spark (SparkDeltaIoManager). Through Polars an expression may have +, -, *, %, ||, "
    "comparisons, IN, LIKE, CASE, CAST(... AS DATE), EXTRACT(YEAR FROM ...), date_trunc, coalesce, round, upper, "
    "lower, trim, length, substring from 1, left, right and replace; columns are spelled as the table spells them, "
    "with backticks around other names than words"
)


def refuse_generated(computed: Mapping[str, str], schema: Mapping[str, pl.DataType], uri: str) -> None:
    """Raise RunError, naming them all, for generated columns that delta-rs may compute differently than Spark.

    `computed` has their expressions by the names of the columns, `schema` the types of all columns.
    """
    _refuse(
        Problem(
            f"the generated column `{name}` of {uri} is {expression!r}, of which delta-rs may make other values than "
            "Spark",
            hint=_HINT,
        )
        for name, expression in computed.items()
        if not is_same(expression, schema)
    )


def refuse_constraints(
    constraints: Mapping[str, str], schema: Mapping[str, pl.DataType] | None, uri: str, *, there: bool = False
) -> None:
    """Raise RunError, naming them all, for constraints that other rows may meet in delta-rs than in Spark.

    `schema` has the types of all columns, where they are known. Constraints that are `there` may be in delta-rs' own
    spelling, with names in double quotes.
    """
    _refuse(
        Problem(
            f"the constraint `{name}` of {uri} is {condition!r}, which other rows may meet in delta-rs than in Spark",
            hint=_HINT,
        )
        for name, condition in constraints.items()
        if not is_same(condition, schema, names_in='`"' if there else "`")
    )


def _refuse(problems: Iterator[Problem]) -> None:
    if found := list(problems):
        raise RunError(found)


def of_table(table: DeltaTable) -> dict[str, str]:
    """Return the constraints of a table by their names."""
    properties = table.metadata().configuration or {}
    return {
        name.removeprefix(CONSTRAINT): condition
        for name, condition in properties.items()
        if name.startswith(CONSTRAINT)
    }


def is_same(expression: str, schema: Mapping[str, pl.DataType] | None, *, names_in: str = "`") -> bool:
    """Return whether an expression is known to mean the same in both engines, for columns of the types `schema`.

    `names_in` are the quotes that names may stand in. To Spark double ones hold a string.
    """
    import polars as pl

    if "\\" in expression or len(_UNIT.findall(expression)) < len(_TRUNC.findall(_STRING.sub("''", expression))):
        return False
    names = _names(schema)
    text = _STRING.sub("''", expression)
    if '"' in text and '"' not in names_in:
        return False
    quoted = [one or other for one, other in _QUOTED.findall(text)]
    if schema is not None and not names.keys() >= set(quoted):
        return False
    text = _QUOTED.sub("a_name", text)
    kinds = [kind for name in {*_WORD.findall(text), *quoted} for kind in names.get(name, ())]
    if not any(isinstance(kind, pl.String) for kind in kinds):
        text = _AS_DATE.sub(r"\1", text)
    if not any(kind.is_float() for kind in kinds):
        text = _ROUNDED.sub("(", text)
    casts, text = _TO_DATE.sub("a_day", text), _EXTRACT.sub("(", _TO_DATE.sub(r"\1", text))
    text = _REPLACE.sub(r"(\1)", _END.sub(r"(\1)", _FROM_A_LETTER.sub(r"(\1)", text)))
    if _OTHER_SIGN.search(text) or any(
        found.lower() not in _FUNCTIONS | _WORDS for found in _FUNCTION.findall(text) if not found.isdigit()
    ):
        return False
    left = _WORD.findall(_NUMBER.sub("", _FUNCTION.sub("(", text)))
    if schema is not None and any(
        word != "a_name" and word.lower() not in _WORDS and word not in names for word in left
    ):
        return False
    cast_ = [kind for name in {*_WORD.findall(casts), *quoted} for kind in names.get(name, ())]
    return not _CAST.search(casts) or _casts_alike(casts, cast_)


def _casts_alike(text: str, kinds: list[pl.DataType]) -> bool:
    import polars as pl

    if any(isinstance(kind, pl.Datetime) for kind in kinds):
        return False
    if _TO_WHOLE.search(text) and not all(
        isinstance(kind, pl.Boolean | pl.Int8 | pl.Int16 | pl.Int32) for kind in kinds
    ):
        return False  # delta-rs rounds decimals, and makes null of what is too large
    return not (
        _TO_STRING.search(text) and any(isinstance(kind, pl.Float32 | pl.Float64 | pl.Binary) for kind in kinds)
    )


def _names(schema: Mapping[str, pl.DataType] | None) -> dict[str, list[pl.DataType]]:
    """Return the types by the names of the columns, and of the fields inside of them."""
    found: dict[str, list[pl.DataType]] = {}
    for name, kind in (schema or {}).items():
        found.setdefault(name, []).append(kind)
        for node in nodes(kind):
            for field in getattr(node, "fields", ()):
                found.setdefault(field.name, []).append(field.dtype)
    return found
