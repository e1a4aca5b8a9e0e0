"""The checkpoint of a stream: where it lies, and who works with it.

Spark keeps in it what a stream has read. It belongs to one task, for all of its runs, and to one table. A note in it
says which table that is, and over Connect which stream has begun last: a server ends an older one in silence.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dbxdec.errors import RunError, listed
from dbxdec.io_managers import spark_start
from dbxdec.io_managers.base import log
from dbxdec.io_managers.spark_frames import escaped
from dbxdec.io_managers.spark_session import first_line, is_connect
from dbxdec.model import places
from dbxdec.records import dataclass
from dbxdec.support.locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.io_managers.contexts import WriteId
    from dbxdec.io_managers.delta.spark.log import Detail, SparkTable

OPTION = "checkpointLocation"
"""The option of Spark's writer that names a checkpoint."""
# VACUUM and readers of the table leave folders alone that begin with an underscore.
_FOLDER = "_dbxdec/streams"
_NOTE = "dbxdec"


@dataclass(frozen=True, slots=True)
class Note:
    """The note of a checkpoint about its last start: the id of the table, and the name of the stream."""

    table: str
    stream: str = ""

    @classmethod
    def of(cls, spark: Any, checkpoint: str) -> Note | None:
        """Return the note in a checkpoint; None without one, as in one of before there were notes."""
        if _is_absent(spark, f"{checkpoint}/{_NOTE}"):
            return None
        try:
            (row,) = spark.read.text(f"{escaped(checkpoint)}/{_NOTE}").collect()
            return cls(**json.loads(row["value"]))
        except Exception as error:  # noqa: BLE001 - nearly always the note is missing
            log.debug("there is no note in %s: %s", checkpoint, first_line(error))
            return None

    def leave(self, spark: Any, checkpoint: str) -> bool:
        """Write it into a checkpoint. Return False where this session may not: the stream itself may."""
        frame = spark.createDataFrame([(json.dumps(asdict(self)),)], "value string")
        try:
            frame.coalesce(1).write.mode("overwrite").text(f"{checkpoint}/{_NOTE}")
        except Exception as error:  # noqa: BLE001 - no permission; else the stream's own error tells why
            log.info("nothing can be noted in %s: %s", checkpoint, first_line(error))
            return False
        return True


def place(table: SparkTable, detail: Detail, write: WriteId, said: str | None) -> str:
    """Return where the checkpoint of a stream lies: where its author `said`, or in the table's folder.

    Raises RunError for a table whose folder only the platform may write.
    """
    if said is None and detail.is_guarded:
        raise RunError(
            f"the task `{write.task}` returned a stream, whose checkpoint can't lie beside {table.uri}: only the "
            "platform writes the folder of this table",
            hint="name a place for it, one for each task, as in "
            'write_options={"checkpointLocation": "/Volumes/main/etl/checkpoints/{job}/{task}"}',
        )
    return _place(detail.location if table.named else table.uri, write, said)


def _place(folder: str, write: WriteId, said: str | None) -> str:
    if said is None:
        name = ".".join(filter(None, (write.job, write.task, write.output, write.item)))
        return f"{folder.rstrip('/')}/{_FOLDER}/{places.folder(name)}"
    own = places.absolute(places.here(said.replace("{job}", write.job).replace("{task}", write.task)))
    apart = ".".join(filter(None, (write.output, write.item)))
    return f"{own.rstrip('/')}/{places.folder(apart)}" if apart else own


def refuse_used(table: SparkTable, write: WriteId, said: str | None) -> None:
    """Raise RunError if the checkpoint of a table that is to be made is there: it would lack all that was read before.

    A table of the catalog can't be made in a folder that has one.
    """
    if said is None and table.named:
        return
    checkpoint = _place(table.uri, write, said)
    if _is_absent(table.spark, f"{checkpoint}/metadata"):
        return
    try:
        used = bool(table.spark.read.text(f"{escaped(checkpoint)}/metadata").head(1))
    except Exception as error:  # noqa: BLE001 - nearly always it does not exist; else the stream's own error tells why
        log.debug("there is no checkpoint at %s: %s", checkpoint, first_line(error))
        return
    if used:
        raise RunError(
            f"there is no table {table.uri}, but the stream of the task `{write.task}` has read from its source "
            f"before: its checkpoint is {checkpoint}",
            hint="remove the checkpoint, so that the stream begins from the start, or restore the table",
        )


