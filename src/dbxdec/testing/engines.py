"""Frames of one engine for a reader of the other one, in a test: through a Delta table, as in a real run."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers import PolarsDeltaIoManager, SparkDeltaIoManager
from dbxdec.io_managers.delta.crossing import POLARS, SPARK
from dbxdec.model.typehints import Annotation, type_name

if TYPE_CHECKING:
    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import InputContext


def in_engine_of(value: Any, context: InputContext) -> Any:
    """Return the frame `value` in the engine that the reader's annotation names; any other value as it is."""
    named = () if context.annotation is None else Annotation("", context.annotation).type_names
    kind = type_name(type(value))
    if not named or kind not in POLARS | SPARK:
        return value
    if kind in POLARS and SPARK.issuperset(named):
        from dbxdec.io_managers.spark_session import session

        # Spark reads the files whenever the frame is used.
        folder = tempfile.mkdtemp(prefix="dbxdec-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        value.lazy().collect().write_delta(folder)
        return session().read.format("delta").load(folder)
    if kind in SPARK and POLARS.issuperset(named):
        import polars as pl

        with tempfile.TemporaryDirectory(prefix="dbxdec-") as folder:
            value.write.format("delta").save(f"{folder}/table")
            found = pl.read_delta(f"{folder}/table")
        return found.lazy() if "polars.LazyFrame" in named else found
    return value


def engine_of(values: list[Any], own: IoManager) -> IoManager:
    """Return the manager that combines `values`: `own`, unless they are frames of the other engine."""
    kinds = {type_name(type(value)) for value in values}
    if own.reads is None or not (POLARS | SPARK).issuperset(own.reads):
        return own
    return SparkDeltaIoManager("unused") if SPARK.issuperset(kinds) else PolarsDeltaIoManager("unused")
