"""The checkpoint of a stream: where it lies, and who works with it.

Spark keeps in it what a stream has read. It belongs to one task, for all of its runs, and to one table.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers import spark_start
from dbxdec.io_managers.spark_session import is_connect
from dbxdec.model import places
from dbxdec.support.locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.io_managers.contexts import WriteId
    from dbxdec.io_managers.delta.spark.log import Detail, SparkTable

OPTION = "checkpointLocation"
"""The option of Spark's writer that names a checkpoint."""
# VACUUM and readers of the table leave folders alone that begin with an underscore.
_FOLDER = "_dbxdec/streams"


def place(table: SparkTable, detail: Detail, write: WriteId, said: str | None) -> str:
    """Return where the checkpoint of a stream lies: where its author `said`, or in the table's folder.

    Raises RunError for a table whose folder only the platform may write.
    """
    if said is not None:
        own = places.absolute(places.here(said.replace("{job}", write.job).replace("{task}", write.task)))
        apart = ".".join(filter(None, (write.output, write.item)))
        return f"{own.rstrip('/')}/{places.folder(apart)}" if apart else own
    name = ".".join(filter(None, (write.job, write.task, write.output, write.item)))
    if detail.is_guarded:
        raise RunError(
            f"the task `{write.task}` returned a stream, whose checkpoint can't lie beside {table.uri}: only the "
            "platform writes the folder of this table",
            hint="name a place for it, one for each task, as in "
            'write_options={"checkpointLocation": "/Volumes/main/etl/checkpoints/{job}/{task}"}',
        )
    return f"{(detail.location if table.named else table.uri).rstrip('/')}/{_FOLDER}/{places.folder(name)}"


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
