"""Restores the parts of a process that a task changes and other tasks share."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def undone() -> Iterator[None]:
    """Undo the block's changes to the folder, the environment, arguments and path, streams, logging and warnings.

    On the platform each task has a process of its own, and sees no changes of another.
    """
    folder, environment = os.getcwd(), dict(os.environ)
    arguments, path, streams = list(sys.argv), list(sys.path), (sys.stdout, sys.stderr)
    mask = os.umask(0)
    os.umask(mask)
    loggers = [(logger, list(logger.handlers), logger.level) for logger in map(logging.getLogger, ("", "dbxdec"))]
    disabled = logging.root.manager.disable
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.chdir(folder)
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)
        sys.argv[:], sys.path[:] = arguments, path
        sys.stdout, sys.stderr = streams
        os.umask(mask)
        for logger, handlers, level in loggers:
            logger.handlers[:] = handlers
            logger.setLevel(level)
        logging.disable(disabled)
