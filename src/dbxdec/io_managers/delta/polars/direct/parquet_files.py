"""Parquet files of a Delta table, written by Polars itself in one streaming pass, for delta-rs to commit.

Polars writes faster than delta-rs and holds fewer rows, and it reports the partitions that it met.
"""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers import columns
from dbxdec.io_managers.delta import folder_names
from dbxdec.io_managers.delta.polars import checks, storage, table_log
from dbxdec.io_managers.delta.polars.direct import footer, statistics
from dbxdec.io_managers.delta.strings import value_text
from dbxdec.io_managers.polars_frames import with_keys
from dbxdec.records import dataclass
from dbxdec.support.boundary import hint_of_full

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction
    from polars.io.partition import FileProviderArgs, SinkedPathsCallbackArgs

# Bytes in memory, of which a file has about a third: files of some 100 MB, as delta-rs writes them.
_BYTES_PER_FILE = 256 * 1024 * 1024
# Parallel requests to a storage.
_AT_ONCE = 16
_USUAL_END = 64 * 1024
_LONG_NAME = "File name too long"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of the table that is not yet in its log.

    It has its path below the table's folder, its number of rows, its size in bytes, the values of its partition, and
    its statistics in the form of the log.
    """

    path: str
    rows: int
    size: int
    partition: tuple[Any, ...]
    stats: str
    is_apart: bool = False
    """True if its rows do not go into the table."""

    def added(self, partitions: Sequence[str]) -> AddAction:
        """Return the action that adds the file (Delta protocol, "Add File and Remove File")."""
        from deltalake.transaction import AddAction

        values = {name: value_text(value) for name, value in zip(partitions, self.partition, strict=True)}
        return AddAction(self.path, self.size, values, int(time.time() * 1000), True, self.stats)


class Folder:
    """The folder of a Delta table on any storage, for files that are not in the log.

    `uri` is the folder for delta-rs, and `root` the folder for Polars, which encodes nothing.
    """

    def __init__(self, table: DeltaTable | str, storage_options: Mapping[str, str] | None) -> None:
        self.uri = table if isinstance(table, str) else table.table_uri
        self.root = table_log.root_of(table).rstrip("/")
        self.options = dict(storage_options) if storage_options is not None else None
        self._local = Path(self.root) if "://" not in self.root else None

    def prepare(self) -> None:
        """Make the folder if it is on this machine. Raises RunError if nothing can be written."""
        if self._local is None:
            return
        try:
            self._local.mkdir(parents=True, exist_ok=True)
            if not os.access(self._local, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self._local))
        except OSError as error:
            raise self.refused(error) from error

    def refused(self, error: Exception) -> RunError:
        """Return the error of a storage that refuses to write."""
        return storage.refusal(self.root, error, "write") or RunError(
            f"the storage of {self.root} refused to write: {storage.said(error)}",
            hint="check the path and `storage_options`",
        )

    def metadata(self, sizes: Mapping[str, int]) -> list[bytes]:
        """Return the metadata of Parquet files; `sizes` has their sizes in bytes by their names."""
        if self._local is not None:
            return [self._local_metadata(name, size) for name, size in sizes.items()]
        handler = self._handler(dict(sizes))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda name: _metadata(handler.open_input_file(name), sizes[name]), sizes))

    def _local_metadata(self, name: str, size: int) -> bytes:
        assert self._local is not None  # noqa: S101 - the caller checked
        with (self._local / name).open("rb") as file:
            return _metadata(file, size)

    def remove(self, name: str) -> None:
        """Remove a file that may exist."""
        with suppress(Exception):  # a vacuum removes a file that stays behind
            if self._local is not None:
                (self._local / name).unlink(missing_ok=True)
            else:
                self._handler().delete_file(name)

    def _handler(self, sizes: dict[str, int] | None = None) -> Any:
        from deltalake._internal import DeltaFileSystemHandler

        return DeltaFileSystemHandler(self.uri, self.options, sizes)


def _metadata(file: Any, size: int) -> bytes:
    """Return the metadata at the end of a file, usually in one read, since each read is a request to a storage."""
    held = min(size, _USUAL_END)
    file.seek(size - held)
    end = bytes(file.read(held))
    tail = footer.TAIL
    length = footer.length(end[-tail:])
    if length + tail > held:
        file.seek(size - tail - length)
        return bytes(file.read(length))
    return end[-tail - length : -tail]


def remove(folder: Folder, files: Sequence[DataFile]) -> None:
    """Remove files that no commit names."""
    for file in files:
        folder.remove(file.path)


def _remove_all(folder: Folder, names: Mapping[str, tuple[str, tuple[Any, ...], bool]]) -> None:
    for path, _, _ in [*names.values()]:
        folder.remove(path)


def write(frame: pl.LazyFrame, folder: Folder, partitions: Sequence[str], apart: str | None = None) -> list[DataFile]:
    """Run `frame` once, and store its rows in files below `folder` that nothing refers to yet.

    `apart` is a column of `frame` that is no part of the rows: those for which it holds get files of their own.

    Raises RunError if the folder's storage refuses, and for partitions of strings that mean null. Errors of the query
    pass as they are. Files stay behind only if their footers can't be read, or if a thread of Polars makes them after
    the query's end with an error.
    """
    import polars as pl

    schema = frame.collect_schema()
    stored = {name: kind for name, kind in schema.items() if name not in partitions and name != apart}
    names: dict[str, tuple[str, tuple[Any, ...], bool]] = {}
    lost: list[RunError] = []
    ended = threading.Event()
    numbers = itertools.count()  # Polars asks from several threads
    write_id = uuid.uuid4()

    def place(of: FileProviderArgs) -> str:
        if ended.is_set():  # threads of a query that has failed may still ask
            raise RuntimeError("the query has failed")
        values = of.partition_keys.row(0) if partitions or apart else ()
        is_apart = bool(values[-1]) if apart else False
        values = values[:-1] if apart else values
        text = next((value for value in values if value in columns.LOST), None)
        if text is not None:
            # The values are known here; a check of all rows would take as long as the writing. The error has to wait
            # for the query's end, since other threads would go on, and leave their files.
            lost.append(checks.lost_texts([partitions[values.index(text)]], text))
        name = folder_names.file_name(next(numbers), write_id, keyed=keyed)
        path = folder_names.folder(dict(zip(partitions, values, strict=True))) + name
        names[name] = (path, values, is_apart)
        return path

    found: list[DataFile] = []

    def note(written: SinkedPathsCallbackArgs) -> None:
        for file in written.paths:
            path, values, is_apart = names[str(file.path).rsplit("/", 1)[-1]]
            if not file.num_rows:
                folder.remove(path)
                continue
            found.append(DataFile(path, file.num_rows, file.num_bytes, values, "", is_apart))

    # If folders can't express the partitions, readers that go by folders find them in the files.
    keyed = not all(map(folder_names.can_name, partitions))
    parted, keys = with_keys(frame, partitions) if keyed else (frame, list(partitions))
    target = pl.PartitionBy(
        folder.root,
        file_path_provider=place,
        key=[*keys, *([apart] if apart else [])] or None,
        include_key=False if partitions or apart else None,
        approximate_bytes_per_file=_BYTES_PER_FILE,
    )
    try:
        parted.sink_parquet(
            target, compression="snappy", mkdir=True, storage_options=folder.options, sinked_paths_callback=note
        )
    except BaseException as error:
        ended.set()
        _remove_all(folder, names)
        if lost:
            raise lost[0] from None
        # Some messages of a storage do not contain the file's name.
        text = str(error)
        ours = str(write_id) in text or _LONG_NAME in text or hint_of_full(text) is not None
        if ours and isinstance(error, OSError | pl.exceptions.PolarsError):
            raise folder.refused(error) from error
        raise
    if lost:
        _remove_all(folder, names)
        raise lost[0]
    try:
        metadata = folder.metadata({file.path: file.size for file in found})
    except OSError as error:
        raise folder.refused(error) from error
    return [
        replace(file, stats=statistics.of_file(file.rows, said, stored))
        for file, said in zip(found, metadata, strict=True)
    ]
