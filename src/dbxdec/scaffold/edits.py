"""Edits of one file in TOML or YAML: each is checked, and one that is not safe is left to the user."""

from __future__ import annotations

import io
import json
import re
import tomllib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import tomlkit
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from dbxdec.errors import ConfigError
from dbxdec.scaffold.lines import CannotEdit, weave
from dbxdec.support import documents
from dbxdec.support.forms import at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Change = Callable[[Any], None]
    """Changes a document: nested mappings and lists, either plain ones or those of a library."""

Path = tuple[str, ...]

_LONGEST = 100_000
"""Characters of a file that is edited: the libraries take seconds for more."""
_START = re.compile(r"\A(?:(?:[ \t]*(?:#.*)?\n)*---[ \t]*\n|\n+)")
"""The start of a YAML file that ruamel.yaml drops."""


class Editing(ABC):
    """The content of `file` after the edits so far, and `notes` of what the user has to add."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.notes: list[str] = []

    @property
    def document(self) -> dict[str, Any]:
        """Return the content as plain data that shares nothing."""
        return self._read(self.text)

    def put(self, path: Path, value: Any) -> None:
        """Set a value that is not there yet, and the tables on the way to it."""
        self._apply(path, self._puts(path, value), f"{self.file}:\n{self._lines(_nested(path, value))}")

    def append(self, path: Path, value: Any, otherwise: str) -> None:
        """Add an item to the list at `path`. The user is told `otherwise` when that is not safe."""
        self._apply(path, self._appends(path, value), otherwise)

    def _apply(self, path: Path, changes: Iterable[Change], otherwise: str) -> None:
        """Make the first change that is safe."""
        for change in changes:
            try:
                self.text = self._changed(path, change)
            except Exception:  # noqa: BLE001, S112 - whatever a library can't do, the user can
                continue
            return
        self.notes.append(otherwise)

    def _changed(self, path: Path, change: Change) -> str:
        """Return the text after a change that the library makes. Raises CannotEdit when it says anything else."""
        if len(self.text) > _LONGEST:
            raise CannotEdit
        meant = self.document
        change(meant)
        changed = weave(self.text, *self._written(path, change))
        if not self._says(changed, meant):
            raise CannotEdit
        return changed

    def _says(self, text: str, meant: dict[str, Any]) -> bool:
        try:
            return bool(self._read(text) == meant)
        except (ValueError, ConfigError):
            return False

    @abstractmethod
    def _read(self, text: str) -> dict[str, Any]:
        """Return content as plain data that shares nothing."""

    @abstractmethod
    def _written(self, path: Path, change: Change) -> tuple[str, str]:
        """Return the content as the library writes it before and after a change at `path`."""

    @abstractmethod
    def _lines(self, document: dict[str, Any]) -> str:
        """Return what the user has to add."""

    def _puts(self, path: Path, value: Any) -> list[Change]:
        return [lambda document: _put(document, path, value)]

    def _appends(self, path: Path, value: Any) -> list[Change]:
        return [lambda document: _list_at(document, path).append(value)]


class TomlEditing(Editing):
    """Edits by tomlkit."""

    def replace(self, path: Path, old: str, new: str, otherwise: str = "") -> None:
        """Replace the string `old` at `path`, or in the list there, by `new`; its quotes stay."""
        meant = self.document
        parent = at(meant, *path[:-1])
        found = parent[path[-1]]
        if isinstance(found, list):
            found[found.index(old)] = new
        else:
            parent[path[-1]] = new
        for place in re.finditer(rf"(?<=[\"']){re.escape(old)}(?=[\"'])", self.text):
            changed = self.text[: place.start()] + new + self.text[place.end() :]
            if self._says(changed, meant):
                self.text = changed
                return
        self.notes.append(otherwise)

    def _read(self, text: str) -> dict[str, Any]:
        return tomllib.loads(text)

    def _written(self, path: Path, change: Change) -> tuple[str, str]:
        text = self.text.replace("\r\n", "\n")
        document = tomlkit.parse(text if not text or text.endswith("\n") else f"{text}\n")
        before = tomlkit.dumps(document)
        change(document)
        return before, tomlkit.dumps(document)

    def _lines(self, document: dict[str, Any]) -> str:
        return tomlkit.dumps(document).rstrip()

    def _puts(self, path: Path, value: Any) -> list[Change]:
        return [
            lambda document: _put(document, path, _inline(value) if isinstance(value, list) else value),
            lambda document: _put(document, path, value, _inline),  # dotted keys can't have headers below them
        ]

    def _appends(self, path: Path, value: Any) -> list[Change]:
        return [
            lambda document: _list_at(document, path).append(_inline(value)),
            # At the end tomlkit forgets a comma when the last item has a comment and no comma.
            lambda document: _list_at(document, path).insert(0, _inline(value)),
        ]


class YamlEditing(Editing):
    """Edits by ruamel.yaml."""

    def _read(self, text: str) -> dict[str, Any]:
        # A copy shares nothing: an edit of what an alias repeats must change one place, or not be made.
        document: dict[str, Any] = json.loads(json.dumps(documents.yaml(text, self.file).value))
        return document

    def _written(self, path: Path, change: Change) -> tuple[str, str]:
        text = self.text.replace("\r\n", "\n")
        body = _START.sub("", text, count=1)
        start = text[: len(text) - len(body)]
        document: Any = _yaml(2, 2).load(body)
        values = [document.get(path[0]), *document.values()]
        blocks = [value for value in values if hasattr(value, "fa") and not value.fa.flow_style()]
        mapping = next((value.lc.col for value in blocks if isinstance(value, CommentedMap)), 2)
        dash = next((value.lc.col for value in blocks if isinstance(value, CommentedSeq)), 2)
        yaml = _yaml(mapping, dash)
        before, after = io.StringIO(), io.StringIO()
        yaml.dump(document, before)
        change(document)
        yaml.dump(document, after)
        return start + before.getvalue(), start + after.getvalue()

    def _lines(self, document: dict[str, Any]) -> str:
        text = io.StringIO()
        _yaml(2, 2).dump(document, text)
        return "\n".join(f"    {line}" for line in text.getvalue().splitlines())


def literal(value: Any) -> str:
    """Return a value as TOML has it, on one line."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {literal(item)}' for key, item in value.items())} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return str(tomlkit.item(value).as_string())


def _inline(value: Any) -> Any:
    return tomlkit.value(literal(value))


def _yaml(mapping: int, dash: int) -> YAML:
    """Return ruamel.yaml with these indents of mappings and of the dashes of lists."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 2**20  # never break a line
    yaml.indent(mapping=mapping, sequence=dash + 2, offset=dash)
    return yaml


def _put(document: Any, path: Path, value: Any, form: Callable[[Any], Any] = lambda value: value) -> None:
    for i, part in enumerate(path):
        if document.get(part) is None:
            document[part] = form(_nested(path[i + 1 :], value))
            return
        document = document[part]
    raise CannotEdit


def _nested(path: Path, value: Any) -> Any:
    for part in reversed(path):
        value = {part: value}
    return value


def _list_at(document: Any, path: Path) -> list[Any]:
    found = at(document, *path)
    if not isinstance(found, list):
        raise CannotEdit
    return found
