"""The files of a table's log, read by the driver itself: without a job, and in milliseconds.

Only a classic session shares its process with the driver. Over Connect, and where the files can't be read by their
paths, as those of a managed table of Unity Catalog, the history tells (`log.History`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta.receipts import Commit, made_at, stamps
from dbxdec.io_managers.spark_session import first_line, is_connect
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_MOST = 10
"""The number of commits that are read one by one. Beyond that one job for all of them is quicker."""
_LINES = 20


@dataclass(frozen=True, slots=True)
class LogFiles:
    """The log of a table: its folder, and the newest version that Spark has seen there."""

    spark: Any
    folder: str
    newest: int

    def commits(self) -> Iterator[Commit]:
        """Yield the newest commits, newest first, as long as their files tell them.

        It ends before a RESTORE: which commits that has undone may depend on the times that the storage gives them,
        and the history has these.
        """
        for version in range(self.newest, max(self.newest - _MOST, -1), -1):
            found = self._commit(version)
            if found is None or found.operation == "RESTORE":
                return
            yield found

    def stamps(self, versions: Collection[int]) -> dict[int, int]:
        """Return when these commits were made, without those of which their files don't say it."""
        return stamps(map(self._commit, versions))

    def _commit(self, version: int) -> Commit | None:
        """Return one commit; None if it can't be read, or if what it says of itself is not at its beginning."""
        try:
            with _Reader(self.spark, commit_path(self.folder, version)) as lines:
                infos = [json.loads(line)["commitInfo"] for line in lines.first(_LINES) if '"commitInfo"' in line[:20]]
        except Exception as error:  # noqa: BLE001 - no permission, cleaned up, a commit that is elsewhere yet
            log.debug("version %d of %s can't be read by its path: %s", version, self.folder, first_line(error))
            return None
        return _commit_of(version, infos[0]) if infos else None


def of_frame(frame: Any, spark: Any) -> LogFiles | None:
    """Return the log of the table that `frame` reads, as it was when the frame was made; None if Spark can't tell."""
    if is_connect(spark):
        return None
    try:
        index = _index_of(frame)
        return LogFiles(spark, index.deltaLog().logPath().toString(), int(index.getSnapshot().version()))
    except Exception as error:  # noqa: BLE001 - a view, or a platform whose Delta has other classes
        log.debug("Spark does not tell the log of a table: %s", first_line(error))
        return None


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a table at one version (Delta protocol, "Change Metadata"); its schema is in JSON."""

    id: str
    version: int
    configuration: Mapping[str, str]
    schema: str
    partitions: tuple[str, ...]


def definition_of(frame: Any, spark: Any, properties: Iterable[str] = ()) -> Definition | None:
    """Return the definition of the table that `frame` reads, with these of its properties; None if Spark can't tell."""
    if is_connect(spark):
        return None
    try:
        snapshot = _index_of(frame).getSnapshot()
        found = snapshot.metadata()
        options = {name: found.configuration().get(name) for name in properties}
        given = {name: str(option.get()) for name, option in options.items() if option.isDefined()}
        names = found.partitionColumns()
        partitions = tuple(str(names.apply(number)) for number in range(names.size()))
        return Definition(str(found.id()), int(snapshot.version()), given, str(found.schemaString()), partitions)
    except Exception as error:  # noqa: BLE001 - a view, or a platform whose Delta has other classes
        log.debug("Spark does not tell the definition of a table: %s", first_line(error))
        return None


def _index_of(frame: Any) -> Any:
    """Return Delta's list of the files that `frame` reads."""
    plan = frame._jdf.queryExecution().analyzed()
    while plan.getClass().getSimpleName() == "SubqueryAlias":  # the name of a table
        plan = plan.child()
    return plan.relation().location()


def actions(spark: Any, folder: str, version: int) -> list[str] | None:
    """Return the lines of a commit, a JSON document each; None if this process can't read its file."""
    if is_connect(spark):
        return None
    try:
        with _Reader(spark, commit_path(folder, version)) as lines:
            return lines.all()
    except Exception as error:  # noqa: BLE001 - no permission, cleaned up, a commit that is elsewhere yet
        log.debug("version %d of %s can't be read by its path: %s", version, folder, first_line(error))
        return None


def commit_path(folder: str, version: int) -> str:
    """Return the path of a commit (Delta protocol, "Delta Log Entries")."""
    return f"{folder.rstrip('/')}/{version:020}.json"


class _Reader:
    """A file of lines, open in the driver with the session's access to its storage."""

    def __init__(self, spark: Any, path: str) -> None:
        jvm = spark._jvm
        place = jvm.org.apache.hadoop.fs.Path(path)
        stream = place.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf()).open(place)
        self._lines = jvm.java.io.BufferedReader(jvm.java.io.InputStreamReader(stream, "UTF-8"))
        self._joined = jvm.java.util.stream.Collectors.joining("\n")

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def first(self, count: int) -> list[str]:
        """Return the first lines, up to the one that describes the commit."""
        found: list[str] = []
        while len(found) < count and (line := self._lines.readLine()) is not None:
            found.append(line)
            if '"commitInfo"' in line[:20]:
                break
        return found

    def all(self) -> list[str]:
        """Return all lines, by one call into the driver."""
        return str(self._lines.lines().collect(self._joined)).split("\n")


def _commit_of(version: int, info: Mapping[str, Any]) -> Commit:
    parameters = {name: _told(value) for name, value in (info.get("operationParameters") or {}).items()}
    return Commit(
        version,
        made_at(info),
        str(info.get("operation", "")),
        {name: value for name, value in parameters.items() if value is not None},
        info.get("userMetadata"),
        {name: number(value) for name, value in (info.get("operationMetrics") or {}).items()},
    )


def _told(value: Any) -> str | None:
    """Return a parameter as the history shows it."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def number(text: Any) -> Any:
    """Return a metric as an int, if it is one."""
    try:
        return int(text)
    except (TypeError, ValueError):
        return text
