"""Auto Loader on this machine: `spark.readStream.format("cloudFiles")` reads a stream of files that any Spark has.

Only Databricks has Auto Loader. Elsewhere a session's `readStream` is a reader that knows the name, so that a task need
not be written in two ways. Options that both know go to the stream of files, and a schema is inferred as Auto Loader
infers it; all others are left out.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError, listed
from dbxdec.io_managers import spark_start
from dbxdec.io_managers.base import log
from dbxdec.io_managers.spark_errors import first_line
from dbxdec.model import places

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME, _PREFIX = "cloudfiles", "cloudfiles."
# docs.databricks.com, "Auto Loader options"
_FORMAT, _HINTS, _TYPES, _EVOLUTION = (
    f"{_PREFIX}{name}" for name in ("format", "schemahints", "infercolumntypes", "schemaevolutionmode")
)
_KNOWN = {f"{_PREFIX}{name.lower()}": name for name in ("maxFilesPerTrigger", "maxBytesPerTrigger", "maxFileAge")}
_RESCUED, _RESCUED_COLUMN = "rescueddatacolumn", "_rescued_data"
_told: set[str] = set()


def provide(spark: Any) -> None:
    """Let the sessions of this kind read `cloudFiles`, unless they have Auto Loader itself."""
    kind = type(spark)
    genuine = getattr(kind, "readStream", None)
    if _has_it(spark) or not isinstance(genuine, property) or hasattr(genuine.fget, "of_dbxdec"):
        return

    def reader(self: Any) -> Any:
        found = genuine.__get__(self)
        found.__class__ = _reader_of(type(found))
        found.dbxdec_files = _Files(self)
        return found

    reader.of_dbxdec = True  # type: ignore[attr-defined]
    kind.readStream = property(reader, doc=genuine.__doc__)


def _has_it(spark: Any) -> bool:
    """Return whether Spark runs on Databricks."""
    if places.is_databricks():
        return True
    remote = os.environ.get("SPARK_REMOTE", "")
    if ".connect." not in f"{type(spark).__module__}.":
        return False
    return "databricks" in remote or (not remote and spark_start.has_databricks_connect())


_readers: dict[type, type] = {}


def _reader_of(base: type) -> type:
    if base not in _readers:
        _readers[base] = type(base.__name__, (_Reading, base), {"__module__": base.__module__})
    return _readers[base]


class _Reading:
    """The methods of a reader of streams that differ for `cloudFiles`."""

    dbxdec_files: _Files

    def format(self, source: str) -> Any:
        self.dbxdec_files.wanted = source.lower() == _NAME
        return self if self.dbxdec_files.wanted else super().format(source)  # type: ignore[misc]

    def schema(self, schema: Any) -> Any:
        self.dbxdec_files.has_schema = True
        return super().schema(schema)  # type: ignore[misc]

    def option(self, key: str, value: Any) -> Any:
        self.dbxdec_files.options[key] = value
        return self if key.lower().startswith(_PREFIX) else super().option(key, value)  # type: ignore[misc]

    def options(self, **options: Any) -> Any:
        for key, value in options.items():
            self.option(key, value)
        return self

    def load(self, path: str | None = None, format: str | None = None, schema: Any = None, **options: Any) -> Any:  # noqa: A002 - PySpark's name
        if format is not None:
            self.format(format)
        if schema is not None:
            self.schema(schema)
        self.options(**options)
        given = [path] if path is not None else []
        if not self.dbxdec_files.wanted:
            return super().load(*given)  # type: ignore[misc]
        files = self.dbxdec_files
        super().format(files.kind)  # type: ignore[misc]
        for name, value in files.translated().items():
            super().option(name, value)  # type: ignore[misc]
        if not files.has_schema:
            super().schema(files.inferred(given))  # type: ignore[misc]
        files.tell()
        return files.with_rescued(super().load(*given))  # type: ignore[misc]


class _Files:
    """The options that a reader was given, and what a stream of files makes of them."""

    def __init__(self, spark: Any) -> None:
        self.spark = spark
        self.wanted = self.has_schema = False
        self.options: dict[str, Any] = {}

    def said(self, name: str) -> str:
        """Return the value of an option as a string; "" without it. Spark ignores the case of names."""
        return next((str(value) for key, value in self.options.items() if key.lower() == name), "")

    @property
    def kind(self) -> str:
        if not (kind := self.said(_FORMAT)):
            raise RunError(
                "Auto Loader (`cloudFiles`) needs the format of the files",
                hint='add .option("cloudFiles.format", "json"), or "csv", "parquet", ...',
            )
        return kind

    def translated(self) -> Mapping[str, str]:
        """Return the options that both know, by the name that a stream of files has for them."""
        return {name: said for own, name in _KNOWN.items() if (said := self.said(own))}

    def inferred(self, paths: list[str]) -> Any:
        """Return the schema of the files that are there: without `inferColumnTypes`, JSON and CSV have strings."""
        from pyspark.sql.types import StructField, StructType

        typed = self.said(_TYPES).lower() == "true"
        reader = self.spark.read.format(self.kind).option("primitivesAsString", str(not typed).lower())
        reader = reader.option("inferSchema", str(typed).lower())
        for name, value in self.options.items():
            if not name.lower().startswith(_PREFIX):
                reader = reader.option(name, value)
        try:
            found = reader.load(*paths).schema
        except Exception as error:
            raise RunError(
                f"the schema of the files for Auto Loader in {self.said('path') or listed(paths)} can't be inferred: "
                f"{first_line(error)}",
                hint="put a file there, or say the schema: .schema(...)",
            ) from error
        hinted = self._hinted()
        fields = [hinted.pop(field.name.lower(), field) for field in found]
        return StructType([*(StructField(one.name, one.dataType, True) for one in [*fields, *hinted.values()])])

    def _hinted(self) -> dict[str, Any]:
        """Return the columns that `schemaHints` names."""
        if not (text := self.said(_HINTS)):
            return {}
        try:
            return {field.name.lower(): field for field in self.spark.createDataFrame([], text).schema}
        except Exception as error:  # noqa: BLE001 - fields of structs, which only Auto Loader reads
            log.warning("`cloudFiles.schemaHints` are left out on this machine: %s", first_line(error))
            return {}

    def with_rescued(self, frame: Any) -> Any:
        """Return `frame` with the column of rescued data, as Auto Loader adds it where it infers the schema."""
        from pyspark.sql import functions

        adds = not self.has_schema and self.said(_EVOLUTION).lower() != "none"
        name = self.said(_RESCUED) or (_RESCUED_COLUMN if adds else "")
        return frame.withColumn(name, functions.lit(None).cast("string")) if name else frame

    def tell(self) -> None:
        """Say once in a process that this is not Auto Loader, and each time which further options are left out."""
        used = {_FORMAT, _HINTS, _TYPES, _EVOLUTION, *_KNOWN}
        left = sorted(key for key in self.options if key.lower().startswith(_PREFIX) and key.lower() not in used)
        if _told and _told.issuperset(left):
            return
        _told.update(left or [_NAME])
        log.info(
            "only Databricks has Auto Loader (`cloudFiles`): on this machine the files are read as a plain stream%s",
            f"; left out: {', '.join(left)}" if left else "",
        )
