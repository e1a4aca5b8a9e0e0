"""Certain facts about strings with bundle variables inside, whatever the values of the variables are."""

from __future__ import annotations

from dbxdec.model.variables import has_token, pieces_of


def order(left: str, right: str) -> int | None:
    """Return -1, 0 or 1 as `left` sorts before, with or after `right`; None if that depends on values."""
    ours, others = _apart(pieces_of(left), pieces_of(right))
    mine, other = ours[0], others[0]
    if (len(ours) > 1 and other.startswith(mine)) or (len(others) > 1 and mine.startswith(other)):
        return None
    return (mine > other) - (mine < other)


def equal(left: str, right: str) -> bool | None:
    """Return whether two strings are equal; None if that depends on values."""
    sorts = order(left, right)
    if sorts is not None:
        return sorts == 0
    mine, other = pieces_of(left)[-1], pieces_of(right)[-1]
    return None if mine.endswith(other) or other.endswith(mine) else False


def begins(text: str, start: str) -> bool | None:
    """Return whether `text` begins with `start`; None if that depends on values."""
    return _begins(pieces_of(text), pieces_of(start))


def ends(text: str, end: str) -> bool | None:
    """Return whether `text` ends with `end`; None if that depends on values."""
    backwards = [[piece[::-1] for piece in reversed(pieces_of(one))] for one in (text, end)]
    return _begins(*backwards)


def contains(text: str, part: str) -> bool | None:
    """Return whether `part` is in `text`; None if that depends on values."""
    pieces = [text] if has_token(part) else pieces_of(text)[::2]
    return True if any(part in piece for piece in pieces) else None


def _apart(ours: list[str], others: list[str]) -> tuple[list[str], list[str]]:
    """Return the pieces of two strings from the first ones that differ."""
    while len(ours) > 1 and len(others) > 1 and ours[:2] == others[:2]:
        ours, others = ours[2:], others[2:]
    return ours, others


def _begins(text: list[str], start: list[str]) -> bool | None:
    text, start = _apart(text, start)
    if len(start) == 1 and text[0].startswith(start[0]):
        return True
    is_open = (len(text) > 1 and start[0].startswith(text[0])) or (len(start) > 1 and text[0].startswith(start[0]))
    return None if is_open else False
