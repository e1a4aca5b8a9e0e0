"""`run_job` and `run_task`: a job, or one of its tasks, run inside a test."""

from __future__ import annotations

import datetime as dt
import inspect
import os
import uuid
from collections.abc import Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbxdec.errors import HandledError, Problem, RunError, listed
from dbxdec.local.selection import select
from dbxdec.model import dag
from dbxdec.model.literals import UnsupportedLiteralError
from dbxdec.support import masking
from dbxdec.support.masking import of_this_machine
from dbxdec.testing.arguments import check_job, check_key, checked
from dbxdec.testing.given import Given, missing, mistakes, texts_of, without_value
from dbxdec.testing.lake import Lake
from dbxdec.testing.running import Run
from dbxdec.testing.shape import built as built_of
from dbxdec.testing.stored import in_memory as kept_in_memory
from dbxdec.testing.stored import places_need, where_it_is

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dbxdec.authoring.jobs import Job
    from dbxdec.testing.results import JobResult, TaskResult


def run_job(
    job: Job[...],
    /,
    *,
    inputs: Mapping[str, Any] | None = None,
    tables: Mapping[str, Any] | Lake | None = None,
    task_values: Mapping[str, Mapping[str, Any]] | None = None,
    replace: Mapping[str, Callable[..., Any]] | None = None,
    variables: Mapping[str, object] | None = None,
    secrets: Mapping[str, str] | None = None,
    tasks: str | Iterable[str] = (),
    until: str | Iterable[str] = (),
    started: dt.datetime | None = None,
    in_memory: bool = True,
    raise_on_error: bool = True,
    parameters: Mapping[str, Any] | None = None,
    **more_parameters: Any,
) -> JobResult:
    """Run a job in this process: its tables in memory, its tasks one after another, each once.

    Args:
        job: The job: a function with `@job`.
        inputs: Results by task: these tasks count as done, and their functions are not called. For named outputs give
            a dict, for a task with `each(...)` a list or a dict by item, for a condition True or False.
        tables: The tables that another job or program writes, by name (`"reference/airports"`), or a `Lake`, in which
            what the run writes stays for the next one.
        task_values: Task values by task and key: those of native tasks, which are skipped.
        replace: Functions that are called instead of a task's own, with its arguments; of a native task with its
            fields.
        variables: The values of bundle variables, by name. Tests of several jobs may share them.
        secrets: The values of secrets, by `"scope/key"`.
        tasks: The key of a task, or several: only these run.
        until: The key of a task, or several: only these and all upstream of them run.
        started: When the run was triggered, which `run_date(...)` follows; in UTC unless it has a zone. The default is
            now.
        in_memory: With False the tasks' own IoManagers store what they return, at the places that `variables` give.
        raise_on_error: With False what a task raises is in the result, and not raised here.
        parameters: Job parameters by name, for those that have the name of one of these arguments.
        **more_parameters: All other job parameters, as typed values.

    Returns:
        How each task ended and what it left.

    Raises:
        AuthoringError: The build would refuse the job.
        RunError: An argument has a wrong type, a name is not one of the job's, or a value is missing; all mistakes at
            once.
        Exception: What a task's function has raised, with its own traceback, when all tasks have ended.

    Example:
        ```python
        from dbxdec import job, task
        from dbxdec.testing import run_job


        @job
        def hello(name: str = "world") -> None:
            @task
            def greet(name: str) -> str:
                return f"Hello, {name}!"

            greet(name)


        assert run_job(hello, name="Ada")["greet"].value == "Hello, Ada!"
        ```
    """
    __tracebackhide__ = True
    check_job(job)
    return _checked_run(
        job,
        more_parameters,
        inputs=inputs,
        tables=tables,
        task_values=task_values,
        replace=replace,
        variables=variables,
        secrets=secrets,
        tasks=_keys(tasks),
        until=_keys(until),
        started=started,
        in_memory=in_memory,
        raise_on_error=raise_on_error,
        parameters=parameters,
    )


