"""Job parameters, from the signature of the job's function. Defaults become the platform's strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.authoring.definitions import place_of
from dbxdec.errors import Problem
from dbxdec.model import signatures, typehints
from dbxdec.model.dag import JobParameter
from dbxdec.model.rundate import REFERENCE, RunDate
from dbxdec.model.variables import BundleVariable

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable

_TYPES = (
    "str, int, float, bool, date, datetime, Decimal, an Enum, Literal[...], lists of these and dicts with str keys, "
    "each with `| None`"
)


def parameters_of(function: Callable[..., Any]) -> tuple[list[JobParameter], list[Problem]]:
    """Return the parameters of a job's function, and their problems."""
    where = place_of(function)
    found, problems = [], []
    for parameter in signatures.signature(function).parameters.values():
        result = _parameter(function, parameter)
        if isinstance(result, JobParameter):
            found.append(result)
        else:
            message, hint = result
            problems.append(Problem(f"the job parameter `{parameter.name}` {message}", where, hint))
    return found, problems


def _parameter(function: Callable[..., Any], parameter: inspect.Parameter) -> JobParameter | tuple[str, str]:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        return "is positional-only, `*args` or `**kwargs`", "name each parameter: the platform passes them by name"
    note = typehints.of_parameter(function, parameter.name)
    if note is None:
        return "has no type", f"annotate it: {_TYPES}"
    if note.error:
        return f"has the annotation `{note.text}`, which can't be resolved: {note.error}", f"use {_TYPES}"
    kind = note.value_type
    if kind is None:
        return f"has the type `{note.text}`, which a job parameter can't have", f"use {_TYPES}"
    if parameter.default is parameter.empty:
        return JobParameter(parameter.name, kind)
    if isinstance(parameter.default, RunDate):
        if kind.kind != "date":
            return f"has the default run_date(...), but its type is `{note.text}`", "annotate it as `dt.date`"
        return JobParameter(parameter.name, kind, REFERENCE, parameter.default)
    if isinstance(parameter.default, BundleVariable):
        return JobParameter(parameter.name, kind, parameter.default.template)
    try:
        return JobParameter(parameter.name, kind, kind.to_text(parameter.default))
    except TypeError as error:
        hint = f"annotate it `{note.text} | None`" if parameter.default is None else "change the default or the type"
        return f"has a default that does not fit its type `{note.text}`: {error}", hint
