"""Regular expressions that are compiled when they are first used: a start imports some fifty, and uses a few."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from re import Pattern


class _Late:
    """A pattern: what is asked of it is asked of the compiled one, and kept."""

    def __init__(self, text: str, flags: int) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        asked = getattr(re.compile(self._text, self._flags), name)  # `re` keeps what it has compiled
        setattr(self, name, asked)
        return asked


def pattern(text: str, flags: int = 0) -> Pattern[str]:
    """Return a pattern for its methods; functions of `re` do not take it in place of its text."""
    return cast("Pattern[str]", _Late(text, flags))


PACKAGE_NAME = pattern(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""The names of projects and packages (PEP 508)."""
