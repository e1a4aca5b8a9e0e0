"""Where things are in a TOML text: tables, keys and values, by offset.

For texts that `tomllib` has read: the scanner only has to know where things begin and end.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

from dbxdec.scaffold.lines import line_end

Path = tuple[str, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_QUOTES = ('"""', "'''", '"', "'")


class CannotEdit(Exception):  # noqa: N818 - nothing that a user sees: callers say what to write by hand
    """The text has a form that can't be edited safely."""


@dataclass(frozen=True)
class Span:
    start: int
    end: int


@dataclass(frozen=True)
class Pair:
    """A key with its value. `path` is the whole one, `keys` the part before `=`; `start` is where the key is."""

    path: Path
    keys: Path
    start: int
    value: Span


@dataclass(frozen=True)
class Section:
    """A header with what is below it, up to the next; the first one has no header. `end` is behind its last content."""

    path: Path
    is_array: bool
    pairs: tuple[Pair, ...]
    start: int
    end: int


def find(text: str, path: Path) -> Span | None:
    """The value at `path`, wherever it is written."""
    for section in sections_of(text):
        for pair in section.pairs:
            if section.is_array:
                continue
            if pair.path == path:
                return pair.value
            if path[: len(pair.path)] == pair.path and text[pair.value.start] == "{":
                found = _member(text, pair.value, path[len(pair.path) :])
                if found is not None:
                    return found
    return None


def _member(text: str, table: Span, path: Path) -> Span | None:
    for pair in members_of(text, table):
        if pair.keys == path:
            return pair.value
        if path[: len(pair.keys)] == pair.keys and text[pair.value.start] == "{":
            return _member(text, pair.value, path[len(pair.keys) :])
    return None


def inline_of(text: str, sections: list[Section], path: Path) -> tuple[Span, Path] | None:
    """The inline table that is, or holds, the table at `path`, and what is left of the path."""
    for section in sections:
        for pair in section.pairs:
            if not section.is_array and path[: len(pair.path)] == pair.path and text[pair.value.start] == "{":
                return _innermost(text, pair.value, path[len(pair.path) :])
    return None


def _innermost(text: str, table: Span, path: Path) -> tuple[Span, Path]:
    for pair in members_of(text, table):
        if path and path[: len(pair.keys)] == pair.keys and text[pair.value.start] == "{":
            return _innermost(text, pair.value, path[len(pair.keys) :])
    return table, path


def sections_of(text: str) -> list[Section]:
    found: list[Section] = []
    path: Path = ()
    is_array, pairs, start, end, place = False, list[Pair](), 0, 0, 0
    while (place := _skip(text, place)) < len(text):
        if text[place] == "[":
            found.append(Section(path, is_array, tuple(pairs), start, end))
            start = place
            is_array = text.startswith("[[", place)
            path, place = _keys(text, place + 1 + is_array)
            place = end = text.index("]", place) + 1 + is_array
            pairs = []
        else:
            pair = _pair(text, place, path)
            pairs.append(pair)
            place = end = pair.value.end
    return [*found, Section(path, is_array, tuple(pairs), start, end)]


def _pair(text: str, place: int, table: Path = ()) -> Pair:
    start = place
    keys, place = _keys(text, place)
    place = _blanks(text, text.index("=", place) + 1)
    return Pair((*table, *keys), keys, start, Span(place, _value_end(text, place)))


def members_of(text: str, table: Span) -> list[Pair]:
    found: list[Pair] = []
    place = _skip(text, table.start + 1)
    while text[place] != "}":
        found.append(_pair(text, place))
        place = _skip(text, found[-1].value.end)
        place = _skip(text, place + 1) if text[place] == "," else place
    return found


def items_of(text: str, array: Span) -> list[Span]:
    found: list[Span] = []
    place = _skip(text, array.start + 1)
    while text[place] != "]":
        found.append(Span(place, _value_end(text, place)))
        place = _skip(text, found[-1].end)
        place = _skip(text, place + 1) if text[place] == "," else place
    return found


def comma_after(text: str, place: int) -> int | None:
    place = _skip(text, place)
    return place if text[place] == "," else None


def _keys(text: str, place: int) -> tuple[Path, int]:
    """The dotted key at `place`, and where it ends."""
    keys: list[str] = []
    while True:
        place = _blanks(text, place)
        end = _string_end(text, place) if text[place] in "\"'" else _bare_end(text, place)
        part = text[place:end]
        keys.append(next(iter(tomllib.loads(f"{part} = 0"))))
        place = _blanks(text, end)
        if text[place : place + 1] != ".":
            return tuple(keys), place
        place += 1


def _bare_end(text: str, place: int) -> int:
    found = _BARE.match(text, place)
    if found is None:
        raise CannotEdit
    return found.end()


def _value_end(text: str, place: int) -> int:
    if text[place] in "\"'":
        return _string_end(text, place)
    if text[place] == "[":
        items = items_of(text, Span(place, place))
        return _closing(text, items[-1].end if items else place + 1, "]")
    if text[place] == "{":
        members = members_of(text, Span(place, place))
        return _closing(text, members[-1].value.end if members else place + 1, "}")
    found = re.compile(r"[^\s,\]}#]+(?: \d[^\s,\]}#]*)?").match(text, place)  # a date may have a space before the time
    if found is None:
        raise CannotEdit
    return found.end()


def _closing(text: str, place: int, bracket: str) -> int:
    while text[place := _skip(text, place)] != bracket:
        place += 1
    return place + 1


def _string_end(text: str, place: int) -> int:
    quote = next(quote for quote in _QUOTES if text.startswith(quote, place))
    place += len(quote)
    while not text.startswith(quote, place):
        place += 2 if text[place] == "\\" and quote[0] == '"' else 1
    place += len(quote)
    while len(quote) == 3 and text.startswith(quote[0], place):  # up to two more may stand before the closing three
        place += 1
    return place


def _blanks(text: str, place: int) -> int:
    while text[place : place + 1] in (" ", "\t"):
        place += 1
    return place


def _skip(text: str, place: int) -> int:
    """Behind white space and comments."""
    while place < len(text):
        if text[place] == "#":
            place = line_end(text, place)
        elif text[place].isspace():
            place += 1
        else:
            break
    return place
