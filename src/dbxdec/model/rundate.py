"""The parameter default `run_date`, a date that follows the run."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, replace
from typing import Any, NoReturn

from dbxdec.errors import AuthoringError
from dbxdec.model.mistakes import Arguments, forgiving, giving, itself
from dbxdec.model.trigger import known_zone, zone
from dbxdec.records import dataclass
from dbxdec.support.forms import FormError, take

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
        day = moment.astimezone(zone(self.tz)).date()
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

    @forgiving(itself)
    def __add__(self, other: object) -> RunDate:
        return self._refused(other, 1)

    @forgiving(itself)
    def __sub__(self, other: object) -> RunDate:
        return self._refused(other, -1)

    __radd__ = __add__

    def _refused(self, other: object, sign: int) -> NoReturn:
        days = other.days if isinstance(other, dt.timedelta) and not other % dt.timedelta(days=1) else other
        hint = "write `run_date(offset_days=...)`, which moves it by whole days"
        if isinstance(days, int):
            hint = f"write `{replace(self, offset_days=self.offset_days + sign * days).call()}`"
        raise AuthoringError("the date of a run is moved by arguments of run_date(), not by `+` and `-`", hint=hint)

    def call(self) -> str:
        """Return the call that gives it."""
        given = [f"{name}={value!r}" for name, value in asdict(self).items() if value not in (0, "UTC")]
        return f"run_date({', '.join(given)})"

    def passed_on(self) -> str:
        """Return the form, without spaces, in which it is passed on to the run of another job."""
        return f"{self.offset_days},{self.offset_months},{self.tz}"

    @classmethod
    def of_passed_on(cls, form: str) -> RunDate:
        """Read that form. Raises ValueError for another form."""
        days, months, tz = form.split(",")
        return cls(int(days), int(months), tz)

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
        ValueError: The time zone is unknown, or an offset leads beyond the calendar.
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
    arguments = Arguments()
    found = RunDate(
        arguments.checked(_offset, "offset_days", offset_days, instead=0),
        arguments.checked(_offset, "offset_months", offset_months, instead=0),
        arguments.checked(known_zone, tz, instead="UTC"),
    )
    arguments.raise_all()
    return found


def _offset(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} of run_date is {value!r}, not a whole number")
    if abs(value) > _FARTHEST:
        raise ValueError(f"{name} of run_date is {value}, beyond the calendar")
    return value
