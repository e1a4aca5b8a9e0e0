"""The forms of what the files of a run hold: which types the fields of `run.json` and of each event have.

`dbxdec.local.ledger` describes these files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from dbxdec.platform.run_if import State

Check = Callable[[Any], bool]

_STATES = frozenset(map(str, State))
_LOG = re.compile(r"logs/[^/\\]+")
LAST_MS = 253_402_300_799_000  # the year 9999


def _is_time(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LAST_MS


def _is_number(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal()


def _is_log(value: Any) -> bool:
    return isinstance(value, str) and _LOG.fullmatch(value) is not None


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_kept_form(value: Any) -> bool:
    return isinstance(value, dict) and all(
        numbers is None or (isinstance(numbers, list) and all(map(_is_number, numbers))) for numbers in value.values()
    )


def _is_facts(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_fact, value))


def is_fact(fact: Any) -> bool:
    """Return whether this is a read or a write, as `runtime.record` notes it; a version may have any type."""
    if not (isinstance(fact, dict) and _is_text(fact.get("kind")) and _is_text(fact.get("name"))):
        return False
    columns = fact.get("columns", [])
    return (
        (fact.get("rows") is None or type(fact["rows"]) is int)
        and (fact.get("seconds") is None or type(fact["seconds"]) in (int, float))
        and (fact.get("span") is None or _is_text(fact["span"]))
        and (fact.get("expect") is None or _is_outcomes(fact["expect"]))
        and isinstance(columns, list)
        and all(isinstance(one, list) and len(one) == 2 for one in columns)
    )


def _is_outcomes(value: Any) -> bool:
    """Return whether this says how expectations came out (`io_managers/delta/expectations.py`, Outcome.facts)."""
    return isinstance(value, dict) and all(
        isinstance(one, dict)
        and type(one.get("failed")) is int
        and type(one.get("rows")) is int
        and _is_text(one.get("action"))
        and (one.get("rule") is None or _is_text(one["rule"]))
        for one in value.values()
    )


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


HEAD: Mapping[str, Check] = {
    "job": _is_text,
    "project": _is_text,
    "version": _is_text,
    "build_id": _is_text,
    "source": _is_text,
    "started_ms": _is_time,
    "parameters": _is_texts,
    "variables": _is_texts,
    "parent": _or_none(_is_id),
    "task": _or_none(_is_text),
    "target": _or_none(_is_text),
    "root": _or_none(_is_text),
    "definition": _or_none(lambda value: isinstance(value, dict)),
    "appended": _or_none(
        lambda value: (
            isinstance(value, dict)
            and all(isinstance(targets, list) and all(map(_is_text, targets)) for targets in value.values())
        )
    ),
    "end": _or_none(
        lambda value: (
            isinstance(value, dict)
            and _is_text(value.get("state"))
            and _is_time(value.get("time_ms"))
            and all(_is_number(value.get(name)) for name in ("done", "tasks", "repairs", "spent_ms", "events_size"))
        )
    ),
}
_EVENT: Mapping[str, Mapping[str, Check]] = {
    "started": {
        "repair": _is_number,
        "time_ms": _is_time,
        "selected": lambda value: isinstance(value, list) and all(map(_is_text, value)),
        "kept": _is_kept_form,
    },
    "attempt": {
        "task": _is_text,
        "iteration": _or_none(_is_number),
        "attempt": _is_number,
        "state": _STATES.__contains__,
        "started_ms": _is_time,
        "ended_ms": _is_time,
        "log": _is_log,
        "facts": _is_facts,
        "title": _or_none(_is_text),
    },
    "begun": {
        "task": _is_text,
        "iteration": _or_none(_is_number),
        "attempt": _is_number,
        "title": _or_none(_is_text),
        "time_ms": _is_time,
        "log": _is_log,
    },
    "inner": {"task": _is_text, "run": _is_id},
    "task": {
        "task": _is_text,
        "state": _STATES.__contains__,
        "started_ms": _is_time,
        "ended_ms": _is_time,
        "attempts": _is_number,
        "outcome": _or_none(_is_text),
        "run": _or_none(_is_id),
        "said": _or_none(_is_text),
    },
    "ended": {"state": _is_text, "time_ms": _is_time},
}


def is_event(event: Mapping[str, Any]) -> bool:
    """Return whether the fields of an event have their types; an event of a newer dbxdec has any."""
    name = event.get("event")
    if not isinstance(name, str):
        return False
    if name not in _EVENT:
        return True  # an event of a newer dbxdec
    try:
        return all(check(event.get(field)) for field, check in _EVENT[name].items())
    except TypeError:  # a list as the state
        return False


def filled(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an event with all its fields: one that is not there is null."""
    return {**dict.fromkeys(_EVENT.get(event["event"], ())), **event}
