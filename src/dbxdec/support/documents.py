"""Reads settings files, TOML and YAML, of any content: with limits, and errors of one sentence with file and line.

YAML is read as the bundle's CLI reads it: YAML 1.2's booleans and numbers, and a string for what YAML 1.1 takes as a
time. The result is plain data whose mappings have strings as keys.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import ConfigError, Problem, SourceLocation
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TOML = 2**20
MAX_YAML = 64 * 2**20
_MAX_DEPTH = 100
_MAX_VALUES = 5_000_000
"""Limit for the values of one YAML file. The values of an alias count each time it is used."""
_LINES_DEPTH = 5
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_AT_END = " (at end of document)"
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def text_of(path: Path, longest: int, shown: str | None = None) -> str:
    """Return the content of a UTF-8 file. `shown` is its name in messages. Raises ConfigError if it can't be read."""
    shown = str(path) if shown is None else shown
    try:
        if not path.is_file():
            # Reading a pipe or a device may never end, or never begin.
            raise ConfigError(f"{shown} can't be read: it {'is not a file' if path.exists() else 'does not exist'}")
        with path.open("rb") as file:
            content = file.read(longest + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{shown} can't be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > longest:
        raise ConfigError(f"{shown} has more than {longest:,} bytes, too many for a settings file")
    if content.startswith(_UTF_16):
        raise ConfigError(Problem("is UTF-16, not UTF-8", SourceLocation(shown, 1), "save it as UTF-8"))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            Problem(f"is not UTF-8: {content[error.start : error.start + 1]!r}", SourceLocation(shown, line))
        ) from None


def toml_of(path: Path) -> dict[str, Any]:
    """Return the document in a TOML file. Raises ConfigError, with the line, if it is not TOML."""
    return toml(text_of(path, MAX_TOML, str(path)), str(path))


def toml(text: str, shown: str) -> dict[str, Any]:
    """Parse `text` as TOML. Raises ConfigError, with the line in the file `shown`, for anything else."""
    if text.startswith(_BOM.decode()):
        hint = "save it as UTF-8 without a byte order mark: TOML does not allow one"
        raise ConfigError(Problem("begins with a byte order mark", SourceLocation(shown, 1), hint))
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{shown} can't be read as TOML: it is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        message = str(error)
        found = _AT_LINE.search(message)
        line = int(found[1]) if found else max(1, text.count("\n"))
        what = _AT_LINE.sub("", message).removesuffix(_AT_END)
        raise ConfigError(Problem(f"is not TOML: {what:.200}", SourceLocation(shown, line))) from None


@dataclass(frozen=True)
class Yaml:
    """A YAML document: its value, and the line numbers (from 1) of its first levels of keys, by path."""

    value: Any
    lines: dict[tuple[str, ...], int]


def yaml_of(path: Path) -> Yaml:
    """Return the document in a YAML file. Raises ConfigError, with the line, if it can't be read."""
    return yaml(text_of(path, MAX_YAML, str(path)), str(path))


def yaml(text: str, shown: str) -> Yaml:
    """Parse `text` as YAML. Raises ConfigError, with the line in the file `shown`, for anything else."""
    import yaml as library

    building = _Building(shown)
    loader = getattr(library, "CSafeLoader", library.SafeLoader)
    try:
        for event in library.parse(text, Loader=loader):
            building.take(event)
    except library.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or " ".join(str(error).split())
        raise building.refused(f"is not YAML: {what:.200}", None if mark is None else mark.line) from None
    except (RecursionError, ValueError) as error:
        raise building.refused(f"is not YAML: {error!s:.200}", None) from None
    return Yaml(building.value, building.lines)


