"""The forms in which strings have a value: as it is, escaped in any way and several times, cut, in base64, in hex.

A long value is looked for piece by piece, and each piece in time that is linear in the length of the string, also where
both repeat themselves. A pattern must not match one string in two ways: trying all of them would never end.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import TYPE_CHECKING

from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHORTEST_ENCODED = _SHORTEST_CUT = 8
_PIECE = 400
"""The number of characters in one pattern. Longer values are found piece by piece."""
_LONGEST_ESCAPE = 40
"""The number of characters that one is written with at most, in a value that was cut."""
_PARTS = pattern(r"\r\n|\\+|.", re.DOTALL)
_ELLIPSES = pattern(r"…|\.{3,}")
_ESCAPES = pattern(r"[\\%&]")
_UNIT = pattern(r"(?:\\+|%(?:25)*|&)[#;\w]{0,12}|.", re.DOTALL)
"""One character, or one escape sequence; a character of several bytes may be several of these."""
_UNITS = 5
_CUT_ESCAPE = pattern(r"(?:\\++[uUx]?+[0-9a-fA-F]{0,8}+|%(?:25)*+[0-9a-fA-F]{0,2}+|&(?:amp;)*+#?+\w{0,8}+)*+")
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_WORD = pattern(r"(?:[A-Za-z0-9+/_=-]|\\+/)*+")
_ODD_BASE64 = {"+": "[+-]", "/": r"\\*[/_]"}
_NAMED = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f", "\v": "v", "\a": "a", "\0": "0"}
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}


def finders_of(value: str) -> Iterator[tuple[type[Finder], str]]:
    """Yield how to find a value, and its beginning that was cut anywhere."""
    end = 0
    while end < len(value):
        # The last piece is as long as the others: a few letters are in any string.
        start = min(end, max(0, len(value) - _PIECE))
        end = start + _PIECE
        end += value[end - 1 : end + 1] == "\r\n"  # the end of a line has forms of its own
        yield _Written, value[start:end]
        if len(value) > _SHORTEST_CUT:
            # The end of the piece before it, which is hidden: the value may be cut in the first letters of a piece.
            yield _Cut, value[max(0, start - _SHORTEST_CUT) : end]
    for encoded in _encodings(value):
        yield _Encoded, encoded[:_PIECE]  # all that is around it is hidden as well


def quoted_by_shells(value: str) -> list[str]:
    """Return a value with single quotes as shells and `shlex.quote` write it between quotes of their own."""
    return [value.replace("'", quote) for quote in ("'\"'\"'", "'\\''")] if "'" in value else []


class Finder:
    """Finds one form of a value."""

    def __init__(self, value: str) -> None:
        self._value = value
        # No escaping changes letters and digits, or makes a value shorter, but for the ends of its lines.
        self._needle = max(re.findall(r"[A-Za-z0-9]+", value), key=len, default="")
        self._begins_with_slashes = _is_slashes(value)
        self._shortest = len(value) - value.count("\r\n")

    def may_be_in(self, text: str) -> bool:
        """Return False for a string that surely doesn't have the value."""
        return len(text) >= self._shortest and self._needle in text

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return _pattern(self._value)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where the value is in `text`: together they cover all matches, including overlapping ones."""
        found, step = self._pattern.search(text), 0
        while found is not None:
            start, stop = found.span()
            yield start, stop
            # Of matches that begin in a row, each a step behind the one before it, the last one reaches furthest.
            ahead = stop - (stop - start) % step if 0 < step <= stop - start else stop
            found = self._pattern.match(text, ahead)
            if found is None:
                found = self._pattern.search(text, self._after_slashes(text, start))
                step = 0 if found is None else found.start() - start

    def _after_slashes(self, text: str, start: int) -> int:
        """Return where the next match may begin: those that begin in the middle of a row of backslashes end with it."""
        row = _one("\\", False).match(text, start) if self._begins_with_slashes else None
        return start + 1 if row is None else row.end()


class _Written(Finder):
    """Finds a value, or a piece of a long one."""


class _Cut(Finder):
    """Finds the beginning of a value, or of a piece of it, that is cut by an ellipsis."""

    def __init__(self, value: str) -> None:
        super().__init__(value[:_SHORTEST_CUT])
        self._rest = value[_SHORTEST_CUT:]
        self._dots = max(map(len, re.findall(r"\.+", value)), default=0)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield for each ellipsis the longest beginning of the value in front of it."""
        for end in self._ends(text):
            found = self._pattern.search(text, self._earliest(text, end), end)
            while found is not None and not self._reaches(text, found.end(), end):
                found = self._pattern.search(text, found.start() + 1, end)
            if found is not None:
                yield found.start(), end

    def _earliest(self, text: str, end: int) -> int:
        """Return where a beginning of the value that ends at `end` can begin, so that few places are tried."""
        longest = _SHORTEST_CUT + len(self._rest)
        first = max(0, end - longest * _LONGEST_ESCAPE)
        if self._pattern.search(text, first, end) is None:
            return end
        if _ESCAPES.search(text, first, end) is None:
            return max(0, end - longest)
        return [unit.start() for unit in _UNIT.finditer(text, first, end)][-longest * _UNITS :][0]

    def _reaches(self, text: str, start: int, end: int) -> bool:
        """Return whether the value goes on from `start` to `end`, which may be in the middle of an escaped letter."""
        before = self._value
        for part in _PARTS.findall(self._rest):
            if (found := _one(part, before.endswith("\\")).match(text, start, end)) is None:
                break
            before, start = part, found.end()
        return end - start < _LONGEST_ESCAPE and _CUT_ESCAPE.fullmatch(text, start, end) is not None

    def _ends(self, text: str) -> Iterator[int]:
        """Yield where an ellipsis begins in `text`. Of a row of dots, the first ones may belong to the value."""
        for found in _ELLIPSES.finditer(text):
            more = max(0, min(self._dots, len(found[0]) - 3))
            yield from range(found.start(), found.start() + more + 1)


