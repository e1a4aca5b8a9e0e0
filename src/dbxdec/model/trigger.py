"""The trigger of a run: the moment that defaults which follow the run are made of."""

from __future__ import annotations

import datetime as dt

from dbxdec.records import dataclass

REFERENCE = "{{job.trigger.time.iso_datetime}}"
"""The default in the job definition: the moment at which the run was triggered, in UTC.

It is the same in each retry and repair, however long the run was queued. For a schedule it is the scheduled minute.
"""


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


def zone(name: str) -> dt.tzinfo:
    """Return the time zone `name`. Raises ValueError for one that this machine does not know."""
    if name == "UTC":
        return dt.UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"follows the time zone {name!r:.60}, which this machine does not know") from None


def known_zone(name: object) -> str:
    """Return the name of a time zone that an author has written. Raises ValueError for an unknown name."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)  # type: ignore[arg-type]
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write one such as 'UTC' or 'Europe/Berlin'") from None
    return str(name)
