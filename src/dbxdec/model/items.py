"""Items that a for-each task gets from its run: told apart and found again by their values, however they are written.

The platform passes an item as a string: a string as it is, anything else as JSON. A value has many spellings (1 and
1.0, one moment in two zones), and a repair may write it otherwise than the run did.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, counted
from dbxdec.model import dag, protocol
from dbxdec.model.equality import canonical_form, json_form
from dbxdec.model.values import ValueType
from dbxdec.platform import references
from dbxdec.support.masking import brief

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ONCE = "give each item once: it names the iteration's part of the result"
"""The hint for items that are equal."""
_EXACT = 2**53  # up to here each whole float is one int


def type_of(job: dag.Job, each: dag.Each) -> ValueType | None:
    """Return the type of the items that come with the run; None if they may be any JSON."""
    kind: ValueType | None = None
    match each.items:
        case dag.Parameter(name):
            kind = next((parameter.type for parameter in job.parameters if parameter.name == name), None)
        case dag.TaskOutput(task, output):
            kind = job.task(task).outputs[output].type
    return kind.element if kind is not None else None


def content(value: Any) -> str:
    """Return a string that is the same for equal values of one type, and differs for others.

    Where the type is not known, 1.0 is the number 1 (and 1 is not true, as in JSON).
    """
    return json.dumps(_whole(canonical_form(value)), sort_keys=True)


def _whole(form: Any) -> Any:
    match form:
        case list():
            return [_whole(one) for one in form]
        case dict():
            return {key: _whole(one) for key, one in form.items()}
        case float() if form.is_integer() and abs(form) < _EXACT:
            return int(form)
    return form


def places(text: str, kind: ValueType | None, values: Sequence[Any]) -> list[int]:
    """Return where `values`, of the type `kind`, have the item that the platform passes as `text`."""
    wanted = set(map(content, _readings(text, kind)))
    return [i for i, value in enumerate(values) if content(value) in wanted]


def _readings(text: str, kind: ValueType | None) -> Iterator[Any]:
    """Yield the values that `text` may stand for: a string, and another value as JSON."""
    forms: list[Any] = [text]
    with suppress(ValueError, RecursionError):
        forms += [] if isinstance(form := json.loads(text), str) else [form]
    for form in forms:
        with suppress(ValueError):
            yield form if kind is None else kind.from_json(form)


def refused(job: dag.Job, texts: Mapping[str, str]) -> list[Problem]:
    """Return the problems of job parameters whose items some for-each task of `job` would refuse in an iteration.

    `texts` are strings of parameters; one that its type refuses is left to the check of types.
    """
    problems: dict[Problem, None] = {}
    known = {parameter.name: parameter for parameter in job.parameters}
    for task in job.tasks:
        match task.each:
            case dag.Each(items=dag.Parameter(name), type=kind) if name in texts and name in known:
                with suppress(ValueError):
                    found = known[name].value(texts[name], names=True)
                    what = f"the job parameter `{name}`"
                    problems |= dict.fromkeys([*_refused(what, found), *_misread(what, task, kind, found)])
    return list(problems)


def _refused(what: str, values: Any) -> Iterator[Problem]:
    seen: dict[str, list[int]] = {}
    for i, value in enumerate(values if isinstance(values, list) else ()):
        seen.setdefault(content(value), []).append(i)
    for first, *others in seen.values():
        value = values[first]
        if others:
            more = f" and {counted(len(others) - 1, 'more time')}" if others[1:] else ""
            given = brief(json_form(values[others[0]]), 40)
            yield Problem(f"{what} has {given} at [{first}] and at [{others[0]}]{more}", hint=ONCE)
        if isinstance(value, str) and protocol.is_unresolved(value) and not _is_known(value.strip()):
            yield protocol.unresolved(f"{what} at [{first}]", value)


def _is_known(text: str) -> bool:
    segments = references.only_one_in(text)
    return segments is not None and references.is_known(segments)


def _misread(what: str, task: dag.Task, kind: ValueType | None, values: Any) -> Iterator[Problem]:
    if kind is not None and isinstance(values, list):
        try:
            ValueType("list", element=kind).from_json(json_form(values), names=True)
        except ValueError as error:
            yield Problem(f"{what} {error}", hint=f"the task `{task.key}` takes each item as `{kind}`")
