"""Partitions in a Delta log and in the names of folders.

Spark, delta-rs and the readers of dbxdec go by the log. Polars' own scan goes by folders: it decodes the values of
"column=value" but not the columns, reads one value as null, and does not recognise timestamps in UTC.
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
# Some writers encode all other characters in paths, others don't (RFC 3986, "Unreserved Characters").
_PLAIN = re.compile(r"[A-Za-z0-9._~-]+")
# Characters that delta-rs refuses in a path, or reads as the end of a URL's scheme.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f:]")


def can_name(column: str) -> bool:
    """Return whether every reader understands a folder named "column=value"."""
    return _PLAIN.fullmatch(column) is not None


def unwritable(columns: Iterable[str]) -> list[str]:
    """Return the columns that delta-rs can't partition by: it always names folders, and can't read these names back."""
    return [column for column in columns if _UNWRITABLE.search(column)]


def folder(values: Mapping[str, Any]) -> str:
    """Return the folder of the partition with `values`, ending with a slash; empty if names can't express it."""
    if not all(map(can_name, values)):
        return ""
    return "".join(f"{_folder(column, value)}/" for column, value in values.items())


def _folder(column: str, value: Any) -> str:
    text = value_text(value)
    if text is not None and isinstance(value, dt.datetime):
        text = text.replace("T", " ").removesuffix("Z")
    return f"{column}={NULL if text is None else quote(text, safe='')}"


def file_name(number: int, write: object, *, keyed: bool) -> str:
    """Return the name of a data file. A `keyed` file has the partition columns inside and lies in no folder."""
    return f"{_KEYED if keyed else 'part-'}{number:05}-{write}-c000.snappy.parquet"


def is_keyed(path: str) -> bool:
    """Return whether the file at `path` was written with the partition columns inside."""
    return path.startswith(_KEYED) and "/" not in path


def tells(path: str, values: Mapping[str, Any]) -> bool:
    """Return whether Polars finds `values`, those of the log, in the folders of `path`; False if unsure."""
    if not all(map(can_name, values)):
        return False
    found: dict[str, str | None] = {}
    for part in path.split("/")[:-1]:
        if part.count("=") != 1:
            continue  # Polars does not see a partition here
        column, text = part.split("=")
        if column in found:
            return False
        found[column] = None if text == NULL else unquote(text)
    return found.keys() == values.keys() and all(_is(found[column], value) for column, value in values.items())


def _is(text: str | None, value: Any) -> bool:
    """Return whether Polars reads a folder's string as `value`; None is null."""
    if text is None or text == NULL:
        return value is None
    match value:
        case None:
            return False
        case bool() | dt.date() if not isinstance(value, dt.datetime):
            return text == value_text(value)
        case dt.datetime():  # Spark writes them in the time zone of its session
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
    """Return a timestamp without the parts that may be spelt differently: trailing zeros of the second's fraction."""
    text = text.replace("T", " ").removesuffix("Z")
    return text.rstrip("0").removesuffix(".") if "." in text else text
