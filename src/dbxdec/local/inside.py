"""Jobs that a job runs for the same key: their tables get rows by runs of either."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError, counted, listed
from dbxdec.local.asked import Asked, key_parameters
from dbxdec.local.backfill import of_strange_rows
from dbxdec.local.missing import keys_of
from dbxdec.model import required
from dbxdec.model.following import passed_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dbxdec.local.missing import Key
    from dbxdec.local.question import Question
    from dbxdec.model.dag import Job
    from dbxdec.model.manifest import Manifest

_MOST_SAID = 5


def jobs_of_same_key(manifest: Manifest, job: Job) -> Iterator[tuple[Job, tuple[int, ...]]]:
    """Yield the jobs that a run of `job` runs, directly or not, for the key that it has itself.

    With each come the places that the parts of its key have in the key of `job`.
    """
    names = {parameter.name: i for i, parameter in enumerate(key_parameters(job))}
    for other, passed in _run_by(manifest, job, names, (job.key,)):
        places = [passed.get(parameter.name, -1) for parameter in key_parameters(other)]
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
        given = task.settings["run_job_task"].get("job_parameters", {})
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
    """Raise RunError for keys that a job is to be run `anew` for, and that jobs inside it have appended before.

    So for appended tables of such jobs that have rows of which no log says the keys.
    """
    problems: list[Problem] = []
    for other, places in jobs_of_same_key(manifest, job) if anew else ():
        if not any(output.settings.get("mode") == "append" for _, _, output in required.tables(other)):
            continue
        there = keys_of(other, question, {parameter.name: Asked() for parameter in key_parameters(other)})
        problems += of_strange_rows(there)
        for table in there.tables:
            had = {_outer_key(one, places) for one in table.done | table.begun} if table.adds else set()
            found = [key for key in anew if key in had]
            if found:
                more = f" and {counted(len(found) - _MOST_SAID, 'other key')}" if len(found) > _MOST_SAID else ""
                names = listed([" ".join(key) for key in found[:_MOST_SAID]])
                problems.append(
                    Problem(
                        f"{table.name} of the job `{other.key}`, which `{job.key}` runs, has {names}{more} already: a "
                        "new run would append it again",
                        hint=f"`dbxdec keys mark {job.key} KEY=A..B` says that they are there; `--again partial` runs "
                        "them all the same, after their rows have been deleted",
                    )
                )
    if problems:
        raise RunError(problems)
