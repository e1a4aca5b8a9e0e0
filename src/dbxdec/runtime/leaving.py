"""Ways in which code leaves its task without returning: `sys.exit`, and a forked process that comes back."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, SourceLocation
from dbxdec.support.boundary import OURS
from dbxdec.support.masking import brief

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

# Polars adds this to the error of a Python function in a query.
_OF_POLARS = "\n\nThis error occurred in the following expression"
_PYTHONS = os.path.dirname(os.path.abspath(os.__file__))


class ExitedError(RunError):
    """Raised in the place of the SystemExit of a task's code."""


class Told(SystemExit):
    """The end of a process whose error has been printed."""


@contextmanager
def refused(who: str, when: str = "") -> Iterator[None]:
    """Raise ExitedError if the block calls `sys.exit`; end the process if it is a copy that the block has forked.

    `who` and `when` begin and end the message: "the task `x` called sys.exit(0) while its inputs were read".
    """
    process = os.getpid()
    try:
        yield
    except Told:
        raise
    except SystemExit as error:
        if os.getpid() != process:
            os._exit(_number(error.code))
        # Passed on, it would end the process as if the task had succeeded, with nothing stored.
        raise ExitedError(
            Problem(
                f"{who} called sys.exit({_shown(error.code)}){when}",
                _place(error.__traceback__),
                "return, or raise an exception",
            )
        ) from None
    except BaseException as error:
        if os.getpid() != process:
            _end_copy(who, error)
        raise
    if os.getpid() != process:
        _end_copy(who, None)


def _end_copy(who: str, error: BaseException | None) -> None:
    """End a forked process: it must neither store the task's result nor answer for the task."""
    from dbxdec.support import masking

    text = ""
    if error is not None:
        import traceback

        text = masking.hide("".join(traceback.format_exception(error)))
    said = f"{text}a process that {who} forked left the task's code: it is ended, and stores nothing\n"
    # Not through sys.stderr, whose buffer is a copy of the task's own.
    os.write(2, f"{said}    hint: end it inside the task with os._exit(...)\n".encode("utf-8", "backslashreplace"))
    os._exit(1)


def _number(code: Any) -> int:
    """Return the exit code of a process for the argument of `sys.exit`."""
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1


def _shown(code: Any) -> str:
    if not isinstance(code, str):
        return brief(code)
    own, cut, _ = code.partition(_OF_POLARS)
    return own if cut and own.lstrip("-").isdecimal() else brief(own)


def _place(trace: TracebackType | None) -> SourceLocation | None:
    """Return the author's line that a traceback reached last."""
    found = None
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if not path.startswith((OURS[0], "<")) and not (path.startswith(_PYTHONS) and "site-packages" not in path):
            found = SourceLocation(path, trace.tb_lineno)
        trace = trace.tb_next
    return found
