"""Inserting into TOML text: a new value of an array, a new key, a new table.

What is inserted is parsed again and compared with what was meant.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from dbxdec.scaffold.lines import indent_of, line_end, line_start, newline_of, next_line
from dbxdec.scaffold.toml_places import (
    CannotEdit,
    Path,
    Span,
    comma_after,
    find,
    inline_of,
    items_of,
    members_of,
    sections_of,
)

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def literal(value: Any, quote: str = '"') -> str:
    """`value` in TOML, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        plain = value.isprintable() and quote not in value and "\\" not in value
        return f"{quote}{value}{quote}" if plain else json.dumps(value, ensure_ascii=True)
    if isinstance(value, list):
        return f"[{', '.join(literal(item, quote) for item in value)}]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key_text((key,))} = {literal(item, quote)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    raise CannotEdit(f"no literal for {value!r}")


def key_text(path: Path) -> str:
    """A dotted key."""
    return ".".join(part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False) for part in path)


def get(document: Mapping[str, Any], path: Path, default: Any = None) -> Any:
    """The value at `path`; `default` where there is none, or something on the way is no table."""
    for part in path:
        if not isinstance(document, Mapping) or part not in document:
            return default
        document = document[part]
    return document


def append(text: str, path: Path, value: Any) -> str:
    """The text with `value` as the last of the array at `path`."""
    array = find(text, path)
    if array is None or text[array.start] != "[":
        raise CannotEdit(key_text(path))
    items = items_of(text, array)
    quote = text[items[-1].start] if items and text[items[-1].start] in "\"'" else '"'
    new = literal(value, quote)
    last = items[-1] if items else None
    if last is None:
        closing = line_start(text, array.end - 1)
        if closing <= array.start:
            return _checked(text, path, f"{text[: array.start + 1]}{new}{text[array.start + 1 :]}", [value])
        indent = indent_of(text, closing) + "    "
        return _checked(text, path, f"{text[:closing]}{indent}{new},{newline_of(text)}{text[closing:]}", [value])
    start = line_start(text, last.start)
    is_alone = start > array.start and not text[start : last.start].strip()
    if not is_alone:
        return _checked(text, path, f"{text[: last.end]}, {new}{text[last.end :]}", [value])
    line, indent = newline_of(text), text[start : last.start]
    comma = comma_after(text, last.end)
    end = line_end(text, last.end if comma is None else comma)
    if end >= array.end:  # the bracket closes on the last value's own line
        return _checked(text, path, f"{text[: last.end]},{line}{indent}{new}{text[last.end :]}", [value])
    if comma is None:
        return _checked(
            text, path, f"{text[: last.end]},{text[last.end : end]}{line}{indent}{new}{text[end:]}", [value]
        )
    return _checked(text, path, f"{text[:end]}{line}{indent}{new},{text[end:]}", [value])


def replace_item(text: str, path: Path, index: int, value: str) -> str:
    """The text with another value at `index` of the array at `path`."""
    array = find(text, path)
    if array is None or text[array.start] != "[":
        raise CannotEdit(key_text(path))
    item = items_of(text, array)[index]
    new = literal(value, text[item.start])
    expected = _copy(tomllib.loads(text))
    get(expected, path)[index] = value
    return _same(f"{text[: item.start]}{new}{text[item.end :]}", expected)


def replace(text: str, path: Path, value: str) -> str:
    """The text with another value at `path`, where a text is."""
    found = find(text, path)
    if found is None:
        raise CannotEdit(key_text(path))
    expected = _copy(tomllib.loads(text))
    get(expected, path[:-1])[path[-1]] = value
    return _same(f"{text[: found.start]}{literal(value, text[found.start])}{text[found.end :]}", expected)


def put(text: str, path: Path, values: Mapping[str, Any]) -> str:
    """The text with the table at `path`, and in it the `values`, which it does not have yet.

    The table is made where there is none: behind its nearest relatives, in the form that they have.
    """
    expected = _copy(tomllib.loads(text))
    _merge(expected, path, values)
    if expected == tomllib.loads(text):
        return text
    return _same(_put(text, path, values), expected)


