"""The parameters between a deployed job and `dbxdec-run`, which codegen writes and the runtime reads.

Databricks adds job parameters to a wheel task's named parameters, so a task itself has only the reserved ones. Both
spellings, `--k=v` and `k=v`, reach the entry point, whatever the name.
"""

from __future__ import annotations

import json
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Any

from dbxdec.errors import ManifestError, Problem, RunError
from dbxdec.model.trigger import REFERENCE, moment_of
from dbxdec.model.variables import TARGET
from dbxdec.platform import references
from dbxdec.platform.run_if import RESULT_STATES
from dbxdec.records import dataclass
from dbxdec.support.masking import brief
from dbxdec.support.patterns import pattern

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence, Set

    from dbxdec.model.dag import Each, Task
    from dbxdec.model.literals import Json

ENTRY_POINT = "dbxdec-run"
ENTRY_POINT_GROUP = "packages"
"""Databricks finds an entry point by name in any group; `console_scripts` would clash with dbxdec's own script."""
ENTRY_POINT_OBJECT = "dbxdec.runtime:main"

RESERVED = "dbxdec-"
PACKAGE, JOB, TASK, BUILD = "dbxdec-package", "dbxdec-job", "dbxdec-task", "dbxdec-build"
"""The parameters that say which task of which build it is."""
VARIABLE = "dbxdec-var-"
"""The beginning of a parameter that holds a bundle variable."""
_WORKSPACE, _RUN_ID, _ATTEMPT, _STARTED = "dbxdec-workspace", "dbxdec-run-id", "dbxdec-attempt", "dbxdec-started"
_ITEM = "dbxdec-item"
_OF_ITEMS = ("{{input.i}}", "{{input}}")
_TRIGGERED = "dbxdec-triggered"
_UPSTREAM = "dbxdec-upstream"
KEYS = "dbxdec-keys"
"""With this parameter a task tells which keys its job's tables have, and runs nothing."""

MAX_INPUTS = 5_000
"""The most characters in the `inputs` of a for-each task (docs.databricks.com, "Use a For each task")."""

# Reserved parameter -> the platform's reference that fills it
# (docs.databricks.com, "Use dynamic value references in jobs").
_REFERENCES = {
    _WORKSPACE: "{{workspace.id}}",
    _RUN_ID: "{{job.run_id}}",
    _ATTEMPT: "{{task.execution_count}}",
    _STARTED: "{{job.start_time.timestamp_ms}}",
    _TRIGGERED: REFERENCE,
}
# Exactly one reference: a longer string that contains references, such as a template, is the author's.
_UNRESOLVED = pattern(r"\s*\{\{[^{}]*\}\}\s*")
_UNKNOWN = "the platform did not know this reference: check its spelling and where it is used"


@dataclass(frozen=True, slots=True)
class RunArguments:
    """The arguments of one start of `dbxdec-run`. `started` is the run's start in milliseconds since the epoch.

    `triggered` is the moment at which the run was triggered, as the platform writes it; None if the platform left the
    reference unresolved, and empty if it replaced the reference by nothing. `item` is the item of a for-each task: its
    number if the items are literals, else its string. `upstream` are the result states of upstream tasks that may not
    have run.
    """

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
    item: str | None = None
    triggered: str | None = None
    upstream: Mapping[str, str] = field(default_factory=dict)


def task_parameters(package: str, build_id: str, job: str, task: Task, uncertain: Sequence[str] = ()) -> dict[str, str]:
    """Return the named parameters of a task: its package, job and key, its build, and the run's references.

    `uncertain` are upstream tasks of which the task has to know how they ended: a repair leaves the results of an
    earlier attempt where they are, also of a task that the repair excludes. Each bundle variable has its own parameter:
    in a JSON string a quote in its value would break the JSON.
    """
    from dbxdec.model import dag

    named = {
        PACKAGE: package,
        JOB: job,
        TASK: task.key,
        BUILD: build_id,
        **_REFERENCES,
    }
    if task.each is not None:
        named[_ITEM] = _OF_ITEMS[0] if isinstance(task.each.items, dag.Literal) else _OF_ITEMS[1]
    if uncertain:
        named[_UPSTREAM] = " ".join(f"{key}={references.result_state(key)}" for key in uncertain)
    for name in task.variables:
        named[VARIABLE + name] = _token(name)
    return named


def one_time_parameters(workspace: str, moment: dt.datetime) -> dict[str, str]:
    """Return the parameters of a run that is no run of its job, whose references the platform would fill in.

    `moment` is that of its start, with a zone.
    """
    return {
        _WORKSPACE: workspace,
        _RUN_ID: "0",
        _ATTEMPT: "1",
        _STARTED: str(int(moment.timestamp() * 1000)),
        _TRIGGERED: moment.isoformat(timespec="seconds"),
    }


def _token(variable: str) -> str:
    return "${bundle.target}" if variable == TARGET else f"${{var.{variable}}}"


def for_each_inputs(each: Each) -> str:
    """Return the `inputs` of a for-each task: a JSON string, or the platform's reference to one.

    The platform does not number iterations, so literal items have their number. The item itself is added for people
    who read the run's page, unless the string would exceed the platform's limit or only the run can resolve the item.
    """
    from dbxdec.model import dag

    match each.items:
        case dag.Parameter(name):
            return references.job_parameter(name)
        case dag.TaskOutput(task):
            return references.task_value(task, dag.RETURN_VALUE)
        case dag.TaskValue(task, key):
            return references.task_value(task, key)
        case dag.Literal(list() as items):
            numbered = [{"i": i, **_for_people(item)} for i, item in enumerate(items)]
            texts = [_compact(form) for form in (numbered, [{"i": i} for i in range(len(items))])]
            return next((text for text in texts if len(text) <= MAX_INPUTS), texts[-1])
        case _:
            raise ManifestError(f"items of an unknown kind: {each.items!r}")


