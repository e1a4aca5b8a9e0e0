"""Helpers for Spark frames and strings of Spark's SQL that all of its managers use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers import columns
from dbxdec.io_managers.spark_session import CHECK

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_PARTITION = ("ArrayType", "BinaryType", "MapType", "StructType", "VariantType")


def check_partitions(schema: Any, partitions: Sequence[str], *, task: str) -> None:
    """Raise RunError with all problems if a frame of `schema` can't be stored by `partitions`."""
    kinds = {field.name.lower(): field.dataType for field in schema}
    unfit = {
        name: kinds[name.lower()].simpleString()
        for name in partitions
        if name.lower() in kinds and type(kinds[name.lower()]).__name__ in _NO_PARTITION
    }
    lower = {name.lower(): name for name in schema.names}
    missing = [name for name in partitions if name.lower() not in lower]
    others = set(lower) - {name.lower() for name in partitions}
    columns.check_partitions(schema.names, missing, unfit, alone=not others, task=task)


def refuse_lost(frame: Any, partitions: Sequence[str]) -> Any:
    """Return `frame` with a check of its partition columns of strings, which makes its query fail.

    `spark_session.explained` recognises the error.
    """
    parts = {name.lower() for name in partitions}
    texts = [
        field.name for field in frame.schema if field.name.lower() in parts and is_string(field.dataType.simpleString())
    ]
    refused_texts = ", ".join(map(string_literal, columns.LOST))
    for name in texts:
        said = f"the partition column `{name}` has empty strings or {columns.NULL}, which Spark stores as null"
        refused = f"CAST(raise_error({string_literal(CHECK + said)}) AS BOOLEAN)"
        frame = frame.where(f"IF({quoted(name)} IN ({refused_texts}), {refused}, TRUE)")
    return frame


def is_string(kind: str) -> bool:
    return kind == "string" or kind.startswith(("char", "varchar"))


_GLOB = re.compile(r"([*?{}\[\]\\])")


def escaped(path: str) -> str:
    """Return `path` so that Spark's readers take its characters as they are, and not as those of a pattern."""
    return _GLOB.sub(r"\\\1", path)


def reader_of(spark: Any, names: str) -> Any:
    """Return a reader of those files of a folder whose names fit a pattern.

    A pattern in the path would do the same, but then Spark 4.2 prints a Java stack trace each time.
    """
    return spark.read.options(pathGlobFilter=names)


def quoted(name: str) -> str:
    """Return `name` as an identifier of Spark's SQL.

    Raises RunError for a name that Spark would change: it replaces `${...}` in SQL (`spark.sql.variable.substitute`).
    """
    if "${" in name:
        raise RunError(
            f"Spark can't use the name `{name}`: it replaces ${{...}} in SQL by the value of a setting",
            hint="choose a name without `${`",
        )
    return "`" + name.replace("`", "``") + "`"


def string_literal(text: str) -> str:
    """Return the string `text` as a literal of Spark's SQL."""
    # The meaning of a backslash or a doubled quote in a literal depends on Spark's version and the session's settings.
    # And `${...}` is replaced by the value of a setting before the literal is read.
    if "\\" in text or "'" in text or "$" in text or not text.isprintable():
        return f"CAST(X'{text.encode().hex()}' AS STRING)"
    return f"'{text}'"


def plain_literal(text: str) -> str:
    """Return the string `text` as a literal of a statement that takes no expressions, such as ALTER TABLE."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("$", "\\u0024") + "'"
