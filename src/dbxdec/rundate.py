"""`run_date`: a parameter default that follows the run."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

from dbxdec.mistakes import forgiving, giving

REFERENCE = "{{job.start_time.iso_datetime}}"
"""What is emitted as the default: the run's start in UTC, which stays the same in each retry and repair."""


@dataclass(frozen=True)
class RunDate:
    """The date of a run's start in `tz`, moved by months and then by days."""

    offset_days: int = 0
    offset_months: int = 0
    tz: str = "UTC"

    def at(self, started: dt.datetime) -> dt.date:
        """The date for a run that started at `started`, which has a zone. The 31st becomes a shorter month's last."""
        from zoneinfo import ZoneInfo

        day = started.astimezone(ZoneInfo(self.tz)).date()
        months = day.year * 12 + day.month - 1 + self.offset_months
        first = dt.date(months // 12, months % 12 + 1, 1)
        following = dt.date((months + 1) // 12, (months + 1) % 12 + 1, 1)
        last = (following - dt.timedelta(days=1)).day
        return first.replace(day=min(day.day, last)) + dt.timedelta(days=self.offset_days)

    def from_text(self, text: str) -> dt.date | None:
        """The date behind a parameter's text: of the run's start where it is a moment, None for anything else.

        A date given by hand is no moment (it has no time), and so is never moved.
        """
        if "T" not in text:
            return None
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            return None
        return self.at(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))

    def json_form(self) -> dict[str, Any]:
        """The manifest's form."""
        return asdict(self)


@forgiving(giving(RunDate()))
def run_date(*, offset_days: int = 0, offset_months: int = 0, tz: str = "UTC") -> Any:
    """A default for a job parameter of the type `date`: the date on which the run started in `tz`, moved.

    It is the same in each retry and repair of a run; a value given by hand wins as it is. Raises ValueError for an
    unknown zone, TypeError for offsets that are no whole numbers.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    for name, value in (("offset_days", offset_days), ("offset_months", offset_months)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} of run_date is {value!r}, not a whole number")
    try:
        ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, TypeError):
        raise ValueError(f"{tz!r} is no time zone; write one such as 'UTC' or 'Europe/Berlin'") from None
    return RunDate(offset_days, offset_months, tz)
