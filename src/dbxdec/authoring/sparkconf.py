"""`spark_conf=` of tasks: settings of the Spark session, checked where they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dbxdec.authoring import recording
from dbxdec.authoring.references import Reference, Spoiled, told
from dbxdec.authoring.settings import plain
from dbxdec.errors import AuthoringError, Problem, shown
from dbxdec.model.secrets import Secret
from dbxdec.model.variables import BundleVariable

if TYPE_CHECKING:
    from typing import TypeAlias

    Setting: TypeAlias = str | int | bool | BundleVariable

_EXAMPLE = 'write `spark_conf={"spark.sql.shuffle.partitions": 8}`'


def checked(given: Any) -> dict[str, str | int | bool] | None:
    """Return the settings as plain data, or None without any. What is wrong is refused, and left out."""
    if given is None or isinstance(given, Spoiled):
        return None
    if not isinstance(given, Mapping):
        recording.refuse([Problem(f"`spark_conf` is {told(given)}, not a dict", hint=_EXAMPLE)])
        return None
    found: dict[str, str | int | bool] = {}
    problems = []
    for name, value in given.items():
        if not isinstance(name, str) or not name.strip():
            problems.append(Problem(f"`spark_conf` has the key {shown(name)}", hint=_EXAMPLE))
        elif not isinstance(value, str | int | bool | BundleVariable):
            message = f"`spark_conf[{name!r}]` is {told(value)}, not a string, a whole number or a boolean"
            problems.append(Problem(message, hint=_instead(value)))
        else:
            try:
                found[name] = plain(value, f"spark_conf.{name}")
            except AuthoringError as error:
                problems += error.problems
    recording.refuse(problems)
    return found


def _instead(value: object) -> str:
    if value is None:
        return "leave it out"
    if isinstance(value, float):
        return f"write it as Spark reads it: `{str(value)!r}`"
    if isinstance(value, Secret):
        return "whoever sees the session can read its settings: use the secret in the task"
    if isinstance(value, Reference):
        return "a task can set what only the run knows: `spark.conf.set(...)`"
    return "write it as Spark reads it, as a string"
