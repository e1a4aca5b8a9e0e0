"""A deployed job and its runs as data, and what they say of keys, builds and parameters."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.errors import Problem, RunError, listed
from dbxdec.local.key_runs import key_text
from dbxdec.model.protocol import BUILD, JOB, PACKAGE, VARIABLE, is_unresolved
from dbxdec.model.trigger import moment_of
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dbxdec.local.missing import Key
    from dbxdec.model.dag import Job, JobParameter

State = Literal["active", "success", "failed", "skipped"]
Named = tuple[str, "Mapping[str, str]"]
"""The key of a task of a wheel, and its named parameters."""
_UNDEPLOYED = "deploy the tree: `databricks bundle deploy`"


@dataclass(frozen=True)
class Deployed:
    """A job as the workspace has it. `most_at_once` are the runs that it admits at once."""

    id: int
    name: str = ""
    most_at_once: int = 1
    is_scheduled: bool = False
    """Something else starts runs of it, too: a schedule or a trigger that is not paused."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The declared parameters with their defaults."""
    tasks: tuple[Named, ...] = ()

    @property
    def variables(self) -> dict[str, str]:
        """The values of bundle variables with which it was deployed."""
        return {
            name.removeprefix(VARIABLE): text
            for _, named in self.tasks
            for name, text in named.items()
            if name.startswith(VARIABLE)
        }

    @property
    def builds(self) -> set[str]:
        """The builds that its tasks are of: one, unless a person has changed it."""
        return {named[BUILD] for _, named in self.tasks if BUILD in named}


@dataclass(frozen=True)
class PlatformRun:
    """A run as the workspace has it. `said` is how it ended, in the platform's words."""

    id: int
    state: State
    said: str = ""
    url: str = ""
    started: int = 0
    """In milliseconds since the epoch."""
    seconds: float = 0
    parameters: Mapping[str, str] = field(default_factory=dict)
    is_triggered: bool = False
    """Nobody has given it parameters: a schedule or a trigger has started it."""
    tasks: tuple[Named, ...] = ()
    latest_repair: int | None = None


def check(job: Job, project: str, deployed: Deployed, given: Mapping[str, str]) -> None:
    """Raise RunError where a deployed job is another one than `job`, or has no parameter that a run must be given."""
    problems = []
    found = {(named.get(PACKAGE), named.get(JOB)) for _, named in deployed.tasks} - {(None, None)}
    if (project, job.key) not in found:
        others = [f"`{key}` of {package}" for package, key in sorted((str(a), str(b)) for a, b in found)]
        what = " and ".join(others) if others else "not built by dbxdec"
        problems.append(
            Problem(
                f"the job {deployed.id} of the workspace is {what}, and not `{job.key}` of {project}",
                hint="give the id of the deployed job: `--job-id`, or `--host` and `--profile` of its workspace",
            )
        )
    else:
        keys = {parameter.name for parameter in job.key_parameters}
        for name in [*sorted(keys), *(name for name in given if name not in keys)]:
            if name not in deployed.parameters:
                what = "key" if name in keys else "parameter"
                problems.append(
                    Problem(
                        f"the deployed job {deployed.id} has no {what} `{name}`: it is of an older build",
                        hint=_UNDEPLOYED,
                    )
                )
        if deployed.most_at_once < 1:
            problems.append(
                Problem(f"the deployed job {deployed.id} admits no run at all", hint="set `max_concurrent_runs`")
            )
    if problems:
        raise RunError(problems)


