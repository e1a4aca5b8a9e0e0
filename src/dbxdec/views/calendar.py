"""A calendar of daily keys: a row for each month, a letter for each day."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKS = {"done": "#", "missing": ".", "partial": "~", "failed": "x"}
_LONGEST = 31


def months(states: Mapping[dt.date, str]) -> list[str]:
    """Return the rows of the months from the first to the last day; a day without a state is a space."""
    if not states:
        return []
    rows = []
    month, last = min(states).replace(day=1), max(states)
    while month <= last:
        days = [month + dt.timedelta(days=n) for n in range(_LONGEST)]
        marks = [MARKS.get(states.get(day, ""), " ") for day in days if day.month == month.month]
        rows.append(f"{month:%Y-%m}  {''.join(marks)}".rstrip())
        month = (month + dt.timedelta(days=_LONGEST + 1)).replace(day=1)
    return rows


def legend() -> str:
    """Return what the letters mean."""
    return "  ".join(f"{mark} {state}" for state, mark in MARKS.items())
