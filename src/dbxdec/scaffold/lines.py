"""Added lines, put into a file that keeps all of its own lines as they are."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECTION = re.compile(r"\s*\[|[^\s\[-][^=]*:(\s|$)")
"""The first line of a table in TOML, or of a key at the top of YAML: blank lines separate both."""


class CannotEdit(Exception):  # noqa: N818 - no user sees it: callers say what to add by hand
    """Raised when a file can't be edited safely."""


def newline_of(text: str) -> str:
    """Return the line end that `text` uses."""
    return "\r\n" if re.match(r"[^\n]*\r\n", text) else "\n"


def lines_of(text: str) -> list[str]:
    """Return the lines of `text`, each with its end; only a line feed ends one."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def weave(text: str, before: str, after: str) -> str:
    """Return `text` with the lines that `after` has and `before` does not have.

    `before` is `text` as a library writes it without any change, perhaps with other spaces and joined lines. All lines
    of `text` stay, in their order and form and with their line ends; a line may only grow. Added lines go above blank
    lines and comments that belong to what follows.

    Raises CannotEdit when a line is missing.
    """
    newline = newline_of(text)
    new = lines_of(after)
    found, added = list[str](), list[str]()
    for line, mine in zip(new, _kept(lines_of(text), lines_of(before), new), strict=True):
        if mine is None:
            added.append(line.rstrip("\n") + newline)
        else:
            _place(found, added, mine)
            found.append(mine)
            added = []
    _place(found, added, None)
    # The last line of `text` may have no end.
    ended = [line if line.endswith("\n") or not line else line + newline for line in found[:-1]]
    return "".join([*ended, *found[-1:]])


def _kept(own: list[str], old: list[str], new: list[str]) -> Iterator[str | None]:
    """Yield what each new line is: own lines as they are, one that has grown, or None for an added line."""
    own = list(_as_written(own, old))
    for kind, start, end, first, last in SequenceMatcher(None, old, new).get_opcodes():
        if kind == "equal":
            yield from own[start:end]
            continue
        for line in new[first:last]:
            if start < end and _is_grown(own[start], line):
                yield line.rstrip("\n") + own[start][len(own[start].rstrip("\r\n")) :]
                start += 1
            else:
                yield None
        if start < end:
            raise CannotEdit


def _as_written(own: list[str], old: list[str]) -> Iterator[str]:
    """Yield the own lines that each line of `old` represents: one, several that the library joins, or none."""
    normal = [line.rstrip("\r\n") + "\n" for line in own]
    for _, start, end, first, last in SequenceMatcher(None, normal, old).get_opcodes():
        if end - start == last - first:
            yield from own[start:end]
        elif first == last:
            raise CannotEdit
        else:
            yield "".join(own[start:end])
            yield from [""] * (last - first - 1)


def _is_grown(own: str, line: str) -> bool:
    """Return whether `line` has all characters of the line `own`, in their order."""
    characters = iter(line)
    return bool(own.strip()) and all(each in characters for each in own.rstrip("\r\n"))


def _place(found: list[str], added: list[str], following: str | None) -> None:
    """Put added lines after the lines `found`: above those that belong to the line `following`."""
    filled = [i for i, line in enumerate(added) if line.strip()]
    if not filled:
        return
    added = added[filled[0] : filled[-1] + 1]
    below: list[str] = []
    while found and _belongs_below(found[-1], _indent(added[0]), following, below):
        below.insert(0, found.pop())
    if _SECTION.match(added[0]):
        blank = newline_of(added[0])
        before = [blank] if found and found[-1].strip() else []
        after = [blank] if (below or [following or ""])[0].strip() else []
        added = [*before, *added, *after]
    found += [*added, *below]


def _belongs_below(line: str, indent: int, following: str | None, below: list[str]) -> bool:
    """Return whether a line above an added one of that indent is blank, or a comment on what comes next."""
    if not line.strip():
        return True
    touches = following is not None and all(each.strip() for each in below) and _indent(line) == _indent(following)
    return line.lstrip().startswith("#") and (_indent(line) < indent or touches)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