# Plain scalars resolve as in gopkg.in/yaml.v3, which the CLI reads with (resolve.go).
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = {
    **{f"{sign}.{name}": float(f"{sign}inf") for sign in ("", "+", "-") for name in ("inf", "Inf", "INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_LONGEST_NUMBER = 100
_TAG = "tag:yaml.org,2002:"


def _plain(text: str) -> Any:
    """Return the value of a scalar without quotes."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text in _INFINITE:
        return _INFINITE[text]
    if len(text) <= _LONGEST_NUMBER:
        if _INT.fullmatch(text):
            return _whole(text)
        if _FLOAT.fullmatch(text):
            return float(text.replace("_", ""))
    return text


def _whole(text: str) -> int | str:
    if text.lstrip("+-").isdecimal():
        return int(text)  # the CLI's own loader reads 010 as 10 (libs/dyn/yamlloader)
    plain = text.replace("_", "")
    sign, digits = (plain[0], plain[1:]) if plain[0] in "+-" else ("", plain)
    octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    try:
        return int(f"{sign}0o{digits[1:]}" if octal else f"{sign}{digits}", 0)
    except ValueError:
        return text


_CONVERT: dict[str, Callable[[str], Any]] = {
    "str": str,
    "null": lambda _: None,
    "bool": _plain,
    "int": _plain,
    "float": _plain,
    "timestamp": str,
    "binary": str,
}


@dataclass()
class _Frame:
    """A mapping or list that is still open."""

    value: Any
    path: tuple[str, ...]
    anchor: str | None
    values: int = 1
    key: str | None = None
    has_key: bool = False
    merges: list[Any] = field(default_factory=list)


class _Building:
    """Builds a document event by event, without recursion, and limits what aliases expand to."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._documents = 0
        self._values = 0
        self.value: Any = None
        self.lines: dict[tuple[str, ...], int] = {}

    def refused(self, what: str, line: int | None) -> ConfigError:
        return ConfigError(Problem(what, SourceLocation(self._shown, 1 if line is None else line + 1)))

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        line = event.start_mark.line
        match kind:
            case "DocumentStartEvent":
                self._documents += 1
                if self._documents > 1:
                    raise self.refused("holds more than one document", line)
            case "ScalarEvent":
                self._add(self._scalar(event, line), 1, event.anchor, line, plain=not event.style)
            case "AliasEvent":
                found = self._anchors.get(event.anchor)
                if found is None:
                    what = " inside itself" if event.anchor in self._anchors else ", which is not defined"
                    raise self.refused(f"refers to `{event.anchor:.60}`{what}", line)
                self._add(*found, None, line, plain=False)
            case "MappingStartEvent" | "SequenceStartEvent":
                self._open({} if kind == "MappingStartEvent" else [], event, line)
            case "MappingEndEvent" | "SequenceEndEvent":
                self._close(line)

    def _open(self, value: Any, event: Any, line: int) -> None:
        if len(self._stack) >= _MAX_DEPTH:
            raise self.refused(f"is nested more than {_MAX_DEPTH} times", line)
        if self._wants_key():
            raise self.refused("has a key that is not a string", line)
        if event.tag not in (None, "!", f"{_TAG}map", f"{_TAG}seq"):
            raise self.refused(f"has the unknown tag {event.tag:.60}", line)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(_Frame(value, self._path(), event.anchor))

    def _close(self, line: int) -> None:
        frame = self._stack.pop()
        for merged in reversed(frame.merges):
            for name, value in merged.items():
                frame.value.setdefault(name, value)
        self._values -= frame.values - 1  # the items have been counted already
        self._add(frame.value, frame.values, frame.anchor, line, plain=False)

    def _wants_key(self) -> bool:
        return bool(self._stack) and type(self._stack[-1].value) is dict and not self._stack[-1].has_key

    def _path(self) -> tuple[str, ...]:
        """Return the path of the next value; items of lists have empty names."""
        if not self._stack:
            return ()
        top = self._stack[-1]
        return (*top.path, top.key or "") if type(top.value) is dict else (*top.path, "")

    def _scalar(self, event: Any, line: int) -> Any:
        if self._wants_key():
            return event.value
        tag = event.tag
        if tag is None or tag == "!":
            return _plain(event.value) if tag is None and event.implicit[0] else event.value
        convert = _CONVERT.get(tag.removeprefix(_TAG)) if tag.startswith(_TAG) else None
        if convert is None:
            raise self.refused(f"has the unknown tag {tag:.60}", line)
        return convert(event.value)

    def _add(self, value: Any, values: int, anchor: str | None, line: int, *, plain: bool) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, values)
        self._values += values
        if self._values > _MAX_VALUES:
            raise self.refused(f"has more than {_MAX_VALUES:,} values (those of an alias count each time)", line)
        if not self._stack:
            self.value = value
            return
        top = self._stack[-1]
        top.values += values
        if type(top.value) is list:
            top.value.append(value)
        elif not top.has_key:
            if type(value) is not str:
                raise self.refused("has a key that is not a string", line)
            if len(top.path) < _LINES_DEPTH:
                self.lines[(*top.path, value)] = line + 1
            # In quotes, `<<` is a key like any other.
            top.key, top.has_key = None if value == "<<" and plain else value, True
        else:
            self._put(top, value, line)

    def _put(self, top: _Frame, value: Any, line: int) -> None:
        top.has_key = False
        if top.key is not None:
            if top.key in top.value:
                raise self.refused(f"has the key `{top.key:.60}` twice", line)
            top.value[top.key] = value
            return
        merged = value if type(value) is list else [value]
        if not all(type(one) is dict for one in merged):
            raise self.refused("merges something that is not a mapping (`<<`)", line)
        top.merges += reversed(merged)
