"""The keys that a person asks for by `KEY=A..B` or `KEY=A,B`, and those of them that there should not be."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError, did_you_mean, listed
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.model.dag import Job, JobParameter
    from dbxdec.model.keys import Choices, Periods

_LAST_HOUR = dt.timedelta(hours=23)
Span = tuple[dt.date, dt.date | None]
"""Periods from the first to the last, which need not be keys themselves; None for all that are due."""


@dataclass(frozen=True)
class Asked:
    """Keys of one parameter: `values` by their strings, or of a parameter of periods all keys of `spans`."""

    values: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()

    def keys(self, key: Periods, since: dt.date | None, last: dt.date) -> list[str]:
        """Return the strings of the keys from `since` to `last`, which are keys.

        Raises RunError for a beginning before the calendar of the key's zone.
        """
        found: dict[str, None] = {}
        for first, end in self.spans:
            begin = first if since is None or first > since else since
            try:
                found |= dict.fromkeys(map(key.text, key.between(begin, min(end or last, last))))
            except OverflowError:
                raise RunError(f"{first} is before the first key of {key}", hint="ask for later ones") from None
        return sorted(found)  # as their moments sort

    def left_out(self, name: str, key: Periods, since: dt.date | None, last: dt.date, until: str) -> Iterator[str]:
        """Yield, in words, the keys that were asked for outside of `since` and `last`; `until` says why none follow."""
        for first, end in self.spans:
            if since is not None and first < since:
                before = min(end or since, key.before(since))
                if _any(key, first, before):
                    yield f"{name}={_words(key, first, before)}: its keys begin with {key.text(since)} (`since`)"
            if end is not None and end > last and _any(key, after := max(first, key.after(last)), end):
                yield f"{name}={_words(key, after, end)}: {until}"


def moment_of_key(key: Periods, text: str) -> dt.date:
    """Return the date, or for hours the moment, of `since` and `until`."""
    kind = dt.datetime if key.type == "datetime" else dt.date
    try:
        found = kind.fromisoformat(text)
    except ValueError:
        raise RunError(f"`since` or `until` of {key} is {text!r:.60}, which is no ISO date") from None
    return found.replace(tzinfo=dt.UTC) if isinstance(found, dt.datetime) and found.tzinfo is None else found


def first_key(key: Periods, since: str) -> dt.date:
    """Return the first key that there should be. A date as the `since` of hours begins in the key's zone."""
    return key.holding(_hours(key, since)[0])


def last_key(key: Periods, until: str) -> dt.date:
    """Return the last key that there should be. A date as the `until` of hours ends in the key's zone."""
    return key.holding(_hours(key, until)[1])


def _hours(key: Periods, text: str) -> tuple[dt.date, dt.date]:
    if key.type != "datetime" or not _is_date(text):
        moment = moment_of_key(key, text)
        return moment, moment
    return key.hours_of(dt.date.fromisoformat(text))


def _any(key: Periods, first: dt.date, last: dt.date) -> bool:
    try:
        return next(key.between(first, last), None) is not None
    except OverflowError:  # the first day of the calendar, in a zone where it begins before
        return first <= last


def _words(key: Periods, first: dt.date, last: dt.date) -> str:
    one, other = key.text(first), key.text(last)
    return one if one == other else f"{one}..{other}"


def asked_keys(job: Job, given: Mapping[str, list[str]], now: dt.datetime) -> dict[str, Asked]:
    """Return the keys that a person asks for, by parameter: `A..B`, with the end left out, or `A,B`, or both.

    Each parameter may be given several times, so that a value with commas can be one of several.

    Without an end a period goes up to the last one that is due. A date means all its hours, in UTC, where keys are
    hours. Raises RunError with all mistakes.
    """
    parameters = {parameter.name: parameter for parameter in job.key_parameters}
    found, problems = {}, []
    for name, texts in given.items():
        if (parameter := parameters.get(name)) is None:
            near = did_you_mean(name, parameters) or f"its keys are {listed(list(parameters))}"
            others = {one.name for one in job.parameters}
            hint = f"`-p {name}={texts[0]}`" if name in others else near
            problems.append(Problem(f"`{name}` is no key of the job `{job.key}`", hint=hint))
            continue
        parts = []
        for text in texts:
            try:
                parts.append(_asked(parameter, text, now))
            except ValueError as error:
                problems.append(Problem(f"{name}={text} {error}", hint=_apart(parameter, text)))
        values = dict.fromkeys(value for part in parts for value in part.values)
        found[name] = Asked(tuple(values), tuple(span for part in parts for span in part.spans))
    if problems:
        raise RunError(problems)
    return found


def _apart(parameter: JobParameter, text: str) -> str | None:
    """Return how to name a value with commas beside others, if the key has any of which a list has a part."""
    values = () if parameter.key is None or parameter.key.is_period else parameter.key.values
    parts = {part.strip() for part in text.split(",")}
    found = next((one for one in values if "," in one and parts >= {part.strip() for part in one.split(",")}), None)
    return None if found is None else f"name a value with a comma apart from others: `{parameter.name}={found}`"


def _asked(parameter: JobParameter, text: str, now: dt.datetime) -> Asked:
    key = parameter.key
    assert key is not None  # noqa: S101 - the caller has looked
    if not key.is_period:
        parts = [text] if text in key.values else text.split(",")  # a value may have commas, or spaces at its ends
        values = [_spelled(parameter, key, part) for part in parts]
        if unknown := [value for value in values if value not in key.values]:
            raise ValueError(f"names {listed(unknown)}, but its values are {listed(list(key.values))}")
        return Asked(values=tuple(dict.fromkeys(values)))
    last = key.at(now)
    return Asked(spans=tuple(_asked_span(parameter, key, part.strip(), last) for part in text.split(",")))


def _spelled(parameter: JobParameter, key: Choices, text: str) -> str:
    """Return the value that a person has written as the job spells it; any other without spaces at its ends."""
    if text in key.values or (text := text.strip()) in key.values:
        return text
    with suppress(ValueError):
        return parameter.key_text(parameter.value(text))
    return text


def _asked_span(parameter: JobParameter, key: Periods, text: str, last: dt.date) -> Span:
    """Return the span of `A..B`, `A..` or one period. Raises ValueError if no key of it is due; `last` is the last."""
    begin, dots, end = text.partition("..")
    if not dots:
        one = _span(parameter, text)
        if not key.has(one[0]):
            raise ValueError(f"has {text}, which is no key of {key}")
        if one[0] > last:
            raise ValueError(f"has {text}, which is not due; the last one is {key.text(last)}")
        return one
    if not begin:
        raise ValueError("has no beginning: write `FIRST..LAST`, or `FIRST..`")
    first, until = _span(parameter, begin)[0], _span(parameter, end)[1] if end else None
    if until is not None and until < first:
        raise ValueError(f"ends before it begins: write `{end}..{begin}`")
    if not _any(key, first, min(until or last, last)):
        raise ValueError(f"has no key that is due; the last one is {key.text(last)}")
    return first, until


def _span(parameter: JobParameter, text: str) -> tuple[dt.date, dt.date]:
    """Return the period that a string names, or the first and the last hour of a date. Raises ValueError."""
    try:
        moment = moment_of_key(parameter.key, text)  # type: ignore[arg-type]  # the caller has looked
    except RunError:
        raise ValueError(f"has {text!r:.40}, which is no {parameter.type}") from None
    return moment, moment + _LAST_HOUR if isinstance(moment, dt.datetime) and _is_date(text) else moment


def _is_date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True
