"""Rules of tables in memory: constraints, columns that must not be null, and those that a table fills itself."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta.manager import DeltaIoManager
from dbxdec.model.typehints import type_name

if TYPE_CHECKING:
    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import OutputContext
    from dbxdec.io_managers.delta.definition import Definition


def applied(added: Any, own: IoManager, context: OutputContext) -> Any:
    """Return a result with the columns that its table fills. Raises RunError for rows that the table refuses.

    A frame of Polars goes through a table in a temporary folder. One of Spark stays lazy, so its rows are not checked.
    """
    definition = own.definition() if isinstance(own, DeltaIoManager) else None
    if definition is None or not definition.has_rules:
        return added
    kind = type_name(type(added))
    if kind == "polars.DataFrame":
        return _through_a_table(added, own, context)
    return _filled(added, definition) if kind.startswith("pyspark.") else added


def store(frame: Any, own: IoManager, context: OutputContext, place: str) -> None:
    """Store a frame of Polars in a new table that has the rules of `own`, as another write than that of `context`."""
    writer: Any = copy.copy(own)
    writer.mode, writer.schema, writer.replace, writer.partition_by = "append", "strict", None, None
    writer.storage_options = None
    write = replace(context.receipt.id, run="what was there")
    writer.write(replace(context, uri=place, receipt=replace(context.receipt, id=write)), frame)


def _through_a_table(added: Any, own: IoManager, context: OutputContext) -> Any:
    import polars as pl

    with tempfile.TemporaryDirectory(prefix="dbxdec-") as folder:
        place = f"{folder}/table"
        try:
            store(added, own, context, place)
        except RunError as error:
            told = [replace(one, message=one.message.replace(place, context.uri)) for one in error.problems]
            raise RunError(told) from None
        return pl.read_delta(place)


def _filled(added: Any, definition: Definition) -> Any:
    from pyspark.sql import functions

    given = {name.lower() for name in added.columns}
    for name, rules in definition.columns.items():
        if name.lower() in given:
            continue
        if rules.identity:
            added = added.withColumn(name, functions.monotonically_increasing_id() + 1)
        elif (expression := rules.generated or rules.sql_default) is not None:
            added = added.withColumn(name, functions.expr(expression))
    return added
