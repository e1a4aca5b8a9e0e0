"""Output that no character ends: what a stream's encoding lacks is written another way.

A terminal or a file may be in cp1252 or ASCII, as on Windows where output is redirected, and a name of a file may hold
what no encoding has.
"""

from __future__ import annotations

import codecs
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_HANDLER = "dbxdec"
# What fails, and Python's own way to say it on stderr; whoever asks for another one has it.
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
# Frames are drawn with these: "Box Drawing" of Unicode, from its first character.
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
"""The environment of a Python whose output we read: all it prints comes, whatever the user's own terminal can show."""

codecs.register_error(_HANDLER, _shown)


def make_safe() -> None:
    """Have stdout and stderr of this process take any text."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # not where something else stands for them
        if reconfigure is not None and stream.errors in _REPLACED:
            reconfigure(errors=_HANDLER)


def safe(text: str, stream: TextIO | None = None) -> str:
    """Return `text` as `stream`, by default stderr, can write it."""
    encoding = getattr(stream or sys.stderr, "encoding", None) or "utf-8"
    return text.encode(encoding, _HANDLER).decode(encoding)
