"""Checks of a job's schedule: its expression, its time zone, and the zones of dates that follow the run."""

from __future__ import annotations

import datetime as dt
import functools
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem
from dbxdec.model import left_out, quartz, started

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.model.dag import Job

Finding = tuple[str, str | None]

# The platform takes Java's zone names, which include these (java.util.TimeZone).
_OF_JAVA = re.compile(
    r"(GMT|UTC|UT)([+-]\d{1,2}(:?\d{2})?)?|ACT|AET|AGT|ART|AST|BET|BST|CAT|CNT|CST|CTT|EAT|ECT|IET|IST|JST|MIT|NET|NST|"
    r"PLT|PNT|PRT|PST|SST|VST"
)
_ORDER = "seconds, minutes, hours, day of the month, month, day of the week, and optionally the year"


def findings(schedule: Any, path: str = "schedule") -> Iterator[Finding]:
    """Yield what the platform would refuse in a job's schedule, as (message, hint); `path` is its place in the job."""
    if not isinstance(schedule, dict):
        return
    text = schedule.get("quartz_cron_expression")
    if isinstance(text, str) and "${" not in text:
        yield from _expression(text, f"`{path}.quartz_cron_expression`")
    zone = schedule.get("timezone_id")
    if isinstance(zone, str) and "${" not in zone and not _is_zone(zone) and (near := _near(zone)):
        yield f"`{path}.timezone_id` is {zone!r}, which is not a time zone", near


def _expression(text: str, field: str) -> Iterator[Finding]:
    where = f"{field} is {text!r}"
    fields = text.split()
    try:
        quartz.parse(text)
    except ValueError as error:
        yield f"{where}, which {error}", f"Quartz has 6 or 7 fields ({_ORDER}): '0 30 5 * * ?' is every day at 5:30"
        return
    if (fields[3] == "?") == (fields[5] == "?"):
        what = "which has no day" if fields[3] == "?" else "which sets both the day of the month and of the week"
        yield (
            f"{where}, {what}",
            "Quartz takes one of the two, and a `?` for the other: '0 30 5 * * ?' or '0 30 5 ? * MON-FRI'",
        )


def _is_zone(name: str) -> bool:
    """Return whether the platform knows a zone of this name, judged by the zones of this machine."""
    from zoneinfo import ZoneInfo

    if _OF_JAVA.fullmatch(name):
        return True
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # KeyError: ZoneInfoNotFoundError is one
        return not _zones()
    return True


def _near(name: str) -> str | None:
    """Return a hint with the closest zone. A name that is close to none may be newer than this machine's zones."""
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), {zone.lower(): zone for zone in _zones()}, n=1, cutoff=0.8)
    if not near or len(name) < 3:
        return None
    return f"did you mean `{next(zone for zone in _zones() if zone.lower() == near[0])}`?"


@functools.cache
def _zones() -> frozenset[str]:
    from zoneinfo import available_timezones

    return frozenset(available_timezones())


def warnings(job: Job, jobs: Mapping[str, Job] = MappingProxyType({})) -> list[Problem]:
    """Return warnings of an unknown zone, of runs on another day than that of a parameter's zone, and of lost keys.

    `jobs` are those of the project: a parameter of a job that `job` runs follows the same moment.
    """
    match job.settings.get("schedule"):
        case {"quartz_cron_expression": str(text), "timezone_id": str(name)}:
            pass
        case _:
            return []
    if "${" not in name and not _is_zone(name) and not _near(name):
        unknown = f"the job `{job.key}` has the time zone {name!r}, which this machine does not know"
        hint = "write one such as 'UTC' or 'Europe/Berlin'; newer zones come with `pip install -U tzdata`"
        return [Problem(unknown, job.source, hint)]
    return [*_other_days(job, jobs, text, name), *_left_out(job, jobs, text, name)]


def _left_out(job: Job, jobs: Mapping[str, Job], text: str, name: str) -> Iterator[Problem]:
    """Yield a warning for each key that the schedule passes over once in a while."""
    for one in started.with_(job, jobs):
        for parameter in one.defaults:
            key = parameter.key
            if key is None or not key.is_period or (found := left_out.first(text, name, key)) is None:
                continue
            yield Problem(
                f"the schedule of the job `{job.key}` passes over {parameter.name}={found.key}"
                + (f" of the job `{one.job.key}`, which it runs" if one.by is not None else "")
                + f", and others: that one is due at {found.due:%Y-%m-%d %H:%M} UTC, the next one at "
                f"{found.passed:%Y-%m-%d %H:%M} UTC, and no run starts between",
                one.where,
                f'start it on each day, in the zone of the key, `"timezone_id": "{key.tz}"`, and more than an hour '
                "after the lag, for the day on which clocks are put forward",
            )


def _other_days(job: Job, jobs: Mapping[str, Job], text: str, name: str) -> list[Problem]:
    """Return warnings of runs that start on another day than that of a parameter's zone."""
    return [
        Problem(
            f"the job `{job.key}` starts at {moment} in {name}, when it is the day {which} in {parameter.run_date.tz}, "
            f"the zone of "
            + (
                f"its parameter `{parameter.name}`"
                if one.by is None
                else f"the parameter `{parameter.name}` of the job `{one.job.key}`, which it runs"
            ),
            one.where,
            f'use the zone of the schedule: `run_date(..., tz="{name}")`',
        )
        for one in started.with_(job, jobs)
        for parameter in one.defaults
        if parameter.run_date is not None and (found := _another_day(text, name, parameter.run_date.tz))
        for moment, which in [found]
    ]


def _another_day(expression: str, zone: str, other: str) -> tuple[str, str] | None:
    """Return a time of the schedule at which the day differs in the zone `other`, and how ("before" or "after")."""
    from zoneinfo import ZoneInfo

    try:
        found = quartz.parse(expression)
        there, here = ZoneInfo(zone), ZoneInfo(other)
    except (KeyError, ValueError, OSError):
        return None  # reported elsewhere
    for month in (1, 7):  # with and without daylight saving time
        for hour in sorted(found.hours):
            for minute in sorted({min(found.minutes), max(found.minutes)}):
                start = dt.datetime(2025, month, 15, hour, minute, tzinfo=there)
                day = start.astimezone(here).date()
                if day != start.date():
                    return f"{hour:02}:{minute:02}", "before" if day < start.date() else "after"
    return None
