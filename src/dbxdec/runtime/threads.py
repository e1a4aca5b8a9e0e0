"""The threads that tasks have left running. In a process that runs several tasks, they belong to no later one."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from dbxdec.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

_left: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()
"""Each thread, and the task that it is of."""
_bare: dict[int, str] = {}
"""The same for threads that Python has no object for, by their numbers, which the system uses again."""
_lock = threading.Lock()
_start: Any = threading.Thread.start


@contextmanager
def of_task(task: str) -> Iterator[None]:
    """Take the threads that are started in the block, and outlive it, for threads of `task`, which has ended then."""
    before, numbers = WeakSet(threading.enumerate()), set(sys._current_frames())
    try:
        yield
    finally:
        own, running = threading.current_thread(), set(sys._current_frames())
        threads = [thread for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)]
        with _lock:
            for thread in threads:
                if thread not in before and thread is not own:
                    _left.setdefault(thread, task)
            for number in [number for number in _bare if number not in running]:
                del _bare[number]
            for number in running - numbers - {thread.ident or 0 for thread in threads} - {threading.get_ident()}:
                _bare.setdefault(number, task)
        if _left:
            threading.Thread.start = _started  # type: ignore[method-assign, assignment]


def check() -> None:
    """Raise RunError in a thread whose task has ended."""
    if (task := _task_of_this()) is not None:
        raise RunError(
            f"this thread is of the task `{task}`, which has ended: it has no run, and can't set task values",
            hint="let the task's function wait for its threads, as in `thread.join()`, before it returns",
        )


def _task_of_this() -> str | None:
    if not _left and not _bare:
        return None
    thread = threading.current_thread()
    with _lock:
        if isinstance(thread, threading._DummyThread):
            return _bare.get(threading.get_ident())
        return _left.get(thread)


def _started(thread: threading.Thread) -> None:
    """Start a thread; one that is started by a thread of an ended task is of that task."""
    if (task := _task_of_this()) is not None:
        with _lock:
            _left[thread] = task
    _start(thread)
