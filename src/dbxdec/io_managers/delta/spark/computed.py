"""Columns that a table fills itself where a result lacks them: identities, generated columns, defaults."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta.definition import COMPUTED
from dbxdec.io_managers.delta.spark import log_files
from dbxdec.io_managers.spark_frames import escaped, reader_of
from dbxdec.io_managers.spark_session import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.io_managers.delta.spark.log import Detail, SparkTable

DEFAULT = "CURRENT_DEFAULT"
"""The key of a column's default in its metadata, as Spark reads it."""
_IDENTITY = "delta.identity.start"  # Delta protocol, "Identity Columns"
_FEATURES = frozenset({"identityColumns", "generatedColumns"})


def left_out(table: SparkTable, detail: Detail, schema: Any, given: Any) -> dict[str, str | None]:
    """Return the columns of `schema` that `given` lacks and the table fills, each with its expression if it has one.

    Names are in lower case. Spark shows defaults, but neither identities nor expressions: only the log has them. Where
    it can't be read, as of a managed table of Unity Catalog, the features of the table decide.
    """
    there = {field.name.lower() for field in given}
    missing = [field for field in schema if field.name.lower() not in there]
    found: dict[str, str | None] = {f.name.lower(): f.metadata[DEFAULT] for f in missing if DEFAULT in f.metadata}
    rest = [field for field in missing if field.name.lower() not in found]
    if not rest or not detail.features & _FEATURES:
        return found
    known = log_files.definition_of(table.frame(), table.spark)
    rules = _by_name(known.schema) if known is not None else _rules(table, detail)
    for field in rest:
        name = field.name.lower()
        if rules is not None:
            if COMPUTED in rules.get(name, {}):
                found[name] = rules[name][COMPUTED]
            elif _IDENTITY in rules.get(name, {}):
                found[name] = None
        elif "generatedColumns" in detail.features or field.dataType.simpleString() == "bigint":
            log.warning("the result lacks the column `%s`, which is left to the table %s", field.name, table.uri)
            found[name] = None
    return found


def with_values(frame: Any, schema: Any, filled: Mapping[str, str | None]) -> Any:
    """Return `frame` with the columns whose expressions are known: Delta needs them where a slice is replaced."""
    from pyspark.sql import functions

    for field in schema:
        if (expression := filled.get(field.name.lower())) is not None:
            frame = frame.withColumn(field.name, functions.expr(expression).cast(field.dataType))
    return frame


def with_comments(frame: Any, schema: Any) -> Any:
    """Return `frame` with the comments that its columns have in the schema of the table."""
    comments = {field.name.lower(): field.metadata.get("comment") for field in schema}
    for field in frame.schema:
        if (comment := comments.get(field.name.lower())) and "comment" not in field.metadata:
            frame = frame.withMetadata(field.name, {**field.metadata, "comment": comment})
    return frame


def _rules(table: SparkTable, detail: Detail) -> dict[str, dict[str, Any]] | None:
    """Return the metadata of columns by their names, from the newest definition in the log; None if it is not readable.

    That is in a commit, or in a checkpoint if all commits since have been cleaned up.
    """
    folder = f"{escaped(detail.location.rstrip('/'))}/_delta_log"
    try:
        lines = reader_of(table.spark, "*.json").text(folder)
        said = "get_json_object(value, '$.metaData.schemaString') AS text"
        commits = lines.where(lines["value"].contains('"metaData"')).selectExpr(said, "_metadata.file_name AS file")
        rows = commits.where("text IS NOT NULL").orderBy("file", ascending=False).head(1)
        if rows:
            text = rows[0]["text"]
        else:
            kept = reader_of(table.spark, "*.checkpoint*.parquet").parquet(folder).where("metaData IS NOT NULL")
            of = kept.selectExpr("metaData.schemaString AS text", "_metadata.file_name AS file")
            text = of.orderBy("file", ascending=False).head(1)[0]["text"]
        return _by_name(text)
    except Exception as error:  # noqa: BLE001 - no permission, no such file, another form
        log.info("the log of %s can't be read here: %s", table.uri, first_line(error))
        return None


def _by_name(schema: str) -> dict[str, dict[str, Any]]:
    return {field["name"].lower(): field.get("metadata") or {} for field in json.loads(schema)["fields"]}
