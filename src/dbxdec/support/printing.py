"""What is printed of strings that others have written: nothing that a terminal or a workflow would obey.

Escape sequences are left out, other control characters are shown as `\\x07` is, and a carriage return, by which a line
would be written over, begins a new one.
"""

from __future__ import annotations

import os
import re

from dbxdec.support.masking import Mask, of_this_machine

# ECMA-48: control sequences, strings up to their end, and other sequences of two characters or more.
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c)"
    "|\x1b[ -/]*[0-Z\\\\`-~]"
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_RETURNS = re.compile("\r+\n?")
# github.com/actions/runner: the first at the start of a line, after white space too, the second anywhere.
_COMMAND = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
_OLD_COMMAND = "##["


def plain(text: str) -> str:
    """`text` as lines of characters that only stand there."""
    if text.isprintable():
        return text
    text = _RETURNS.sub("\n", _SEQUENCE.sub("", text))
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def plain_lines(line: str) -> list[str]:
    """A line of output, as one line or, where it has written over itself, as several; empty ones only if all are."""
    lines = plain(line).split("\n")
    return [line for line in lines if line] or [""]


def uncommanded(text: str) -> str:
    """`text` in which a workflow of GitHub finds no command (docs.github.com, "Workflow commands")."""
    return _COMMAND.sub(r"\1: ", text).replace(_OLD_COMMAND, "## [")


def in_workflow() -> bool:
    """Whether a workflow of GitHub reads what is printed."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def safe(text: str) -> str:
    """`text` for whoever reads what this process prints: a terminal, a log, a workflow."""
    return uncommanded(plain(text)) if in_workflow() else plain(text)


def message(text: str) -> str:
    """A message of dbxdec, which may hold strings of others, without the secrets of this machine."""
    return safe(Mask(of_this_machine()).text(plain(text)))