def _for_people(item: Json) -> dict[str, Json]:
    """Return the item as `v`, unless it contains something that the bundle or the platform would resolve."""
    from dbxdec.model import literals

    shown = literals.shown(item)
    text = _compact(shown)
    return {} if (shown is None) != (item is None) or "${" in text or "{{" in text else {"v": shown}


def _compact(form: Any) -> str:
    return json.dumps(form, ensure_ascii=False, separators=(",", ":"))


def _why_no_number(text: str, *, largest: int) -> str | None:
    if not text.isdecimal():
        return "not a whole number"
    return "too large" if len(text) > len(str(largest)) or int(text) > largest else None


def _why_no_moment(text: str) -> str | None:
    return None if not text or is_unresolved(text) or moment_of(text) is not None else "not a moment"


_NEEDED = (PACKAGE, JOB, TASK, BUILD, *_REFERENCES)
# Reserved parameters that are more than strings. The largest time in ms is the end of the calendar.
_WHY_WRONG: Mapping[str, Callable[[str], str | None]] = {
    _ATTEMPT: partial(_why_no_number, largest=10**9),
    _STARTED: partial(_why_no_number, largest=253_402_300_799_999),
    _TRIGGERED: _why_no_moment,
}


def parse(argv: Sequence[str]) -> RunArguments:
    """Parse `argv`. Raises RunError with every mistake in it.

    The platform does not change a reference that it can't resolve; such a value is refused. Job parameters are not
    checked here: the job knows its own.
    """
    given, refused, problems = _given(argv)
    reserved = {name: value for name, value in given.items() if name.startswith(RESERVED)}
    problems += _mistakes(reserved, refused)
    if problems:
        raise RunError(problems)
    return RunArguments(
        package=reserved[PACKAGE],
        job=reserved[JOB],
        task=reserved[TASK],
        build=reserved[BUILD],
        workspace=reserved[_WORKSPACE],
        run_id=reserved[_RUN_ID],
        attempt=int(reserved[_ATTEMPT]),
        started=int(reserved[_STARTED]),
        variables={name.removeprefix(VARIABLE): value for name, value in reserved.items() if name.startswith(VARIABLE)},
        parameters={name: value for name, value in given.items() if name not in reserved},
        item=reserved.get(_ITEM),
        triggered=None if is_unresolved(reserved[_TRIGGERED]) else reserved[_TRIGGERED],
        upstream=_states(reserved.get(_UPSTREAM, "")),
    )


def _states(text: str) -> dict[str, str]:
    """Return the result states in a text like `a=success b=excluded`, without those that were not resolved."""
    pairs = (word.partition("=") for word in text.split())
    return {key: state for key, _, state in pairs if state in RESULT_STATES}


def _given(argv: Sequence[str]) -> tuple[dict[str, str], set[str], list[Problem]]:
    """Return the named values in `argv`, the names that are wrong in themselves, and what is wrong with them."""
    given: dict[str, str] = {}
    refused, problems = set(), []
    for argument in argv:
        name, equals, value = argument.removeprefix("--").partition("=")
        if not equals or not name:
            problem = Problem(f"the argument {argument!r} is not of the form `--name=value` or `name=value`")
        elif name.startswith(RESERVED) and name != _TRIGGERED and _is_left(name, value):
            problem = unresolved(f"the parameter `{name}`", value)
        elif given.get(name, value) != value:
            problem = Problem(f"the parameter `{name}` is given twice: {brief(given[name], 40)} and {brief(value, 40)}")
        else:
            given[name] = value
            continue
        given[name] = value
        refused.add(name)
        problems.append(problem)
    return given, refused, problems


def _is_left(name: str, value: str) -> bool:
    """Return whether the platform has left a reserved parameter as the job has it. An item may be any string."""
    return value.strip() in _OF_ITEMS if name == _ITEM else is_unresolved(value)


def _mistakes(reserved: Mapping[str, str], refused: Set[str]) -> Iterator[Problem]:
    """Yield what is missing among the `reserved` parameters, and what is wrong with those not yet `refused`."""
    for name in _NEEDED:
        if name not in reserved:
            yield Problem(
                f"the parameter `{name}` is missing",
                hint="`dbxdec-run` is started by a job that dbxdec has built; on a laptop use `dbxdec run JOB`",
            )
    for name, value in reserved.items():
        if name.startswith(VARIABLE):
            if value == _token(name.removeprefix(VARIABLE)):
                yield Problem(
                    f"the parameter `{name}` is the unresolved bundle reference {value}",
                    hint="the bundle sets the value: deploy the job with `databricks bundle deploy`",
                )
        elif name not in _NEEDED and name not in (_ITEM, _UPSTREAM, KEYS):
            yield Problem(
                f"the reserved parameter `{name}` is not known to this dbxdec",
                hint="the job was written by a newer dbxdec: install that version where the task runs",
            )
        elif name in _WHY_WRONG and name not in refused and (why := _WHY_WRONG[name](value)):
            yield Problem(f"`{name}` is {brief(value, 40)}, {why}")
        elif name in _NEEDED and name not in {_TRIGGERED, *refused} and not value.strip():
            # Without its number a run would take the rows of another one for its own.
            yield Problem(f"the parameter `{name}` is empty", hint="leave it as the job definition has it")


def is_unresolved(value: str) -> bool:
    """Return whether a parameter's value is a reference that the platform did not resolve."""
    return _UNRESOLVED.fullmatch(value) is not None


def unresolved(what: str, value: str) -> Problem:
    """Return the problem that `what` has the unresolved reference `value`."""
    return Problem(f"{what} is the unresolved reference {value.strip()}", hint=_UNKNOWN)
