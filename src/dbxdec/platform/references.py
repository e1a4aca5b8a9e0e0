"""Writes, reads and resolves references such as `{{tasks.extract.values.rows}}`.

A segment that an author has named (a task, a key, a parameter) needs backticks if it has anything but ASCII letters,
digits and `_`. Between backticks it may have any characters but the backtick, braces and control characters: ask
`can_refer_to` first. A reference that is written differently, or names nothing, stays a literal string.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbxdec.errors import nearest
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RESULT_STATE = "result_state"
INPUT = "input"
# References that the platform fills in. Anything else between double braces is the author's own template.
NAMESPACES = frozenset({"job", "task", "tasks", INPUT, "workspace", "backfill"})

PARTS_OF_TIME = (
    *("iso_date", "iso_datetime", "iso_weekday", "is_weekday", "timestamp_ms"),
    *("year", "month", "day", "hour", "minute", "second"),
)
# docs.databricks.com, "Dynamic value references". `*` is a segment of any name.
_TABLE = (
    *(("job", name) for name in ("id", "name", "run_id", "repair_count")),
    ("job", "parameters", "*"),
    *(("job", "start_time", part) for part in PARTS_OF_TIME),
    *(("job", "trigger", "time", part) for part in PARTS_OF_TIME),
    ("job", "trigger", "type"),
    ("job", "trigger", "file_arrival", "location"),
    ("job", "trigger", "table_update", "updated_tables"),
    *(("task", name) for name in ("name", "run_id", "execution_count", "notebook_path")),
    ("tasks", "*", "values", "*"),
    *(("tasks", "*", name) for name in (RESULT_STATE, "run_id", "execution_count", "error_code", "notebook_path")),
    (INPUT,),
    (INPUT, "*"),
    *(("workspace", name) for name in ("id", "url")),
    *(("backfill", part) for part in PARTS_OF_TIME),
)
# References whose further segments depend on what they refer to: a table that was changed, the output of a query.
_OPEN = (("job", "trigger", "table_update"), ("tasks", "*", "output"))

_PLAIN = pattern(r"[A-Za-z0-9_]+")
_SEGMENT = r"(?:[A-Za-z0-9_]+|`[^`{}\x00-\x1f]+`)"
_REFERENCE = pattern(rf"\{{\{{[ \t]*({_SEGMENT}(?:\.{_SEGMENT})*)[ \t]*\}}\}}")
_SEGMENTS = pattern(r"`([^`]+)`|([^.`]+)")
_BRACED = pattern(r"\{\{([^{}]*)\}\}")


def can_refer_to(name: str) -> bool:
    """Return whether a reference can hold `name` as a segment."""
    return re.fullmatch(r"[^`{}\x00-\x1f]+", name) is not None


def path(*segments: str) -> str:
    """Return the inside of a reference, with backticks where a segment needs them."""
    return ".".join(segment if _PLAIN.fullmatch(segment) else f"`{segment}`" for segment in segments)


def reference(*segments: str) -> str:
    """Return the reference with these segments."""
    return f"{{{{{path(*segments)}}}}}"


def job_parameter(name: str) -> str:
    """Return the reference to a job parameter."""
    return reference("job", "parameters", name)


def task_value(task: str, key: str) -> str:
    """Return the reference to a value that a task sets."""
    return reference("tasks", task, "values", key)


def result_state(task: str) -> str:
    """Return the reference to the result state of a task."""
    return reference("tasks", task, RESULT_STATE)


def found_in(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the segments of each reference in `text`, in order."""
    if "{{" in text:
        for match in _REFERENCE.finditer(text):
            yield _segments(match[1])


def only_one_in(text: str) -> tuple[str, ...] | None:
    """Return the segments of `text` if it is exactly one reference; None for anything else."""
    match = _REFERENCE.fullmatch(text)
    return None if match is None else _segments(match[1])


def is_known(segments: Sequence[str]) -> bool:
    """Return whether the platform documents references with these segments."""
    return any(len(one) == len(segments) and _fits(segments, one) for one in _TABLE) or any(
        len(one) < len(segments) and _fits(segments, one) for one in _OPEN
    )


def meant(segments: Sequence[str]) -> str | None:
    """Return the documented reference of the same namespace that is most like these segments; None if none is close."""
    own = [*segments, *["name"] * len(segments)]
    inside = [
        path(*(own[i] if one == "*" else one for i, one in enumerate(entry) if i))
        for entry in _TABLE
        if entry[0] == segments[0] and len(entry) <= len(own)
    ]
    near = nearest(path(*segments[1:]), filter(None, inside))
    return f"{{{{{segments[0]}.{near}}}}}" if near else None


def _fits(segments: Sequence[str], entry: Sequence[str]) -> bool:
    return all(wanted in ("*", found) for wanted, found in zip(entry, segments, strict=False))


def misspelled_in(text: str) -> list[str]:
    """Return what looks like a reference of the platform but would stay a literal string."""
    if "{{" not in text:
        return []
    return [
        match[0]
        for match in _BRACED.finditer(text)
        if match[1].strip().partition(".")[0] in NAMESPACES and _REFERENCE.fullmatch(match[0]) is None
    ]


def well_spelled(text: str) -> str:
    """Return a misspelled reference with backticks where its segments need them, as far as these can be recognised."""
    parts = text.strip("{} \t").split(".")
    if parts[0] == "tasks" and len(parts) > 3 and "values" in parts[2:-1]:
        at = parts.index("values", 2)
        parts = [parts[0], ".".join(parts[1:at]), "values", ".".join(parts[at + 1 :])]
    elif parts[0] == "tasks" and len(parts) > 2:
        parts = [parts[0], ".".join(parts[1:-1]), parts[-1]]
    elif parts[:2] == ["job", "parameters"]:
        parts = [*parts[:2], ".".join(parts[2:])]
    elif parts[0] == INPUT:
        parts = [parts[0], ".".join(parts[1:])]
    return reference(*(part.strip("`[]") for part in parts))


def resolve(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with each reference in `values` replaced. The keys of `values` are written by `path`."""
    if "{{" not in text:
        return text
    return _REFERENCE.sub(lambda match: values.get(path(*_segments(match[1])), match[0]), text)


def _segments(inside: str) -> tuple[str, ...]:
    return tuple(quoted or plain for quoted, plain in _SEGMENTS.findall(inside))
