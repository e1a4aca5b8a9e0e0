"""Tasks that are not functions: conditions, the platform's native tasks, and runs of other jobs."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from dbxdec import dag
from dbxdec.authoring import recording
from dbxdec.authoring.calls import compute_settings
from dbxdec.authoring.compute import Environment, JobCluster
from dbxdec.authoring.nodes import Recorder, Step
from dbxdec.authoring.proxies import BranchReference, TaskProxy, TaskReference, UriReference
from dbxdec.authoring.references import ParameterProxy, Reference, Spoiled
from dbxdec.authoring.settings import given_fields, run_if_of
from dbxdec.errors import AuthoringError, Problem, did_you_mean, shown
from dbxdec.literals import UnsupportedLiteralError
from dbxdec.mistakes import forgiving, itself, noted_by
from dbxdec.secrets import Secret
from dbxdec.values import ValueType
from dbxdec.variables import BundleVariable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Unpack

    from databricks.bundles.jobs import RunIfParam

    from dbxdec.authoring.keywords import NativeTaskFields

Operator = Literal["==", "!=", ">", ">=", "<", "<="]

_OPERATORS = {
    "==": "EQUAL_TO",
    "!=": "NOT_EQUAL",
    ">": "GREATER_THAN",
    ">=": "GREATER_THAN_OR_EQUAL",
    "<": "LESS_THAN",
    "<=": "LESS_THAN_OR_EQUAL",
}
_KEYWORDS = ("key", "depends_on", "run_if", "cluster", "environment")
_KINDS: dict[type, str] = {JobCluster: "cluster", Environment: "environment", TaskProxy: "depends_on"}
_NUMBERS = ("int", "float", "decimal")


class ConditionProxy(TaskProxy[None]):
    """A condition: `.then(...)` and `.otherwise(...)` hang tasks on its branches."""

    def describe(self) -> str:
        return f"the condition `{self._call.key}`"

    @forgiving(itself)
    def then(self, *proxies: TaskProxy[Any]) -> ConditionProxy:
        """Run `proxies` only where the condition holds; gives the condition back."""
        return self._hang(self.true, proxies)

    @forgiving(itself)
    def otherwise(self, *proxies: TaskProxy[Any]) -> ConditionProxy:
        """Run `proxies` only where the condition does not hold; gives the condition back."""
        return self._hang(self.false, proxies)

    @property
    def true(self) -> Any:
        """The branch where the condition holds, for `depends_on` and `.after`."""
        return BranchReference(self._call, "true")

    @property
    def false(self) -> Any:
        """The branch where the condition does not hold, for `depends_on` and `.after`."""
        return BranchReference(self._call, "false")

    def _hang(self, branch: BranchReference, proxies: Iterable[object]) -> ConditionProxy:
        for proxy in proxies:
            if isinstance(proxy, TaskProxy):
                proxy._call.depend(branch)
            elif not isinstance(proxy, Spoiled):
                self._call.recorder.problem(
                    f"{proxy!r:.60} can't hang on {branch.describe()}", "give results of tasks: `.then(a(...), b(...))`"
                )
        return self


@forgiving()
def condition(left: Any, op: Operator, right: Any, *, key: str = "condition") -> ConditionProxy:
    """A condition task. Each side is a literal, a job parameter, a task value or a task's small result.

    `>`, `>=`, `<` and `<=` compare numbers, `==` and `!=` texts, as the platform does. Outside a job's body it raises
    AuthoringError.
    """
    recorder = _recorder("condition")
    key = recorder.usable(key)
    if not isinstance(op, str) or op not in _OPERATORS:
        recorder.problem(
            f"the condition `{key}` has the operator {shown(op)}", f"operators are {', '.join(_OPERATORS)}"
        )
        op = "=="
    step = Step(recorder=recorder, key=key, where=recording.caller(), kind="condition")
    sides = [_side(step, side, numeric=op not in ("==", "!=")) for side in (left, right)]
    step.settings = {"condition_task": {"op": _OPERATORS[op], "left": sides[0], "right": sides[1]}}
    recorder.add(step, 'give it a key of its own: `condition(..., key="...")`')
    return ConditionProxy(step)


@forgiving()
def native_task(
    key: str,
    *,
    depends_on: Sequence[Any] = (),
    run_if: RunIfParam | None = None,
    cluster: JobCluster | None = None,
    environment: Environment | None = None,
    **fields: Unpack[NativeTaskFields],
) -> TaskProxy[None]:
    """A task of any kind that the platform knows, such as `notebook_task={...}` or `sql_task={...}`.

    Job parameters, task values, states and places inside its fields become the platform's references, and those of
    tasks make edges. Paths are relative to the project's root. Outside a job's body it raises AuthoringError.
    """
    recorder = _recorder("native_task")
    key = recorder.usable(key)
    step = Step(
        recorder=recorder,
        key=key,
        where=recording.caller(),
        kind="native",
        run_if=run_if_of(run_if),
        cluster=cluster,
        environment=environment,
    )
    problems: list[Problem] = []
    with noted_by(problems.append):
        given = given_fields("task", fields, filled={}, own=_KEYWORDS, kinds=_KINDS, refer=lambda v: _text(step, v))
    recording.refuse(replace(problem, message=f"the task `{key}`: {problem.message}") for problem in problems)
    step.settings = given
    step.settings = {**step.settings, **compute_settings(recorder, key, cluster, environment)}
    recorder.add(step, "give each task a key of its own")
    step.depend_on_all(depends_on)
    return TaskProxy(step)


def run_job(
    recorder: Recorder, job: str, parameters: Sequence[dag.JobParameter], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> TaskProxy[None]:
    """A task that runs the job `job` of this project, with its parameters checked."""
    step = Step(recorder=recorder, key=job, where=recording.caller(), kind="run_job")
    known = {parameter.name: parameter for parameter in parameters}
    given = dict(zip(known, args, strict=False)) | kwargs
    if len(args) > len(known):
        recorder.problem(
            f"the job `{job}` has {len(known)} parameters and was given {len(args)} values",
            f"its parameters are {', '.join(known) or 'none'}",
        )
    for name in kwargs:
        if name not in known:
            hint = did_you_mean(name, known) or f"its parameters are {', '.join(known) or 'none'}"
            recorder.problem(f"the job `{job}` has no parameter `{name}`", hint)
    texts = {}
    for name, parameter in known.items():
        if name in given:
            texts[name] = _parameter_text(step, parameter, given[name])
        elif parameter.default is None:
            recorder.problem(
                f"the job `{job}` needs a value for its parameter `{name}`", f"its type is {parameter.type}"
            )
    task: dict[str, Any] = {"job_id": f"${{resources.jobs.{job}.id}}"}
    step.settings = {"run_job_task": task | ({"job_parameters": texts} if texts else {})}
    again = f'native_task("...", run_job_task={{"job_id": "{task["job_id"]}"}})'
    recorder.add(step, f"a call of a job has the job's key: run it once more by `{again}`")
    return TaskProxy(step)


def _recorder(name: str) -> Recorder:
    recorder = recording.current()
    if not isinstance(recorder, Recorder):
        raise AuthoringError(
            Problem(f"{name}() is called outside a job's body", recording.caller(), "call it in a function with `@job`")
        )
    return recorder


def _text(step: Step, value: Reference) -> str:
    """The platform's reference to `value`, behind whose task the step then runs."""
    recorder = step.recorder
    owner = value._recorder if isinstance(value, ParameterProxy) else getattr(value, "_call", step).recorder
    text = value.text()
    if isinstance(value, TaskProxy | TaskReference) and value._call.is_mistaken:
        return ""
    if owner is not recorder:
        recorder.problem(f"the task `{step.key}` is given {value.describe()} of the job `{owner.job}`")
    elif text is None:
        recorder.problem(
            f"the task `{step.key}` is given {value.describe()}, which "
            + ("stores nothing at one place" if isinstance(value, UriReference) else "the platform can't refer to"),
            "use a job parameter, a small result, `x.value(key)`, `x.state`, or `x.uri` of a task with an IoManager",
        )
    elif isinstance(value, TaskProxy | TaskReference):
        step.wait_for(value._call.key)
    return text or ""


