"""Environment variables that dbxdec reads while a task runs, and that the task's code may take away.

After `os.environ.clear()`, or where a library puts an older environment back, a result must not go elsewhere.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_kept: tuple[Mapping[str, str], ...] = ()


@contextmanager
def kept() -> Iterator[None]:
    """Keep the variables for `given` and `get` in the block, as they are now."""
    global _kept
    before = _kept
    _kept = (*before, {**(before[-1] if before else {}), **os.environ})
    try:
        yield
    finally:
        _kept = before


def given(name: str) -> str | None:
    """Return a variable that only the runner sets, as it was when the outermost block began: no task changes it."""
    return _kept[0].get(name) if _kept else os.environ.get(name)


def get(name: str) -> str | None:
    """Return a variable that a task may set: as it is now, or else as it was when the block began."""
    found = os.environ.get(name)
    return found if found is not None or not _kept else _kept[-1].get(name)
