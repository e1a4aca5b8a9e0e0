"""One file on its way: its text, and what has to be added by hand because the text can't be edited safely."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from dbxdec.scaffold.toml_places import CannotEdit

if TYPE_CHECKING:
    from collections.abc import Callable


class Editing:
    """The text of `file` after the edits so far, and `notes` of what a person has to add."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.notes: list[str] = []
        self._before = text

    @property
    def toml(self) -> dict[str, Any]:
        """The text as TOML."""
        return tomllib.loads(self.text)

    def apply(self, change: Callable[[str], str], otherwise: str) -> None:
        """Make one change; where it can't be made safely, `otherwise` is for a person to do."""
        self._before = self.text
        try:
            self.text = change(self.text)
        except CannotEdit:
            self.note(otherwise)

    def undo(self, otherwise: str) -> None:
        """Take the last change back."""
        self.text = self._before
        self.note(f"{self.file}:\n{otherwise}")

    def note(self, text: str) -> None:
        """Something to add by hand."""
        self.notes.append(text)
