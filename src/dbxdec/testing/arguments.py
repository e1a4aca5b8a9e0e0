"""The arguments of the functions in `dbxdec.testing`: the types that they must have, and what to write instead."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, listed, on_one_line
from dbxdec.model import secrets, signatures
from dbxdec.model.variables import BundleVariable
from dbxdec.testing.lake import no_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

_VARIABLE = (str, bool, int, float, Decimal, dt.date, os.PathLike)
_YEARS = (1970, 9998)
"""The years in which a run can start: the platform counts from 1970, and Python ends with 9999 in any zone."""
_MAPPINGS = {
    "inputs": 'inputs={"task": result}',
    "task_values": 'task_values={"task": {"key": 1}}',
    "replace": 'replace={"task": function}',
    "variables": 'variables={"name": "value"}',
    "secrets": 'secrets={"scope/key": "value"}',
    "parameters": 'parameters={"name": value}',
}


def check_job(job: Any) -> None:
    """Raise RunError unless `job` is a job."""
    from dbxdec.authoring.jobs import Job
    from dbxdec.authoring.tasks import Task

    if isinstance(job, Job):
        return
    if isinstance(job, Task):
        hint = f"give the job that calls it, or call the function itself: `{job.fn.__name__}.fn(...)`"
        raise RunError(f"`{job.fn.__name__}` is a task, not a job", hint=hint)
    raise RunError(f"{on_one_line(job)} is not a job", hint="give a function with `@job`, without calling it")


def check_key(key: Any) -> None:
    """Raise RunError unless `key` can be that of a task."""
    if problems := list(_keys_of("", [key])):
        raise RunError(problems)


def checked(more_parameters: Mapping[str, Any], **arguments: Any) -> tuple[dict[str, Any], list[Problem]]:
    """Return the arguments of `run_job` or `run_task` without what has a wrong type, and the problems of that.

    The `parameters` that are returned have `more_parameters` as well.
    """
    sound = dict(arguments)
    problems: list[Problem] = []
    for option, hint in _MAPPINGS.items():
        given = arguments[option]
        sound[option], found = {}, _of_mapping(option, given, hint)
        if found is None:
            wrong = dict(_ENTRIES[option](given or {})) if option in _ENTRIES else {}
            sound[option] = {name: value for name, value in (given or {}).items() if name not in wrong}
            problems += wrong.values()
        else:
            problems.append(found)
    if twice := sorted(sound["parameters"].keys() & more_parameters.keys()):
        problems.append(Problem(f"{listed(twice)} is given as an argument and in `parameters`", hint="give it once"))
    sound["parameters"] = {**more_parameters, **sound["parameters"]}
    if found_tables := no_tables(arguments["tables"]):
        sound["tables"], problems = None, [*problems, *found_tables]
    for option in ("tasks", "until"):
        wrong_keys = list(_keys_of(option, arguments[option]))
        sound[option] = [] if wrong_keys else arguments[option]
        problems += wrong_keys
    for option in ("in_memory", "raise_on_error"):
        if not isinstance(arguments[option], bool):
            problems.append(Problem(f"`{option}` is {on_one_line(arguments[option])}", hint="give True or False"))
    started = arguments["started"]
    if started is not None and not (isinstance(started, dt.datetime) and _YEARS[0] <= started.year <= _YEARS[1]):
        hint = f"give a datetime from {_YEARS[0]} to {_YEARS[1]}, as in `started=dt.datetime(2024, 3, 1, 6)`"
        problems.append(Problem(f"`started` is {on_one_line(started)}", hint=hint))
    return sound, problems


def check_call(key: str, function: Callable[..., Any], positional: Sequence[Any], keyword: Mapping[str, Any]) -> None:
    """Raise RunError when a function from `replace` can't be called as the task `key` is."""
    try:
        found = signatures.signature(function)
    except (TypeError, ValueError):
        return  # some functions of C have no signature
    try:
        found.bind(*positional, **keyword)
    except TypeError as error:
        raise RunError(
            f"`replace` has {on_one_line(function)} for `{key}`, which can't take the task's arguments: {error}",
            hint="give it the parameters of the task's own function; for a native task one, which gets its fields",
        ) from None


