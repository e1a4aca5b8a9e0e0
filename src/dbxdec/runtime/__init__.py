"""`dbxdec-run`: runs one task of a deployed job.

This module is also the error boundary: what dbxdec refuses ends as a message and a failed task, what the author's
code raises passes with its whole traceback.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]


def main() -> None:
    """The entry point that Databricks calls, without arguments; it returns when the task has succeeded.

    It never calls `sys.exit(0)`, which the platform shows as a failure. A refusal raises SystemExit(1) after its
    message has been written to stderr.
    """
    from dbxdec.runtime import execution

    _log_to_stderr()
    with _boundary():
        ready = execution.prepare(sys.argv[1:])
    with ready.environment():
        with _boundary():
            positional, keyword = ready.read()
        result = ready.call(positional, keyword)
        del positional, keyword  # large inputs must not outlive the call
        with _boundary():
            ready.store(result)


@contextmanager
def _boundary() -> Iterator[None]:
    from dbxdec.errors import DbxdecError

    try:
        yield
    except DbxdecError as error:
        from dbxdec.secrets import hidden

        print(f"dbxdec-run: {hidden(str(error))}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None


def _log_to_stderr() -> None:
    """Show dbxdec's own summary lines, unless the process has arranged its logging already."""
    import logging

    if not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        logger = logging.getLogger("dbxdec")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
