"""The values that a run of a job needs from outside: of its parameters, and of bundle variables."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError, did_you_mean, listed
from dbxdec.model import beginnings, items, outside, protocol
from dbxdec.model.changes import ADOPT, RESTART
from dbxdec.model.dag import no_parameter
from dbxdec.model.following import passed_on
from dbxdec.model.values import REQUIRED_TEXT
from dbxdec.model.variables import TARGET, names_in, resolve
from dbxdec.platform.known import at_start
from dbxdec.platform.references import is_known, only_one_in
from dbxdec.platform.references import resolve as resolve_references

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from dbxdec.local.history import Run
    from dbxdec.model.dag import Job, JobParameter
    from dbxdec.model.manifest import Manifest


def check_parameters(
    job: Job, given: Mapping[str, str], variables: Mapping[str, str], manifest: Manifest | None = None
) -> dict[str, str]:
    """Return the strings of all job parameters. Raises RunError, before anything runs, with all mistakes in `given`.

    What each task would refuse is refused here, with the `manifest` also what jobs that it runs would refuse.
    `variables` are the bundle's, as far as they are known. As on the platform they are resolved in defaults, while a
    given value is a plain string.
    """
    known = {parameter.name: parameter for parameter in job.parameters}
    problems = [no_parameter(job.key, name, known) for name in given if name not in known]
    texts: dict[str, str] = {}
    for name, parameter in known.items():
        text = given.get(name, parameter.default)
        if text is None or text == REQUIRED_TEXT:
            problems.append(needs_value(parameter))
        else:
            # A resumed run has its defaults as given values.
            plain = text != parameter.default or not names_in(text) <= variables.keys()
            texts[name] = text if plain else resolve(text, variables)
    unknown = {name for name, text in texts.items() if text == known[name].default and names_in(text)}
    resolved = {name: text for name, text in texts.items() if name not in unknown}
    references = at_start(resolved)
    for name, text in list(resolved.items()):
        if known[name].follows is not None and text == known[name].default:
            del resolved[name]
        elif protocol.is_unresolved(resolve_references(text, references)):
            problems.append(_unresolved(name, text.strip()))
            del resolved[name]
    problems += outside.refused(job, resolved, variables)
    if ADOPT in known:
        problems += beginnings.mistakes(texts.get(ADOPT, ""), texts.get(RESTART, ""), job)
    problems += [] if manifest is None else _of_other_jobs(manifest, job, variables)
    if problems:
        raise RunError(list(dict.fromkeys(problems)))
    return texts


def check_names(job: Job, given: Iterable[str]) -> None:
    """Raise RunError for names of parameters that the job does not have."""
    known = {parameter.name: parameter for parameter in job.parameters}
    if problems := [no_parameter(job.key, name, known) for name in given if name not in known]:
        raise RunError(problems)


def needs_value(parameter: JobParameter) -> Problem:
    """Return the problem of a parameter without a value."""
    return Problem(
        f"the job parameter `{parameter.name}` has no default and needs a value",
        hint=f"`--param {parameter.name}=VALUE` (type {parameter.type})",
    )


def _unresolved(name: str, text: str) -> Problem:
    segments = only_one_in(text)
    if segments is None or not is_known(segments):
        return protocol.unresolved(f"the job parameter `{name}`", text)
    return Problem(
        f"the job parameter `{name}` is {text}, which only the platform knows", hint=f"`--param {name}=VALUE`"
    )


def _of_other_jobs(manifest: Manifest, job: Job, variables: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the problems of what the jobs that `job` runs get from it, from each other and from the bundle."""
    for caller in (job, *jobs_run_by(manifest, job)):
        for task in caller.tasks:
            if task.kind == "run_job":
                other = manifest.job(task.runs_job)
                yield from outside.passed(task, other, variables)
                given = task.passes
                defaults = {
                    p.name: p.default for p in other.parameters if p.default is not None and p.name not in given
                }
                texts = {
                    name: resolve(text, variables)
                    for name, text in defaults.items()
                    if names_in(text) and names_in(text) <= variables.keys()
                }
                yield from outside.refused(other, texts, variables)


def same_values(job: Job, some: Mapping[str, str], others: Mapping[str, str]) -> set[str]:
    """Return the names of job parameters that have the same value in both, however it is written."""
    return {p.name for p in job.parameters if p.name in some and p.name in others and _same(p, some, others)}


