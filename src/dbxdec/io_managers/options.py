"""The options of IoManagers, for all engines: their checks, their values in a run, and their form in the manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dbxdec.errors import DbxdecError, Problem, RunError, did_you_mean
from dbxdec.model import literals, storage_paths
from dbxdec.model.secrets import Secret
from dbxdec.model.variables import BundleVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODES = ("error", "overwrite", "append", "ignore")
SCHEMAS = ("strict", "add-columns", "replace")


class Options(Protocol):
    """The options that all managers have."""

    base_path: Any
    mode: Any
    partition_by: Any
    shared: Any


class DeltaOptions(Options, Protocol):
    """The options that managers of Delta tables have."""

    replace: Any
    schema: Any
    keyed: Any


def base_path(value: Any) -> str | BundleVariable:
    """Return `value` in the form that a manager keeps. Raises DbxdecError if it is not a path."""
    if isinstance(value, str | BundleVariable):
        return value
    if isinstance(value, os.PathLike):
        # A build on Windows writes the path, and a task on Linux reads it.
        path = value.as_posix() if hasattr(value, "as_posix") else os.fspath(value)
        if isinstance(path, str):
            return path
    raise DbxdecError(
        f"`base_path` is {value!r:.60}",
        hint="give the folder of the tables or files, as a string, a pathlib.Path or a bundle variable",
    )


def columns(value: Any) -> tuple[str, ...] | None:
    """Return `partition_by` as a tuple; None if it names no column. Raises DbxdecError if it is not a list of names."""
    if value is None:
        return None
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Sequence) or not all(isinstance(name, str) for name in value):
        raise DbxdecError(f"`partition_by` is {value!r:.60}", hint='name columns: partition_by=["day", "country"]')
    return tuple(value) or None


def of_all(manager: Options, modes: Sequence[str], *, one: Callable[[str], str] = str) -> Iterator[Problem]:
    """Yield the problems of the options that all managers have.

    `one` maps names that are the same to the engine to the same string.
    """
    yield from _of(modes, "mode", manager.mode, manager)
    yield from of_switch("shared", manager.shared)
    if not str(manager.base_path):
        yield Problem("`base_path` is empty", hint="say where the tables or files are")
    if found := storage_paths.without_bucket(str(manager.base_path)):
        yield Problem(f"`base_path` is {found[0]}", hint=found[1])
    partitions = manager.partition_by or ()
    if "" in partitions or len({one(name) for name in partitions}) < len(partitions):
        yield Problem(f"`partition_by` is {list(partitions)}", hint="name each column once")


def of_delta(manager: DeltaOptions, *, one: Callable[[str], str] = str) -> Iterator[Problem]:
    """Yield the problems of the options of a manager of Delta tables, including those that all managers have."""
    yield from of_all(manager, MODES, one=one)
    yield from _of(SCHEMAS, "schema", manager.schema, manager)
    yield from of_switch("keyed", manager.keyed)
    yield from _replaced(manager.replace)
    if manager.replace is not None and manager.mode != "overwrite":
        yield Problem(f'`replace` is given with mode="{manager.mode}"', hint='use it with mode="overwrite"')
    if manager.schema == "replace" and (manager.mode != "overwrite" or manager.partition_by or manager.replace):
        yield Problem(
            'schema="replace" gives the whole table a new schema, but this write replaces only a part of it',
            hint='use it with mode="overwrite", without `partition_by` and `replace`; "add-columns" lets it grow',
        )


def of_switch(name: str, value: Any) -> Iterator[Problem]:
    """Yield the problem of an option that is neither True nor False."""
    if type(value) is not bool:
        yield Problem(f"`{name}` is {value!r:.60}", hint="give True or False")


def of_engine(name: str, value: Any, *, own: Mapping[str, str], texts: bool) -> Iterator[Problem]:
    """Yield the problems of options that are passed on to the engine.

    `own` says what to write instead of an option that dbxdec sets itself. With `texts` all values must be strings, as
    the engine wants them.
    """
    if value is None:
        return
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        yield Problem(f"`{name}` is a {type(value).__name__}", hint=f'name options: {name}={{"option": "value"}}')
        return
    given = {key.lower(): key for key in value}
    for option, instead in own.items():
        if option.lower() in given:
            yield Problem(f"`{name}` has `{given[option.lower()]}`, which dbxdec sets", hint=f"use {instead}")
        # Don't show the value, which may be a secret.
    for key, item in value.items():
        if texts and not isinstance(item, str | BundleVariable | Secret):
            yield Problem(
                f"`{name}` has a {type(item).__name__} for {key!r}",
                hint='values must be strings such as "true" and "5", bundle variables or secrets',
            )


def _replaced(value: Any) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, Mapping) or not value or not all(type(name) is str for name in value):
        yield Problem(f"`replace` is {value!r:.60}", hint='name columns: replace={"day": day}')
        return
    for name, item in value.items():
        try:
            described(item)
        except literals.UnsupportedLiteralError as error:
            yield Problem(f"`replace` has a value for {name!r} that can't be passed to a run: {error}", hint=error.hint)


def _of(allowed: Sequence[str], name: str, value: object, manager: object) -> Iterator[Problem]:
    if not isinstance(value, str) or value not in allowed:
        hint = did_you_mean(str(value), allowed) or f"allowed are {', '.join(map(repr, allowed))}"
        yield Problem(f"`{name}` of {type(manager).__name__} is {value!r:.60}", hint=hint)


def of_run(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return the value of an option in a run: the value of a job parameter, or the option itself.

    Raises RunError for a parameter of another job.
    """
    if not getattr(type(value), "is_job_parameter", False):
        return value
    if value._name not in parameters:
        raise RunError(f"an option of an IoManager is {value.describe()}, which this job does not have")
    return parameters[value._name]


def described(value: Any) -> literals.Json:
    """Return an option in its form for the manifest. Raises UnsupportedLiteralError if it has none."""
    is_parameter = getattr(type(value), "is_job_parameter", False)
    return {"parameter": value._name} if is_parameter else literals.encode(value)
