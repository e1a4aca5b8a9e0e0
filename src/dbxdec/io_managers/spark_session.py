"""The Spark session of IoManagers, its settings, and the meaning of its errors."""

from __future__ import annotations

import os
import re
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers import auto_loader, spark_start
from dbxdec.io_managers.base import log
from dbxdec.io_managers.spark_errors import condition as condition
from dbxdec.io_managers.spark_errors import first_line as first_line
from dbxdec.io_managers.spark_errors import text_of as text_of
from dbxdec.model import places
from dbxdec.support import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHECK = "dbxdec: "
"""The start of the message of an error that one of dbxdec's own checks raises in a query."""
INSTEAD = "; instead: "
"""The separator before the hint in such a message, if it has one."""
_WRAPPED = f"[USER_RAISED_EXCEPTION] {CHECK}"
"""The same in the cause of another error, as of a write."""
_RAISED = f"java.lang.RuntimeException: {CHECK}"
"""The same of Spark before 4.0, which has no name for it."""
_settings_lock = threading.RLock()


def session() -> Any:
    """Return the session of this thread, the session of the process, or a new one. Sessions of Spark Connect count too.

    Where there is no Auto Loader, its streams of files can be read nevertheless (see `auto_loader`).

    Where Databricks Connect is installed, outside of Databricks, a new session is one of the workspace. Otherwise it is
    of this machine, with Delta if delta-spark is installed, and its Python workers are of the running interpreter.
    Raises RunError, with the cause, if Spark is missing or does not start.
    """
    try:
        import pyspark.errors  # noqa: F401 - older ones than 3.4 do not have it
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise RunError(
            f"Spark is needed here, but can't be imported: {error}", hint="pip install 'dbxdec[spark]'"
        ) from error
    found = _found(SparkSession)
    auto_loader.provide(found)
    return found


def _found(kind: Any) -> Any:
    try:
        return kind.active()
    except Exception as error:  # noqa: BLE001 - a client of Spark Connect may fail to import what it needs
        log.debug("there is no active session: %s", first_line(error))
    if spark_start.has_databricks_connect():
        return spark_start.of_databricks_connect()
    return spark_start.of_pyspark(kind.builder)


def is_connect(spark: Any) -> bool:
    """Return whether a session, or the session of a frame, is one of Spark Connect, which has no JVM to talk to."""
    return ".connect." in f"{type(spark).__module__}."


def require_reach(spark: Any, place: str, *, is_here: bool) -> None:
    """Raise RunError if `place` is on this machine (`is_here`), or below the root of a local run, but Spark is not."""
    is_here = is_here or (places.is_local_run() and place.startswith(f"{environment.get(places.ROOT)}/"))
    elsewhere = is_connect(spark) and spark_start.has_databricks_connect() and "SPARK_REMOTE" not in os.environ
    if is_here and elsewhere:
        raise RunError(
            f"Databricks Connect runs Spark in the workspace, which can't reach {place} on this machine",
            hint="`dbxdec run --remote` keeps tables where the deployed job has them; without Databricks Connect "
            "Spark runs on this machine",
        )


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
        stack.callback(restore, spark, before)
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


def restore(spark: Any, before: Mapping[str, str | None]) -> None:
    """Give settings of the session the values that they had before; None for one that was not set."""
    for name, was in before.items():
        if was is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, was)


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


def said_by_check(error: BaseException) -> str | None:
    """Return the message of one of dbxdec's own checks in a query; None for another error."""
    name, text = condition(error), text_of(error)
    if CHECK not in text or not (name.startswith("USER_RAISED_EXCEPTION") or _WRAPPED in text or _RAISED in text):
        return None
    return text.partition(CHECK)[2].splitlines()[0].partition(" SQLSTATE")[0]


# A rule of a table, and the values that violate it.
_VIOLATED = re.compile(
    r"\[(?:DELTA_(?:VIOLATE_CONSTRAINT_WITH_VALUES|NOT_NULL_CONSTRAINT_VIOLATED|NEW_CHECK_CONSTRAINT_VIOLATION"
    r"|EXCEED_CHAR_VARCHAR_LIMIT)|EXCEED_LIMIT_LENGTH)\]"
    r"[^\n]*(?:\n - [^\n]*)*"
)


def explained(error: BaseException, uri: str, doing: str) -> RunError | None:
    """Return an error of Spark's in one sentence, or None if its cause is not known; `doing` is "read" or "write"."""
    name, text = condition(error), text_of(error)
    if "Traceback (most recent call last)" in text:
        return None  # a function of the task raised it, and may say anything
    if (said := said_by_check(error)) is not None:
        said, _, instead = said.partition(INSTEAD)
        return RunError(said, hint=instead or "replace them in the task: with null, or with a name such as 'none'")
    if (violated := _VIOLATED.search(text)) is not None:
        said = " ".join(violated[0].split())
        return RunError(
            f"rows of {'the result' if 'NEW_CHECK' not in said else 'the table'} violate a rule of {uri}: {said}",
            hint="filter or mend them in the task" if "NEW_CHECK" not in said else "mend the rows, or change the rule",
        )
    if name.startswith("DELTA_CANNOT_MODIFY_APPEND_ONLY"):
        return RunError(
            f"the table {uri} is append-only (`delta.appendOnly`), but this write changes or removes rows",
            hint='use mode="append", or a merge that only inserts; or unset the property',
        )
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
