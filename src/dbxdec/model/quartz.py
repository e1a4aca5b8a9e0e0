"""A parser of Quartz cron expressions, with which the platform starts jobs. It refuses what Quartz would refuse.

From quartz-scheduler.org, "Cron Trigger", and its CronExpression: seconds, minutes, hours, day of the month, month, day
of the week, and optionally the year.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbxdec.records import dataclass

if TYPE_CHECKING:
    import datetime as dt

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class _Field:
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()
    special: str = r"(?!)"
    """The pattern of what is allowed besides numbers, names, ranges and steps."""


_FIELDS = (
    _Field("seconds", 0, 59),
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("days of the month", 1, 31, special=r"\?|L(-([1-9]|[12]\d|30))?W?|([1-9]|[12]\d|3[01])W"),
    _Field("months", 1, 12, _MONTHS),
    _Field("days of the week", 1, 7, _DAYS, rf"\?|L|([1-7]|{'|'.join(_DAYS)})(L|#[1-5])"),
    _Field("years", 1970, 2099),
)


@dataclass(frozen=True)
class Schedule:
    """The minutes and hours at which a job starts, and the days on which it does.

    `days` and `weekdays` are None where one of them is told by `L`, `W` or `#`, or where the years are limited.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None = None
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] | None = None

    def starts_on(self, day: dt.date) -> bool:
        """Return whether the job starts on a day, where it is known."""
        if self.days is None or self.weekdays is None:
            return False
        return day.day in self.days and day.month in self.months and day.isoweekday() % 7 + 1 in self.weekdays


def parse(expression: str) -> Schedule:
    """Parse `expression`. Raises ValueError with what Quartz would refuse in it."""
    texts = expression.upper().split()
    if len(texts) not in (6, 7):
        raise ValueError(f"has {len(texts)} field{'' if len(texts) == 1 else 's'}")
    found = [_values(field, text) for field, text in zip(_FIELDS, texts, strict=False)]
    _, minutes, hours, days, months = found[:5]
    if texts[3] != "?" and days and all(day > max(_LONGEST_MONTH[month - 1] for month in months) for day in days):
        raise ValueError(f"never fires: no month of {texts[4]} has a day {min(days)}")
    if not (days and found[5]) or len(found) > len(_FIELDS) - 1:
        return Schedule(minutes, hours)
    return Schedule(minutes, hours, days, months, found[5])


def _values(field: _Field, text: str) -> frozenset[int]:
    """Return the numbers of one field: all for `?`, and none for special values such as the last day."""
    values: set[int] = set()
    parts = text.split(",")
    for part in parts:
        if re.fullmatch(field.special, part):
            if part == "?":
                values |= {*range(field.first, field.last + 1)}
            if len(parts) > 1:
                raise ValueError(
                    f"has {part!r} for {field.name} in the list {text!r}, where Quartz takes it only alone"
                )
        else:
            values |= _range(field, part)
    return frozenset(values)


def _range(field: _Field, part: str) -> set[int]:
    span, slash, step = part.partition("/")
    start, dash, end = span.partition("-")
    every = range(field.first, field.last + 1)
    if slash and (not step.isdecimal() or not 1 <= int(step) <= field.last):
        raise ValueError(f"has the step {step!r} for {field.name}, which are {field.first} to {field.last}")
    if span == "*" or (span == "" and slash):
        first, last = field.first, field.last
    else:
        first = _number(field, start)
        last = _number(field, end) if dash else field.last if slash else first
    if last < first and field.name == "years":
        raise ValueError(f"has the years {span}, which go backwards")
    # A range may wrap around: 22-2 are the hours of a night.
    numbers = (
        [*range(first, last + 1)] if first <= last else [*range(first, field.last + 1), *range(field.first, last + 1)]
    )
    return {number for number in numbers[:: int(step) if slash else 1] if number in every}


def _number(field: _Field, text: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.first
    if not text.isdecimal() or not text.isascii() or not field.first <= int(text) <= field.last:
        names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
        raise ValueError(f"has {text!r} for {field.name}, which are {field.first} to {field.last}{names}")
    return int(text)
