"""A calendar of keys: a row for each month of days, year of weeks or months, or day of hours; a letter for each key."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARKS = {"done": "#", "missing": ".", "partial": "~", "failed": "x"}
MOST_VALUES = 20
"""Of more values of the other keys there are only counts."""
_LONG = 3 * 366


def rows(periods: Sequence[str | None], states: Mapping[tuple[str, ...], str]) -> list[tuple[str, str]]:
    """Return rows, each a title and its letters, for the states of keys.

    `periods` has for each part of a key its period ("daily", ...), None for a part with named values. Between the first
    and the last period, a key without a state is a space. With many values of the other parts a row has counts.
    """
    place = next((i for i, period in enumerate(periods) if period is not None), None)
    if not states or place is None:
        return [(" ".join(key), MARKS.get(state, " ")) for key, state in states.items()][:MOST_VALUES]
    period = str(periods[place])
    texts = sorted({key[place] for key in states})
    long = period == "daily" and (_day(texts[-1]) - _day(texts[0])).days > _LONG
    cells: defaultdict[str, dict[tuple[str, ...], dict[int, str]]] = defaultdict(dict)
    for key, state in states.items():
        title, column = _cell(period, key[place], long=long)
        cells[title].setdefault((*key[:place], *key[place + 1 :]), {})[column] = state
    groups = sorted({group for row in cells.values() for group in row})
    width = max(len(" ".join(group)) for group in groups)
    found = []
    for title in sorted(cells):
        row = cells[title]
        if len(groups) > MOST_VALUES:
            counts = Counter(state for marks in row.values() for state in marks.values())
            found.append((title, ", ".join(f"{counts[state]} {state}" for state in MARKS if counts[state])))
            continue
        for group in groups:
            marks = row.get(group, {})
            text = "".join(MARKS.get(marks.get(n, ""), " ") for n in range(max(marks, default=-1) + 1))
            found.append((f"{title}  {' '.join(group):<{width}}" if width else title, text))
    return found


def lines(periods: Sequence[str | None], states: Mapping[tuple[str, ...], str]) -> list[str]:
    """Return the rows as lines."""
    return [f"{title}  {text}".rstrip() for title, text in rows(periods, states)]


def _cell(period: str, text: str, *, long: bool) -> tuple[str, int]:
    """Return the title of the row that a key is in, and its column."""
    if period == "hourly":
        return text[:10], int(text[11:13])
    day = _day(text)
    if period == "daily" and long:
        first = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        return f"{day.year}-Q{(day.month + 2) // 3}", (day - first).days
    if period == "daily":
        return f"{day:%Y-%m}", day.day - 1
    if period == "weekly":
        return f"{day.year}", (day.timetuple().tm_yday - 1) // 7
    return f"{day.year}", day.month - 1


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text[:10])


def legend() -> str:
    """Return what the letters mean."""
    return "  ".join(f"{mark} {state}" for state, mark in MARKS.items())
