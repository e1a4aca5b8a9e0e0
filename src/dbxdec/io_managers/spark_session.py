"""The Spark session of IoManagers, its settings, and the meaning of its errors."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers.base import log
from dbxdec.model import places

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOST = "dbxdec: "
"""The start of the message of an error that one of dbxdec's own checks raises in a query."""
_DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
_settings_lock = threading.RLock()
_DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"


def session() -> Any:
    """Return the session of this thread, the session of the process, or a new one. Sessions of Spark Connect count too.

    A new session outside Databricks gets Delta if delta-spark is installed, and its Python workers are of the running
    interpreter. Raises RunError if Spark is missing or does not start.
    """
    try:
        from pyspark.errors import PySparkException, PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise RunError(
            f"Spark is needed here, but can't be imported: {error}", hint="pip install 'dbxdec[spark]'"
        ) from error
    try:
        return SparkSession.active()
    except (PySparkRuntimeError, RuntimeError):
        builder = SparkSession.builder
    remote = "SPARK_REMOTE" in os.environ or "SPARK_CONNECT_MODE_ENABLED" in os.environ
    if not places.is_databricks():
        # Spark takes the `python3` on PATH, and refuses one of another version.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if not places.is_databricks() and not remote and find_spec("delta") is not None and find_spec("importlib_metadata"):
        from delta import configure_spark_with_delta_pip

        builder = configure_spark_with_delta_pip(
            builder.config("spark.sql.extensions", _DELTA_EXTENSION).config(
                "spark.sql.catalog.spark_catalog", _DELTA_CATALOG
            )
        )
    try:
        return builder.getOrCreate()
    except (PySparkException, RuntimeError) as error:
        raise RunError(
            f"Spark does not start: {first_line(error)}",
            hint="Spark needs Java 17 or newer (JAVA_HOME), and the jars of Delta, from Maven or `spark.jars`",
        ) from error


def is_connect(spark: Any) -> bool:
    """Return whether a session, or the session of a frame, is one of Spark Connect, which has no JVM to talk to."""
    return ".connect." in f"{type(spark).__module__}."


def is_frame(value: Any) -> bool:
    """Return whether `value` is a Spark DataFrame, classic or Connect. The name decides: neither may be importable."""
    return _is_a(value, "DataFrame", "pyspark.sql.")


def is_merge(value: Any) -> bool:
    """Return whether `value` is a DeltaMergeBuilder, classic or Connect."""
    return _is_a(value, "DeltaMergeBuilder", "delta.")


def _is_a(value: Any, name: str, package: str) -> bool:
    return any(kind.__name__ == name and kind.__module__.startswith(package) for kind in type(value).__mro__)


@contextmanager
def settings(spark: Any, values: Mapping[str, str]) -> Iterator[bool]:
    """Set `values` in the session for the duration of the block; yields False if the session doesn't accept them.

    All threads share a session's settings, so only one block at a time has them.
    """
    before: dict[str, str | None] = {}
    taken = True
    with ExitStack() as stack:
        stack.enter_context(_settings_lock)
        stack.callback(_restore, spark, before)
        for name, value in values.items():
            try:
                was = spark.conf.get(name, None)
                spark.conf.set(name, value)
            except Exception as error:  # noqa: BLE001 - classic and Connect sessions raise different errors
                # Serverless compute rejects names that it doesn't know, also when they are only read.
                log.info("the session does not accept %s: %s", name, first_line(error))
                taken = False
                break
            before[name] = was
        yield taken


def _restore(spark: Any, before: Mapping[str, str | None]) -> None:
    for name, was in before.items():
        if was is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, was)


def condition(error: BaseException) -> str:
    """Return Spark's name for an error ("DELTA_PATH_EXISTS"), taken from the message if need be; "" if it has none."""
    # Spark 4 deprecates the older of the two names.
    ask = getattr(error, "getCondition", None) or getattr(error, "getErrorClass", None)
    if ask is not None and (found := ask()):
        return str(found)
    text = text_of(error)
    start = text.find("[")
    name = text[start + 1 : text.find("]", start)] if start >= 0 else ""
    return name if name.replace("_", "").replace(".", "").isupper() else ""


