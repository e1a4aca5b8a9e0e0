"""The parameter default `run_date`, a date that follows the run."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import asdict, dataclass
from typing import Any

from dbxdec.model.mistakes import forgiving, giving
from dbxdec.support.forms import FormError, take

REFERENCE = "{{job.trigger.time.iso_datetime}}"
"""The default in the job definition: the moment at which the run was triggered, in UTC.

It is the same in each retry and repair, however long the run was queued. For a schedule it is the scheduled minute.
"""

_PASSED_ON = re.compile(r"<dbxdec:run_date (-?\d{1,7}) (-?\d{1,7}) (\S+) ([^<>]*)>(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Trigger:
    """The trigger of a run. `text` is the string that the platform puts in place of REFERENCE.

    It tells a default from a value that was passed.
    """

    text: str
    moment: dt.datetime

    @classmethod
    def of(cls, text: str | None, started: dt.datetime) -> Trigger:
        """Return the trigger of a run. If the platform gave no time, it is the start of the run."""
        moment = None if text is None else moment_of(text)
        return cls(REFERENCE if text is None else text, moment or started)


def moment_of(text: str) -> dt.datetime | None:
    """Parse an ISO moment, in UTC if it has no zone. Return None for anything else."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def passed_on(text: str) -> tuple[dt.date | None, str]:
    """Return the date that another job's run passed on, or None, and the string that this run itself was given."""
    while (match := _PASSED_ON.fullmatch(text)) is not None:
        days, months, tz, trigger, given = match.groups()
        moment = moment_of(trigger)
        if given == trigger and moment is not None:
            try:
                return RunDate(int(days), int(months), tz).at(moment), given
            except (KeyError, ValueError, OverflowError):
                raise ValueError(f"is {text!r:.80}, which is not a date that a job passed on") from None
        text = given
    return None, text


def shown(text: str) -> str:
    """Return for people what one job passes on to another: the date, or else the string of the parameter."""
    try:
        passed, given = passed_on(text)
    except ValueError:
        return text
    return given if passed is None else str(passed)


_FARTHEST = 1_000_000


@dataclass(frozen=True)
class RunDate:
    """The date in `tz` at which a run was triggered, moved by months and then by days."""

    offset_days: int = 0
    offset_months: int = 0
    tz: str = "UTC"

    def at(self, moment: dt.datetime) -> dt.date:
        """Return the date for a run triggered at `moment`, which has a zone.

        The 31st becomes the last day of a shorter month. Raises ValueError for a zone that this machine does not know,
        and for a date beyond the calendar.
        """
        day = moment.astimezone(_zone(self.tz)).date()
        try:
            return self._moved(day)
        except (ValueError, OverflowError):
            raise ValueError(f"is a date beyond the calendar: {day} moved by {self.json_form()}") from None

    def _moved(self, day: dt.date) -> dt.date:
        months = day.year * 12 + day.month - 1 + self.offset_months
        first = dt.date(months // 12, months % 12 + 1, 1)
        following = dt.date((months + 1) // 12, (months + 1) % 12 + 1, 1)
        last = (following - dt.timedelta(days=1)).day
        return first.replace(day=min(day.day, last)) + dt.timedelta(days=self.offset_days)

    def passed_on(self, reference: str) -> str:
        """Return the string with which a job passes its parameter on to a run of another job.

        The platform passes on the moment of a default. The string adds the offsets and zone that turn it into a date.
        """
        return f"<dbxdec:run_date {self.offset_days} {self.offset_months} {self.tz} {REFERENCE}>{reference}"

    def json_form(self) -> dict[str, Any]:
        """Return the manifest's form."""
        return asdict(self)

    @classmethod
    def from_json_form(cls, form: Any) -> RunDate:
        """Read the manifest's form. Raises FormError for another form."""
        found = cls(take(form, "offset_days", int), take(form, "offset_months", int), take(form, "tz", str))
        if max(abs(found.offset_days), abs(found.offset_months)) > _FARTHEST:
            raise FormError("run_date", "has an offset beyond the calendar")
        return found


def _zone(name: str) -> dt.tzinfo:
    if name == "UTC":
        return dt.UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"follows the time zone {name!r:.60}, which this machine does not know") from None


@forgiving(giving(RunDate()))
def run_date(*, offset_days: int = 0, offset_months: int = 0, tz: str = "UTC") -> Any:
    """Return a default for a job parameter of the type `date`: the date on which the run was triggered, moved.

    It is the same in each retry and repair of a run, and for a run that was queued past midnight. A value given by hand
    wins as it is.

    Args:
        offset_days: How many days to move the date by; negative for earlier ones. It is applied after the months.
        offset_months: How many months to move the date by. The 31st becomes a shorter month's last day.
        tz: The time zone that the date is of, by its IANA name.

    Returns:
        The default: for a type checker it is a date.

    Raises:
        ValueError: The time zone is unknown.
        TypeError: An offset is not a whole number.

    Example:
        ```python
        import datetime as dt

        from dbxdec import job, run_date, task


        @task
        def load(day: dt.date) -> None: ...


        @job(schedule={"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "Europe/Berlin"})
        def daily(day: dt.date = run_date(offset_days=-1, tz="Europe/Berlin")) -> None:
            load(day)
        ```
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    for name, value in (("offset_days", offset_days), ("offset_months", offset_months)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} of run_date is {value!r}, not a whole number")
    try:
        ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, TypeError):
        raise ValueError(f"{tz!r} is not a time zone; write one such as 'UTC' or 'Europe/Berlin'") from None
    return RunDate(offset_days, offset_months, tz)
