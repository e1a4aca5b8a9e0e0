"""The SQL of conditions as a sequence of tokens: which job parameters and functions it names.

Each engine evaluates the SQL. Only what has to be known before it can is read here: `:name`, a job parameter, outside
of strings, comments and names in quotes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.errors import Problem, RunError, did_you_mean, listed
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

# SQL calls these without brackets; the others are names of columns where none follow.
_BARE = frozenset({"current_date", "current_time", "current_timestamp", "current_user", "localtime", "localtimestamp"})
_MOVING = _BARE | frozenset(
    {
        "curdate",
        "current_timezone",
        "gen_random_uuid",
        "getdate",
        "input_file_block_length",
        "input_file_block_start",
        "input_file_name",
        "java_method",
        "monotonically_increasing_id",
        "now",
        "rand",
        "randn",
        "random",
        "randstr",
        "reflect",
        "session_user",
        "shuffle",
        "spark_partition_id",
        "sysdate",
        "today",
        "try_reflect",
        "uniform",
        "unix_timestamp",
        "user",
        "uuid",
    }
)
_MOVING_ALONE = frozenset({"unix_timestamp"})  # of a column it is a function like others
# `DATE 'today'` is the day on which it is read.
_MOMENTS = frozenset({"date", "timestamp", "timestamp_ltz", "timestamp_ntz"})
_MOVING_MOMENT = re.compile(r"""[rR]?['"]\s*(?:now|today|tomorrow|yesterday)\b""", re.IGNORECASE)
# What begins a query in brackets; SELECT does so wherever it stands.
_QUERIES = frozenset({"from", "table", "values", "with"})
_REST = r"""--[^\n]*|/\*.*?\*/|::|:(?P<name>[^\W\d]\w*)|(?P<word>[^\W\d]\w*)|."""

_NAME = r"""(?:[^\W\d]\w*|"(?:[^"]|"")+")"""
_CONSTANT = r"""(?:-?\d+(?:\.\d+)?|'(?:[^']|'')*')"""
_COMPARED = rf"""{_NAME}\s*(?:(?:<=|>=|<>|!=|=|<|>)\s*{_CONSTANT}
    |\s(?:NOT\s+)?BETWEEN\s+{_CONSTANT}\s+AND\s+{_CONSTANT}
    |\s(?:NOT\s+)?IN\s*\(\s*{_CONSTANT}(?:\s*,\s*{_CONSTANT})*\s*\)
    |\sIS\s+(?:NOT\s+)?NULL)"""
_COMPARISON = re.compile(rf"\s*{_COMPARED}(?:\s+(?:AND|OR)\s+{_COMPARED})*\s*", re.IGNORECASE | re.VERBOSE)
_WORDS = frozenset({"and", "between", "in", "is", "not", "null", "or"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition that compares one column with constants of one kind, or with null: it is null where the column is."""

    column: str
    constants: Literal["strings", "numbers"] | None


@dataclass(frozen=True, slots=True)
class Sql:
    """An engine's syntax for strings and names in SQL."""

    tokens: re.Pattern[str]

    def moving(self, text: str) -> list[str]:
        """Return what a condition calls that gives something else each time."""
        found = []
        tokens = list(self._telling(text))
        for i, token in enumerate(tokens):
            written, (after, then) = token[0], (*(one[0] for one in tokens[i + 1 : i + 3]), "", "")[:2]
            name = written[1:-1] if written[0] in '`"' else token["word"] or ""
            if name.lower() in _MOVING_ALONE and then != ")":
                continue
            if name.lower() in _MOVING and (after == "(" or (token["word"] and name.lower() in _BARE)):
                found.append(name)
            elif name.lower() in _MOMENTS and token["word"] and _MOVING_MOMENT.match(after):
                found.append(f"{written} {after}")
        return list(dict.fromkeys(found))

    def _telling(self, text: str) -> Iterator[re.Match[str]]:
        """Yield the tokens of a condition without spaces and comments."""
        for token in self.tokens.finditer(text):
            if token[0].strip() and not token[0].startswith(("--", "/*")):
                yield token

    def holes(self, text: str) -> list[str]:
        """Return the names of the job parameters that a condition has, as `:name`."""
        return list(dict.fromkeys(found["name"] for found in self.tokens.finditer(text) if found["name"]))

    def filled(self, text: str, parameters: Mapping[str, Any], write: Callable[[str, Any], str]) -> str:
        """Return a condition with each `:name` replaced by what `write` makes of the job parameter of that name.

        Raises RunError for a name that the job does not have.
        """
        if problems := [
            Problem(f"the condition {text!r:.80} {said}", hint=hint)
            for said, hint in self.unknown_holes(text, parameters)
        ]:
            raise RunError(problems)

        def one(found: re.Match[str]) -> str:
            return write(found["name"], parameters[found["name"]]) if found["name"] else found[0]

        return self.tokens.sub(one, text)

    def unknown_holes(self, text: str, parameters: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with each `:name` that is no job parameter, and the hint."""
        for name in self.holes(text):
            if name not in parameters:
                hint = did_you_mean(name, parameters) or (
                    f"its parameters are {listed(list(parameters))}" if parameters else "the job has none: give it one"
                )
                yield f"has `:{name}`, but the job has no parameter `{name}`", hint

    def queries(self, text: str) -> bool:
        """Return whether a condition has a query inside, as `x IN (SELECT ...)`."""
        before = ""
        for token in self._telling(text):
            word = (token["word"] or "").lower()
            if word == "select" or (before == "(" and word in _QUERIES):
                return True
            before = token[0]
        return False

    def in_quotes(self, text: str, quotes: str = '"`') -> Iterator[str]:
        """Yield what stands in these quotes, which are around names."""
        for token in self.tokens.finditer(text):
            quote = token[0][0]
            if quote in quotes and len(token[0]) > 1:
                yield token[0][1:-1].replace(quote * 2, quote)

    def comparison(self, text: str) -> Comparison | None:
        """Return what a condition compares; None for one that is, or may be, anything else."""
        if not _COMPARISON.fullmatch(text):
            return None
        tokens = list(self._telling(text))
        words = [token["word"] for token in tokens if token["word"] and token["word"].lower() not in _WORDS]
        columns = {*words, *self.in_quotes(text, '"')}
        constants: set[Literal["strings", "numbers"]] = set()
        for token in tokens:
            if token[0][0] == "'":
                constants.add("strings")
            elif token[0].isdigit():
                constants.add("numbers")
        if len(columns) != 1 or len(constants) > 1:
            return None
        return Comparison(columns.pop(), constants.pop() if constants else None)

    def names(self, text: str) -> set[str]:
        """Return all words and names in backticks, in lower case: those of columns are among them."""
        words = (token["word"] for token in self.tokens.finditer(text) if token["word"])
        return {name.lower() for name in (*words, *self.in_quotes(text, "`"))}


POLARS_SQL = Sql(re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|""" + _REST, re.DOTALL))
"""A backslash is a character like others, and double quotes are around names."""
# A colon behind a name or brackets leads into a document: `raw:owner`.
SPARK_SQL = Sql(
    re.compile(
        r"""\b[rR](?:'[^']*'|"[^"]*")|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`]|``)*`|(?<=[\w\])`]):(?!:)|"""
        + _REST,
        re.DOTALL,
    )
)
"""A backslash changes what follows it, and double quotes are around strings."""