def text_of(error: BaseException) -> str:
    """Return the whole message of an error. PySpark fails to format some of Delta's, but still has the string."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error of Java
        return str(getattr(error, "_desc", None) or getattr(error, "desc", None) or type(error).__name__)


def first_line(error: BaseException) -> str:
    """Return the message of a Spark error without the Java stack trace."""
    lines = [line.strip() for line in text_of(error).strip().splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("An error occurred while calling"):
        return lines[1].lstrip(": ")
    return lines[0] if lines else type(error).__name__


_MISSING = (
    "DELTA_MISSING_DELTA_TABLE",
    "DELTA_MISSING_TRANSACTION_LOG",
    "DELTA_PATH_DOES_NOT_EXIST",
    "DELTA_TABLE_NOT_FOUND",
    "DELTA_TABLE_ONLY_OPERATION",
    "PATH_NOT_FOUND",
    "SCHEMA_NOT_FOUND",
    "TABLE_OR_VIEW_NOT_FOUND",
)
_CONFLICT = (
    "DELTA_CONCURRENT_",
    "DELTA_METADATA_CHANGED",
    "DELTA_PROTOCOL_CHANGED",
    "TABLE_OR_VIEW_ALREADY_EXISTS",
    "DELTA_TABLE_ALREADY_EXISTS",
    "DELTA_PATH_EXISTS",
)
_GONE = ("DELTA_VERSION_NOT_FOUND", "DELTA_CANNOT_RECONSTRUCT_STATE", "DELTA_STATE_RECOVER_ERROR", "DELTA_TRUNCATED_")
_UNREACHABLE = ("UnknownHostException", "ConnectException", "No FileSystem for scheme", "FileSystem not found")
_NO_SCHEMA = ("SCHEMA_NOT_FOUND", "CATALOG_NOT_FOUND", "REQUIRES_SINGLE_PART_NAMESPACE")
_DENIED = ("INSUFFICIENT_PERMISSIONS", "INSUFFICIENT_PRIVILEGES", "PERMISSION_DENIED", "ACCESS_DENIED")


def is_missing(error: BaseException) -> bool:
    """Return whether an error says that the table does not exist."""
    return condition(error).startswith(_MISSING)


def is_conflict(error: BaseException) -> bool:
    """Return whether an error says that another writer was faster."""
    name = type(error).__name__
    return condition(error).startswith(_CONFLICT) or name.startswith("Concurrent") or name.endswith("ChangedException")


def is_gone(error: BaseException) -> bool:
    """Return whether an error says that a version of a table is no longer available."""
    return condition(error).startswith(_GONE)


def fail(error: Exception, uri: str, doing: str) -> NoReturn:
    """Raise `error` again, in one sentence if its cause is known."""
    if not isinstance(error, DbxdecError) and (told := explained(error, uri, doing)) is not None:
        raise told from error
    raise error


def explained(error: BaseException, uri: str, doing: str) -> RunError | None:
    """Return an error of Spark's in one sentence, or None if its cause is not known; `doing` is "read" or "write"."""
    name, text = condition(error), text_of(error)
    if "Traceback (most recent call last)" in text:
        return None  # a function of the task raised it, and may say anything
    if name.startswith("USER_RAISED_EXCEPTION") and LOST in text:
        said = text.partition(LOST)[2].splitlines()[0].partition(" SQLSTATE")[0]
        return RunError(said, hint="replace them in the task: with null, or with a name such as 'none'")
    if name.startswith("DELTA_INVALID_PARTITION_COLUMN_NAME"):
        return RunError(
            f"{uri} can't be partitioned by a column of this name: {first_line(error)}",
            hint="rename it in the task",
        )
    if name.startswith("DATA_SOURCE_NOT_FOUND") or "ClassNotFoundException: delta" in text:
        return RunError(
            f"the Spark session can't {doing} Delta tables such as {uri}",
            hint="start it with the Delta jars and spark.sql.extensions, or let dbxdec start it with delta-spark",
        )
    if name.startswith("CONNECT_INVALID_PLAN.NO_HANDLER_FOR_EXTENSION"):
        return RunError(
            f"this compute can't execute a DeltaMergeBuilder on {uri}: its Spark Connect has no plugin for Delta",
            hint="return a DeltaMerge, which is plain SQL there",
        )
    if name.startswith(("DELTA_UNSUPPORTED_FEATURES", "DELTA_INVALID_PROTOCOL_VERSION")):
        return RunError(
            f"this Spark can't {doing} the table {uri}: {first_line(error)}",
            hint="run the task with a version of Delta that has these table features, or drop them from the table",
        )
    if name.startswith("DELTA_INVALID_CHARACTERS_IN_COLUMN_NAME"):
        names = text.partition("Invalid column names: ")[2].partition("\n")[0].strip(" .")
        return RunError(
            f"{uri} can't have the columns {names}: Delta allows such names only with column mapping",
            hint="rename them, or create the table with write_options={'delta.columnMapping.mode': 'name'}",
        )
    if name.startswith(_DENIED) or "AccessControlException" in text or "AccessDenied" in text or "403" in name:
        return RunError(
            f"no permission to {doing} {uri}: {first_line(error)}",
            hint="grant it to the identity that the job runs as",
        )
    if name.startswith(_NO_SCHEMA) or "find a catalog to handle" in text:
        return RunError(
            f"the catalog or schema of {uri} doesn't exist: {first_line(error)}",
            hint="check the name, or create the schema",
        )
    if any(sign in text for sign in _UNREACHABLE):
        return RunError(
            f"the storage of {uri} can't be reached: {first_line(error)}",
            hint="check the path, the network, and that Spark has the jars for this kind of storage",
        )
    if name.startswith("DELTA_CANNOT_CREATE_LOG_PATH"):
        return RunError(
            f"can't create a table at {uri}: {first_line(error)}", hint="check the path and its permissions"
        )
    return None
