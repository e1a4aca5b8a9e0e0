"""Keys that a schedule passes over: at one start they are not due yet, and at the next one a later key is.

So it is with the last day before summer time, where a run starts as late after midnight as the key's lag is long, and
with a day in autumn, where the schedule and the key count in different zones.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dbxdec.model import quartz
from dbxdec.model.keys import HOURLY
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from dbxdec.model.keys import Periods

_FIRST, _DAYS = dt.date(2025, 1, 1), 2 * 365
_FEW = 10
"""Less than one key in ten is a mistake. More are a choice: a schedule of working days, or of Mondays."""


@dataclass(frozen=True)
class LeftOut:
    """A key that no start is for: from `due` until `passed`, when the next one is due, the schedule has none."""

    key: str
    due: dt.datetime
    passed: dt.datetime


def first(expression: str, zone: str, key: Periods) -> LeftOut | None:
    """Return the first key that a schedule passes over, where it does so with few."""
    try:
        starts = _starts(quartz.parse(expression), ZoneInfo(zone)) if key.period != HOURLY else []
        if not starts:
            return None
        passed, count = [], 0
        for one, due, following in _windows(key, starts[0], starts[-1]):
            count += 1
            if starts[bisect_left(starts, due)] >= following:
                passed.append(LeftOut(key.text(one), due, following))
    except (KeyError, ValueError, OSError):
        return None  # an expression or a zone that is reported elsewhere
    return passed[0] if passed and len(passed) * _FEW < count else None


def _windows(key: Periods, begin: dt.datetime, end: dt.datetime) -> list[tuple[dt.date, dt.datetime, dt.datetime]]:
    """Return the keys that are due after `begin`, and followed by another one before `end`, with both moments."""
    dues = [(one, key.due(one)) for one in key.between(key.at(begin), key.at(end))]
    return [(one, due, following) for (one, due), (_, following) in pairwise(dues) if due > begin]


def _starts(schedule: quartz.Schedule, zone: ZoneInfo) -> list[dt.datetime]:
    """Return the starts of two years, in UTC: both of an hour that a clock shows twice."""
    if schedule.days is None or len(schedule.hours) == 24:
        return []  # what `L` and `#` mean is not worked out, and each hour passes over no day
    minutes = sorted({min(schedule.minutes), max(schedule.minutes)})
    days = [day for n in range(_DAYS) if schedule.starts_on(day := _FIRST + dt.timedelta(n))]
    return sorted(
        dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone, fold=fold).astimezone(dt.UTC)
        for day in days
        for hour in schedule.hours
        for minute in minutes
        for fold in (0, 1)
    )
