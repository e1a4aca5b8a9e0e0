"""Partitions in a Delta log, and in the names of folders.

Spark and delta-rs go by the log, and so do readers of dbxdec. Polars' own scan goes by folders: it decodes the values
of "column=value", and not the columns, takes one value for null, and knows times in UTC by no sign.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from dbxdec.io_managers.columns import NULL
from dbxdec.io_managers.delta.strings import value_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KEYED = "keyed-"
# All else is encoded in paths by some, and not by others (RFC 3986, "Unreserved Characters").
_PLAIN = re.compile(r"[A-Za-z0-9._~-]+")
# Those that delta-rs refuses in a path, or takes for the end of a URL's scheme.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f:]")


def can_name(column: str) -> bool:
    """Whether every reader understands a folder named "column=value"."""
    return _PLAIN.fullmatch(column) is not None


def unwritable(columns: Iterable[str]) -> list[str]:
    """Those of `columns` by which delta-rs, which always names folders, can't part a table that it can read."""
    return [column for column in columns if _UNWRITABLE.search(column)]


def folder(values: Mapping[str, Any]) -> str:
    """The folder of the partition with `values`, ending with a slash; empty where names can't tell it."""
    if not all(map(can_name, values)):
        return ""
    return "".join(f"{_folder(column, value)}/" for column, value in values.items())


def _folder(column: str, value: Any) -> str:
    text = value_text(value)
    if text is not None and isinstance(value, dt.datetime):
        text = text.replace("T", " ").removesuffix("Z")
    return f"{column}={NULL if text is None else quote(text, safe='')}"


def file_name(number: int, write: object, *, keyed: bool) -> str:
    """The name of a data file; one that is `keyed` has the partition columns inside, and lies in no folder."""
    return f"{_KEYED if keyed else 'part-'}{number:05}-{write}-c000.snappy.parquet"


def is_keyed(path: str) -> bool:
    """Whether the file at `path` has the partition columns inside, since it was written as one that has."""
    return path.startswith(_KEYED) and "/" not in path


def tells(path: str, values: Mapping[str, Any]) -> bool:
    """Whether Polars finds `values`, which are those of the log, in the folders of `path`; if unsure, it does not."""
    if not all(map(can_name, values)):
        return False
    found: dict[str, str | None] = {}
    for part in path.split("/")[:-1]:
        if part.count("=") != 1:
            continue  # no partition to Polars
        column, text = part.split("=")
        if column in found:
            return False
        found[column] = None if text == NULL else unquote(text)
    return found.keys() == values.keys() and all(_is(found[column], value) for column, value in values.items())


def _is(text: str | None, value: Any) -> bool:
    """Whether a folder's text is `value` to Polars; None is null."""
    if text is None or text == NULL:
        return value is None
    match value:
        case None:
            return False
        case bool() | dt.date() if not isinstance(value, dt.datetime):
            return text == value_text(value)
        case dt.datetime():  # Spark's are in the zone of its session
            return _moment(text) == _moment(str(value_text(value)))
        case int() | float() | Decimal():
            try:
                number = type(value)(text)
            except (ValueError, ArithmeticError):
                return False
            return number == value or (number != number and value != value)
        case _:
            return text == str(value)


def _moment(text: str) -> str:
    """Without what may be spelt in other ways: the zeros at the end of a second's fraction."""
    text = text.replace("T", " ").removesuffix("Z")
    return text.rstrip("0").removesuffix(".") if "." in text else text