def _put(text: str, path: Path, values: Mapping[str, Any]) -> str:
    sections = sections_of(text)
    line = newline_of(text)
    if (found := inline_of(text, sections, path)) is not None:
        table, rest = found
        inner: Any = dict(values)
        for part in reversed(rest):
            inner = {part: inner}
        return _into_inline(text, table, inner)
    dotted = [
        (section, pair)
        for section in sections
        for pair in section.pairs
        if not section.is_array and _shared(pair.path[:-1], path) > max(len(section.path), 1)
    ]
    own = next((section for section in sections if section.path == path and not section.is_array), None)
    if own is None and dotted:
        section, pair = max(dotted, key=lambda found: (_shared(found[1].path[:-1], path), found[1].start))
        prefix = path[len(section.path) :]
        lines = [f"{key_text((*prefix, key))} = {literal(value)}" for key, value in values.items()]
        lines = lines or [f"{key_text(prefix)} = {{}}"]
        return _after(text, pair.value.end, [indent_of(text, line_start(text, pair.start)) + each for each in lines])
    if own is not None and path:
        indent = indent_of(text, line_start(text, own.pairs[-1].start)) if own.pairs else ""
        lines = [f"{indent}{key_text((key,))} = {literal(value)}" for key, value in values.items()]
        return _after(text, own.end, lines)
    lines = [f"[{key_text(path)}]", *(f"{key_text((key,))} = {literal(value)}" for key, value in values.items())]
    below = next((section for section in sections if section.path[: len(path)] == path), None)
    if below is not None:
        start = _head(text, below.start)
        return f"{text[:start]}{line.join(lines)}{line * 2}{text[start:]}"
    related = [section for section in sections if section.path and _shared(section.path, path) > (path[0] == "tool")]
    if not related:
        body = text.rstrip("\r\n")
        return f"{body}{line * 2 if body else ''}{line.join(lines)}{line}"
    near = max(related, key=lambda section: (_shared(section.path, path), section.end))
    end = _tail(text, near.end)
    after = text[end:].lstrip("\r\n")
    is_tight = after and not re.match(r"\r?\n[ \t]*\r?\n", text[end:])
    indent = indent_of(text, line_start(text, near.start))
    return _after(text, end, ["", *(indent + each for each in lines), *([""] if is_tight else [])])


def _merge(document: dict[str, Any], path: Path, values: Mapping[str, Any]) -> None:
    for part in path:
        document = document.setdefault(part, {})
        if not isinstance(document, dict):
            raise CannotEdit(key_text(path))
    for key, value in values.items():
        if key in document:
            raise CannotEdit(key_text((*path, key)))
        document[key] = value


def _checked(text: str, path: Path, changed: str, added: list[Any]) -> str:
    expected = _copy(tomllib.loads(text))
    get(expected, path).extend(added)
    return _same(changed, expected)


def _same(changed: str, expected: Mapping[str, Any]) -> str:
    """`changed`, where it holds what is expected."""
    try:
        if tomllib.loads(changed) == expected:
            return changed
    except tomllib.TOMLDecodeError:
        pass
    raise CannotEdit


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _shared(one: Path, other: Path) -> int:
    """How many parts two paths have in common."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _after(text: str, end: int, lines: list[str]) -> str:
    """The text with `lines` behind the line that `end` is in."""
    line = newline_of(text)
    end = line_end(text, end)
    rest = text[end:] or line
    return f"{text[:end]}{line}{line.join(lines)}{rest}"


def _tail(text: str, end: int) -> int:
    """Behind the comments that follow directly, unless they belong to what comes next."""
    place = end = line_end(text, end)
    while place < len(text):
        start = text.index("\n", place) + 1
        place = line_end(text, start)
        content = text[start:place].strip()
        if not content:
            return end
        if not content.startswith("#"):
            return line_end(text, end)
        if place >= len(text) or not text[next_line(text, place) : line_end(text, next_line(text, place))].strip():
            end = place
    return end


def _head(text: str, start: int) -> int:
    """Where the comments begin that stand directly above a header."""
    start = line_start(text, start)
    while start and text[(above := line_start(text, start - 1)) : start].lstrip().startswith("#"):
        start = above
    return start


def _into_inline(text: str, table: Span, values: Mapping[str, Any]) -> str:
    members = members_of(text, table)
    inside = literal(values)[1:-1].strip()
    if not inside:
        return text
    if members:
        end = members[-1].value.end
        return f"{text[:end]}, {inside}{text[end:]}"
    return f"{text[: table.start]}{{ {inside} }}{text[table.end :]}"
