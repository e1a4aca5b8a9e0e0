"""Small files next to the data that Spark writes, on any storage that the session reaches."""

from __future__ import annotations

import uuid
from dataclasses import field
from typing import Any

from dbxdec.errors import RunError
from dbxdec.io_managers.files.stores import LocalStore, Store, is_hidden, is_local
from dbxdec.io_managers.spark_session import fail, is_connect
from dbxdec.records import dataclass


def at(spark: Any, uri: str) -> Store:
    """Return the folder `uri` as this session reaches it.

    Spark Connect can only reach data files, so it needs a path that this process sees, such as one below /Volumes.
    Raises RunError for others.
    """
    uri = uri.rstrip("/")
    if not is_connect(spark):
        return HadoopStore(uri, spark)
    if is_local(uri):
        return LocalStore(uri)
    raise RunError(
        f"a session of Spark Connect can't replace files at {uri} atomically",
        hint="store the result as a Delta table, or below /Volumes, or run the task on classic compute",
    )


@dataclass(frozen=True)
class HadoopStore:
    """The folder `uri` of any storage that the session's Hadoop knows."""

    uri: str
    spark: Any = field(repr=False)

    @property
    def _fs(self) -> Any:
        return self.spark._jvm.org.apache.hadoop.fs

    @property
    def _conf(self) -> Any:
        return self.spark._jsc.hadoopConfiguration()

    def _at(self, name: str) -> tuple[Any, Any]:
        """Return the path of `name` and its file system."""
        path = self._fs.Path(f"{self.uri}/{name}" if name else self.uri)
        return path, path.getFileSystem(self._conf)

    def read(self, name: str) -> str | None:
        try:
            path, system = self._at(name)
            if not system.exists(path):
                return None
            stream = system.open(path)
            try:
                return bytes(stream.readAllBytes()).decode()
            finally:
                stream.close()
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(error, self.uri, "read")

    def replace(self, name: str, text: str) -> None:
        try:
            path, system = self._at(name)
            beside = self._fs.Path(path.getParent(), f"_{uuid.uuid4().hex}")
            stream = system.create(beside, True)
            try:
                stream.write(bytearray(text.encode()))
            finally:
                stream.close()
            # FileSystem.rename refuses an existing target; FileContext.rename replaces it in one step.
            context = self._fs.FileContext.getFileContext(system.getUri(), self._conf)
            context.rename(beside, path, self._overwrite())
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(error, self.uri, "write")

    def _overwrite(self) -> Any:
        """Return the Java array with the one option that `rename` takes."""
        lang = self.spark._jvm.java.lang
        kind = lang.Class.forName("org.apache.hadoop.fs.Options$Rename")
        array = lang.reflect.Array.newInstance(kind, 1)
        lang.reflect.Array.set(array, 0, lang.Enum.valueOf(kind, "OVERWRITE"))
        return array

    def remove(self, name: str) -> None:
        path, system = self._at(name)
        system.delete(path, True)

    def has_data(self, below: str = "") -> bool:
        try:
            path, system = self._at(below)
            return bool(system.exists(path)) and any(
                not is_hidden(status.getPath().getName()) for status in system.listStatus(path)
            )
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(error, self.uri, "read")
