"""Files that are replaced in one step, and the folder that dbxdec keeps for each project."""

from __future__ import annotations

import contextlib
import os
import threading
import time

STATE_FOLDER = ".dbxdec"
"""The folder in a project for what belongs to this machine: records of builds and runs, and local tables."""
_TRIES, _PAUSE_S = 50, 0.02


def replace(path: str | os.PathLike[str], content: bytes, *, mode: int | None = None) -> None:
    """Write `content` to `path`, so that any reader gets the old content or the new one, whole.

    `mode` are the permissions of the file. Raises OSError, and then leaves what was there.
    """
    folder, name = os.path.split(os.fspath(path))
    partial = os.path.join(folder, f".{name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with open(partial, "wb") as file:
            file.write(content)
        if mode is not None:
            os.chmod(partial, mode)
        _rename(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def _rename(partial: str, path: str | os.PathLike[str]) -> None:
    """Rename over `path`. Windows refuses that for the moment in which another process reads it."""
    for _ in range(_TRIES):
        try:
            os.replace(partial, path)
        except PermissionError:
            time.sleep(_PAUSE_S)
        else:
            return
    os.replace(partial, path)
