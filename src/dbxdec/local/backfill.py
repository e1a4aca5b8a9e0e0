"""A backfill on this machine: the keys of a job that are missing, one run after another.

The tables say what is there, so nothing has to be remembered: the same command goes on where an earlier one ended.
"""

from __future__ import annotations

import datetime as dt
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dbxdec.errors import Problem, RunError, did_you_mean, listed
from dbxdec.local import ledger
from dbxdec.local.missing import key_parameters, moment_of_key
from dbxdec.support.locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dbxdec.local.history import Run
    from dbxdec.local.missing import Key, Keys
    from dbxdec.model.dag import Job, JobParameter

Again = Literal["partial", "all"]


@dataclass(frozen=True)
class Step:
    """One run of the plan: of a key that is "missing", "partial" or "done"; `before` is the run that it resumes."""

    key: Key
    state: str
    before: Run | None = None


@dataclass(frozen=True)
class Plan:
    """The runs of a backfill in their order, and how many of the keys that were asked for are done."""

    steps: tuple[Step, ...]
    done: int


def asked_keys(job: Job, given: Mapping[str, str], now: dt.datetime) -> dict[str, list[str]]:
    """Return the strings of the keys that a person asks for: `A..B`, with either end left out, or `A,B`.

    Without an end a period goes up to the last one that is due. A period without its beginning is not among the
    result: it begins where the job's keys do. Raises RunError with all mistakes.
    """
    parameters = {parameter.name: parameter for parameter in key_parameters(job)}
    found, problems = {}, []
    for name, text in given.items():
        if (parameter := parameters.get(name)) is None:
            near = did_you_mean(name, parameters) or f"its keys are {listed(list(parameters))}"
            others = {one.name for one in job.parameters}
            hint = f"`-p {name}={text}`" if name in others else near
            problems.append(Problem(f"`{name}` is no key of the job `{job.key}`", hint=hint))
            continue
        try:
            found[name] = _asked(parameter, text, now)
        except ValueError as error:
            problems.append(Problem(f"{name}={text} {error}"))
    if problems:
        raise RunError(problems)
    return found


def _asked(parameter: JobParameter, text: str, now: dt.datetime) -> list[str]:
    key = parameter.key
    assert key is not None  # noqa: S101 - the caller has looked
    if not key.is_period:
        values = [value.strip() for value in text.split(",")]
        if unknown := [value for value in values if value not in key.values]:
            raise ValueError(f"names {listed(unknown)}, but its values are {listed(list(key.values))}")
        return list(dict.fromkeys(values))
    last = key.at(now)
    if ".." in text:
        begin, _, end = text.partition("..")
        if not begin:
            raise ValueError("has no beginning: write `FIRST..LAST`, or `FIRST..`")
        last = min(last, _moment(parameter, end)) if end else last
        found = [key.text(one) for one in key.between(_moment(parameter, begin), last)]
        if not found:
            raise ValueError(f"has no key that is due; the last one is {key.text(key.at(now))}")
        return found
    moments = [_moment(parameter, part.strip()) for part in text.split(",")]
    for one in moments:
        if not key.has(one):
            raise ValueError(f"is no key of {key}")
        if one > last:
            raise ValueError(f"is not due; the last one is {key.text(last)}")
    return list(dict.fromkeys(map(key.text, moments)))


def _moment(parameter: JobParameter, text: str) -> dt.date:
    try:
        return moment_of_key(parameter.key, text)  # type: ignore[arg-type]  # the caller has looked
    except RunError:
        raise ValueError(f"has {text!r:.40}, which is no {parameter.type}") from None


def planned(job: Job, keys: Keys, here: Path, *, again: Again | None, newest_first: bool) -> Plan:
    """Return the runs that a backfill needs. Raises RunError with all reasons why it would do harm."""
    problems = [
        Problem(f"of {table.name} it can't be told which keys it has: {table.why}", hint="read the table's log first")
        for table in keys.unknown
    ]
    steps, done = [], 0
    open_runs = _unsuccessful(job, here)
    for key in keys.due:
        states = keys.states(key)
        if set(states.values()) == {"done"}:
            done += 1
            if again == "all":
                steps.append(Step(key, "done"))
        elif "done" not in states.values():
            steps.append(Step(key, "missing"))
        else:
            before = None if again else open_runs.get(key)
            steps.append(Step(key, "partial", before))
            added = [table.name for table in keys.tables if table.adds and key in table.done]
            if added and before is None and again is None:
                problems.append(
                    Problem(
                        f"{' '.join(key)} is in {listed(added)} and not in all tables: a new run would append it again",
                        hint="resume the run that wrote it (`dbxdec run --resume RUN`); with `--again partial` it is "
                        "run anew, after its rows have been deleted",
                    )
                )
    problems += _of_strange_rows(keys) if steps and again is None else []
    problems += _of_whole_tables(keys, steps, newest_first=newest_first)
    if problems:
        raise RunError(problems)
    return Plan(tuple(reversed(steps) if newest_first else steps), done)


def _of_strange_rows(keys: Keys) -> Iterator[Problem]:
    """Yield appended tables with rows of which no log says which keys they are."""
    for table in keys.tables:
        if table.adds and table.created is not None and not table.done:
            yield Problem(
                f"{table.name} has rows but no key, of runs before the job had keys: a backfill would append to them",
                hint="move the table away, or say with `--again all` that its rows are of other keys",
            )


def _of_whole_tables(keys: Keys, steps: Sequence[Step], *, newest_first: bool) -> Iterator[Problem]:
    """Yield tables that would end with the rows of an older key, since each run replaces them as a whole."""
    if not steps:
        return
    last = steps[0].key if newest_first else steps[-1].key
    for table in keys.tables:
        if table.mode != "whole":
            continue
        # Days, and moments in UTC, sort as their strings do.
        newest = max([*table.done, *(step.key for step in steps)])
        if newest > last:
            yield Problem(
                f"each run replaces the whole of {table.name}, so it would end with the rows of {' '.join(last)}, "
                f"and not with those of {' '.join(newest)}",
                hint='write each key into its own part: `mode="overwrite", partition_by=...`; or end with the newest '
                "key" + (", without `--newest-first`" if newest_first else ""),
            )


def _unsuccessful(job: Job, here: Path) -> dict[Key, Run]:
    """Return the newest run of each key that has not succeeded and can be resumed."""
    parameters = key_parameters(job)
    found: dict[Key, Run | None] = {}
    for run in ledger.runs(here, job.key):
        given = run.head["parameters"]
        try:
            key = tuple(one.key_text(one.value(given[one.name])) for one in parameters)
        except (KeyError, ValueError, TypeError):
            continue  # a run by default, or of a job with other parameters
        if key not in found:
            is_open = run.state not in ("success", ledger.RUNNING) and not run.damaged and not run.is_inner
            found[key] = run if is_open else None
    return {key: run for key, run in found.items() if run is not None}


@contextmanager
def alone(here: Path, job: str) -> Iterator[None]:
    """Keep other backfills of the same job away. Raises RunError where one is at work."""
    folder = ledger.state_folder(here)
    path = folder / f"backfill-{job}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not try_lock(descriptor):
            raise RunError(f"another backfill of the job `{job}` is at work here", hint="wait for it, or end it")
        yield
    finally:
        with suppress(OSError):
            os.close(descriptor)
