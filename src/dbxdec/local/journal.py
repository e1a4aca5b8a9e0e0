"""JSON in files that a kill, a full disk or a damaged byte may leave half written: one document, or one per line.

A surrogate, which the name of a file may hold, is escaped as `\\udcff`, and read back unchanged.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from dbxdec.support import files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LARGEST = 256 * 1024 * 1024
"""Bytes of a file that is read at all: a run of 100,000 attempts has less."""


def dumps(document: Any) -> bytes:
    """Return `document` as one line of JSON, without its line end."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace")


def write_whole(path: Path, document: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step."""
    files.replace(path, dumps(document) + b"\n")


def read_whole(path: str | Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises OSError, or ValueError with what is wrong."""
    found = _loaded(_content(path))
    if not isinstance(found, dict):
        raise ValueError("it does not contain a JSON object")  # noqa: TRY004 - of the file, not of an argument
    return found


def append(path: Path, document: Mapping[str, Any]) -> None:
    """Add a line, and first remove a torn one that a kill has left. A write that fails adds nothing.

    Raises OSError, which names `path`.
    """
    with files.naming(path):
        _append(path, dumps(document) + b"\n")


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
    try:
        end = _whole_until(descriptor)
        os.ftruncate(descriptor, end)
        os.lseek(descriptor, end, os.SEEK_SET)
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except BaseException:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)


def _whole_until(descriptor: int) -> int:
    """Return the size of a file without a torn last line; a last line that lacks only its end is given one."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if not size or os.lseek(descriptor, size - 1, os.SEEK_SET) < 0 or os.read(descriptor, 1) == b"\n":
        return size
    os.lseek(descriptor, 0, os.SEEK_SET)
    last = _rest(descriptor).rpartition(b"\n")[2]
    if not _is_object(last):
        return size - len(last)
    os.write(descriptor, b"\n")
    return size + 1


def read_lines(path: Path) -> tuple[list[tuple[int, dict[str, Any]]], list[int]]:
    """Return the objects with the numbers of their lines, from 1, and the numbers of lines without an object.

    The last line is left out when it is torn: the writer was killed in the middle of it. Raises OSError.
    """
    lines = _content(path).split(b"\n")
    torn = lines.pop()
    if torn and _is_object(torn):
        lines.append(torn)
    found, damaged = [], []
    for number, line in enumerate(lines, 1):
        try:
            document = _loaded(line)
        except ValueError:
            document = None
        if isinstance(document, dict):
            found.append((number, document))
        else:
            damaged.append(number)
    return found, damaged


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(_loaded(line), dict)
    except ValueError:
        return False


def _loaded(content: bytes) -> Any:
    """Return the value of `content`. Raises ValueError, also for JSON that is nested too deeply."""
    try:
        return json.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None


def _content(path: str | Path) -> bytes:
    """Return the bytes of a plain file: a pipe would never end. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError("it is not a file")
        if state.st_size > _LARGEST:
            raise OSError(f"it has {state.st_size:,} bytes")
        return _rest(descriptor)
    finally:
        os.close(descriptor)


def _rest(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)
