"""The values that a run of a job needs from outside: of its parameters, and of bundle variables."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError, did_you_mean, listed
from dbxdec.model import comparisons, items, protocol
from dbxdec.model.dag import no_parameter
from dbxdec.model.rundate import passed_on
from dbxdec.model.values import REQUIRED_TEXT
from dbxdec.model.variables import TARGET, names_in, resolve
from dbxdec.platform.known import at_start
from dbxdec.platform.references import is_known, only_one_in
from dbxdec.platform.references import resolve as resolve_references

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dbxdec.local.history import Run
    from dbxdec.model.dag import Job, JobParameter
    from dbxdec.model.manifest import Manifest


def check_parameters(job: Job, given: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return the strings of all job parameters. Raises RunError, before anything runs, with all mistakes in `given`.

    What each task would refuse is refused here. `variables` are the bundle's, as far as they are known.
    """
    known = {parameter.name: parameter for parameter in job.parameters}
    problems = [no_parameter(job.key, name, known) for name in given if name not in known]
    texts: dict[str, str] = {}
    for name, parameter in known.items():
        text = given.get(name, parameter.default)
        if text is None or text == REQUIRED_TEXT:
            hint = f"`--param {name}=VALUE` (type {parameter.type})"
            problems.append(Problem(f"the job parameter `{name}` has no default and needs a value", hint=hint))
        else:
            texts[name] = text
    resolved = {name: resolve(text, variables) for name, text in texts.items() if names_in(text) <= variables.keys()}
    references = at_start(resolved)
    problems += [problem for name, text in resolved.items() for problem in _refused(known[name], text, references)]
    problems += comparisons.refused_texts(job, resolved, variables)
    problems += items.refused(job, {name: resolve_references(text, references) for name, text in resolved.items()})
    if problems:
        raise RunError(list(dict.fromkeys(problems)))
    return texts


def _refused(parameter: JobParameter, text: str, references: Mapping[str, str]) -> Iterator[Problem]:
    if parameter.run_date is not None and text == parameter.default:
        return
    what = f"the job parameter `{parameter.name}`"
    if protocol.is_unresolved(resolve_references(text, references)):
        segments = only_one_in(text.strip())
        on_platform = Problem(
            f"{what} is {text.strip()}, which only the platform knows", hint=f"`--param {parameter.name}=VALUE`"
        )
        yield on_platform if segments and is_known(segments) else protocol.unresolved(what, text)
        return
    try:
        parameter.value(text, names=True)
    except ValueError as error:
        yield Problem(f"{what} {error}", hint=parameter.type.hint)


def same_values(job: Job, some: Mapping[str, str], others: Mapping[str, str]) -> set[str]:
    """Return the names of job parameters that have the same value in both, however it is written."""
    return {p.name for p in job.parameters if p.name in some and p.name in others and _same(p, some, others)}


def _same(parameter: JobParameter, some: Mapping[str, str], others: Mapping[str, str]) -> bool:
    texts = [one[parameter.name] for one in (some, others)]
    with suppress(ValueError):
        return len({items.content(parameter.value(text, names=True)) for text in texts}) == 1
    return texts[0] == texts[1]  # a reference, or a value that the type of today refuses


def variables_of(manifest: Manifest, job: Job) -> set[str]:
    """Return the bundle variables that a run of `job` needs, including those of the jobs that it runs."""
    names, waiting, seen = set(job.variables), [job], {job.key}
    while waiting:
        for task in waiting.pop().tasks:
            if task.kind == "run_job" and task.runs_job not in seen:
                seen.add(task.runs_job)
                waiting.append(manifest.job(task.runs_job))
                names |= set(waiting[-1].variables)
            names |= names_in(dict(task.settings)) if task.kind in ("condition", "run_job") else set()
    return names


def check_variables(manifest: Manifest, given: Iterable[str]) -> None:
    """Raise RunError for names that no job of the project uses: otherwise a misspelt name would be ignored silently."""
    known = sorted(set().union(*(variables_of(manifest, job) for job in manifest.jobs), {TARGET}))
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
    started = dt.datetime.fromtimestamp(run.started / 1000, dt.UTC)
    found = dict(run.head["parameters"])
    for parameter in run.dag.parameters:
        text = found.get(parameter.name)
        if parameter.run_date is not None and text == parameter.default:
            found[parameter.name] = str(parameter.run_date.at(started))
        elif parameter.type.kind == "date" and text is not None:
            passed, text = passed_on(text)
            found[parameter.name] = text if passed is None else str(passed)
    return found
