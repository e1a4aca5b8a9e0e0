"""Small files next to the data that Spark writes: read whole, replaced atomically, removed."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from dbxdec.errors import RunError
from dbxdec.io_managers.spark_session import is_connect


class Files(Protocol):
    """The storage below one place."""

    def read(self, uri: str) -> str | None:
        """The text of a file, None where there is none."""

    def replace(self, uri: str, text: str) -> None:
        """Give a file a new text, so that a reader finds the old one or the new one."""

    def remove(self, uri: str) -> None:
        """Remove a file or a folder with all that is in it."""


def files_of(spark: Any, uri: str) -> Files:
    """The storage of `uri` as this session reaches it.

    Spark Connect has no way to other files than data: only paths that this process sees, /Volumes included, will do.
    Raises RunError for others.
    """
    if not is_connect(spark):
        return HadoopFiles(spark)
    if urlsplit(uri).scheme in ("", "file"):
        return LocalFiles()
    raise RunError(
        f"a session of Spark Connect can't replace files at {uri} atomically",
        hint="store the result as a Delta table, or below /Volumes, or run the task on classic compute",
    )


class LocalFiles:
    """Paths that this process sees."""

    def read(self, uri: str) -> str | None:
        try:
            return _local(uri).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def replace(self, uri: str, text: str) -> None:
        path = _local(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"_{uuid.uuid4().hex}")
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)

    def remove(self, uri: str) -> None:
        shutil.rmtree(_local(uri), ignore_errors=True)


def _local(uri: str) -> Path:
    parts = urlsplit(uri)
    return Path(unquote(parts.path) if parts.scheme == "file" else uri)


class HadoopFiles:
    """Any storage that the session's Hadoop knows."""

    def __init__(self, spark: Any) -> None:
        self._jvm = spark._jvm
        self._conf = spark._jsc.hadoopConfiguration()

    def read(self, uri: str) -> str | None:
        path = self._jvm.org.apache.hadoop.fs.Path(uri)
        system = path.getFileSystem(self._conf)
        if not system.exists(path):
            return None
        stream = system.open(path)
        try:
            return bytes(stream.readAllBytes()).decode()
        finally:
            stream.close()

    def replace(self, uri: str, text: str) -> None:
        fs = self._jvm.org.apache.hadoop.fs
        path = fs.Path(uri)
        beside = fs.Path(path.getParent(), f"_{uuid.uuid4().hex}")
        system = path.getFileSystem(self._conf)
        stream = system.create(beside, True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()
        # FileSystem.rename refuses a target that is there; FileContext's replaces it in one step.
        context = fs.FileContext.getFileContext(system.getUri(), self._conf)
        context.rename(beside, path, self._overwrite())

    def _overwrite(self) -> Any:
        """The Java array of one option that `rename` takes."""
        lang = self._jvm.java.lang
        kind = lang.Class.forName("org.apache.hadoop.fs.Options$Rename")
        array = lang.reflect.Array.newInstance(kind, 1)
        lang.reflect.Array.set(array, 0, lang.Enum.valueOf(kind, "OVERWRITE"))
        return array

    def remove(self, uri: str) -> None:
        path = self._jvm.org.apache.hadoop.fs.Path(uri)
        path.getFileSystem(self._conf).delete(path, True)
