"""Makes strings from other sources safe to print: a terminal or a workflow must not obey them.

Escape sequences are removed. Other control characters are shown as in `\\x07`. A carriage return, which would overwrite
the line, begins a new one.
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
# github.com/actions/runner: the first counts at the start of a line, also after white space, the second anywhere.
_COMMAND = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
_OLD_COMMAND = "##["


def plain(text: str) -> str:
    """Return `text` without escape sequences and control characters."""
    if text.isprintable():
        return text
    text = _RETURNS.sub("\n", _SEQUENCE.sub("", text))
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def plain_lines(line: str) -> list[str]:
    """Split a line of output that overwrites itself into several. Empty lines are dropped unless all are empty."""
    lines = plain(line).split("\n")
    return [line for line in lines if line] or [""]


def uncommanded(text: str) -> str:
    """Return `text` without commands to a GitHub workflow (docs.github.com, "Workflow commands")."""
    return _COMMAND.sub(r"\1: ", text).replace(_OLD_COMMAND, "## [")


def in_workflow() -> bool:
    """Return whether a GitHub workflow reads the output."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def safe(text: str) -> str:
    """Return `text` as it is safe to print, to a terminal, a log or a workflow."""
    return uncommanded(plain(text)) if in_workflow() else plain(text)


def message(text: str) -> str:
    """Return a message of dbxdec, which may contain strings from other sources, without the secrets of this machine."""
    return safe(Mask(of_this_machine()).text(plain(text)))
