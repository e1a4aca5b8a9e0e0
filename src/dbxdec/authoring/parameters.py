"""Job parameters, from the signature of the job's function. Defaults become the platform's strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.authoring.definitions import place_of
from dbxdec.errors import Problem
from dbxdec.model import signatures, typehints
from dbxdec.model.dag import JobParameter
from dbxdec.model.rundate import RunDate
from dbxdec.model.trigger import REFERENCE
from dbxdec.model.variables import BundleVariable

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable

    from dbxdec.model.values import ValueType

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


def declared_of(function: Callable[..., Any]) -> dict[str, JobParameter | None]:
    """Return the parameters of a job's function by their names, in their order; None for one that is refused."""
    found = {parameter.name: parameter for parameter in parameters_of(function)[0]}
    return {name: found.get(name) for name in signatures.signature(function).parameters}


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
    if _is_key(parameter.default):
        return _key(parameter, kind, note.text)
    if isinstance(parameter.default, BundleVariable):
        return JobParameter(parameter.name, kind, parameter.default.template)
    try:
        return JobParameter(parameter.name, kind, kind.to_text(parameter.default))
    except TypeError as error:
        hint = f"annotate it `{note.text} | None`" if parameter.default is None else "change the default or the type"
        return f"has a default that does not fit its type `{note.text}`: {error}", hint


def _is_key(default: object) -> bool:
    """Return whether a default is a key; their module is imported only by projects that have one."""
    return type(default).__module__ == "dbxdec.model.keys"


def _key(parameter: inspect.Parameter, kind: ValueType, annotation: str) -> JobParameter | tuple[str, str]:
    """Return the parameter with its key, or what is wrong with it and a hint."""
    from dbxdec.model.keys import Choices, Periods

    default = parameter.default
    if isinstance(default, Periods):
        if kind.kind != default.type or kind.optional:
            wanted = "`dt.datetime`" if default.type == "datetime" else "`dt.date`"
            return f"has the default {default.period}(...), but its type is `{annotation}`", f"annotate it as {wanted}"
        return JobParameter(parameter.name, kind, REFERENCE, key=default)
    if isinstance(default.value, BundleVariable):
        return "has the default key(...) of a bundle variable", "write a value; each run can be given another one"
    if kind.kind in ("list", "dict", "float") or kind.optional:
        return (
            f"has the default key(...), but its type is `{annotation}`",
            "use str, int, bool, date, datetime, Decimal, Literal or an Enum",
        )
    if default.values is None and not (known := _all_texts(kind)):
        hint = f"write them: `key({default.value!r}, values=[...])`, or annotate it as `Literal[...]`"
        return "has the default key(...) without the values that there should be", hint
    try:
        text = kind.to_text(default.value)
        texts = known if default.values is None else tuple(map(kind.to_text, default.values))
    except TypeError as error:
        return f"has a value that does not fit its type `{annotation}`: {error}", "change the value or the type"
    # 1.5 and 1.50 are one key, and so is a moment in two zones.
    value_of = kind.from_text if kind.kind in ("decimal", "datetime") else str
    values: set[Any] = set()
    for one in texts:
        if (value := value_of(one)) in values:
            return f"has the value {one} twice", "write each value once"
        values.add(value)
    if value_of(text) not in values:
        return f"has the default {text}, which is not among its values", f"add it: they are {', '.join(texts)}"
    return JobParameter(parameter.name, kind, text, key=Choices(texts, default.was))


def _all_texts(kind: ValueType) -> tuple[str, ...]:
    """Return the strings of all values of a type; none for a type that has no end of them."""
    if kind.kind == "bool":
        return tuple(map(kind.to_text, (False, True)))
    return tuple(map(kind.to_text, kind.choices)) or tuple(names[0] for names in kind.members)
