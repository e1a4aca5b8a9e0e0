"""Files that are replaced in one step, and the folder that dbxdec keeps for each project."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from dbxdec.support.locks import try_lock
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STATE_FOLDER = ".dbxdec"
"""The folder in a project for what belongs to this machine: records of builds and runs, and local tables."""
_BEGINNING = 1000
_TRIES, _PAUSE_S = 50, 0.02
_WRITER = pattern(r"(\d+)\.\d+")
_LONGEST_WRITE_S = 60
"""A file of a process that runs, or has the number of one, is left alone for so long: it may not be locked yet."""


def real(path: str | os.PathLike[str]) -> Path:
    """Return where links lead. Those in a circle lead nowhere: then one of them, which is still a link.

    `Path.resolve` raises a RuntimeError for a circle, up to Python 3.12.
    """
    from pathlib import Path

    return Path(os.path.realpath(path))


def replace(path: str | os.PathLike[str], content: bytes, *, mode: int | None = None) -> None:
    """Write `content` to `path`, so that any reader gets the old content or the new one, whole.

    `mode` are the permissions of the file. Raises OSError, which names `path`, and then leaves what was there.
    """
    for last in (False, False, True):
        try:
            with partial(path, content, mode=mode) as made:
                _rename(made, path)
        except FileNotFoundError:
            # Another writer has taken the new file for a left one, before it was locked.
            if last or not os.path.isdir(os.path.dirname(os.path.abspath(path))):
                raise
        else:
            return


def write(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file that no other process reads before it is whole. Raises OSError, which names `path`."""
    with naming(path), open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8"))


def deliver(path: str | os.PathLike[str], content: bytes) -> None:
    """Write what a user has asked for to `path`: a file in one step, through links; a pipe or a device as it is.

    Raises OSError, which names the file.
    """
    real = os.path.realpath(path)
    # Links in these folders lead to open files, which may have been removed.
    of_system = os.path.abspath(path).startswith(("/dev/", "/proc/"))
    if of_system or (os.path.exists(real) and not os.path.isfile(real)):
        write(path, content)
    else:
        replace(real, content, mode=os.stat(real).st_mode & 0o7777 if os.path.exists(real) else None)


def check_report(path: Path, beginning: str, of: str, *, instead: str) -> None:
    """Raise RunError if no report `of` something can be written to `path`, or if another file is there.

    A report has `beginning` in its first bytes. `instead` says what to write for a folder.
    """
    from dbxdec.errors import RunError

    if path.is_dir():
        raise RunError(f"the report can't be written to {path}: it is a folder", hint=instead)
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            if beginning.encode() not in file.read(_BEGINNING):
                raise RunError(
                    f"the report would replace {path}, which is no report of a {of}",
                    hint="name another file, or remove it",
                )
    try:
        _try_to_deliver(path)
    except OSError as error:
        raise RunError(f"the report can't be written to {path}: {error.strerror}", hint="name another file") from None


def _try_to_deliver(path: str | os.PathLike[str]) -> None:
    """Find out whether `deliver` could write a file to `path`, whose folders it may have to make; leave nothing there.

    Raises OSError if it could not.
    """
    import tempfile  # not needed by tasks

    real = os.path.realpath(path)
    if os.path.exists(real) and not os.path.isfile(real):
        return  # a pipe or a device
    folder = os.path.dirname(real)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    with tempfile.TemporaryFile(dir=folder):
        pass


@contextlib.contextmanager
def partial(path: str | os.PathLike[str], content: bytes, *, mode: int | None = None) -> Iterator[str]:
    """Yield a file beside `path` with `content`, which the block moves or links to `path`; it is removed otherwise.

    Files that killed writers of `path` have left are removed as well. Raises OSError, which names `path`.
    """
    clean(path)
    folder, name = os.path.split(os.fspath(path))
    made = os.path.join(folder, f".{name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with naming(path), open(made, "wb", opener=_opener(mode)) as file:
            with contextlib.suppress(OSError):  # a file system without locks
                try_lock(file.fileno())
            file.write(content)
            file.flush()
            if mode is not None:
                os.chmod(made, mode)
            if sys.platform == "win32":
                file.close()  # it can't be moved while it is open
            yield made
    finally:
        with contextlib.suppress(OSError):
            os.unlink(made)


def _opener(mode: int | None) -> Callable[[str, int], int]:
    """Return how to make a file that never has more permissions than `mode`."""
    return lambda path, flags: os.open(path, flags, 0o666 if mode is None else 0o666 & mode)


def clean(path: str | os.PathLike[str]) -> None:
    """Remove what killed writers of `path` have left beside it. Files of running writers are locked, and stay."""
    folder, name = os.path.split(os.fspath(path))
    start = f".{name}."
    with contextlib.suppress(OSError):
        for found in os.listdir(folder or "."):
            if found.startswith(start) and (writer := _WRITER.fullmatch(found, len(start))):
                _remove_left(os.path.join(folder, found), int(writer[1]))


def _remove_left(path: str, pid: int) -> None:
    with contextlib.suppress(OSError):
        if _runs(pid) and time.time() - os.stat(path).st_mtime < _LONGEST_WRITE_S:
            return
        if sys.platform == "win32":
            os.unlink(path)  # refused while a writer has it open
        else:
            descriptor = os.open(path, os.O_RDWR)
            try:
                if try_lock(descriptor):
                    os.unlink(path)
            finally:
                os.close(descriptor)


def _runs(pid: int) -> bool:
    """Return whether there may be a process `pid`. On Windows asking would end it."""
    if sys.platform != "win32":
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except OSError:
            return True
    return True


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name `path` in errors of the file system inside the block: those of a full disk name no file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:  # with a name, an error of a plain message loses it
            error.filename, error.filename2 = os.fspath(path), None
        raise


def _rename(made: str, path: str | os.PathLike[str]) -> None:
    """Rename over `path`. Windows refuses that for the moment in which another process reads it."""
    for _ in range(_TRIES):
        try:
            os.replace(made, path)
        except PermissionError:
            time.sleep(_PAUSE_S)
        else:
            return
    os.replace(made, path)