def of_deployed(deployed: Deployed, told: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the values of bundle variables that are known: as deployed, and else as the bundle's CLI has `told`.

    Raises RunError for one that is `given` otherwise: runs of the job write where it was deployed to.
    """
    own = deployed.variables
    problems = [
        Problem(f"the bundle variable `{name}` is {own[name]} in the deployed job, and not {text}", hint=_UNDEPLOYED)
        for name, text in given.items()
        if own.get(name, text) != text
    ]
    if problems:
        raise RunError(problems)
    return {**told, **own}


def key_of(job: Job, run: PlatformRun) -> Key | None:
    """Return the key that a run is for; None for a run of no key, or of a job with other parameters."""
    try:
        return tuple(key_text(parameter, _value(parameter, run)) for parameter in job.key_parameters)
    except (KeyError, ValueError, TypeError):
        return None


def _value(parameter: JobParameter, run: PlatformRun) -> Any:
    text = run.parameters[parameter.name]
    if parameter.follows is not None:
        moment = moment_of(text)
        # The platform shows a default as its reference or as the moment that it stands for; a date has no time.
        is_default = ":" in text if parameter.type.kind == "date" else run.is_triggered
        if is_unresolved(text) or (moment is not None and is_default):
            return parameter.follows.at(moment or dt.datetime.fromtimestamp(run.started / 1000, dt.UTC))
    return parameter.value(text, names=True)


def newest_by_key(job: Job, runs: Iterable[PlatformRun], wanted: Iterable[Key]) -> dict[Key, PlatformRun]:
    """Return the newest run of each wanted key; `runs` are the newest first, and no more are read than it takes."""
    left, found = set(wanted), dict[tuple[str, ...], PlatformRun]()
    if not left:
        return found
    for run in runs:
        key = key_of(job, run)
        if key in left:
            left.remove(key)
            found[key] = run
            if not left:
                break
    return found


def has_values(job: Job, run: PlatformRun, deployed: Deployed, sent: Mapping[str, str]) -> bool:
    """Return whether a run has the values that a new run of the same key would have: `sent`, and else the defaults."""
    keys = {parameter.name for parameter in job.key_parameters}
    wanted = {**deployed.parameters, **sent}
    names = (wanted.keys() | run.parameters.keys()) - keys
    return all(_same(run.parameters.get(name, wanted.get(name)), wanted.get(name)) for name in names)


def _same(text: str | None, wanted: str | None) -> bool:
    """Return whether a run had the value `wanted`; where that is a reference, the platform may show its moment."""
    if wanted is not None and is_unresolved(wanted):
        return text is not None and (is_unresolved(text) or moment_of(text) is not None)
    return text == wanted


def given_to(run: PlatformRun, deployed: Deployed) -> dict[str, str]:
    """Return the parameters that a repair must give again: without them the platform takes the job's defaults."""
    return {name: text for name, text in run.parameters.items() if deployed.parameters.get(name) != text}


def is_of_build(run: PlatformRun, deployed: Deployed) -> bool:
    """Return whether a run's tasks are those that the job has now: a repair takes the job's current settings.

    Parameters of tasks that the platform fills in, such as the run's id, don't count.
    """
    now = {
        key: {name: text for name, text in named.items() if "{{" not in text and name.startswith("dbxdec-")}
        for key, named in deployed.tasks
    }
    if not run.tasks or not deployed.builds or {key for key, _ in run.tasks} != now.keys():
        return False
    return all(named.get(name) == text for key, named in run.tasks for name, text in now[key].items())


def token(workspace: str, job_id: int, parameters: Mapping[str, str], previous: str) -> str:
    """Return the idempotency token of a run, which is the same for all who want this run: 64 characters.

    `previous` is the run of the same key after which it comes.
    """
    what = json.dumps([workspace, job_id, sorted(parameters.items()), previous], ensure_ascii=False)
    return hashlib.sha256(what.encode("utf-8", "backslashreplace")).hexdigest()


FIRST = "first"
"""A word for the run before the first one of a key."""


@dataclass(frozen=True)
class Slots:
    """The numbers of runs that may be at work at once: of a backfill, and of anybody."""

    own: int
    all: int

    @classmethod
    def of(cls, deployed: Deployed, asked: int | None, *, one_by_one: bool) -> Slots:
        """Return what a job admits; one run is left for its schedule, unless it admits no other.

        With `one_by_one` no other run may be at work, whoever has started it: each replaces a whole table.
        """
        if one_by_one:
            return cls(1, 1)
        most = deployed.most_at_once - (deployed.is_scheduled and deployed.most_at_once > 1)
        return cls(min(most, asked or most), deployed.most_at_once)

    def free(self, ours: int, others: int) -> int:
        """Return how many runs can be started now."""
        return max(0, min(self.own - ours, self.all - ours - others))


def not_deployed(job: str, target: str, known: Iterable[str]) -> RunError:
    """Return the error that a target of a bundle has no deployed job."""
    names = list(known)
    if job in names:
        return RunError(
            f"the job `{job}` is not deployed to the target `{target}`",
            hint=f"deploy it: `databricks bundle deploy -t {target}`",
        )
    others = f"its jobs are {listed(names)}" if names else "it has no jobs"
    return RunError(f"the bundle has no job `{job}` for the target `{target}`", hint=others)
