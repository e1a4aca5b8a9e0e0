"""Output that no character can break: characters that a stream's encoding lacks are replaced.

A terminal or a file may use cp1252 or ASCII, for example on Windows when output is redirected. The name of a file may
contain what no encoding can represent.
"""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_HANDLER = "dbxdec"
# Handlers that fail, and Python's default for stderr. Any other handler was chosen by the user and is kept.
_REPLACED = ("strict", "surrogateescape", "backslashreplace")
_INSTEAD = {
    "✓": "+",
    "✗": "x",
    "•": "*",
    "…": "...",
    "←": "<-",
    "→": "->",
    "–": "-",  # noqa: RUF001
    "—": "-",
    "‘": "'",  # noqa: RUF001
    "’": "'",  # noqa: RUF001
    "“": '"',
    "”": '"',
}
# Frames are drawn with these: the Unicode block "Box Drawing", from its first character.
_LINES = range(0x2500, 0x2580)
_HORIZONTAL, _VERTICAL = frozenset("─━┄┅┈┉╌╍═╴╶╸╺╼╾"), frozenset("│┃┆┇┊┋╎╏║╵╷╹╻╽╿")


def _instead(letter: str) -> str:
    if letter in _INSTEAD:
        return _INSTEAD[letter]
    if ord(letter) in _LINES:
        return "-" if letter in _HORIZONTAL else "|" if letter in _VERTICAL else "+"
    return letter.encode("ascii", "backslashreplace").decode("ascii")


def _shown(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_instead, error.object[error.start : error.end])), error.end


CHILD = {"PYTHONIOENCODING": "utf-8:backslashreplace"}
"""The environment of a child Python whose output we read: nothing is lost, whatever the user's terminal can show."""

codecs.register_error(_HANDLER, _shown)


def make_safe() -> None:
    """Make stdout and stderr of this process accept any string."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # absent if they were replaced by other objects
        if reconfigure is not None and stream.errors in _REPLACED:
            reconfigure(errors=_HANDLER)


def keep_numbers() -> None:
    """Open the null device for each of the three standard files that is closed.

    The next file to be opened would have its number, such as one of a result, and all output would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            if (found := os.open(os.devnull, os.O_RDWR)) != number:
                os.dup2(found, number)
                os.close(found)
            os.set_inheritable(number, True)


def tell(text: str, stream: TextIO | None) -> None:
    """Print `text` to `stream`; to the process's own stderr if a task has closed the stream, or has set it to None."""
    if stream is not None:
        with suppress(ValueError, AttributeError, OSError):
            print(text, file=stream, flush=True)
            return
    with suppress(OSError):
        os.write(2, f"{text}\n".encode("utf-8", "backslashreplace"))


def safe(text: str) -> str:
    """Return `text` with only characters that stderr can write."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return text.encode(encoding, _HANDLER).decode(encoding)
