"""Warnings about the jobs of one project: what is allowed but probably unintended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import Problem, counted
from dbxdec.model import comparisons, compute_warnings, dag, expectation_warnings, kinds, outcome_warnings, started
from dbxdec.model.dag import Job, Output
from dbxdec.model.values import ANY, NONE_TEXT
from dbxdec.model.variables import has_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dbxdec.model.started import Started

# docs.databricks.com, "Use task values to pass information between tasks".
_MAX_TASK_VALUES = 250
_STRINGS = (dag.RETURN_TEXT, dag.RETURN_PARAMETER, dag.DATE_OF)
_STARTS_BY_ITSELF = {"schedule", "trigger", "triggers", "continuous"}


def warn(jobs: Iterable[Job]) -> list[Problem]:
    """Return warnings, such as one of a scheduled job whose date never changes."""
    warnings: list[Problem] = []
    jobs = list(jobs)
    by_key = {job.key: job for job in jobs}
    for job in jobs:
        values = sum(output.type is not None for task in job.tasks for output in task.outputs.values())
        values += len({(key, value) for _, key, value in comparisons.referred_to(job) if value.startswith(_STRINGS)})
        if values > _MAX_TASK_VALUES:
            warnings.append(
                Problem(
                    f"the job `{job.key}` has {values} tasks whose small results are passed as task values; the "
                    f"platform allows {_MAX_TASK_VALUES} per run, repairs included",
                    job.source,
                    "give some of them an IoManager, or annotate those whose result is not read with `-> None`",
                )
            )
        if not _STARTS_BY_ITSELF.isdisjoint(job.settings):
            from dbxdec.model import schedules

            warnings += [*_of_schedule(job, by_key), *schedules.warnings(job, by_key), *_of_its_own_trigger(job)]
        warnings += [*_of_fixed_places(job), *_of_images(job), *_of_doubled_rows(job), *_of_unsaid_results(job)]
        warnings += _of_failure_handler(job)
        if job.key_parameters:
            from dbxdec.model import key_checks

            warnings += key_checks.warnings(job)
        warnings += compute_warnings.without_unity_catalog(job)
        warnings += compute_warnings.unknown_to_the_cli(job)
        warnings += compute_warnings.too_old(job)
        warnings += outcome_warnings.hidden_failures(job)
        warnings += outcome_warnings.without_upstream(job)
        warnings += outcome_warnings.unchecked_sides(job)
        warnings += outcome_warnings.strange_references(job)
        warnings += expectation_warnings.unchecked_rows(job)
    if any(dag.changes_of(task) for job in jobs for task in job.tasks):
        from dbxdec.model import change_warnings

        warnings += change_warnings.rewritten_sources(jobs)
    return list(dict.fromkeys(warnings))  # several jobs may run one


def _of_images(job: Job) -> list[Problem]:
    return [
        Problem(
            f"the task `{job.key}.{task.key}` has `libraries=[]` on a cluster with a docker_image: no wheel is "
            "installed, so the image must contain this build's wheel",
            task.called_at or task.source,
            "install this build's wheel into the image: a task refuses to run from the wheel of another build; "
            "without `libraries=[]` the cluster installs it",
        )
        for task in job.tasks
        if task.kind == "python" and kinds.wheel_is_in_image(task.settings, job.clusters)
    ]


def _of_failure_handler(job: Job) -> list[Problem]:
    return [
        Problem(
            f"the task `{job.key}.{task.key}` handles failures, so its max_retries={task.settings['max_retries']} has "
            "no effect: it ends with an error to fail the run, and each retry would run it again",
            task.source,
            "leave it out, or write `on_failure=handled(...)`: the run then succeeds, with failures",
        )
        for task in job.tasks
        if task.on_failure and task.settings.get("max_retries")
    ]


def _of_fixed_places(job: Job) -> list[Problem]:
    """Return one warning for all tasks of the job that write the same place in every bundle target."""
    fixed = [
        (task, output.target)
        for task in job.tasks
        for output in task.outputs.values()
        if output.target is not None and _is_place(output) and not has_token(output.target)
    ]
    if not fixed:
        return []
    first, target = fixed[0]
    more = f"; the same holds for {counted(len(fixed) - 1, 'other output')} of the job" if len(fixed) > 1 else ""
    return [
        Problem(
            f"the task `{job.key}.{first.key}` writes {target} in every target of the bundle{more}",
            first.called_at or first.source,
            "dev and prod would share it: start `base_path` with a bundle_variable(...)",
        )
    ]


def _of_unsaid_results(job: Job) -> Iterator[Problem]:
    """Warn of results that are read although their tasks do not say what they return."""
    for task in job.tasks:
        if any(output.type is not None and output.type.kind == ANY for output in task.outputs.values()):
            yield Problem(
                f"the task `{job.key}.{task.key}` does not say what it returns, but its result is read: it is passed "
                "as a task value, and only the run finds out whether that works",
                task.source,
                "annotate it, as in `-> int` or `-> list[str]`, or give it an IoManager: then the build checks it",
            )


def _of_doubled_rows(job: Job) -> Iterator[Problem]:
    """Warn of tasks that append a whole growing table: from the second run on its rows would be stored twice."""
    tasks = {task.key: task for task in job.tasks}
    for task in job.tasks:
        if not any(map(_appends, task.outputs.values())):
            continue
        for name, binding in task.inputs.items():
            for leaf in dag.flatten(binding):
                if not isinstance(leaf, dag.TaskOutput) or leaf.rows not in ("table", "newest") or leaf.changes:
                    continue
                if _appends(tasks[leaf.task].outputs[leaf.output]):
                    spelt = f"{leaf.task}.table" if leaf.rows == "table" else f"latest({leaf.task})"
                    yield Problem(
                        f"the task `{job.key}.{task.key}` appends, but its parameter `{name}` is `{spelt}`, a whole "
                        "table that grows with each run: the rows of earlier runs would be appended again",
                        task.called_at or task.source,
                        f"pass `{leaf.task}` itself: the rows that it returned in this run",
                    )


def _appends(output: Output) -> bool:
    return output.partial and output.settings.get("mode") == "append"


def _of_schedule(job: Job, jobs: Mapping[str, Job]) -> Iterator[Problem]:
    """Warn of a job that starts automatically, and of those that it runs: nobody gives them values."""
    for one in started.with_(job, jobs):
        # A job that also starts by itself has warnings of its own.
        if one.by is None or _STARTS_BY_ITSELF.isdisjoint(one.job.settings):
            yield from _of_start(one)


def _of_start(one: Started) -> Iterator[Problem]:
    starts = f"{one.title} starts automatically"
    for parameter in one.defaults:
        if parameter.follows is not None or parameter.default == NONE_TEXT:
            continue
        if parameter.default is None:
            yield Problem(
                f"{starts}, but its parameter `{parameter.name}` has no default: every such run will fail",
                one.where,
                "give it a default, or a value that follows the run: `run_date()`",
            )
        elif parameter.type.kind in ("date", "datetime"):
            yield Problem(
                f"{starts}, but its parameter `{parameter.name}` would be {parameter.default} on every run",
                one.where,
                f"let it follow the run: `{parameter.name}: dt.date = run_date(offset_days=-1)`"
                + (", which is a date" if parameter.type.kind == "datetime" else ""),
            )
    for task in one.job.tasks:
        for output in task.outputs.values():
            if output.settings.get("mode") == "error":
                yield Problem(
                    f'the task `{one.job.key}.{task.key}` writes in mode="error", but the job '
                    + ("" if one.by is None else "is run by one that ")
                    + "starts automatically: every run after the first will fail",
                    task.called_at or task.source,
                    'use mode="overwrite" or mode="append"',
                )


def _of_its_own_trigger(job: Job) -> Iterator[Problem]:
    """Warn of tasks that write a table whose updates start their job."""
    match job.settings.get("trigger"):
        case {"table_update": {"table_names": list(names)}}:
            watched = {str(name).lower() for name in names}
        case _:
            return
    for task in job.tasks:
        for output in task.outputs.values():
            if output.target is not None and output.target.lower() in watched:
                yield Problem(
                    f"the task `{job.key}.{task.key}` writes {output.target}, whose updates start the job: each run "
                    "would start the next one, without end",
                    task.called_at or task.source,
                    "let it write another table, or start the job by other tables or a `schedule`",
                )


def _is_place(output: Output) -> bool:
    """Return whether the target is a path that is the same wherever the task runs. A relative path is local."""
    target = output.target or ""
    return output.io is not None and ("://" in target or target.startswith(("/", "dbfs:")))
