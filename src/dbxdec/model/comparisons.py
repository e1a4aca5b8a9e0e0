"""Conditions over typed values: the platform compares strings, so each value needs exactly one string.

A literal is written as the string of the other side's type. The values of a Python task are checked, or stored as
strings, when the task ends. Job parameters and bundle variables are checked before a task runs its function.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem
from dbxdec.model import dag, literals
from dbxdec.model.values import ValueType
from dbxdec.model.variables import only_name_in
from dbxdec.platform import references
from dbxdec.platform.conditions import EQUALITY, is_exact, is_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NUMBERS = ("int", "float", "decimal")
_MAX_INT = 2**53
"""The largest whole number up to which every reader, also of doubles, sees the same number."""


def type_of(value: object) -> ValueType | None:
    """Return the type of a literal side; None if a condition can't compare it."""
    found = ValueType.of(type(value))
    return None if found is None or found.kind in ("list", "dict") else found


def base_of(kind: ValueType) -> tuple[str, str | None]:
    """Return what two sides must have in common: the type and, for an Enum, its class."""
    if kind.kind == "literal":
        types = {type(choice) for choice in kind.choices}
        base = ValueType.of(types.pop()) if len(types) == 1 else None
        return (base.kind if base else "literal", None if base else repr(kind.choices))
    return kind.kind, kind.enum


def is_numeric(kind: ValueType) -> bool:
    """Return whether values of this type can be compared by size."""
    return base_of(kind)[0] in NUMBERS


def literal_text(kind: ValueType, value: object) -> str:
    """Return the string of a literal with which a value of this type is compared, as by Python's ==.

    Raises TypeError, with the reason, if the two are never equal, or if that is not known.
    """
    if value is None:
        if not kind.optional:
            raise TypeError("which is never None")
        return kind.canonical(None)
    base, _ = base_of(kind)
    if isinstance(value, Enum) and literals.enum_reference(type(value)) != kind.enum:
        if not isinstance(value, str | int | float):
            raise TypeError(f"which is never equal to {value!s}")
        value = value.value
    if kind.enum is not None and not isinstance(value, Enum):
        members = [m for m in literals.load_enum(kind.enum).__members__.values() if m == value]
        if not members:
            raise TypeError(f"which is never equal to {value!r:.60}: compare it with a member of `{kind}`")
        return kind.canonical(members[0])
    if base != "literal" and isinstance(value, bool) != (base == "bool"):
        raise TypeError(f"which is `{kind}`, not `{type(value).__name__}`")
    if base in NUMBERS and isinstance(value, int | float | Decimal):
        value = _as_number(base, value)
    try:
        return kind.canonical(value)
    except TypeError:
        raise TypeError(f"which is never equal to {value!r:.60}") from None


def _as_number(base: str, value: float | Decimal) -> int | float | Decimal:
    """Return the equal number of the type `base`. Raises TypeError without one."""
    never = TypeError(f"which is never equal to {value!r:.60}")
    if isinstance(value, float) and not math.isfinite(value):
        raise never
    if base == "decimal":
        if isinstance(value, float):
            raise TypeError(f"but {value!r} is a float, whose digits differ: write Decimal({str(value)!r})")
        return Decimal(value)
    try:
        found: int | float = int(value) if base == "int" else float(value)
    except (OverflowError, ValueError):
        raise never from None
    if found != value:
        raise never
    return found


def is_told_alike(kind: ValueType, other: object) -> bool:
    """Return whether the platform's own string of a small result of this type can be compared with `other`.

    Strings and booleans are documented. Whole numbers are safe up to the size that a double holds exactly.
    """
    base, _ = base_of(kind)
    if kind.optional:
        return False
    if base == "int":
        return isinstance(other, int) and not isinstance(other, Enum) and abs(other) <= _MAX_INT
    return base in ("str", "bool", "date", "enum")


def conditions(job: dag.Job) -> Iterator[tuple[dag.Task, str, tuple[str, str]]]:
    """Yield each condition of the job with its operator and its sides."""
    for task in job.tasks:
        if task.kind == "condition":
            form = task.settings["condition_task"]
            yield task, form["op"], (form["left"], form["right"])


def compared_parameters(job: dag.Job, of: Callable[[str], Mapping[str, bool]]) -> dict[str, bool]:
    """Return the job parameters that conditions compare, here or in a job that they are passed on to.

    True are those that are compared for equality. `of` returns the same for the key of a job that `job` runs.
    """
    found: dict[str, bool] = {}
    for _, op, sides in conditions(job):
        for side in sides:
            match references.only_one_in(side):
                case ("job", "parameters", name):
                    found[name] = found.get(name, False) or op in EQUALITY
    for task in job.tasks:
        for inner, text in task.passes.items() if task.kind == "run_job" else ():
            match references.only_one_in(text):
                case ("job", "parameters", name) if inner in (compared := of(task.runs_job)):
                    found[name] = found.get(name, False) or compared[inner]
    return found


def refused_texts(job: dag.Job, parameters: Mapping[str, str], variables: Mapping[str, str]) -> list[Problem]:
    """Return the problems of job parameters and bundle variables whose strings conditions compare.

    A string that is no value of its parameter's type is left to the check of types.
    """
    declared = {parameter.name: parameter for parameter in job.parameters}
    problems: dict[str, Problem] = {}
    kind: ValueType | None
    for task, op, sides in conditions(job):
        for side in sides:
            match references.only_one_in(side):
                case ("job", "parameters", name) if name in parameters and name in declared:
                    what, text, kind = f"the job parameter `{name}`", parameters[name], declared[name].type
                    if not kind.reads(text):
                        continue
                case _ if (name := only_name_in(side) or "") in variables:
                    what, text, kind = f"the bundle variable `{name}`", variables[name], task.compares
                case _:
                    continue
            if kind is None:
                problem = None if op in EQUALITY else _refusal_by_size(text, task.key)
            else:
                problem = _refusal(kind, text, task.key, op)
            if problem is not None:
                problems.setdefault(what, Problem(f"{what} {problem[0]}", hint=problem[1]))
    return list(problems.values())


