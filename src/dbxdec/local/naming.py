"""Names of iterations, by their items: for people and for files."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST = 24
# File names that some system forbids, characters that a shell would split at, and characters around the name.
_ODD = re.compile(r"[\s<>:\"'/\\|?*\[\]`$&;]+")
_OTHER_LETTERS = re.compile(r"[^A-Za-z0-9._=,+@~()-]+")


def names(items: Sequence[Any]) -> list[str]:
    """Return a name for each item: short, printable, without spaces, and no two alike, whatever their case."""
    return _apart([_name(item) for item in items])


def file_names(named: Sequence[str]) -> list[str]:
    """Return the same names for files: in ASCII, which any system and locale takes."""
    plain = [
        name if name.isascii() else f"{_ascii(name)}~{i}" if _ascii(name) else f"~{i}" for i, name in enumerate(named)
    ]
    return _apart([_OTHER_LETTERS.sub("_", name) for name in plain])


def _name(item: Any) -> str:
    text = "".join(letter if letter.isprintable() else "_" for letter in _ODD.sub("_", _words(item)))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}~"


def _words(item: Any) -> str:
    match item:
        case str():
            return item
        case dict() if not any(isinstance(value, dict | list) for value in item.values()):
            return ",".join(f"{key}={_words(value)}" for key, value in item.items())
        case list() if not any(isinstance(value, dict | list) for value in item):
            return ",".join(map(_words, item))
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


def _apart(found: Sequence[str]) -> list[str]:
    """Return the same names, with a number added to names that are empty or not unique."""
    count = Counter(name.casefold() for name in found)
    taken = {name.casefold() for name in found if name and count[name.casefold()] == 1}
    result = []
    for i, name in enumerate(found):
        if not name or count[name.casefold()] > 1:
            name = f"{name}~{i}"
            while name.casefold() in taken:
                name += "~"
            taken.add(name.casefold())
        result.append(name)
    return result


def _ascii(name: str) -> str:
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
