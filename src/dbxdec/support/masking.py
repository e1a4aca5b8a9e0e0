"""Hides the values of secrets in strings, however they are written there.

A value is found as it is, and with any characters escaped as in JSON, `repr`, URLs or HTML, once or several times. It
is also found in base64 and in hex. Each line of a multi-line value is found by itself too, and so is the beginning of a
value that was cut and ends in an ellipsis. Values that overlap are hidden together.

A value of less than four characters is hidden only if it is the whole string or in quotes. Anywhere else it reveals
nothing, and hiding it would garble the rest.

Secrets are known for as long as the run that has used them: `scope()`.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

HIDDEN = "[secret]"
VARIABLE = "DBXDEC_SECRET_"
"""The prefix of the environment variables that hold the values of secrets on this machine."""
_SHORT = 4
_SHORTEST_LINE = _SHORTEST_ENCODED = _SHORTEST_CUT = 8
_PIECE = 400
"""The number of characters in one pattern. Longer values are found piece by piece."""
_PARTS = re.compile(r"\r\n|\\+|.", re.DOTALL)
_ELLIPSES = ("…", "...")
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_ODD_BASE64 = {"+": "[+-]", "/": r"\\*[/_]"}
_NAMED = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f", "\v": "v", "\a": "a", "\0": "0"}
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}


def of_this_machine() -> list[str]:
    """Return the values of all secrets in the environment, which no log may show."""
    return [value for name, value in os.environ.items() if name.startswith(VARIABLE)]


class Mask:
    """A set of secrets that it hides in strings and data."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._short: set[str] = set()
        self._finders: list[_Finder] = []
        for value in values:
            self.learn(value)

    def learn(self, value: str) -> None:
        """Hide `value` from now on."""
        if value in self._known or not value.strip():
            return
        self._known.add(value)
        whole = value.strip()
        for part in dict.fromkeys([value, whole, *_lines(whole)]):
            if len(part) < _SHORT:
                self._short.add(part)
                continue
            self._finders += [_Written(part[i : i + _PIECE]) for i in range(0, len(part), _PIECE)]
            if len(part) > _SHORTEST_CUT:
                self._finders.append(_Cut(part))
            self._finders += map(_Encoded, _encodings(part))

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        if not self._known or not text:
            return text
        if (whole := text.strip()) in self._short:
            return text.replace(whole, HIDDEN)
        spans = sorted(span for finder in self._finders if finder.needle in text for span in finder.spans(text))
        if self._short:
            spans = sorted([*spans, *_quoted(self._short, text)])
        parts: list[str] = []
        end = 0
        for start, stop in spans:
            if start > end or not parts:
                parts += [text[end:start], HIDDEN]
            end = max(end, stop)
        return "".join([*parts, text[end:]])

    def data(self, value: Any) -> Any:
        """Return JSON data without secrets in its strings. Keys are kept."""
        match value:
            case str():
                return self.text(value)
            case list() | tuple():
                return [self.data(item) for item in value]
            case dict():
                return {key: self.data(item) for key, item in value.items()}
        return value

    def results(self, value: Any) -> Any:
        """Return JSON data that tasks made, without secrets. Here a number or a key may be a secret as well."""
        match value:
            case list() | tuple():
                return [self.results(item) for item in value]
            case dict():
                return {self.text(key): self.results(item) for key, item in value.items()}
            case bool():
                return value
            case int() | float():
                # In brackets, because a short value is hidden if it is the whole string.
                inside = f"<{value}>"
                return value if self.text(inside) == inside else HIDDEN
        return self.data(value)


def _lines(value: str) -> list[str]:
    """Return the lines of a multi-line value that are long enough to be hidden by themselves."""
    lines = [line.strip() for line in value.splitlines()]
    return [line for line in lines if len(line) >= _SHORTEST_LINE] if len(lines) > 1 else []


def _quoted(values: Iterable[str], text: str) -> Iterator[tuple[int, int]]:
    for value in values:
        if value in text:
            yield from (found.span(1) for found in re.finditer(rf"""["']({re.escape(value)})(?=["'\\])""", text))


