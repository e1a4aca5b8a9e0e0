"""Restores the parts of a process that a task changes and other tasks share."""

from __future__ import annotations

import builtins
import csv
import decimal
import gc
import json
import locale
import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHORTEST_S = 0.001


@contextmanager
def undone() -> Iterator[None]:
    """Undo the block's changes to what all code of a process shares.

    docs/local.md lists it ("What tasks share"). On the platform each task has a process of its own, and sees no changes
    of another.
    """
    with ExitStack() as stack:
        for restore in [note() for note in _NOTES]:
            stack.callback(restore)
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(decimal.localcontext())
        yield


# Each notes how a part of the process is, and returns a function that restores it.


def _folder_and_environment() -> Callable[[], None]:
    folder, environment = os.getcwd(), dict(os.environ)
    mask = os.umask(0)
    os.umask(mask)

    def restore() -> None:
        os.chdir(folder)
        os.umask(mask)
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)
        if sys.platform != "win32":
            time.tzset()  # a process keeps the zone that TZ had

    return restore


def _interpreter() -> Callable[[], None]:
    arguments, path, streams = list(sys.argv), list(sys.path), (sys.stdout, sys.stderr)
    hooks = sys.excepthook, threading.excepthook
    depth, interval, digits = sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_int_max_str_digits()

    def restore() -> None:
        sys.argv[:], sys.path[:] = arguments, path
        sys.stdout, sys.stderr = streams
        sys.excepthook, threading.excepthook = hooks
        sys.setrecursionlimit(depth)
        sys.setswitchinterval(interval)
        sys.set_int_max_str_digits(digits)

    return restore


def _logging() -> Callable[[], None]:
    loggers = [(logger, list(logger.handlers), logger.level) for logger in map(logging.getLogger, ("", "dbxdec"))]
    disabled = logging.root.manager.disable

    def restore() -> None:
        for logger, handlers, level in loggers:
            logger.handlers[:] = handlers
            logger.setLevel(level)
        logging.disable(disabled)

    return restore


def _collection() -> Callable[[], None]:
    enabled, threshold, callbacks = gc.isenabled(), gc.get_threshold(), list(gc.callbacks)

    def restore() -> None:
        (gc.enable if enabled else gc.disable)()
        gc.set_threshold(*threshold)
        gc.callbacks[:] = callbacks

    return restore


def _libraries() -> Callable[[], None]:
    timeout, limit = socket.getdefaulttimeout(), csv.field_size_limit()
    category, chosen = locale.LC_ALL, locale.setlocale(locale.LC_ALL)

    def restore() -> None:
        socket.setdefaulttimeout(timeout)
        csv.field_size_limit(limit)
        if locale.setlocale(category) != chosen:
            locale.setlocale(category, chosen)

    return restore


def _names() -> Callable[[], None]:
    owners: list[Any] = [builtins, json, json.JSONEncoder, json.JSONDecoder]
    known = [(owner, dict(vars(owner))) for owner in owners]

    def restore() -> None:
        builtins.__dict__.update(known[0][1])  # by now any name may be missing
        for owner, before in known:
            now = dict(vars(owner))
            for name in now.keys() - before.keys():
                delattr(owner, name)
            for name, value in before.items():
                if name not in now or now[name] is not value:
                    setattr(owner, name, value)

    return restore


def _signals() -> Callable[[], None]:
    if threading.current_thread() is not threading.main_thread():
        return lambda: None  # another thread can't change them
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    timers = _timers()
    began = time.monotonic()

    def restore() -> None:
        # The timers first: a handler of the task must not hear of them any more.
        if sys.platform != "win32":
            for which, now in _timers().items():
                left, interval = timers[which]
                if not left and now[0]:
                    signal.setitimer(which, 0)
                elif left and (not now[0] or now[0] > left or now[1] != interval):
                    signal.setitimer(which, max(left - (time.monotonic() - began), _SHORTEST_S), interval)
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:  # None: not of Python
                signal.signal(number, handler)

    return restore


def _timers() -> dict[int, tuple[float, float]]:
    found: dict[int, tuple[float, float]] = {}
    if sys.platform != "win32":
        kinds = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
        found = {which: signal.getitimer(which) for which in kinds}
    return found


# The last is restored first: all others need Python's own names.
_NOTES: tuple[Callable[[], Callable[[], None]], ...] = (
    _folder_and_environment,
    _interpreter,
    _logging,
    _collection,
    _libraries,
    _signals,
    _names,
)
