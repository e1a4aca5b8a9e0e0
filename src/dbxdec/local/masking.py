"""Hides secrets in what a run keeps and shows, as the platform does with what notebooks print."""

from __future__ import annotations

from typing import Any

from dbxdec.secrets import secrets_of_this_machine

_SHORTEST_LINE = 8
HIDDEN = "[secret]"


class Mask:
    """The secrets of this machine; one of several lines, a private key for instance, is hidden line by line too."""

    def __init__(self) -> None:
        whole = secrets_of_this_machine()
        lines = [line.strip() for text in whole for line in text.splitlines() if "\n" in text.strip()]
        hidden = {*whole, *(text.strip() for text in whole), *(line for line in lines if len(line) >= _SHORTEST_LINE)}
        self._hidden = sorted(filter(None, hidden), key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` without secrets."""
        for hidden in self._hidden:
            text = text.replace(hidden, HIDDEN)
        return text

    def data(self, value: Any) -> Any:
        """JSON data whose texts are without secrets."""
        match value:
            case str():
                return self.text(value)
            case list() | tuple():
                return [self.data(item) for item in value]
            case dict():
                return {key: self.data(item) for key, item in value.items()}
        return value
