"""The values for which a person has a job without keys run: no log tells which of them are there."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError, did_you_mean, listed
from dbxdec.local.key_runs import key_text
from dbxdec.local.missing import MOST_KEYS, Key, Keys, Table, mode_of
from dbxdec.model import required
from dbxdec.model.dag import RESULT
from dbxdec.model.keys import DAILY, Choices, Periods

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dbxdec.model.dag import Job, JobParameter

_ONE_DAY = dt.timedelta(days=1)
_WITHOUT = ("list", "dict")


def with_given(job: Job, given: Mapping[str, Sequence[str]]) -> tuple[Job, dict[str, tuple[str, ...]]]:
    """Return a job without keys as one that has the `given` parameters as keys, and their values.

    `given` are `A,B`, or `A..B` of dates, several times for a value with commas among others. Raises RunError with all
    mistakes.
    """
    if not given:
        hint = "say for which values it is to run, such as `day=2024-01-01..2024-01-31`; or give it a key: "
        raise RunError(f"the job `{job.key}` has no key", hint=hint + "`day: dt.date = daily(since=...)`")
    parameters = {parameter.name: parameter for parameter in job.parameters}
    values, problems = {}, []
    for name, texts in given.items():
        if (parameter := parameters.get(name)) is None:
            known = f"its parameters are {listed(list(parameters))}" if parameters else "it has none"
            hint = did_you_mean(name, parameters) or known
            problems.append(Problem(f"`{name}` is no parameter of the job `{job.key}`", hint=hint))
            continue
        some: dict[str, None] = {}
        for text in texts:
            try:
                some |= dict.fromkeys(_values(parameter, text))
            except ValueError as error:
                problems.append(Problem(f"{name}={text:.60} {error}"))
        values[name] = tuple(some)
    if problems:
        raise RunError(problems)
    keyed = tuple(
        replace(one, key=_key(one, values[one.name])) if one.name in values else one for one in job.parameters
    )
    return replace(job, parameters=keyed), {one.name: values[one.name] for one in keyed if one.name in values}


def keys_given(job: Job, values: Mapping[str, tuple[str, ...]], made: Iterable[Key]) -> Keys:
    """Return the keys of a job that `with_given` has returned. Those that are `made` are done.

    Raises RunError for too many.
    """
    count = 1
    for some in values.values():
        count *= len(some)
    if count > MOST_KEYS:
        raise RunError(f"these are {count:,} runs, more than {MOST_KEYS:,}", hint="give fewer values")
    why = "the job has no keys"
    tables = tuple(
        Table(task.key if name == RESULT else f"{task.key}[{name}]", why=why, mode=mode_of(output), task=task.key)
        for task, name, output in required.tables(job)
    )
    return Keys(job.key, tuple(values), tuple(product(*values.values())), tables, made=frozenset(made))


def said_of(keys: Keys, *, done: int) -> Iterator[str]:
    """Yield, in words, what it means to run a job without keys for values, of which some may be done."""
    if done:
        yield "the job has no keys: only what this backfill has run well is left out"
    else:
        yield "the job has no keys: nothing tells which of these are there, so all are run"
    yield from _like_ranges(keys)
    for table in keys.tables:
        if table.adds:
            yield f"`{table.name}` appends: of a value for which it has run before, rows are there twice"
        elif table.mode == "whole":
            yield f"`{table.name}` replaces its whole table: only the rows of the last run are there"


def _like_ranges(keys: Keys) -> Iterator[str]:
    """Yield, in words, each value that is written as a range but is one string."""
    for place, name in enumerate(keys.names):
        for text in dict.fromkeys(key[place] for key in keys.due):
            first, _, last = text.partition("..")
            if first.strip() and last.strip():
                hint = f"for several values write `{name}=A,B`"
                yield f"`{text}` is one value of `{name}`: only dates have ranges; {hint}"


def _key(parameter: JobParameter, values: tuple[str, ...]) -> Periods | Choices:
    return Periods(DAILY) if parameter.type.kind == "date" else Choices(values)


def _values(parameter: JobParameter, text: str) -> Iterator[str]:
    """Yield the strings of values. Raises ValueError for what is no value."""
    if parameter.type.kind in _WITHOUT:
        raise ValueError(f"is for a parameter of the type {parameter.type}: give it by `-p {parameter.name}=...`")
    if text in parameter.type.choices:  # a choice may have commas
        yield _text(parameter, text)
        return
    for part in text.split(","):
        if not part.strip():
            raise ValueError("has nothing beside a comma: write `A,B`")
        first, dots, last = part.strip().partition("..")
        if not dots or parameter.type.kind == "str":
            yield _text(parameter, part.strip())
        elif parameter.type.kind != "date":
            raise ValueError(f"has {part}: only dates are given from the first to the last one, write `A,B`")
        elif not first or not last:
            raise ValueError("needs the first and the last day: the job has no key that says which days there are")
        else:
            yield from _days(_date(parameter, first), _date(parameter, last))


def _days(first: dt.date, last: dt.date) -> Iterator[str]:
    if last < first:
        raise ValueError(f"ends before it begins: write `{last}..{first}`")
    if (count := (last - first).days + 1) > MOST_KEYS:
        raise ValueError(f"has {count:,} days, more than {MOST_KEYS:,}")
    for number in range(count):
        yield (first + number * _ONE_DAY).isoformat()


def _date(parameter: JobParameter, text: str) -> dt.date:
    return dt.date.fromisoformat(_text(parameter, text.strip()))


def _text(parameter: JobParameter, text: str) -> str:
    """Return the one string that equal values have."""
    value = parameter.type.from_text(text, names=True)
    if value is None:
        raise ValueError(f"has {text!r:.40}, which is no {parameter.type.kind}")
    return key_text(parameter, value)
