"""Inserting into YAML text: a key with its value, an item of a list. Places come from PyYAML's marks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import yaml

from dbxdec.errors import ConfigError
from dbxdec.scaffold.lines import line_end, newline_of
from dbxdec.scaffold.toml_places import CannotEdit
from dbxdec.support import documents

Path = tuple[str, ...]

_STEP = "  "
_LONGEST = 2**20
"""Characters of what is edited: PyYAML takes minutes for more."""


def put(text: str, path: Path, value: Any) -> str:
    """The text with `value` at `path`, where nothing is yet; mappings on the way are made where they are missing."""
    expected = _load(text)
    _merge(expected, path, value)
    root = _composed(text)
    if root is None:
        body = text + ("" if not text or text.endswith("\n") else newline_of(text))
        return _same(body + newline_of(text).join([*_lines(dict([_nested(path, value)]), ""), ""]), expected)
    node, rest = _nearest(root, path)
    if _is_nothing(node):  # `key:` with nothing behind it
        inner = dict([_nested(rest, value)]) if rest else value
        return _same(_below(text, node, root, path[: len(path) - len(rest)], inner), expected)
    if not rest:
        raise CannotEdit(".".join(path))
    key, inner = _nested(rest, value)
    if not isinstance(node, yaml.MappingNode):
        raise CannotEdit(".".join(path))
    if node.flow_style:
        return _same(_into_flow(text, node, f"{_flow(key)}: {_flow(inner)}"), expected)
    indent = " " * node.value[0][0].start_mark.column  # the node's own mark is at its anchor, where it has one
    lines = _lines({key: inner}, indent, _step(root))
    blank = node is root and _is_spaced(text, node)
    return _same(_insert(text, _end(node, text), [*([""] if blank else []), *lines], len(indent)), expected)


def append(text: str, path: Path, value: str) -> str:
    """The text with `value` as the last of the list at `path`."""
    expected = _load(text)
    found: Any = expected
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    root = _composed(text)
    if not isinstance(found, list) or root is None:
        raise CannotEdit(".".join(path))
    found.append(value)
    node, rest = _nearest(root, path)
    if rest or not isinstance(node, yaml.SequenceNode):
        raise CannotEdit(".".join(path))
    if node.flow_style:
        return _same(_into_flow(text, node, _flow(value)), expected)
    first = node.value[0].start_mark
    column = first.column - (first.index - text.rindex("-", 0, first.index))
    return _same(_insert(text, _end(node, text), [f"{' ' * column}- {_scalar(value)}"], column), expected)


def lines_for(path: Path, value: Any) -> str:
    """The lines that a person would add."""
    return "\n".join(_lines(dict([_nested(path, value)]), ""))


def _nested(path: Path, value: Any) -> tuple[str, Any]:
    for part in reversed(path[1:]):
        value = {part: value}
    return path[0], value


def _composed(text: str) -> yaml.Node | None:
    if len(text) > _LONGEST:
        raise CannotEdit
    try:
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise CannotEdit from None
    return root


def _load(text: str) -> dict[str, Any]:
    try:
        found = documents.yaml(text, "").value
    except ConfigError:
        raise CannotEdit from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise CannotEdit
    copied: dict[str, Any] = _copy(found)
    return copied


def _copy(value: Any) -> Any:
    """A copy that shares nothing: an edit of what an alias repeats must change one place, or not be made."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _merge(document: dict[str, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        if document.get(part) is None:
            document[part] = {}
        document = document[part]
        if not isinstance(document, dict):
            raise CannotEdit(".".join(path))
    if document.get(path[-1]) is not None:
        raise CannotEdit(".".join(path))
    document[path[-1]] = value


def _same(changed: str, expected: Any) -> str:
    try:
        if documents.yaml(changed, "").value == expected:
            return changed
    except ConfigError:
        pass
    raise CannotEdit


