"""Key parameters: which slice of the data a run is for, and which slices there should be.

A day, a week, a month or an hour is due when it has ended, plus a lag. A run without a value gets the last one that was
due when it was triggered.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dbxdec.model.trigger import zone
from dbxdec.records import dataclass
from dbxdec.support.forms import FormError, take

if TYPE_CHECKING:
    from collections.abc import Iterator

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAILY, WEEKLY, MONTHLY, HOURLY = "daily", "weekly", "monthly", "hourly"
_PERIODS = (DAILY, WEEKLY, MONTHLY, HOURLY)
LONGEST_LAG = 10 * 366 * 86_400
LAST_DAY = 28
"""The last day of a month that each month has."""
_ONE_DAY = dt.timedelta(days=1)
_ONE_HOUR = dt.timedelta(hours=1)
_ONE_SECOND = dt.timedelta(seconds=1)


@dataclass(frozen=True)
class Periods:
    """The keys of a parameter that are periods: dates, the first days of them, or for hours moments in UTC.

    `since` is the first one, an ISO string or a string with a bundle variable; None if there is no first one. `tz` is
    the zone in which days begin; hours begin in UTC. `lag` is in seconds. `on` is the first day of a week, from 0 for
    Monday, or of a month, from 1. `was` is the name that the parameter had before.
    """

    period: str
    since: str | None = None
    tz: str = "UTC"
    lag: int = 0
    on: int = 0
    was: str | None = None
    until: str | None = field(default=None, compare=False)
    """The last one that is wanted. Only the project's code knows it: a manifest has the same bytes each day."""

    is_period: ClassVar[Literal[True]] = True

    @property
    def type(self) -> str:
        """The kind of type that the parameter has."""
        return "datetime" if self.period == HOURLY else "date"

    def at(self, moment: dt.datetime) -> dt.date:
        """Return the last key that was due at `moment`, which has a zone.

        Raises ValueError for a zone that this machine does not know, and before the calendar.
        """
        try:
            found = self._around(moment - dt.timedelta(seconds=self.lag))
            while self.due(found) > moment:
                found = self.before(found)
        except OverflowError:
            raise ValueError(f"has no key that was due at {moment}") from None
        return found

    def due(self, key: dt.date) -> dt.datetime:
        """Return the moment, in UTC, from which the data of `key` should be there: its end, and the lag."""
        return self._start(self.after(key)) + dt.timedelta(seconds=self.lag)

    def has(self, value: dt.date) -> bool:
        """Return whether `value` is one of the keys, whether it is due or not."""
        try:
            return self._around(self._start(value)) == value if self.period != HOURLY else self._is_hour(value)
        except OverflowError:
            return False

    def as_given(self, value: Any) -> Any:
        """Return a value that a person gives as tasks get it: for hours a moment in UTC, as one without a zone is."""
        try:
            return self._start(value) if self.period == HOURLY and isinstance(value, dt.datetime) else value
        except OverflowError:  # at an end of the calendar
            return value

    def text(self, key: dt.date) -> str:
        """Return the string of a key: an ISO date, or for hours an ISO moment in UTC without its seconds."""
        return f"{self._start(key):%Y-%m-%dT%H:%MZ}" if self.period == HOURLY else key.isoformat()

    def after(self, key: dt.date) -> dt.date:
        """Return the key that follows `key`."""
        return self._moved(key, 1)

    def before(self, key: dt.date) -> dt.date:
        """Return the key before `key`."""
        return self._moved(key, -1)

    def holding(self, value: dt.date) -> dt.date:
        """Return the key in whose period a date, or for hours a moment, lies."""
        return self._around(self._start(value))

    def between(self, first: dt.date, last: dt.date) -> Iterator[dt.date]:
        """Yield the keys from `first`, or the first one after it, to `last`, which need not be keys themselves."""
        key = self._around(self._start(first))
        if not self.has(first):
            key = self.after(key)
        while key <= last:
            yield key
            key = self.after(key)

    def hours_of(self, day: dt.date) -> tuple[dt.datetime, dt.datetime]:
        """Return, in UTC, the beginnings of the first and the last hour of a day in the key's zone.

        Hours begin in UTC, so in a zone of half hours the first one begins the evening before.
        """
        begin, end = self._start(day), self._start(day + _ONE_DAY)
        first = begin.replace(minute=0, second=0)
        return first, (end - _ONE_SECOND).replace(minute=0, second=0)

    def json_form(self) -> dict[str, Any]:
        """Return the manifest's form: the period, and what differs from its defaults."""
        form: dict[str, Any] = {"period": self.period, "since": self.since, "tz": self.tz, "lag": self.lag}
        if self.period in (WEEKLY, MONTHLY):
            form["on"] = self.on
        if self.was is not None:
            form["was"] = self.was
        return form

    @classmethod
    def from_json_form(cls, form: Any) -> Periods:
        """Read the manifest's form. Raises FormError for another form."""
        period = take(form, "period", str)
        if period not in _PERIODS:
            raise FormError("period", f"is {period!r:.60}, which this dbxdec does not know")
        since, was = form.get("since"), form.get("was")
        lag, on = take(form, "lag", int), take(form, "on", int, 0)
        for name, text in (("since", since), ("was", was)):
            if text is not None and not isinstance(text, str):
                raise FormError(name, "is not a string")
        if not 0 <= lag <= LONGEST_LAG:
            raise FormError("lag", "is not a number of seconds within ten years")
        first, last = (1, LAST_DAY) if period == MONTHLY else (0, len(WEEKDAYS) - 1)
        if not (first if "on" in form or period == MONTHLY else 0) <= on <= last:
            raise FormError("on", f"is not a day from {first} to {last}")
        return cls(period, since, take(form, "tz", str), lag, on, was)

    def passed_on(self) -> str:
        """Return the form, without spaces, in which it is passed on to the run of another job."""
        return f"{self.period},{self.lag},{self.on},{self.tz}"

    @classmethod
    def of_passed_on(cls, form: str) -> Periods:
        """Read that form. Raises ValueError for another form."""
        period, lag, on, tz = form.split(",")
        if period not in _PERIODS:
            raise ValueError(form)
        return cls(period, None, tz, int(lag), int(on))

    def __str__(self) -> str:
        """The call that an author writes."""
        given = [f"since={self.since}"] if self.since is not None else []
        if self.period == WEEKLY:
            given.append(f'on="{WEEKDAYS[self.on]}"')
        elif self.period == MONTHLY:
            given.append(f"on={self.on}")
        given += [f'tz="{self.tz}"'] if self.tz != "UTC" else []
        given += [f"lag={dt.timedelta(seconds=self.lag)}"] if self.lag else []
        given += [f'was="{self.was}"'] if self.was is not None else []
        return f"{self.period}({', '.join(given)})"

    def _around(self, moment: dt.datetime) -> dt.date:
        """Return the key in whose period `moment` lies."""
        if self.period == HOURLY:
            return moment.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
        day = moment.astimezone(zone(self.tz)).date()
        if self.period == WEEKLY:
            return day - dt.timedelta(days=(day.weekday() - self.on) % len(WEEKDAYS))
        if self.period == MONTHLY:
            return day.replace(day=self.on) if day.day >= self.on else _months_later(day, -1).replace(day=self.on)
        return day

    def _start(self, key: dt.date) -> dt.datetime:
        """Return the moment, in UTC, at which the period of `key` begins: midnight, or what a clock shows instead."""
        if isinstance(key, dt.datetime):
            return key.astimezone(dt.UTC) if key.tzinfo else key.replace(tzinfo=dt.UTC)
        midnight = dt.datetime(key.year, key.month, key.day, tzinfo=zone(self.tz))
        return midnight.astimezone(dt.UTC)

    def _is_hour(self, value: dt.date) -> bool:
        return isinstance(value, dt.datetime) and self._around(self._start(value)) == self._start(value)

    def _moved(self, key: dt.date, by: int) -> dt.date:
        if self.period == HOURLY:
            return self._start(key) + by * _ONE_HOUR
        if self.period == MONTHLY:
            return _months_later(key, by)
        found = key + by * (len(WEEKDAYS) if self.period == WEEKLY else 1) * _ONE_DAY
        # A zone that crosses the date line skips a day.
        return found if self.period == WEEKLY or self.has(found) else found + by * _ONE_DAY


