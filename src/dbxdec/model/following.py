"""Defaults that follow the run, passed on to the runs of other jobs.

The platform passes on the moment of the trigger. The string adds what turns it into the value of the parameter.
"""

from __future__ import annotations

import datetime as dt
import re

from dbxdec.model.keys import Periods
from dbxdec.model.rundate import RunDate
from dbxdec.model.trigger import REFERENCE, moment_of
from dbxdec.support.patterns import pattern

Follower = RunDate | Periods
_KINDS: dict[str, type[RunDate] | type[Periods]] = {"run_date": RunDate, "key": Periods}
_PASSED_ON = pattern(r"<dbxdec:(run_date|key) (\S+) ([^<>]*)>(.*)", re.DOTALL)


def passing(follower: Follower, reference: str) -> str:
    """Return the string with which a job passes its parameter on to a run of another job."""
    name = next(name for name, kind in _KINDS.items() if isinstance(follower, kind))
    return f"<dbxdec:{name} {follower.passed_on()} {REFERENCE}>{reference}"


def passed_on(text: str) -> tuple[dt.date | None, str]:
    """Return the date or moment that another job's run passed on, or None, and the string that this run was given."""
    while (match := _PASSED_ON.fullmatch(text)) is not None:
        name, form, trigger, given = match.groups()
        moment = moment_of(trigger)
        if given == trigger and moment is not None:
            try:
                return _KINDS[name].of_passed_on(form).at(moment), given
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
