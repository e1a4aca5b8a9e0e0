"""Restores the parts of a process that a task changes and other tasks share."""

from __future__ import annotations

import decimal
import logging
import os
import sys
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def undone() -> Iterator[None]:
    """Undo the block's changes to what all code of a process shares.

    That is the folder, the environment, the time zone, arguments and path, streams, logging and warnings, the
    arithmetic of decimals and the limit of recursions.

    On the platform each task has a process of its own, and sees no changes of another.
    """
    folder, environment = os.getcwd(), dict(os.environ)
    arguments, path, streams = list(sys.argv), list(sys.path), (sys.stdout, sys.stderr)
    mask = os.umask(0)
    os.umask(mask)
    loggers = [(logger, list(logger.handlers), logger.level) for logger in map(logging.getLogger, ("", "dbxdec"))]
    disabled, depth = logging.root.manager.disable, sys.getrecursionlimit()
    try:
        with warnings.catch_warnings(), decimal.localcontext():
            yield
    finally:
        os.chdir(folder)
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)
        if sys.platform != "win32":
            time.tzset()  # a process keeps the zone that TZ had
        sys.setrecursionlimit(depth)
        sys.argv[:], sys.path[:] = arguments, path
        sys.stdout, sys.stderr = streams
        os.umask(mask)
        for logger, handlers, level in loggers:
            logger.handlers[:] = handlers
            logger.setLevel(level)
        logging.disable(disabled)
