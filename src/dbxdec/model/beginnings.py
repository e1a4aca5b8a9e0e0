"""The beginning of tasks whose position in a source is unknown, as said by a person for a run: `--adopt`, `--restart`.

They are parameters of the job, so they belong to the run: a repair of it has them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, did_you_mean, listed
from dbxdec.model import dag
from dbxdec.model.changes import ADOPT, RESTART
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SNAPSHOT, LATEST = "snapshot", "latest"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The beginning of a task whose position is unknown, and whether it begins anew; said by a person for one run."""

    adopted: Mapping[str, str]
    restarts: bool

    @classmethod
    def of(cls, task: str, parameters: Mapping[str, Any], job: dag.Job) -> Wanted:
        """Return what the job parameters say of a task. Raises RunError with all mistakes in them."""
        problems = list(mistakes(str(parameters.get(ADOPT) or ""), str(parameters.get(RESTART) or ""), job))
        if problems:
            raise RunError(problems)
        adopted = dict(pairs(str(parameters.get(ADOPT) or "")))
        own = {
            name: adopted[key]
            for name in dag.changes_of(job.task(task))
            if (key := next((one for one in (f"{task}.{name}", task) if one in adopted), None)) is not None
        }
        return cls(own, task in words(str(parameters.get(RESTART) or "")))


def words(text: str) -> list[str]:
    """Return the parts of a job parameter that is a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield the tasks, or `task.parameter`, and the beginnings in a string like `clean=latest, join.orders=12`."""
    for word in words(text):
        name, _, value = word.partition("=")
        yield name.strip(), value.strip()


def mistakes(adopt: str, restart: str, job: dag.Job) -> Iterator[Problem]:
    """Yield what is wrong with the tasks that are to begin elsewhere."""
    reads = {task.key: dag.changes_of(task) for task in job.tasks}
    known = readers(job)
    said: dict[str, str] = {}
    for name, value in pairs(adopt):
        if said.setdefault(name, value) != value:
            yield Problem(f"`--adopt {name}` is given twice: {said[name]} and {value}", hint="leave one of them out")
        key, _, parameter = name.partition(".")
        if key not in known:
            yield _unknown_reader(key, known, f"--adopt {name}={value}")
        elif parameter and parameter not in reads[key]:
            near = did_you_mean(parameter, reads[key]) or f"it reads {listed(list(reads[key]))}"
            yield Problem(f"`--adopt {name}={value}`: the task `{key}` reads nothing new as `{parameter}`", hint=near)
        if value not in (SNAPSHOT, LATEST) and not value.isdecimal():
            yield Problem(
                f"`--adopt {name}={value}` does not say where the task begins",
                hint=f"write a version of its source, `{name}=12`, or `{name}=latest`, or `{name}=snapshot`",
            )
    for key in words(restart):
        if key not in known:
            yield _unknown_reader(key, known, f"--restart {key}")
        elif any(name.partition(".")[0] == key for name, _ in pairs(adopt)):
            yield Problem(f"the task `{key}` is in `--restart` and in `--adopt`", hint="leave one of them out")


def _unknown_reader(key: str, known: list[str], option: str) -> Problem:
    hint = did_you_mean(key, known) or (f"tasks that do are {listed(known)}" if known else "no task of the job does")
    return Problem(f"`{option}`: no task `{key}` reads what is new in a table", hint=hint)


def parameters_of(adopt: Iterable[str], restart: Iterable[str], job: dag.Job) -> dict[str, str]:
    """Return the job parameters for what was asked on a command line. Raises RunError with all mistakes in it."""
    adopt, restart = ",".join(adopt), ",".join(restart)
    if problems := list(mistakes(adopt, restart, job)):
        raise RunError(problems)
    return {name: text for name, text in ((ADOPT, adopt), (RESTART, restart)) if text}


def readers(job: dag.Job) -> list[str]:
    """Return the tasks of a job that read what is new in a table."""
    return [task.key for task in job.tasks if dag.changes_of(task)]
