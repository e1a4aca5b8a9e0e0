"""Checks of jobs with keys: what would fail for every key but the first, and keys that no run is ever for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import Problem, listed
from dbxdec.model import key_parts, required

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.model.dag import Job, Output, Task

_STARTS = ("schedule", "continuous", "trigger", "triggers")


def errors(job: Job) -> Iterator[Problem]:
    """Yield what is wrong with the keys of a job."""
    names = {parameter.name for parameter in job.parameters}
    before: dict[str, str] = {}
    for parameter in job.parameters:
        was = parameter.key.was if parameter.key else None
        if was in names:
            yield Problem(
                f'the parameter `{parameter.name}` of the job `{job.key}` has was="{was}", but the job has a parameter '
                "of that name",
                job.source,
                "name the parameter that this one was before",
            )
        elif was is not None and before.setdefault(was, parameter.name) != parameter.name:
            yield Problem(
                f'the parameters `{before[was]}` and `{parameter.name}` of the job `{job.key}` both have was="{was}"',
                job.source,
                "one parameter was another one before",
            )
    keys = [parameter.name for parameter in job.key_parameters]
    for task in job.tasks if keys else ():
        for output in task.outputs.values():
            if (mode := output.settings.get("mode")) in ("error", "ignore"):
                by = _partitions(keys)
                yield Problem(
                    f'the task `{job.key}.{task.key}` writes in mode="{mode}", but the job has keys ({listed(keys)}): '
                    + ("its second run fails, whatever its key" if mode == "error" else "only the first one is stored"),
                    task.called_at or task.source,
                    f'write each key into its own rows: `mode="overwrite", {by}`; or append',
                )


def warnings(job: Job) -> Iterator[Problem]:
    """Yield tables that keep only the rows of the last key, and keys that no automatic start is ever for."""
    names = [parameter.name for parameter in job.key_parameters]
    for task, _, output in required.tables(job):
        if output.settings.get("mode") != "overwrite":
            continue
        if not output.partial:
            yield Problem(
                f"the task `{job.key}.{task.key}` replaces the whole of {output.target} in each run, but the job has "
                f"keys ({listed(names)}): only the rows of the last one are there",
                task.called_at or task.source,
                f"write each key into its own part: `{_partitions(names)}`; or, for a table between two steps, "
                "say `keyed=False`",
            )
        elif apart := [one.name for one in key_parts.shared(job, output)]:
            yield _taken_away(job, task, output, apart, names)
    if not any(name in job.settings for name in _STARTS):
        return
    for parameter in job.parameters:
        if parameter.key is not None and not parameter.key.is_period:
            others = [value for value in parameter.key.values if value != parameter.default]
            if others:
                yield Problem(
                    f"the job `{job.key}` starts automatically, always with {parameter.name}={parameter.default}: "
                    f"no such run is for {listed(others[:5])}{' and others' if len(others) > 5 else ''}",
                    job.source,
                    "start it for each value by a job of its own: "
                    f"`{job.key}({parameter.name}=...)` in the body of a scheduled job",
                )


def _partitions(names: list[str]) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    return f"partition_by=[{columns}]"


def _taken_away(job: Job, task: Task, output: Output, apart: list[str], names: list[str]) -> Problem:
    """Return the warning of runs for one key that replace rows of another one's."""
    columns = key_parts.columns(output)
    part = "slice" if output.settings.get("replace") else "partitions"
    exact = ", ".join(f'"{name}": {name}' for name in names)
    says = "says" if len(columns) == 1 else "say"
    keys = f"{'keys' if apart[1:] else 'key'} {listed(apart)}"
    return Problem(
        f"the task `{job.key}.{task.key}` replaces in each run the {part} of {output.target} by {listed(columns)}, "
        f"which {says} nothing of the {keys}: a run for one takes away the rows of others",
        task.called_at or task.source,
        f"replace the rows of the run's own key: `replace={{{exact}}}`; or have columns of these names in "
        "`partition_by`",
    )