def _same(parameter: JobParameter, some: Mapping[str, str], others: Mapping[str, str]) -> bool:
    texts = [one[parameter.name] for one in (some, others)]
    with suppress(ValueError):
        return len({items.content(parameter.value(text, names=True)) for text in texts}) == 1
    return texts[0] == texts[1]  # a reference, or a value that the type of today refuses


def variables_of(manifest: Manifest, job: Job, given: Collection[str] = ()) -> set[str]:
    """Return the bundle variables that a run of `job` needs, including those of the jobs that it runs.

    `given` are the job parameters whose defaults it does not need.
    """
    names = _in_defaults(job, given)
    for one in (job, *jobs_run_by(manifest, job)):
        names |= set(one.variables)
        for task in one.tasks:
            names |= names_in(dict(task.settings)) if task.kind in ("condition", "run_job") else set()
            names |= set() if task.each is None else names_in(task.each.concurrency)
            if task.kind == "run_job":
                names |= _in_defaults(manifest.job(task.runs_job), task.passes)
    return names


def variables_of_project(manifest: Manifest) -> set[str]:
    """Return the bundle variables that may be given to a run of any job."""
    return set().union(*(variables_of(manifest, job) | in_keys(job) for job in manifest.jobs), {TARGET})


def in_keys(job: Job) -> set[str]:
    """Return the bundle variables that say with which key the keys of `job` begin."""
    keys = [parameter.key for parameter in job.parameters if parameter.key is not None and parameter.key.is_period]
    return names_in([key.since for key in keys if key.since is not None])


def _in_defaults(job: Job, given: Collection[str]) -> set[str]:
    return names_in([parameter.default for parameter in job.parameters if parameter.name not in given])


def jobs_run_by(manifest: Manifest, job: Job) -> list[Job]:
    """Return the other jobs that a run of `job` runs, directly or through each other."""
    found: dict[str, Job] = {job.key: job}
    waiting = [job]
    while waiting:
        for task in waiting.pop().tasks:
            if task.kind == "run_job" and task.runs_job not in found:
                found[task.runs_job] = manifest.job(task.runs_job)
                waiting.append(found[task.runs_job])
    return [one for one in found.values() if one is not job]


def refuse_readers(manifest: Manifest, job: Job) -> None:
    """Raise RunError if a backfill of `job` would run tasks that read what is new: that is the same for each key."""
    for one in (job, *jobs_run_by(manifest, job)):
        if found := beginnings.readers(one):
            by = "" if one is job else f", which `{job.key}` runs,"
            raise RunError(
                f"the job `{one.key}`{by} reads what is new ({listed(found)}): it can't be run again for a key, since "
                "each run goes on where the one before it has ended",
                hint=f"`dbxdec run {one.key}` reads what has come since; all again: `--restart {found[0]}`",
            )


def check_variables(manifest: Manifest, given: Iterable[str]) -> None:
    """Raise RunError for names that no job of the project uses: otherwise a misspelt name would be ignored silently."""
    known = sorted(variables_of_project(manifest))
    problems = [
        Problem(
            f"no job of {manifest.project} uses the bundle variable `{name}`",
            hint=did_you_mean(name, known) or f"those used are {listed(known)}",
        )
        for name in given
        if name not in known
    ]
    if problems:
        raise RunError(problems)


def parameters_shown(run: Run) -> dict[str, str]:
    """Return the parameters of a run for people: a date that follows the run is that date."""
    return parameters_at(run.dag, run.head["parameters"], dt.datetime.fromtimestamp(run.started / 1000, dt.UTC))


def parameters_at(job: Job, texts: Mapping[str, str], started: dt.datetime) -> dict[str, str]:
    """Return the parameters of a run of `job` that starts at this moment, for people."""
    found = dict(texts)
    for parameter in job.parameters:
        text = found.get(parameter.name)
        if parameter.follows is not None and text == parameter.default:
            found[parameter.name] = str(parameter.follows.at(started))
        elif parameter.type.kind in ("date", "datetime") and text is not None:
            passed, text = passed_on(text)
            found[parameter.name] = text if passed is None else str(passed)
    return found