def _refusal_by_size(text: str, condition: str) -> tuple[str, str] | None:
    """Return the problem of a bundle variable, of which nothing but its string is known."""
    if not is_number(text):
        return f"is {text!r:.60}", f"give it a number: the condition `{condition}` compares it by size"
    return _inexact(Decimal(text), condition)


def _inexact(number: int | Decimal, condition: str) -> tuple[str, str] | None:
    if is_exact(number):
        return None
    hint = f"the condition `{condition}` compares it by size, and the platform may treat such numbers as equal"
    return f"is {number!s:.60}", hint


def _refusal(kind: ValueType, text: str, condition: str, op: str) -> tuple[str, str] | None:
    try:
        value = kind.from_text(text, names=True)
        right = value if kind.enum is not None and value is not None else kind.canonical(value)
    except ValueError as error:
        return str(error), f"the condition `{condition}` compares it as a string"
    except TypeError as error:
        return f"is {text!r:.60}, but {error}", f"the condition `{condition}` compares it"
    if op in EQUALITY:
        if right != text:
            return f"is {text!r:.60}", f"write {right!r}: the condition `{condition}` compares it as a string"
    elif not is_number(text) and is_numeric(kind):
        write = f"write {right!r}" if is_number(right) else "give it a number"
        return f"is {text!r:.60}", f"{write}: the condition `{condition}` compares it by size"
    elif isinstance(value, int | Decimal):
        return _inexact(value, condition)
    return None


def referred_to(job: dag.Job) -> Iterator[tuple[dag.Task, str, str]]:
    """Yield each reference of a non-Python task to a task value: the task itself, the other task's key, the value's."""
    for task in job.tasks:
        if task.kind != "python":
            for text in strings_in(task.settings):
                for segments in references.found_in(text):
                    match segments:
                        case ("tasks", key, "values", value):
                            yield task, key, value


def dates_of(job: dag.Job, task: str) -> list[str]:
    """Return the job parameters whose dates `task` sets as task values for non-Python tasks."""
    wanted = {value for _, key, value in referred_to(job) if key == task and value.startswith(dag.DATE_OF)}
    return sorted(value.removeprefix(dag.DATE_OF) for value in wanted)


def strings_in(form: Any) -> Iterator[str]:
    """Yield each string inside plain data, without the keys of dicts."""
    if isinstance(form, str):
        yield form
    elif isinstance(form, dict):
        for item in form.values():
            yield from strings_in(item)
    elif isinstance(form, list | tuple):
        for item in form:
            yield from strings_in(item)


def strings_of(job: dag.Job, task: str, kind: ValueType, result: object) -> dict[str, str]:
    """Return the strings of the task's result that other tasks refer to, by key.

    Raises TypeError if the result has no such string.
    """
    wanted = {value for _, key, value in referred_to(job) if key == task}
    strings = {dag.RETURN_TEXT: kind.canonical, dag.RETURN_PARAMETER: kind.to_text}
    return {key: string(result) for key, string in strings.items() if key in wanted}


def refused_values(job: dag.Job, task: str, left: Mapping[str, Any], *, ours: bool = True) -> list[Problem]:
    """Return the problems of the task values that `task` has set (`left`), for tasks that refer to them.

    Without `ours`, values that dbxdec itself sets later may be missing.
    """
    problems: dict[str, Problem] = {}
    for user, key, value in referred_to(job):
        later = not ours and (value in dag.RESULTS or value.startswith(dag.DATE_OF))
        if key == task and value not in left and not later:
            problems[value] = Problem(
                f"the task `{task}` has not set the task value `{value}`, which the task `{user.key}` refers to",
                hint=f"set it on every path through the function: `set_task_value({value!r}, ...)`",
            )
        elif key == task and user.kind == "run_job" and value not in dag.RESULTS and left.get(value, "") is None:
            problems[value] = Problem(
                f"the task `{task}` has set `{value}` to None, which the job `{user.runs_job}` would get as a string",
                hint="return it, annotated with `| None`, and pass the result",
            )
    for condition, op, sides in conditions(job):
        for side in sides:
            match references.only_one_in(side):
                case ("tasks", key, "values", value) if key == task and value in left:
                    refusal = _refused_value(condition, op, value, left[value])
                    if refusal is not None:
                        problems.setdefault(value, Problem(f"the task `{task}` {refusal[0]}", hint=refusal[1]))
    return list(problems.values())


_JSON_TYPES: dict[str, type] = {"str": str, "bool": bool, "int": int}


def _refused_value(condition: dag.Task, op: str, key: str, form: Any) -> tuple[str, str] | None:
    what = "returned" if key in dag.RESULTS else f"has set `{key}` to"
    if op not in EQUALITY:
        text = form if isinstance(form, str) else json.dumps(form)
        if is_number(text) and not is_exact(Decimal(text)) and not isinstance(form, float):
            return (
                f"{what} {text:.60}, which the condition `{condition.key}` compares by size",
                "the platform may treat such numbers as equal: compare inside a task",
            )
        return None
    if key in dag.RESULTS or condition.compares is None:
        return None
    wanted = base_of(condition.compares)[0]
    if type(form) is not _JSON_TYPES.get(wanted, type(form)):
        return (
            f"{what} {form!r:.60}, and the condition `{condition.key}` compares it with a value of the type {wanted}",
            f"set a value of the type {wanted}: the platform compares strings",
        )
    return None
