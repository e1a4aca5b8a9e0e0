"""The parameters between a deployed job and `dbxdec-run`: what codegen emits and what the runtime takes.

Databricks pushes job parameters down to a wheel task's named parameters, so a task itself carries only the reserved
ones. Both spellings, `--k=v` and `k=v`, reach the entry point, whatever the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError
from dbxdec.variables import TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.dag import Task

ENTRY_POINT = "dbxdec-run"
ENTRY_POINT_GROUP = "packages"
"""Databricks looks an entry point up by name in any group; `console_scripts` would clash with dbxdec's own file."""
ENTRY_POINT_OBJECT = "dbxdec.runtime:main"

RESERVED = "dbxdec-"
_VARIABLE = "dbxdec-var-"

# Reserved parameter -> the platform's reference that fills it
# (docs.databricks.com, "Use dynamic value references in jobs").
_REFERENCES = {
    "dbxdec-workspace": "{{workspace.id}}",
    "dbxdec-run-id": "{{job.run_id}}",
    "dbxdec-attempt": "{{task.execution_count}}",
    "dbxdec-started": "{{job.start_time.timestamp_ms}}",
}
# One reference and nothing else: text that only holds some, a template for instance, is the author's.
_UNRESOLVED = re.compile(r"\s*\{\{[^{}]*\}\}\s*")


@dataclass(frozen=True, slots=True)
class RunArguments:
    """What one start of `dbxdec-run` was told. `started` is the run's start in milliseconds since the epoch."""

    package: str
    job: str
    task: str
    build: str
    workspace: str
    run_id: str
    attempt: int
    started: int
    variables: Mapping[str, str]
    parameters: Mapping[str, str]


def task_parameters(package: str, build_id: str, job: str, task: Task) -> dict[str, str]:
    """The named parameters of a task: where it is found, which build it belongs to, and the run's references.

    A bundle variable comes one to a parameter: inside a JSON text a quote in its value would break the JSON.
    """
    named = {
        "dbxdec-package": package,
        "dbxdec-job": job,
        "dbxdec-task": task.key,
        "dbxdec-build": build_id,
        **_REFERENCES,
    }
    for name in task.variables:
        named[_VARIABLE + name] = "${bundle.target}" if name == TARGET else f"${{var.{name}}}"
    return named


def parse(argv: Sequence[str]) -> RunArguments:
    """What `argv` says. Raises RunError with every mistake in it.

    The platform leaves a reference that it can't resolve as it is; such a value is refused rather than used.
    """
    given: dict[str, str] = {}
    problems = []
    refused = set()
    for argument in argv:
        name, equals, value = argument.removeprefix("--").partition("=")
        if not equals or not name:
            problems.append(Problem(f"the argument {argument!r} is not of the form `--name=value` or `name=value`"))
            refused.add(name)
        elif _UNRESOLVED.fullmatch(value):
            problems.append(
                Problem(
                    f"the parameter `{name}` is the unresolved reference {value.strip()}",
                    hint="the platform did not know this reference: check its spelling and where it is used",
                )
            )
            refused.add(name)
        given[name] = value
    reserved = {name: value for name, value in given.items() if name.startswith(RESERVED)}
    needed = ["dbxdec-package", "dbxdec-job", "dbxdec-task", "dbxdec-build", *_REFERENCES]
    problems += [
        Problem(
            f"the parameter `{name}` is missing",
            hint="`dbxdec-run` is started by a job that dbxdec has built; on a laptop use `dbxdec run JOB`",
        )
        for name in needed
        if name not in reserved
    ]
    problems += [
        Problem(f"`{name}` is {reserved[name]!r}, not a whole number")
        for name in ("dbxdec-attempt", "dbxdec-started")
        if name in reserved and name not in refused and not reserved[name].isdecimal()
    ]
    problems += [
        Problem(
            f"the reserved parameter `{name}` is not known to this dbxdec",
            hint="the job was written by a newer dbxdec: install that version where the task runs",
        )
        for name in reserved
        if name not in needed and not name.startswith(_VARIABLE)
    ]
    if problems:
        raise RunError(problems)
    return RunArguments(
        package=reserved["dbxdec-package"],
        job=reserved["dbxdec-job"],
        task=reserved["dbxdec-task"],
        build=reserved["dbxdec-build"],
        workspace=reserved["dbxdec-workspace"],
        run_id=reserved["dbxdec-run-id"],
        attempt=int(reserved["dbxdec-attempt"]),
        started=int(reserved["dbxdec-started"]),
        variables={
            name.removeprefix(_VARIABLE): value for name, value in reserved.items() if name.startswith(_VARIABLE)
        },
        parameters={name: value for name, value in given.items() if name not in reserved},
    )
