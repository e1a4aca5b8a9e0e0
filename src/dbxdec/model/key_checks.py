"""Checks of jobs with keys: what would fail for every key but the first, and keys that no run is ever for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import Problem, listed
from dbxdec.model import required

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.model.dag import Job

_STARTS = ("schedule", "continuous", "trigger")


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
    keys = [parameter.name for parameter in job.parameters if parameter.key]
    for task in job.tasks if keys else ():
        for output in task.outputs.values():
            if (mode := output.settings.get("mode")) in ("error", "ignore"):
                by = f'partition_by=["{keys[0]}"]'
                yield Problem(
                    f'the task `{job.key}.{task.key}` writes in mode="{mode}", but the job has keys ({listed(keys)}): '
                    + ("its second run fails, whatever its key" if mode == "error" else "only the first one is stored"),
                    task.called_at or task.source,
                    f'write each key into its own rows: `mode="overwrite", {by}`; or append',
                )


def warnings(job: Job) -> Iterator[Problem]:
    """Yield tables that keep only the rows of the last key, and keys that no automatic start is ever for."""
    names = [parameter.name for parameter in job.parameters if parameter.key]
    for task, _, output in required.tables(job):
        if output.settings.get("mode") == "overwrite" and not output.partial:
            yield Problem(
                f"the task `{job.key}.{task.key}` replaces the whole of {output.target} in each run, but the job has "
                f"keys ({listed(names)}): only the rows of the last one are there",
                task.called_at or task.source,
                f'write each key into its own part: `partition_by=["{names[0]}"]`; or, for a table between two steps, '
                "say `keyed=False`",
            )
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