@dataclass(frozen=True)
class Choices:
    """The keys of a parameter that are any values, by their strings.

    `was` is the name that the parameter had before.
    """

    values: tuple[str, ...]
    was: str | None = None
    is_period: ClassVar[Literal[False]] = False

    def json_form(self) -> dict[str, Any]:
        """Return the manifest's form."""
        return {"values": list(self.values), **({"was": self.was} if self.was is not None else {})}

    @classmethod
    def from_json_form(cls, form: Any) -> Choices:
        """Read the manifest's form. Raises FormError for another form."""
        values, was = take(form, "values", list), form.get("was")
        if not values or not all(isinstance(value, str) for value in values):
            raise FormError("values", "is not a list of strings")
        if was is not None and not isinstance(was, str):
            raise FormError("was", "is not a string")
        return cls(tuple(values), was)

    def __str__(self) -> str:
        """The values, as the arguments of the call that an author writes."""
        was = "" if self.was is None else f', was="{self.was}"'
        return f"values=[{', '.join(self.values)}]{was}"


Key = Periods | Choices


def from_json_form(form: Any) -> Key:
    """Read the manifest's form of a key. Raises FormError for another form."""
    return Choices.from_json_form(form) if "values" in form else Periods.from_json_form(form)


@dataclass(frozen=True)
class KeyDefault:
    """A default by `key(...)`: a value, and the values that there should be, None for all of the parameter's type."""

    value: Any
    values: tuple[Any, ...] | None = None
    was: str | None = None


def _months_later(day: dt.date, by: int) -> dt.date:
    """Return the same day of a month, one that each month has, or else the first."""
    months = day.year * 12 + day.month - 1 + by
    try:
        return day.replace(year=months // 12, month=months % 12 + 1, day=min(day.day, LAST_DAY))
    except ValueError:
        raise OverflowError from None