class _Encoded(Finder):
    """Finds a value in hex or base64, with the letters around it: some of them encode parts of it, too."""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("".join(_ODD_BASE64.get(letter, letter) for letter in self._value))

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where words with the value are in `text`."""
        found = self._pattern.search(text)
        while found is not None:
            start = len(text[: found.start()].rstrip(_BASE64))
            around = _WORD.match(text, found.end())
            stop = found.end() if around is None else around.end()
            yield start, stop
            found = self._pattern.search(text, stop)


class Whole:
    """Tells whether strings have the whole of a value, in any form. Its beginning, cut, is not enough."""

    def __init__(self, value: str) -> None:
        kinds = [list(finders_of(text)) for text in (value, *quoted_by_shells(value))]
        self._written = [[kind(form) for kind, form in found if kind is _Written] for found in kinds]
        self._encoded = [kind(form) for kind, form in kinds[0] if kind is _Encoded]

    def is_in(self, text: str) -> bool:
        """Return whether `text` has the value."""
        return any(all(_has(piece, text) for piece in pieces) for pieces in self._written) or any(
            _has(form, text) for form in self._encoded
        )


def _has(finder: Finder, text: str) -> bool:
    return finder.may_be_in(text) and next(finder.spans(text), None) is not None


def _encodings(value: str) -> Iterator[str]:
    """Yield a value in hex, and in base64 after 0, 1 and 2 other bytes, without the letters shared with those bytes."""
    octets = value.encode("utf-8", "surrogateescape")
    if len(octets) < _SHORTEST_ENCODED:
        return
    yield octets.hex()
    yield octets.hex().upper()
    import binascii

    for before in range(3):
        text = binascii.b2a_base64(bytes(before) + octets, newline=False).decode().rstrip("=")
        yield text[-(-before * 8 // 6) : (before + len(octets)) * 8 // 6]


# The characters of escape sequences, which an outer format may have escaped again.
_PERCENT = "%(?:25)*"
_BACKSLASH = rf"(?:\\|{_PERCENT}5[cC]|&#92;|&#[xX]5[cC];)"
_SLASHES = f"{_BACKSLASH}{{1,64}}+"
_AMPERSAND = rf"(?:&|{_PERCENT}26)(?:amp(?:;|{_PERCENT}3[bB]))*"
_SEMICOLON = rf"(?:;|{_PERCENT}3[bB])"
_HASH = f"(?:#|{_PERCENT}23)"


def _pattern(value: str) -> re.Pattern[str]:
    """Return a pattern for `value` as it is, or with any of its characters escaped."""
    parts = _PARTS.findall(value)
    before = ["", *parts]
    return re.compile(_first(parts[0]) + "".join(_letter(part, _is_slashes(before[i])) for i, part in enumerate(parts)))


@cache
def _one(part: str, after_slashes: bool) -> re.Pattern[str]:
    return re.compile(_letter(part, after_slashes))


def _is_slashes(part: str) -> bool:
    return part.startswith("\\")


def _first(part: str) -> str:
    """Return what lets a search pass quickly over places where `part` can't begin, "" if its own pattern does that."""
    if part.isascii() and part.isalnum():
        return ""
    return rf"(?=[{re.escape(part)}\n\r+%&\\])"


