"""Small files beside data, read whole and replaced in one step, on any storage that an engine reaches."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from dbxdec.errors import RunError
from dbxdec.records import dataclass
from dbxdec.support.boundary import hint_of_full
from dbxdec.support.masking import hide

STATE = "_dbxdec"
"""The folder below a target in which dbxdec keeps its writes and their receipts."""


class Store(Protocol):
    """The folder of one target. Names are paths below it, with "/"."""

    @property
    def uri(self) -> str:
        """The URI of the folder."""

    def read(self, name: str) -> str | None:
        """Return the content of a file; None if it doesn't exist. Raises RunError if that can't be determined."""

    def replace(self, name: str, text: str) -> None:
        """Give a file new content; a reader finds either the old or the new content. Raises RunError."""

    def remove(self, name: str) -> None:
        """Remove a folder and its content, as far as the storage can."""

    def has_data(self, below: str = "") -> bool | None:
        """Return whether the folder, or the one `below` it, has files that aren't hidden; None if nobody can tell."""


@dataclass(frozen=True)
class LocalStore:
    """A folder that this process sees, including mounts such as /Volumes."""

    uri: str

    @property
    def folder(self) -> Path:
        return Path(path_of(self.uri))

    def read(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise refused(self.uri, "read", error) from error

    def replace(self, name: str, text: str) -> None:
        try:
            with self.replacing(name) as beside:
                beside.write_text(text, encoding="utf-8")
        except OSError as error:
            raise refused(f"{self.uri}/{name}", "written", error) from error

    def replacing(self, name: str) -> _Replacing:
        """Return a path to write to, which replaces `name` if the block succeeds."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return _Replacing(path, path.with_name(f"_{uuid.uuid4().hex}"))

    def remove(self, name: str) -> None:
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def has_data(self, below: str = "") -> bool:
        folder = self.folder / below
        return folder.is_file() or (folder.is_dir() and any(not is_hidden(path.name) for path in folder.iterdir()))


@dataclass(frozen=True)
class _Replacing:
    path: Path
    beside: Path

    def __enter__(self) -> Path:
        return self.beside

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            os.replace(self.beside, self.path)
        else:
            self.beside.unlink(missing_ok=True)


def is_hidden(name: str) -> bool:
    """Return whether readers of data skip a file or folder of this name, as Spark and pyarrow do."""
    return name.startswith(("_", "."))


def is_local(uri: str) -> bool:
    """Return whether `uri` is a path of this machine; one letter before a colon is a drive."""
    scheme = urlsplit(uri).scheme
    return len(scheme) <= 1 or scheme == "file"


def path_of(uri: str, *, windows: bool = os.name == "nt") -> str:
    """Return the path of a local `uri`.

    On Windows `file:///C:/x` is `C:/x`, and `file://host/share` is a share of that host.
    """
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return uri
    path = unquote(parts.path)
    if not windows:
        return path
    if parts.netloc not in ("", "localhost"):
        return f"//{parts.netloc}{path}"
    return path[1:] if re.match(r"/[A-Za-z]:", path) else path


def refused(uri: str, done: str, error: Exception) -> RunError:
    """Return the error of a storage that refuses to be "read" or "written"."""
    text = (hide(str(error)).splitlines() or [type(error).__name__])[0][:200]
    hint = hint_of_full(text) or "check the path, its permissions and the storage's options"
    return RunError(f"{uri} can't be {done}: {text}", hint=hint)