class _Finder:
    """Finds one form of a value. A string without `needle`, which no escaping changes, can't contain it."""

    def __init__(self, value: str) -> None:
        self.needle = max(re.findall(r"[A-Za-z0-9]+", value), key=len, default="")
        self._value = value

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("".join(self._letters))

    @cached_property
    def _letters(self) -> list[str]:
        return list(map(_letter, _PARTS.findall(self._value)))

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where the value is in `text`, including overlapping matches."""
        found = self._pattern.search(text)
        while found is not None:
            yield from self._span(text, *found.span())
            found = self._pattern.search(text, found.start() + 1)

    def _span(self, text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
        yield start, stop


class _Written(_Finder):
    """Finds a value, or a piece of a long one."""


class _Cut(_Finder):
    """Finds the beginning of a value that is cut by an ellipsis."""

    def __init__(self, value: str) -> None:
        super().__init__(value[:_SHORTEST_CUT])
        self._rest = value[_SHORTEST_CUT:]

    def _span(self, text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
        for part in _PARTS.findall(self._rest):
            if (found := re.compile(_letter(part)).match(text, stop)) is None:
                break
            stop = found.end()
        if text.startswith(_ELLIPSES, stop):
            yield start, stop


class _Encoded(_Finder):
    """Finds a value in hex or base64, with the letters around it: some of them encode parts of it, too."""

    @cached_property
    def _letters(self) -> list[str]:
        return [_ODD_BASE64.get(letter, letter) for letter in self._value]

    def _span(self, text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
        while start and text[start - 1] in _BASE64:
            start -= 1
        while stop < len(text) and text[stop] in _BASE64:
            stop += 1
        yield start, stop


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
_AMPERSAND = rf"(?:&|{_PERCENT}26)(?:amp(?:;|{_PERCENT}3[bB]))*"
_SEMICOLON = rf"(?:;|{_PERCENT}3[bB])"
_NUMBER = rf"{_AMPERSAND}(?:#|{_PERCENT}23)"


def _letter(part: str) -> str:
    """Return a pattern for one character, a run of backslashes or a line end, escaped in any way or not at all."""
    if part.isascii() and part.isalnum():
        return part
    if part in ("\n", "\r\n", "\r"):
        feed, back = _special("\n"), _special("\r")
        return f"(?:{back}?{feed}|{back})"
    if part.startswith("\\"):
        return f"(?:{_special(part[0])}){{{len(part)},}}"
    return _special(part)


def _special(letter: str) -> str:
    code = ord(letter)
    ways = [re.escape(letter)]
    if not 0xD800 <= code <= 0xDFFF:
        octets = letter.encode()
        ways += ["".join(f"{_PERCENT}{_hex(octet, 2)}" for octet in octets)]
        ways += ["".join(rf"{_BACKSLASH}+x{_hex(octet, 2)}" for octet in octets)]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, in the environment or a file's name
        ways += [rf"{_BACKSLASH}+x{_hex(code - 0xDC00, 2)}", f"{_PERCENT}{_hex(code - 0xDC00, 2)}"]
    if code < 0x100:
        ways += [rf"{_BACKSLASH}+x{_hex(code, 2)}"]
    pair = [code] if code < 0x10000 else [0xD800 + (code - 0x10000 >> 10), 0xDC00 + (code - 0x10000 & 0x3FF)]
    ways += ["".join(rf"{_BACKSLASH}+u{_hex(half, 4)}" for half in pair), rf"{_BACKSLASH}+U{_hex(code, 8)}"]
    ways += [rf"{_NUMBER}0*{code}{_SEMICOLON}", rf"{_NUMBER}[xX]0*{_hex(code, 1)}{_SEMICOLON}"]
    if letter in _NAMED:
        ways += [rf"{_BACKSLASH}+{_NAMED[letter]}"]
    if letter in _ENTITIES:
        ways += [f"{_AMPERSAND}{_ENTITIES[letter]}{_SEMICOLON}"]
    if letter == " ":
        ways += [r"\+"]
    escaped = f"{_BACKSLASH}*" if letter in "\"'/" else ""
    return f"{escaped}(?:{'|'.join(dict.fromkeys(ways))})"


def _hex(code: int, digits: int) -> str:
    """Return a pattern for hexadecimal digits of either case."""
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in f"{code:0{digits}x}")


# The innermost scope is last. The first one is for secrets used outside of any run, for instance in a notebook.
_scopes: list[Mask] = [Mask()]


@contextmanager
def scope(values: Iterable[str] = ()) -> Iterator[Mask]:
    """Hide `values` and the secrets used inside the block until it ends. Later messages are not masked."""
    mask = Mask(values)
    _scopes.append(mask)
    try:
        yield mask
    finally:
        _scopes.remove(mask)


def learn(value: str) -> None:
    """Hide a secret that has just been used."""
    _scopes[-1].learn(value)


def hide(text: str) -> str:
    """Return `text` without the secrets that are known now."""
    for mask in _scopes:
        text = mask.text(text)
    return text


def hide_data(value: Any) -> Any:
    """Return JSON data without the secrets that are known now."""
    for mask in _scopes:
        value = mask.data(value)
    return value


def brief(value: object, longest: int = 80) -> str:
    """Return the `repr` of a run's value on one line, for a message. Secrets are hidden before it is cut."""
    try:
        text = hide(repr(value))
    except Exception:  # noqa: BLE001 - the value is of any class, and so is its error; an int may have too many digits
        return f"a `{type(value).__name__}`"
    return (" ".join(text.split()) if "\n" in text else text)[:longest]


class _Output:
    """A text stream that hides secrets in each string written to it. Everything else is the original stream's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(hide(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def output() -> Iterator[None]:
    """Hide secrets in prints, logs and tracebacks of Python inside the block, as the platform does in notebooks."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = ((None if stream is None else _Output(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
