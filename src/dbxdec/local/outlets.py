"""The output of a worker process, which is the runner's pipe: kept open, and put right after a task that closed it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TextIO


CLOSED = 251
"""The exit code of a process that has no pipe to the runner any more."""

LAST = " last"
"""The word that follows the result of the last task of a process."""


class Outlets:
    """The three standard streams of this process, as they are now. Output and errors go to the same pipe."""

    def __init__(self) -> None:
        # Not inherited by the processes that a task starts.
        self._pipe, self._nothing = os.dup(1), os.open(os.devnull, os.O_RDONLY)
        self._same = _identity(self._pipe)

    def write(self, text: str) -> None:
        """Write to the runner, whatever a task has done to its streams."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # of any class: a task may have put its own streams there
                stream.flush()
        self._check()
        left = memoryview(text.encode("utf-8", "backslashreplace"))
        while left:
            left = left[os.write(self._pipe, left) :]

    def restore(self) -> bool:
        """Open again what a task has closed, and return whether this process can take another task.

        It can't where one of the three numbers is that of another file: a library that was loaded by then may need it,
        such as for its event loop.
        """
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        self._check()
        known = (None, self._same, _identity(self._nothing))
        if any(_identity(number) not in known for number in range(3)):
            return False
        os.dup2(self._nothing, 0)
        for descriptor in (1, 2):
            os.dup2(self._pipe, descriptor)
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            stream = _opened(getattr(sys, f"__{name}__"), descriptor)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        return True

    def _check(self) -> None:
        """End the process if a task has closed all its files: another file may have the pipe's number by now."""
        if _identity(self._pipe) != self._same:
            os._exit(CLOSED)


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _opened(stream: Any, descriptor: int) -> TextIO:
    """Return `stream`, or a new one if it can't be written to."""
    with suppress(Exception):
        if not stream.closed and stream.fileno() == descriptor:
            found: TextIO = stream
            return found
    return open(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
