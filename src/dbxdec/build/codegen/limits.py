"""Checks of a job's keys, sizes and tags against the platform's limits."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen.jobs import levels
from dbxdec.errors import Problem, counted
from dbxdec.model import protocol
from dbxdec.model.soundness import JOB_KEY, TASK_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.build.codegen.fields import Finding
    from dbxdec.model.dag import Job

# docs.databricks.com, "Resource limits" and the Jobs API's reference.
_MAX_TASKS = 1000
_MAX_NAME_BYTES = 4096
_MAX_TAGS = 25
_MAX_PARAMETER_BYTES = 10_000
_KEY_HINT = "up to 100 letters, digits, `_` and `-`"
# As in the bundle's CLI (databricks/cli, libs/tags): key and value on AWS, on Azure, on Google Cloud.
_TAGS = (
    (re.compile(r"[\w +\-=.:/@]{0,127}", re.ASCII), re.compile(r"[\w +\-=.:/@]{0,255}", re.ASCII)),
    (re.compile(r"[^<>*&%;\\/+?\n]{1,512}"), re.compile(r"[^\n]{0,256}")),
    (re.compile(r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?", re.ASCII), re.compile(r"([\w.-]{0,63})", re.ASCII)),
)
_TAG_HINT = (
    "keys have up to 127 letters, digits, spaces and `+ - = . _ : / @`, values up to 255 (on Google Cloud 63 "
    "letters, digits, `_`, `-` and `.`)"
)


def key_problems(job: Job) -> list[Problem]:
    """Return the problems of keys that a bundle, or a reader of the manifest, would reject."""
    problems = []
    if not JOB_KEY.fullmatch(job.key):
        problems.append(
            Problem(
                f"{job.key!r} can't be the key of a job in a bundle",
                job.source,
                "letters, digits, `_` and `-`, not starting with a digit; give it a title with `name=`",
            )
        )
    hint = f"{_KEY_HINT}: `@task(key=...)` or `.override(key=...)`"
    return problems + [
        Problem(f"{task.key!r} can't be the key of a task", task.set_at, hint)
        for task in job.tasks
        if not TASK_KEY.fullmatch(task.key)
    ]


def limit_problems(job: Job, definition: dict[str, Any]) -> list[Problem]:
    problems = key_problems(job)
    if len(job.tasks) > _MAX_TASKS:
        problems.append(
            Problem(f"the job `{job.key}` has {len(job.tasks):,} tasks; the platform allows {_MAX_TASKS:,}", job.source)
        )
    if isinstance(name := definition["name"], str) and len(name.encode()) > _MAX_NAME_BYTES:
        problems.append(Problem(f"the name of the job `{job.key}` is over {_MAX_NAME_BYTES} bytes", job.source))
    if isinstance(tags := definition.get("tags"), dict):
        problems += [Problem(f"the job `{job.key}` {message}", job.source, hint) for message, hint in _tags(tags)]
    if "git_source" in definition:
        problems.append(
            Problem(
                f"the job `{job.key}` has a git_source, so a bundle would not upload its wheel", job.source, "remove it"
            )
        )
    pushed_down = {parameter["name"]: parameter["default"] for parameter in definition.get("parameters", [])}
    sizes = {}
    for task, form in zip(job.tasks, definition.get("tasks", []), strict=True):
        wheel_task = [level["python_wheel_task"] for level in levels(form) if "python_wheel_task" in level]
        named = wheel_task[0]["named_parameters"] if task.kind == "python" else {}
        sizes[task.key] = _size(named, pushed_down)
        where = task.called_at or task.source
        problems += [Problem(f"the task `{job.key}.{task.key}` {m}", where, hint) for m, hint in _repeated(form)]
    large = [key for key, size in sizes.items() if size > _MAX_PARAMETER_BYTES]
    if large:
        others = f", and those of {counted(len(large) - 1, 'other task')} are too large as well" if large[1:] else ""
        problems.append(
            Problem(
                f"the parameters of the task `{job.key}.{large[0]}` are {sizes[large[0]]:,} bytes as JSON; the "
                f"platform allows {_MAX_PARAMETER_BYTES:,}{others}",
                job.source,
                "shorten the defaults of the job's parameters; store large values in a table",
            )
        )
    return problems


def _tags(tags: dict[Any, Any]) -> Iterator[Finding]:
    """Yield problems of tags that every cloud rejects: jobs pass them on to their clusters as the cloud's tags."""
    if len(tags) > _MAX_TAGS:
        yield f"has {len(tags)} tags; the platform allows {_MAX_TAGS}", None
    for key, value in tags.items():
        if isinstance(key, str) and "${" not in key and not any(rule[0].fullmatch(key) for rule in _TAGS):
            yield f"has the tag {key!r:.60}, a key that no cloud accepts", _TAG_HINT
        if isinstance(value, str) and "${" not in value and not any(rule[1].fullmatch(value) for rule in _TAGS):
            yield f"has the tag {key!r:.60} with a value that no cloud accepts: {value!r:.60}", _TAG_HINT


def _size(*parameters: dict[str, str]) -> int:
    """Return the bytes of the parameters as JSON, or a rough upper bound if that is within the limit."""
    letters = sum(sum(map(len, some)) + sum(map(len, some.values())) for some in parameters)
    most = 6 * letters + 8 * sum(map(len, parameters))
    if most <= _MAX_PARAMETER_BYTES:  # no character takes more than 6 bytes in JSON
        return most
    together = {name: value for some in parameters for name, value in some.items()}
    return len(json.dumps(together, ensure_ascii=False).encode(errors="replace"))


def _repeated(form: dict[str, Any]) -> Iterator[Finding]:
    """Yield the problems of a for-each task in which similar tasks differ: the key of its inner task, and its items."""
    match form.get("for_each_task"):
        case {"task": {"for_each_task": _}}:
            pass  # the platform rejects it in any case
        case {"task": {"task_key": str(key)}} if TASK_KEY.fullmatch(form["task_key"]) and not TASK_KEY.fullmatch(key):
            yield f"repeats a task with the key {key!r}", _KEY_HINT
    match form.get("for_each_task"):
        case {"inputs": str(text)} if len(text) > protocol.MAX_INPUTS:
            yield (
                f"repeats over items of {len(text):,} characters; the platform allows {protocol.MAX_INPUTS:,}",
                "give each iteration several items, or let a task return the list",
            )
