"""Hides the values of secrets in strings, however they are written there.

A value is found as it is, quoted for a shell, and with any characters escaped as in JSON, `repr`, URLs or HTML, once or
several times. It is also found in base64 and in hex. Each line of a multi-line value is found by itself too, and so is
the beginning of a value that was cut and ends in an ellipsis. Values that overlap are hidden together.

A value of less than four characters is hidden only if it is the whole string or in quotes. Anywhere else it reveals
nothing, and hiding it would garble the rest.

Secrets are known for as long as the run that has used them: `scope()`.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from dbxdec.support.secret_forms import finders_of, quoted_by_shells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from dbxdec.support.secret_forms import Finder

HIDDEN = "[secret]"
VARIABLE = "DBXDEC_SECRET_"
"""The prefix of the environment variables that hold the values of secrets on this machine."""
_SHORT = 4
_SHORTEST_LINE = 8
_LONGEST_HELD = 2**20
"""The number of characters that are held back of a line whose end has not been written."""


def variables() -> list[str]:
    """Return the names of the environment variables that hold secrets."""
    return [name for name in os.environ if name.startswith(VARIABLE)]


def of_this_machine() -> list[str]:
    """Return the values of all secrets in the environment, which no log may show."""
    return [os.environ[name] for name in variables()]


class Mask:
    """A set of secrets that it hides in strings and data."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._short: set[str] = set()
        self._finders: dict[tuple[type[Finder], str], Finder] = {}
        for value in values:
            self.learn(value)

    def __bool__(self) -> bool:
        """Return whether there is a secret to hide."""
        return bool(self._known)

    @property
    def values(self) -> frozenset[str]:
        """The values of the secrets."""
        return frozenset(self._known)

    def learn(self, value: str) -> None:
        """Hide `value` from now on."""
        if value in self._known or not value.strip():
            return
        self._known.add(value)
        whole = value.strip()
        for part in dict.fromkeys([value, whole, *_lines(whole), *quoted_by_shells(whole)]):
            if len(part) < _SHORT:
                self._short.add(part)
                continue
            for kind, form in finders_of(part):
                if (kind, form) not in self._finders:
                    self._finders[kind, form] = kind(form)

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        if not self._known or not text:
            return text
        if (whole := text.strip()) in self._short:
            return text.replace(whole, HIDDEN)
        finders = (finder for finder in self._finders.values() if finder.may_be_in(text))
        spans = sorted(span for finder in finders for span in finder.spans(text))
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


def values() -> frozenset[str]:
    """Return the values of the secrets that are known now."""
    return frozenset().union(*(mask.values for mask in _scopes))


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
    """A text stream that hides secrets in what is written to it. Everything else is the original stream's.

    While a secret is known, the beginning of a line is held back until its end is written, or the stream is flushed: a
    secret may be written in parts.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = ""
        self._writing = threading.RLock()

    def write(self, text: str) -> int:
        with self._writing:
            if not isinstance(text, str) or not (self._held or any(_scopes)):
                return self._stream.write(text)
            self._held += text
            if len(self._held) > _LONGEST_HELD:
                self.release()
            elif "\n" in text:
                self._release_lines()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self.release()
        self._stream.flush()

    def release(self) -> None:
        """Write what is held back."""
        with self._writing:
            text, self._held = self._held, ""
            if text:
                self._stream.write(hide(text))

    def _release_lines(self) -> None:
        lines, end, rest = self._held.rpartition("\n")
        shown = hide(lines + end)
        if rest and shown + hide(rest) != hide(self._held):
            self.release()  # a secret begins in these lines and ends in the rest
        else:
            self._held = rest
            self._stream.write(shown)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)

    def __getattr__(self, name: str) -> Any:
        if name in ("buffer", "fileno", "detach", "close"):
            self.release()
        return getattr(self._stream, name)


@contextmanager
def output() -> Iterator[None]:
    """Hide secrets in prints, logs and tracebacks of Python inside the block, as the platform does in notebooks."""
    before = sys.stdout, sys.stderr
    streams = [None if stream is None else _Output(stream) for stream in before]
    sys.stdout, sys.stderr = streams
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in streams:
            if stream is not None:
                with suppress(ValueError):  # the code in the block has closed it
                    stream.release()