def _letter(part: str, after_slashes: bool) -> str:
    """Return a pattern for one character, a run of backslashes or a line end, escaped in any way or not at all.

    The pattern of a run takes the backslashes of what follows it as well.
    """
    if part.isascii() and part.isalnum():
        return part
    if part in ("\n", "\r\n", "\r"):
        feed, back, behind = _special("\n", after_slashes), _special("\r", after_slashes), _special("\n", False)
        return f"(?:{feed}|{back}(?:{behind})?+)"
    if _is_slashes(part):
        return f"{_special(part[0], False)}{{{len(part)},}}"
    return _special(part, after_slashes)


@cache
def _special(letter: str, after_slashes: bool) -> str:
    code = ord(letter)
    plain, slashed = [re.escape(letter)], [f"U{_hex(code, 8)}"]
    if not 0xD800 <= code <= 0xDFFF:
        octets = [_hex(octet, 2) for octet in letter.encode()]
        plain += ["".join(f"{_PERCENT}{octet}" for octet in octets)]
        if len(octets) > 1:
            slashed += [f"x{f'{_SLASHES}x'.join(octets)}"]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, in the environment or a file's name
        plain += [f"{_PERCENT}{_hex(code - 0xDC00, 2)}"]
        slashed += [f"x{_hex(code - 0xDC00, 2)}"]
    if code < 0x100:
        slashed += [f"x{_hex(code, 2)}"]
    halves = [code] if code < 0x10000 else [0xD800 + (code - 0x10000 >> 10), 0xDC00 + (code - 0x10000 & 0x3FF)]
    slashed += ["u" + f"{_SLASHES}u".join(_hex(half, 4) for half in halves)]
    if letter in _NAMED:
        slashed += [_NAMED[letter]]
    entities = [f"{_HASH}(?:0*{code}|[xX]0*{_hex(code, 1)})"]
    if letter in _ENTITIES:
        entities += [_ENTITIES[letter]]
    plain += [f"{_AMPERSAND}(?:{'|'.join(entities)}){_SEMICOLON}"]
    if letter == " ":
        plain += [r"\+"]
    if letter in "\\%&":  # as it is, it is also the beginning of its longer forms: these come first
        plain = [*plain[1:], plain[0]]
    if after_slashes:
        return f"(?:{'|'.join([*slashed, *plain])})"
    if letter in "\"'/":  # JSON, `repr` and shells write a backslash and the letter itself
        return f"(?:{'|'.join(plain)}|{_SLASHES}(?:{'|'.join([*plain, *slashed])}))"
    return f"(?:{_SLASHES}(?:{'|'.join(slashed)})|{'|'.join(plain)})"


def _hex(code: int, digits: int) -> str:
    """Return a pattern for hexadecimal digits of either case."""
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in f"{code:0{digits}x}")
