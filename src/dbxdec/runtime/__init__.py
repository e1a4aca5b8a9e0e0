"""`dbxdec-run`: runs one task of a deployed job.

This module is also the error boundary. A refusal of dbxdec ends as a message and a failed task; an exception of the
author's code passes with its whole traceback. Neither shows a secret that the task has used.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from dbxdec.errors import DbxdecError

__all__ = ["main"]


def main() -> None:
    """Run a task; this is the entry point that Databricks calls, without arguments.

    It returns when the task has succeeded. It never calls `sys.exit(0)`, which the platform shows as a failure. A
    refusal raises SystemExit(1) after its message has been written to stderr. So does an exception whose traceback must
    be shown without secrets.
    """
    from dbxdec.support import masking, streams
    from dbxdec.support.masking import of_this_machine

    streams.make_safe()  # a task may print the name of a file
    with masking.scope(of_this_machine()), masking.output():
        stderr = sys.stderr  # a task may put another there, or none
        try:
            run_task()
        except SystemExit:
            raise  # its message has been written
        except BaseException as error:  # a panic of Polars is not an Exception
            import traceback

            text = "".join(traceback.format_exception(error))
            if (shown := masking.hide(text)) == text:
                raise
            streams.tell(shown.removesuffix("\n"), stderr)
            raise SystemExit(1) from None


def run_task() -> None:
    """Run the task that the process's arguments name; the caller has set which secrets are hidden."""
    from dbxdec.model import places
    from dbxdec.support import environment

    _log_to_stderr()
    # These hold whatever the author's modules do as they are imported.
    with environment.kept(), places.kept(), _taken_arguments() as arguments:
        _run_task(arguments)


@contextmanager
def _taken_arguments() -> Iterator[list[str]]:
    """Give the arguments of this process, which the author's modules don't see: the build imports them without any."""
    whole = sys.argv
    sys.argv = whole[:1]
    try:
        yield whole[1:]
    finally:
        sys.argv = whole


def _run_task(arguments: list[str]) -> None:
    from dbxdec.errors import DbxdecError
    from dbxdec.model.protocol import KEYS
    from dbxdec.runtime import leaving, preparing

    if any(argument.removeprefix("--").startswith(f"{KEYS}=") for argument in arguments):
        from dbxdec.runtime import survey

        with _boundary(DbxdecError):
            survey.tell(arguments)
        return
    # An error of the author's code passes the call with its traceback, also when it is one of dbxdec's.
    with _boundary(leaving.ExitedError), leaving.refused("the task"):
        with _boundary(DbxdecError):
            ready = preparing.prepare(arguments)
        with ready.environment() as within:
            with _boundary(DbxdecError):
                positional, keyword = ready.read(within)
            if ready.is_done:
                with _boundary(DbxdecError):
                    ready.skip()
                    ready.end()
                return
            result = ready.call(positional, keyword)
            del positional, keyword  # large inputs must not outlive the call
            with _boundary(DbxdecError):
                ready.store(result)
                ready.end()


@contextmanager
def _boundary(kind: type[DbxdecError]) -> Iterator[None]:
    """Print an error of this kind, and end the task."""
    from dbxdec.runtime.leaving import Told
    from dbxdec.support import masking, streams

    stderr = sys.stderr  # a task may put another there, or none
    try:
        yield
    except kind as error:
        from dbxdec.runtime.blame import own_files
        from dbxdec.support.printing import plain

        streams.tell(masking.hide(f"dbxdec-run: {own_files(plain(str(error)))}"), stderr)
        raise Told(1) from None


def _log_to_stderr() -> None:
    """Show dbxdec's own summary lines: through the process's handlers, or on stderr without any."""
    import logging

    from dbxdec.support.streams import tell

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # The task's module may set up logging when it is imported, after this.
            if not logging.getLogger().handlers:
                tell(self.format(record), sys.stderr)  # the stream of this task, in a process that runs several tasks

    logger = logging.getLogger("dbxdec")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)  # the level of the root logger would suppress them
    if _hide not in logger.filters:
        logger.addFilter(_hide)
    if logger.handlers:
        return  # a process that runs several tasks
    handler = Handler()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logger.addHandler(handler)


def _hide(record: logging.LogRecord) -> bool:
    """Hide secrets in a log line of dbxdec, whichever handler writes it."""
    from dbxdec.support import masking

    text = record.getMessage()
    if (shown := masking.hide(text)) != text:
        record.msg, record.args = shown, ()
    return True