def _of_mapping(option: str, value: Any, hint: str) -> Problem | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return Problem(f"`{option}` is of the type {type(value).__name__}, not a dict", hint=hint)
    if wrong := [key for key in value if not isinstance(key, str)]:
        return Problem(f"`{option}` has the key {on_one_line(wrong[0])}, which is not a string", hint=hint)
    return None


def _of_task_values(given: Mapping[str, Any]) -> Iterator[tuple[str, Problem]]:
    for key, values in given.items():
        if not isinstance(values, Mapping) or not all(isinstance(name, str) and name for name in values):
            hint = f'give a dict with names as keys: task_values={{"{key}": {{"rows": 3}}}}'
            yield key, Problem(f"`task_values` of `{key}` is {on_one_line(values)}", hint=hint)


def _of_functions(given: Mapping[str, Any]) -> Iterator[tuple[str, Problem]]:
    for key, function in given.items():
        if not callable(function):
            hint = "give a function, or the result itself in `inputs`"
            yield key, Problem(f"`replace` has {on_one_line(function)} for `{key}`", hint=hint)


def _of_variables(variables: Mapping[str, Any]) -> Iterator[tuple[str, Problem]]:
    for name, value in variables.items():
        if not isinstance(value, _VARIABLE) or isinstance(value, BundleVariable) or not _has_text(value):
            hint = "give a string, a number, a boolean or a path"
            yield name, Problem(f"the bundle variable `{name}` is {on_one_line(value)}", hint=hint)


def _has_text(value: Any) -> bool:
    try:
        return isinstance(os.fspath(value) if isinstance(value, os.PathLike) else str(value), str)
    except ValueError:  # an int of thousands of digits
        return False


def _of_secrets(given: Mapping[str, Any]) -> Iterator[tuple[str, Problem]]:
    """Yield problems of secrets by their names; their values are not shown."""
    names: dict[str, list[str]] = {}
    for name, value in given.items():
        found = secrets.named(name)
        if found is None:
            hint = 'secrets={"scope/key": "value"}, of letters, digits, `_`, `-`, `.` and `@`'
            yield name, Problem(f"the secret {on_one_line(name)} is not of the form `scope/key`", hint=hint)
            continue
        names.setdefault(found.name, []).append(name)
        what = f"the value of the secret `{name}`"
        if not isinstance(value, str):
            yield name, Problem(f"{what} is of the type {type(value).__name__}", hint="give a str")
        elif not _fits_environment(value):
            hint = "secrets are passed through the environment, which can't hold that: leave it out"
            yield name, Problem(f"{what} has a zero byte or half of a surrogate pair", hint=hint)
    for alike in names.values():
        if len(alike) > 1:
            yield alike[0], Problem(f"{listed(alike)} are one secret: the platform ignores case", hint="give it once")


_ENTRIES: dict[str, Callable[[Mapping[str, Any]], Iterator[tuple[str, Problem]]]] = {
    "task_values": _of_task_values,
    "replace": _of_functions,
    "variables": _of_variables,
    "secrets": _of_secrets,
}
"""The problems of the values of each option, by their keys."""


def _fits_environment(value: str) -> bool:
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _keys_of(option: str, keys: Iterable[Any]) -> Iterator[Problem]:
    from dbxdec.authoring.tasks import Task

    where = f"`{option}` has " if option else ""
    for key in keys:
        if isinstance(key, Task):
            name = key.options.key or key.fn.__name__
            yield Problem(f"{where}the task `{name}` itself, not its key", hint=f'write its key, a string: "{name}"')
        elif not isinstance(key, str):
            yield Problem(f"{where}{on_one_line(key)}, which is not the key of a task", hint='write its key: "load"')