def refuse_other(table: SparkTable, checkpoint: str, task: str) -> Note:
    """Return the note for a checkpoint. Raises RunError if it is of another table, which has what was read before."""
    said, note = Note.of(table.spark, checkpoint), Note(table.id())
    if said is not None and said.table != note.table:
        raise RunError(
            f"{table.uri} is another table than the one that the stream of the task `{task}` has written, and lacks "
            f"what that one has read by its checkpoint, {checkpoint}",
            hint="remove the checkpoint, so that the stream begins from the start, or bring the earlier table back",
        )
    if said is None:
        note.leave(table.spark, checkpoint)
    return note


def refuse_renamed(spark: Any, checkpoint: str, write: WriteId) -> None:
    """Raise RunError if only other tasks have checkpoints beside the table: a renamed one would read all rows again."""
    folder, _, own = checkpoint.rpartition("/")
    if not folder.endswith(f"/{_FOLDER}"):
        return
    there = _names(spark, folder)
    if there and own not in there and not any(f"{name}.".startswith(f"{write.job}.{write.task}.") for name in there):
        raise RunError(
            f"the stream of the task `{write.task}` of the job `{write.job}` would begin from the start, but the table "
            f"has rows of another one: {folder} has the checkpoint {listed(sorted(there))}",
            hint=f"if the job or the task has another name now, rename that folder to {own}; if the streams differ, "
            "remove it, or say that several tasks write the table (`shared=True`)",
        )


def _is_absent(spark: Any, path: str) -> bool:
    """Return whether the driver sees that nothing is there. Spark's readers print a Java stack trace for that."""
    if is_connect(spark):
        return False
    try:
        place, system = _in_driver(spark, path)
        return not system.exists(place)
    except Exception as error:  # noqa: BLE001 - no permission: the reader may have it
        log.debug("%s can't be looked at: %s", path, first_line(error))
        return False


def _in_driver(spark: Any, path: str) -> tuple[Any, Any]:
    place = spark._jvm.org.apache.hadoop.fs.Path(path)
    return place, place.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf())


def _names(spark: Any, folder: str) -> set[str]:
    """Return the checkpoints in a folder."""
    try:
        if is_connect(spark):
            text = spark.read.text(f"{escaped(folder)}/*/metadata").selectExpr("_metadata.file_path AS file")
            return {unquote(row["file"].split("/")[-2]) for row in text.distinct().collect()}
        place, system = _in_driver(spark, folder)
        return {one.getPath().getName() for one in system.listStatus(place) if one.isDirectory()}
    except Exception as error:  # noqa: BLE001 - nearly always there is no such folder
        log.debug("%s can't be listed: %s", folder, first_line(error))
        return set()


def refused(checkpoint: str, task: str) -> RunError:
    """Return the error of a checkpoint that another run works with."""
    return RunError(
        f"another run works with the checkpoint of the stream of the task `{task}`, {checkpoint}",
        hint="nothing is lost: run it again once the other one has ended; a checkpoint has one writer at a time",
    )


@contextmanager
def held(spark: Any, checkpoint: str, task: str) -> Iterator[bool]:
    """Keep other processes of this machine from a checkpoint. Yields False if they can't be kept from it here.

    Raises RunError if one of them works with it. Spark itself notices only that two of them have written one batch.
    """
    elsewhere = places.is_databricks() or (is_connect(spark) and spark_start.has_databricks_connect())
    file = None
    if not elsewhere and not places.is_remote(checkpoint):
        with suppress(OSError):  # nothing can be locked here
            lock = Path(f"{places.path_of(checkpoint).rstrip('/')}.lock")
            lock.parent.mkdir(parents=True, exist_ok=True)
            file = lock.open("a")
    if file is None:
        yield False
        return
    with file:
        if not try_lock(file.fileno()):
            raise refused(checkpoint, task)
        yield True
