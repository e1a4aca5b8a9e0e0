"""Locks that the system frees when their holder ends, however it ends."""

from __future__ import annotations

import sys


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file, where nobody else has it; closing the file gives it back."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
