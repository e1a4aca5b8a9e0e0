"""Keys of a job that share the part of a table that a run replaces, so that the run for one takes another's rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbxdec.model.keys import DAILY, HOURLY, MONTHLY, WEEKLY
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbxdec.model.dag import Job, JobParameter, Output

# Words in the names of columns that hold a period, and how long it is; without a number any period is meant.
_LENGTHS = {"hour": 0, "day": 1, "date": 1, "week": 2, "month": 3, "quarter": 4, "year": 5}
_PERIODS = {HOURLY: 0, DAILY: 1, WEEKLY: 2, MONTHLY: 3}
_OF_TIME = pattern(r"time|stamp|period|start|begin|ymd|yyyy|dat|(^|[^a-z])(dt|ds|ts|at|on)([^a-z]|$)", re.IGNORECASE)


def shared(job: Job, output: Output) -> Iterator[JobParameter]:
    """Yield the keys that don't tell the parts apart which runs replace in `output`, as far as names tell it.

    Columns of a period have another name often (`date` for the key `day`), so any name of a period as long as the
    key's, or shorter, counts as made of it.
    """
    keys = [one for one in job.parameters if one.key and (one.key.is_period or len(one.key.values) > 1)]
    replaced = output.settings.get("replace")
    if isinstance(replaced, dict):
        values = [value.get("parameter") for value in replaced.values() if isinstance(value, dict)]
        given = [name for name in values if isinstance(name, str)]
        # Another parameter than a key is given by hand, and may say anything.
        known = {one.name for one in job.key_parameters}
        yield from (one for one in keys if one.name not in given and known.issuperset(given))
        return
    if names := columns(output):
        yield from (one for one in keys if not _is_among(one, names))


def columns(output: Output) -> list[str]:
    """Return the columns by which the part is told that a run replaces."""
    found = output.settings.get("replace") or output.settings.get("partition_by")
    return [str(one) for one in found] if isinstance(found, list | dict) else []


def _is_among(parameter: JobParameter, names: Iterable[str]) -> bool:
    wanted = {parameter.name.lower(), (getattr(parameter.key, "was", None) or parameter.name).lower()}
    if wanted.intersection(name.lower() for name in names):
        return True
    key = parameter.key
    return key is not None and key.is_period and any(_is_of(name, _PERIODS[key.period]) for name in names)


def _is_of(column: str, length: int) -> bool:
    """Return whether the name of a column says a period of this length or less, or one of any length."""
    lengths = [number for word, number in _LENGTHS.items() if word in column.lower()]
    return min(lengths) <= length if lengths else _OF_TIME.search(column) is not None
