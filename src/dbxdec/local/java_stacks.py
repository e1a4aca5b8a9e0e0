"""Java stack traces among the lines that a task prints: Spark logs them for each error that it passes on."""

from __future__ import annotations

import re

_FRAME = re.compile(r"\t+(at [\w.$/@<>-]+\(.*\)|\.\.\. \d+ (more|common frames omitted))$")
_CAUSE = re.compile(r"\t*(Caused by|Suppressed): [\w.$]+")
INSTEAD = "... the Java stack trace is in the log file"


class JavaStacks:
    """Keeps the stack traces of one attempt from the terminal: its log file has them."""

    def __init__(self) -> None:
        self._inside = self._told = False

    def shown(self, line: str) -> str | None:
        """Return what is shown of the next line; None for nothing."""
        self._inside = bool(_FRAME.match(line) or (self._inside and _CAUSE.match(line)))
        if not self._inside:
            return line
        instead, self._told = None if self._told else INSTEAD, True
        return instead