def _nearest(node: yaml.Node, path: Path) -> tuple[yaml.Node, Path]:
    """The deepest node on the way to `path`, and what is left of the path."""
    for i, part in enumerate(path):
        if not isinstance(node, yaml.MappingNode):
            return node, path[i:]
        values = [value for key, value in node.value if key.value == part]
        if not values:
            return node, path[i:]
        node = values[-1]
    return node, ()


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _below(text: str, node: yaml.Node, root: yaml.Node, path: Path, value: Any) -> str:
    """Fill a key that has no value. The key's own column tells how far its content is set in."""
    if node.start_mark.index != node.end_mark.index:
        raise CannotEdit(".".join(path))  # `null` or `~`, written out
    parent, _ = _nearest(root, path[:-1])
    key = next(key for key, found in parent.value if found is node)
    if isinstance(parent, yaml.MappingNode) and parent.flow_style:
        raise CannotEdit(".".join(path))
    column, step = key.start_mark.column, _step(root)
    if isinstance(value, Mapping):
        return _insert(text, key.end_mark.index, _lines(value, " " * column + step, step), column + 1)
    if isinstance(value, list):
        return _insert(
            text, key.end_mark.index, [f"{' ' * column}{step}- {_scalar(item)}" for item in value], column + 1
        )
    end = node.start_mark.index
    return f"{text[:end]} {_scalar(value)}{text[end:]}"


def _end(node: yaml.Node, text: str) -> int:
    """Where the last content of a node ends: a block's own mark is at what follows it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        if isinstance(last, tuple):
            key, value = last
            return max(_end(value, text), int(key.end_mark.index) + 1)
        return _end(last, text)
    end: int = node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        return max(int(node.start_mark.index), len(text[:end].rstrip()))
    return end


def _insert(text: str, place: int, lines: list[str], column: int) -> str:
    """The text with `lines` behind the line of `place`, and behind comments there that are set in at least so far."""
    line = newline_of(text)
    end = line_end(text, place)
    start = end
    for found in re.finditer(r"\r?\n([ \t]*)([^\r\n]*)", text[start:]):
        indent, content = len(found[1]), found[2]
        if content and not (content.startswith("#") and indent >= column > 0):
            break
        if content:
            end = start + found.end()
    return f"{text[:end]}{line}{line.join(lines)}{text[end:] or line}"


def _is_spaced(text: str, root: yaml.MappingNode) -> bool:
    """Whether blank lines stand between the keys at the top."""
    starts = [key.start_mark.index for key, _ in root.value]
    return len(starts) < 2 or any(re.search(r"\n[ \t]*\r?\n", text[a:b]) for a, b in pairwise(starts))


def _into_flow(text: str, node: yaml.CollectionNode, new: str) -> str:
    if not node.value:
        start = node.start_mark.index + 1
        return f"{text[:start]}{new}{text[start:]}"
    last = node.value[-1]
    end = (last[1] if isinstance(last, tuple) else last).end_mark.index
    return f"{text[:end]}, {new}{text[end:]}"


def _step(root: yaml.Node) -> str:
    """How far the text sets in what is below a key."""
    found = (
        value.start_mark.column
        for _, value in (root.value if isinstance(root, yaml.MappingNode) else ())
        if isinstance(value, yaml.MappingNode) and not value.flow_style
    )
    return " " * next(found, len(_STEP))


def _lines(value: Mapping[str, Any], indent: str, step: str = _STEP) -> list[str]:
    found: list[str] = []
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            found += [f"{indent}{_scalar(key)}:", *_lines(inner, indent + step, step)]
        elif isinstance(inner, list):
            found += [f"{indent}{_scalar(key)}:", *(f"{indent}{step}- {_scalar(item)}" for item in inner)]
        else:
            found.append(f"{indent}{_scalar(key)}: {_scalar(inner)}")
    return found


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_flow(key)}: {_flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    text = _scalar(value)
    return f'"{text}"' if text[:1] not in "\"'" and re.search(r"[,\[\]{}]", text) else text


def _scalar(value: Any) -> str:
    text: str = yaml.safe_dump(value, width=100_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()
