"""Jobs that a job runs for the same key: their tables get rows by runs of either."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError, counted, listed
from dbxdec.local.asked_keys import Asked
from dbxdec.local.backfill import of_strange_rows
from dbxdec.local.missing import keys_of
from dbxdec.model import required
from dbxdec.model.following import passed_on

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from dbxdec.local.missing import Key
    from dbxdec.local.question import Question
    from dbxdec.model.dag import Job, JobParameter
    from dbxdec.model.manifest import Manifest

_MOST_SAID = 5
_PARAMETER = re.compile(r"\{\{job\.parameters\.(\w+)\}\}")
_Source = int | str
"""The origin of a part of an inner job's key: the place in the outer key, or a string that is one in all runs."""


def jobs_of_same_key(manifest: Manifest, job: Job) -> Iterator[tuple[Job, tuple[int, ...]]]:
    """Yield the jobs that a run of `job` runs, directly or not, for the key that it has itself.

    With each come the places that the parts of its key have in the key of `job`.
    """
    names = {parameter.name: i for i, parameter in enumerate(job.key_parameters)}
    for other, passed in _run_by(manifest, job, names, (job.key,)):
        places = [passed.get(parameter.name, -1) for parameter in other.key_parameters]
        if names and sorted(places) == list(range(len(names))):
            yield other, tuple(places)


def _run_by(
    manifest: Manifest, job: Job, known: Mapping[str, int], above: tuple[str, ...]
) -> Iterator[tuple[Job, Mapping[str, int]]]:
    """Yield the jobs that a job runs, with which of their parameters are `known` ones as they are."""
    for task in job.tasks:
        if task.kind != "run_job" or task.runs_job in above:
            continue
        other = manifest.job(task.runs_job)
        given = task.passes
        references = {f"{{{{job.parameters.{name}}}}}": place for name, place in known.items()}
        plain = {name: passed_on(text)[1] for name, text in given.items()}
        passed = {name: references[text] for name, text in plain.items() if text in references}
        yield other, passed
        yield from _run_by(manifest, other, passed, (*above, other.key))


def related_keys(manifest: Manifest, job: Job, key: Key) -> Iterator[tuple[str, Key]]:
    """Yield the job with its key, and the keys of the jobs that it runs, and of those that run it, for that key."""
    yield job.key, key
    for other, places in jobs_of_same_key(manifest, job):
        yield other.key, tuple(key[place] for place in places)
    for outer in manifest.jobs:
        for other, places in jobs_of_same_key(manifest, outer):
            if other.key == job.key:
                yield outer.key, _outer_key(key, places)


def _outer_key(key: Key, places: Sequence[int]) -> Key:
    parts = dict(zip(places, key, strict=True))
    return tuple(parts[place] for place in range(len(parts)))


def check_inside(manifest: Manifest, job: Job, anew: Sequence[Key], question: Question) -> None:
    """Raise RunError for keys that a job is to be run `anew` for, where jobs inside it would append a key twice.

    That is so where they have appended it before, and where several runs of the job run them for one key of theirs. So
    for appended tables of such jobs that have rows of which no log says the keys.
    """
    problems: list[Problem] = []
    same = {other.key for other, _ in jobs_of_same_key(manifest, job)}
    for other, sources in _runs_inside(manifest, job, question.now) if anew else ():
        if not any(output.settings.get("mode") == "append" for _, _, output in required.tables(other)):
            continue
        inner = [tuple(key[one] if isinstance(one, int) else one for one in sources) for key in anew]
        there = keys_of(other, question, {parameter.name: Asked() for parameter in other.key_parameters})
        if other.key in same:
            problems += of_strange_rows(there)
        for table in there.tables:
            if not table.adds:
                continue
            had = table.done | table.begun
            if found := [key for key in dict.fromkeys(inner) if key in had]:
                marked = (
                    f"`dbxdec keys mark {job.key} KEY=A..B` says that they are there; " if other.key in same else ""
                )
                problems.append(
                    Problem(
                        f"{table.name} of the job `{other.key}`, which `{job.key}` runs, has {_some(found)} already: a "
                        "new run would append it again",
                        hint=f"{marked}`--again partial` runs them all the same, after their rows have been deleted",
                    )
                )
            elif twice := [key for key, count in Counter(inner).items() if count > 1]:
                problems.append(
                    Problem(
                        f"several runs of `{job.key}` run the job `{other.key}` for {_some(twice)}, and each appends "
                        f"it to {table.name}",
                        hint=f"pass the whole key on to `{other.key}`, or start it by itself; `--again partial` runs "
                        "them all the same",
                    )
                )
    if problems:
        raise RunError(problems)


def _some(keys: Sequence[Key]) -> str:
    more = f" and {counted(len(keys) - _MOST_SAID, 'other key')}" if len(keys) > _MOST_SAID else ""
    return listed([" ".join(key) for key in keys[:_MOST_SAID]]) + more


def _runs_inside(manifest: Manifest, job: Job, now: dt.datetime) -> Iterator[tuple[Job, tuple[_Source, ...]]]:
    """Yield the jobs with keys that a run of `job` runs, directly or not, and where the parts of their keys come from.

    Those that get a part which only the run knows, such as a task's result, are not among them.
    """
    keys = {parameter.name: i for i, parameter in enumerate(job.key_parameters)}
    known = {one.name: keys.get(one.name, f"{{{{job.parameters.{one.name}}}}}") for one in job.parameters}
    for other, sources in _with_sources(manifest, job, known, now, (job.key,)):
        found = [sources.get(parameter.name) for parameter in other.key_parameters]
        if found and None not in found:
            yield other, tuple(source for source in found if source is not None)


def _with_sources(
    manifest: Manifest, job: Job, known: Mapping[str, _Source], now: dt.datetime, above: tuple[str, ...]
) -> Iterator[tuple[Job, Mapping[str, _Source]]]:
    for task in job.tasks:
        if task.kind != "run_job" or task.runs_job in above:
            continue
        other = manifest.job(task.runs_job)
        given = task.passes
        found = {one.name: _source(one, given.get(one.name), known, now) for one in other.parameters}
        sources = {name: source for name, source in found.items() if source is not None}
        yield other, sources
        yield from _with_sources(manifest, other, sources, now, (*above, other.key))


def _source(
    parameter: JobParameter, given: str | None, known: Mapping[str, _Source], now: dt.datetime
) -> _Source | None:
    """Return where the value of a parameter of an inner job comes from; None if only the run knows it."""
    if given is None:
        follows = parameter.follows
        return parameter.default if follows is None else parameter.key_text(follows.at(now))
    text = passed_on(given)[1]
    if (reference := _PARAMETER.fullmatch(text)) is not None:
        return known.get(reference[1])
    if "{{" in text:
        return None
    try:
        return parameter.key_text(parameter.value(text))
    except ValueError:  # a bundle variable: the same in each run
        return text