def run_task(
    job: Job[...],
    task: str,
    /,
    *,
    inputs: Mapping[str, Any] | None = None,
    tables: Mapping[str, Any] | Lake | None = None,
    task_values: Mapping[str, Mapping[str, Any]] | None = None,
    variables: Mapping[str, object] | None = None,
    secrets: Mapping[str, str] | None = None,
    started: dt.datetime | None = None,
    in_memory: bool = True,
    parameters: Mapping[str, Any] | None = None,
    **more_parameters: Any,
) -> TaskResult:
    """Run one task of a job.

    Args:
        job: The job: a function with `@job`.
        task: The key of the task.
        inputs: The results that it reads, by the keys of the tasks that make them.
        tables: As in `run_job`.
        task_values: As in `run_job`.
        variables: As in `run_job`.
        secrets: As in `run_job`.
        started: As in `run_job`.
        in_memory: As in `run_job`.
        parameters: As in `run_job`.
        **more_parameters: As in `run_job`.

    Returns:
        How the task ended and what it left.

    Raises:
        AuthoringError: The build would refuse the job.
        RunError: An argument has a wrong type, a name is not one of the job's, or a value is missing; all mistakes at
            once.
        Exception: What the task's function has raised.

    Example:
        ```python
        from dbxdec import job, task
        from dbxdec.testing import run_task


        @job
        def sums() -> None:
            @task
            def numbers() -> list[int]: ...

            @task
            def total(numbers: list[int]) -> int:
                return sum(numbers)

            total(numbers())


        assert run_task(sums, "total", inputs={"numbers": [1, 2]}).value == 3
        ```
    """
    __tracebackhide__ = True
    check_job(job)
    check_key(task)
    result = _checked_run(
        job,
        more_parameters,
        inputs=inputs,
        tables=tables,
        task_values=task_values,
        replace=None,
        variables=variables,
        secrets=secrets,
        tasks=[task],
        until=[],
        started=started,
        in_memory=in_memory,
        raise_on_error=True,
        parameters=parameters,
    )
    return result[task]


def _checked_run(job: Job[...], more_parameters: Mapping[str, Any], **arguments: Any) -> JobResult:
    __tracebackhide__ = True
    given, wrong = checked(more_parameters, **arguments)
    result = _run(
        job,
        Given(given["inputs"], given["task_values"], given["replace"], texts_of(given["variables"]), given["secrets"]),
        {} if given["tables"] is None else given["tables"],
        given["parameters"],
        wrong,
        tasks=given["tasks"],
        until=given["until"],
        started=given["started"],
        in_memory=given["in_memory"],
    )
    if given["raise_on_error"] and (error := result.error) is not None:
        others = [
            task.key
            for task in result.tasks.values()
            if task.error not in (None, error) and not isinstance(task.error, HandledError)
        ]
        if others:
            error.add_note(f"{listed(others)} failed as well")
        raise error
    return result


def _run(
    job: Job[...],
    given: Given,
    tables: Mapping[str, Any] | Lake,
    parameters: Mapping[str, Any],
    wrong: list[Problem],
    *,
    tasks: list[str],
    until: list[str],
    started: dt.datetime | None,
    in_memory: bool,
) -> JobResult:
    __tracebackhide__ = True
    built = built_of(job)
    found = built[job.key].dag
    texts, problems = _texts(found, parameters, complete=not wrong)
    problems = [*wrong, *problems, *mistakes(job.key, built, given, tables)]
    selected: frozenset[str] = frozenset()
    try:
        # A given result exists whether its task is selected or not.
        selected = select(found, tasks=tasks, until=until) | {key for key in given.inputs if "/" not in key}
    except RunError as error:
        problems += error.problems
    if not wrong:  # what is wrong may be what is missing
        problems += missing(job.key, built, given, selected, texts)
    if not wrong and not in_memory:
        problems += without_value(places_need(built), given)
    if problems:
        raise RunError(problems)
    lake = tables if isinstance(tables, Lake) else Lake(tables)
    if in_memory:
        built = {key: kept_in_memory(one, lake, given.variables) for key, one in built.items()}
    else:
        built = {key: where_it_is(one, lake) for key, one in built.items()}
    moment = started or dt.datetime.now(dt.UTC)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    with _environment(given.environment), masking.scope(of_this_machine()):
        # Unique: by the number of the run, a table knows the run's earlier writes.
        number = f"test-{uuid.uuid4().hex}"
        run = Run(job.key, built, given, lake, number=number, started=int(moment.timestamp() * 1000))
        return run.run(texts, selected)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ |= {} if value is None else {name: value}


def _keys(given: str | Iterable[str]) -> list[str]:
    return [given] if isinstance(given, str | bytes) or not isinstance(given, Iterable) else list(given)


def _texts(job: dag.Job, given: Mapping[str, Any], *, complete: bool) -> tuple[dict[str, str], list[Problem]]:
    """Return the given parameters as the platform would carry them, and the mistakes in them.

    Those that are missing are mistakes if the given ones are `complete`.
    """
    known = {parameter.name: parameter for parameter in job.parameters}
    texts, problems = {}, []
    for name, value in given.items():
        if name not in known:
            problems.append(dag.no_parameter(job.key, name, known, inspect.signature(run_job).parameters))
            continue
        try:
            texts[name] = known[name].type.to_text(value)
        except (TypeError, UnsupportedLiteralError) as error:
            problems.append(
                Problem(f"the job parameter `{name}`: {error}", hint=f"give it a value of the type {known[name].type}")
            )
    missing = [p for p in job.parameters if complete and p.default is None and p.name not in given]
    problems += [
        Problem(f"the job parameter `{p.name}` has no default and needs a value", hint=f"{p.name}=... ({p.type})")
        for p in missing
    ]
    return texts, problems