def _side(step: Step, value: Any, *, numeric: bool) -> str:
    recorder = step.recorder
    if isinstance(value, Reference):
        kind = _value_type(recorder, value)
        if numeric and kind is not None and kind.kind not in _NUMBERS:
            recorder.problem(
                f"the condition `{step.key}` compares {value.describe()}, which is `{kind}`, by size",
                "the platform compares only numbers by size; use == or !=",
            )
        return _text(step, value)
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int | float | Decimal) and math.isfinite(value):
        return str(value)
    elif isinstance(value, str | BundleVariable):
        text = str(value)
    elif isinstance(value, dt.date):
        text = value.isoformat()
    elif isinstance(value, Enum):
        text = value.name
    else:
        recorder.problem(
            f"the condition `{step.key}` compares {shown(value)}",
            "each side is a text, number, boolean, date or Enum, a job parameter, a task value or a small result",
        )
        return ""
    if numeric and not isinstance(value, BundleVariable):
        recorder.problem(f"the condition `{step.key}` compares {value!r:.60} by size", "use a number, or == or !=")
    return text


def _value_type(recorder: Recorder, value: Reference) -> ValueType | None:
    if isinstance(value, ParameterProxy):
        declared = recorder.parameters.get(value._name)
        return declared.type if declared else None
    if isinstance(value, TaskProxy):
        output = value._call.outputs.get(dag.RESULT)
        return output.type if output else None
    return None


def _parameter_text(step: Step, parameter: dag.JobParameter, value: Any) -> str:
    recorder = step.recorder
    what = f"the parameter `{parameter.name}` of the job `{step.key}`"
    if isinstance(value, Reference):
        kind = _value_type(recorder, value)
        if kind is not None and not parameter.type.accepts(kind):
            recorder.problem(
                f"{what} is `{parameter.type}`, and {value.describe()} is `{kind}`",
                f"give it a value of the type `{parameter.type}`",
            )
        return _text(step, value)
    if isinstance(value, BundleVariable):
        return value.template
    if isinstance(value, Secret):
        recorder.problem(f"{what} is given a secret, which would show in the job's run", "let the other job ask for it")
        return ""
    try:
        return parameter.type.to_text(value)
    except (TypeError, UnsupportedLiteralError) as error:
        recorder.problem(
            f"{what} does not take {value!r:.60}: {error}", f"give it a value of the type `{parameter.type}`"
        )
        return ""
