"""Keys as authors write them: defaults of job parameters, `daily(...)` and the others."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from dbxdec.model.keys import (
    DAILY,
    HOURLY,
    LAST_DAY,
    LONGEST_LAG,
    MONTHLY,
    WEEKDAYS,
    WEEKLY,
    KeyDefault,
    Periods,
    Weekday,
)
from dbxdec.model.mistakes import Arguments, forgiving, giving
from dbxdec.model.trigger import known_zone, zone
from dbxdec.model.variables import BundleVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

T = TypeVar("T")


@forgiving(giving(Periods(DAILY)))
def daily(
    *,
    since: dt.date | None = None,
    until: dt.date | None = None,
    tz: str = "UTC",
    lag: dt.timedelta = dt.timedelta(),
    was: str | None = None,
) -> Any:
    """Return a default for a job parameter of the type `date`: the day of data that a run is for.

    A run without a value gets the last day that had ended, and `lag` with it, when the run was triggered: the same one
    in each retry and repair. A value given by hand wins as it is.

    Args:
        since: The first day that there should be, a date or a bundle variable.
        until: The last day that there should be, for a job that has come to its end.
        tz: The time zone in which days begin, by its IANA name.
        lag: How long after its end the data of a day is there.
        was: The name that the parameter had before.

    Returns:
        The default: for a type checker it is a date.

    Raises:
        ValueError: The time zone is unknown, or `lag` is negative or longer than ten years.
        TypeError: An argument is of another type.

    Example:
        ```python
        import datetime as dt

        from dbxdec import daily, job, task


        @task
        def load(day: dt.date) -> None: ...


        @job
        def delays(day: dt.date = daily(since=dt.date(2024, 1, 1), tz="Europe/Berlin")) -> None:
            load(day)
        ```
    """
    return _periods(DAILY, since, until, tz, lag, was)


@forgiving(giving(Periods(WEEKLY)))
def weekly(
    *,
    on: Weekday = "monday",
    since: dt.date | None = None,
    until: dt.date | None = None,
    tz: str = "UTC",
    lag: dt.timedelta = dt.timedelta(),
    was: str | None = None,
) -> Any:
    """Return a default for a job parameter of the type `date`: the first day of the week of data that a run is for.

    Args:
        on: The day on which weeks begin.
        since: The first week that there should be, a date in it or a bundle variable.
        until: The last week that there should be, for a job that has come to its end.
        tz: The time zone in which days begin, by its IANA name.
        lag: How long after its end the data of a week is there.
        was: The name that the parameter had before.

    Returns:
        The default: for a type checker it is a date.

    Raises:
        ValueError: The day or the time zone is unknown, or `lag` is negative or longer than ten years.
        TypeError: An argument is of another type.

    Example:
        ```python
        import datetime as dt

        from dbxdec import job, task, weekly


        @task
        def load(week: dt.date) -> None: ...


        @job
        def reports(week: dt.date = weekly(on="sunday", since=dt.date(2024, 1, 7))) -> None:
            load(week)
        ```
    """
    return _periods(WEEKLY, since, until, tz, lag, was, partial(_weekday, on))


@forgiving(giving(Periods(MONTHLY, on=1)))
def monthly(
    *,
    on: int = 1,
    since: dt.date | None = None,
    until: dt.date | None = None,
    tz: str = "UTC",
    lag: dt.timedelta = dt.timedelta(),
    was: str | None = None,
) -> Any:
    """Return a default for a job parameter of the type `date`: the first day of the month of data that a run is for.

    Args:
        on: The day on which months begin, from 1 to 28.
        since: The first month that there should be, a date in it or a bundle variable.
        until: The last month that there should be, for a job that has come to its end.
        tz: The time zone in which days begin, by its IANA name.
        lag: How long after its end the data of a month is there.
        was: The name that the parameter had before.

    Returns:
        The default: for a type checker it is a date.

    Raises:
        ValueError: The day or the time zone is unknown, or `lag` is negative or longer than ten years.
        TypeError: An argument is of another type.

    Example:
        ```python
        import datetime as dt

        from dbxdec import job, monthly, task


        @task
        def load(month: dt.date) -> None: ...


        @job
        def invoices(month: dt.date = monthly(since=dt.date(2024, 1, 1))) -> None:
            load(month)
        ```
    """
    return _periods(MONTHLY, since, until, tz, lag, was, partial(_day_of_month, on))


@forgiving(giving(Periods(HOURLY)))
def hourly(
    *,
    since: dt.date | None = None,
    until: dt.date | None = None,
    tz: str = "UTC",
    lag: dt.timedelta = dt.timedelta(),
    was: str | None = None,
) -> Any:
    """Return a default for a job parameter of the type `datetime`: the beginning, in UTC, of the hour of a run's data.

    Hours are those of UTC, so that the two that a clock shows alike at the end of summer time are two keys.

    Args:
        since: The first hour that there should be, a moment with a zone, the date whose first hour it is, or a bundle
            variable.
        until: The last hour that there should be, a moment with a zone, the date whose last hour it is, or a bundle
            variable, for a job that has come to its end.
        tz: The time zone in which a date given as `since` begins, or as `until` ends.
        lag: How long after its end the data of an hour is there.
        was: The name that the parameter had before.

    Returns:
        The default: for a type checker it is a datetime.

    Raises:
        ValueError: The time zone is unknown, or `lag` is negative or longer than ten years.
        TypeError: An argument is of another type.

    Example:
        ```python
        import datetime as dt

        from dbxdec import hourly, job, task


        @task
        def load(hour: dt.datetime) -> None: ...


        @job
        def clicks(hour: dt.datetime = hourly(since=dt.date(2024, 1, 1))) -> None:
            load(hour)
        ```
    """
    return _periods(HOURLY, since, until, tz, lag, was)


def key(default: T, *, values: Collection[T] | None = None, was: str | None = None) -> T:
    """Return a default for a job parameter: a value, and with it all the values that there should be.

    Args:
        default: The value of a run that is given none.
        values: All values. Without them they are those of the parameter's type: a `Literal`, an Enum or `bool`.
        was: The name that the parameter had before.

    Returns:
        The default: for a type checker it is the value.

    Raises:
        TypeError: `values` is a string, or no collection.

    Example:
        ```python
        from typing import Literal

        from dbxdec import job, key, task


        @task
        def load(region: str) -> None: ...


        @job
        def sales(region: Literal["eu", "us"] = key("eu")) -> None:
            load(region)
        ```
    """
    return _key(default, values, was)  # type: ignore[no-any-return]


@forgiving(lambda default, *_: KeyDefault(default))
def _key(default: Any, values: Any, was: str | None) -> Any:
    if values is not None and (isinstance(values, str | bytes) or not hasattr(values, "__iter__")):
        raise TypeError(f"values={values!r:.60} of key is no list of values")
    return KeyDefault(default, None if values is None else tuple(values), _name(was))


def _periods(
    period: str,
    since: object,
    until: object,
    tz: object,
    lag: object,
    was: object,
    on: Callable[[], int] = lambda: 0,
) -> Periods:
    arguments = Arguments()
    start = arguments.checked(on, instead=0)
    seconds = arguments.checked(_seconds, lag, period, instead=0)
    zone_name = arguments.checked(known_zone, tz, instead="UTC")
    name = arguments.checked(_name, was, instead=None)
    first, last = (
        arguments.checked(_limit, limit, value, period, zone_name, instead=None)
        for limit, value in (("since", since), ("until", until))
    )
    arguments.raise_all()
    return Periods(period, first, zone_name, seconds, start, name, last)


def _weekday(on: object) -> int:
    if on not in WEEKDAYS:
        raise ValueError(f"on={on!r:.60} is not a day of the week; write one of {', '.join(WEEKDAYS)}")
    return WEEKDAYS.index(on)


def _day_of_month(on: object) -> int:
    if isinstance(on, bool) or not isinstance(on, int) or not 1 <= on <= LAST_DAY:
        raise ValueError(f"on={on!r:.60} is not a day of each month; write a number from 1 to {LAST_DAY}")
    return on


def _seconds(lag: object, period: str) -> int:
    if not isinstance(lag, dt.timedelta):
        raise TypeError(f"lag={lag!r:.60} of {period} is no `timedelta`; write `dt.timedelta(hours=4)`")
    if not 0 <= lag.total_seconds() <= LONGEST_LAG:
        raise ValueError(f"lag={lag} of {period} is negative, or longer than ten years")
    return int(lag.total_seconds())


def _limit(name: str, value: object, period: str, tz: str) -> str | None:
    """Return the string of `since` or `until`: for hours the moment at which a date begins, or its last hour does."""
    if value is None:
        return None
    if isinstance(value, BundleVariable):
        return value.template
    if isinstance(value, dt.datetime) and period == HOURLY and value.tzinfo is not None:
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        if period != HOURLY:
            return value.isoformat()
        if name == "until":
            return Periods(HOURLY, tz=tz).hours_of(value)[1].isoformat()
        return dt.datetime(value.year, value.month, value.day, tzinfo=zone(tz)).astimezone(dt.UTC).isoformat()
    wanted = "a moment with a zone, a date" if period == HOURLY else "a date"
    raise TypeError(f"{name}={value!r:.60} of {period} is not {wanted} or a bundle variable")


def _name(was: object) -> str | None:
    if was is not None and not (isinstance(was, str) and was.isidentifier()):
        raise TypeError(f"was={was!r:.60} is not the name of a parameter")
    return was
