"""Tasks that are not functions: the platform's native tasks, and runs of other jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.authoring import dates, recording
from dbxdec.authoring.calls import compute_settings
from dbxdec.authoring.compute import Environment, JobCluster
from dbxdec.authoring.nodes import Recorder, Step
from dbxdec.authoring.proxies import TaskProxy, TaskReference, UriReference
from dbxdec.authoring.references import ParameterProxy, Reference
from dbxdec.authoring.settings import given_fields, run_if_of
from dbxdec.errors import AuthoringError, Problem
from dbxdec.model import dag, following, rundate
from dbxdec.model.literals import UnsupportedLiteralError
from dbxdec.model.mistakes import forgiving, noted_by
from dbxdec.model.secrets import Secret
from dbxdec.model.values import ANY
from dbxdec.model.variables import UNKNOWN, BundleVariable
from dbxdec.platform import references

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Unpack

    from databricks.bundles.jobs import RunIfParam

    from dbxdec.authoring.keywords import NativeTaskFields
    from dbxdec.model.values import ValueType

_KEYWORDS = ("key", "depends_on", "run_if", "cluster", "environment")
# Equal values of these types may have several strings, of which a condition takes one.
_OF_MANY_STRINGS = ("int", "float", "decimal", "datetime")
_KINDS: dict[type, str] = {JobCluster: "cluster", Environment: "environment", TaskProxy: "depends_on"}


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
    """Add a task of any kind that the platform has, such as a notebook, SQL, dbt or a pipeline.

    Job parameters, task values, states (`x.state`) and places (`x.uri`) inside its fields become the platform's
    references. A reference to a task is an edge. Paths are relative to the project's root.

    Args:
        key: The task's key.
        depends_on: Results of tasks, or branches of conditions, that it waits for besides what its fields refer to.
        run_if: When to run, from the states of the upstream tasks.
        cluster: A job cluster, where the kind of task takes one.
        environment: An environment, where the kind of task takes one.
        **fields: Fields of a Databricks task, as the Jobs API spells them, one of which says the kind, as
            `notebook_task={...}`.

    Returns:
        The task: it has no result, but `.value(key)`, `.state` and `.after(...)`.

    Raises:
        AuthoringError: It is used outside of a job's body, or a field is unknown.

    Example:
        ```python
        import datetime as dt

        from dbxdec import job, native_task


        @job
        def daily(day: dt.date = dt.date(2024, 1, 1)) -> None:
            native_task(
                "show",
                notebook_task={"notebook_path": "notebooks/show.py", "base_parameters": {"day": day}},
            )
        ```
    """
    recorder = recorder_of("native_task")
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
        given = given_fields(
            "task", fields, filled={}, own=_KEYWORDS, kinds=_KINDS, refer=lambda value: _in_a_field(step, value)
        )
    recording.refuse(replace(problem, message=f"the task `{key}`: {problem.message}") for problem in problems)
    # A kind whose fields are wrong is there: the task has something to run.
    kept = {name: UNKNOWN for name in fields if problems and name.endswith("_task") and name not in given}
    step.settings = {**given, **kept, **compute_settings(recorder, key, cluster, environment)}
    recorder.add(step, "give each task a key of its own")
    step.depend_on_all(depends_on)
    return TaskProxy(step)


def run_job(
    recorder: Recorder,
    job: str,
    known: Mapping[str, dag.JobParameter | None],
    compared: Callable[[], Mapping[str, bool]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> TaskProxy[None]:
    """Return a task that runs the job `job` of this project, with its parameters checked.

    Those that are `known` as None are refused in their own job, so that nothing more is said of them. `compared` tells
    which of them its conditions compare. It is asked only where that matters.
    """
    step = Step(recorder=recorder, key=job, where=recording.caller(), kind="run_job")
    given = dict(zip(known, args, strict=False)) | kwargs
    if len(args) > len(known):
        recorder.problem(
            f"the job `{job}` has {len(known)} parameters but got {len(args)} values",
            dag.parameters_hint(known),
        )
    for name in kwargs:
        if name not in known:
            problem = dag.no_parameter(job, name, known)
            recorder.problem(problem.message, problem.hint)
    texts = {}
    for name, parameter in known.items():
        if parameter is None:
            continue
        if name in given:
            texts[name] = _parameter_text(step, parameter, given[name], compared)
        elif parameter.default is None:
            recorder.problem(
                f"the job `{job}` needs a value for its parameter `{name}`", f"its type is {parameter.type}"
            )
    task: dict[str, Any] = {"job_id": f"${{resources.jobs.{job}.id}}"}
    step.settings = {"run_job_task": task | ({"job_parameters": texts} if texts else {})}
    again = f'native_task("...", run_job_task={{"job_id": "{task["job_id"]}"}})'
    recorder.add(step, f"a call of a job has the job's key: to run it again use `{again}`")
    return TaskProxy(step)


def recorder_of(name: str) -> Recorder:
    recorder = recording.current()
    if not isinstance(recorder, Recorder):
        raise AuthoringError(
            Problem(f"{name}() is called outside a job's body", recording.caller(), "call it in a function with `@job`")
        )
    return recorder


def reference_to(step: Step, value: Reference) -> str:
    """Return the platform's reference to `value`, and order the step after its task."""
    recorder = step.recorder
    owner = value._recorder if isinstance(value, ParameterProxy) else getattr(value, "_call", step).recorder
    text = value.text()
    recorder.take(value)
    if isinstance(value, TaskProxy | TaskReference) and value._call.is_mistaken:
        return ""
    if owner is not recorder:
        recorder.problem(f"the task `{step.key}` gets {value.describe()} of the job `{owner.job}`")
    elif text is None:
        recorder.problem(
            f"the task `{step.key}` gets {value.describe()}, which "
            + ("is not stored in one place" if isinstance(value, UriReference) else "the platform can't refer to"),
            "use a job parameter, a small result, `x.value(key)`, `x.state`, or `x.uri` of a task with an IoManager",
        )
    elif isinstance(value, TaskProxy | TaskReference):
        step.wait_for(value._call.key)
    return text or ""


def follower_of(recorder: Recorder, value: object) -> following.Follower | None:
    """Return what makes the default of the job parameter `value` of the run's trigger; None for anything else."""
    declared = recorder.parameters.get(value._name) if isinstance(value, ParameterProxy) else None
    return None if declared is None else declared.follows


def date_of(step: Step, value: ParameterProxy) -> str:
    """Return the placeholder for the date of a job parameter that follows the run."""
    step.recorder.wants_dates.setdefault(step.key, set()).add(value._name)
    return dates.wanted(value._name)


def _in_a_field(step: Step, value: Reference) -> str:
    """Return the platform's reference to `value` for a field of a native task.

    The trigger's moment is on the right day for run_date() without offsets, in UTC. With offsets it is not.
    """
    if isinstance(value, ParameterProxy) and value._recorder is step.recorder:
        follows = follower_of(step.recorder, value)
        if follows not in (None, rundate.RunDate()):
            return date_of(step, value)
    return reference_to(step, value)


def value_type(recorder: Recorder, value: Reference) -> ValueType | None:
    """Return the type of a job parameter or a small result; None if it has none or is unknown."""
    if isinstance(value, ParameterProxy):
        declared = recorder.parameters.get(value._name)
        return declared.type if declared else None
    if isinstance(value, TaskProxy):
        value._call.read()
        output = value._call.outputs.get(dag.RESULT)
        return output.type if output else None
    return None


def _parameter_text(
    step: Step, parameter: dag.JobParameter, value: Any, compared: Callable[[], Mapping[str, bool]]
) -> str:
    recorder = step.recorder
    what = f"the parameter `{parameter.name}` of the job `{step.key}`"
    if isinstance(value, Reference):
        kind = value_type(recorder, value)
        if kind is not None and kind.kind == ANY:
            recorder.problem(
                f"{what} is `{parameter.type}`, but the type of {value.describe()} is unknown",
                f"add a return annotation to the task's function: `-> {parameter.type}`",
            )
        elif kind is not None and not parameter.type.accepts(kind):
            recorder.problem(
                f"{what} is `{parameter.type}`, but {value.describe()} is `{kind}`",
                f"pass a value of the type `{parameter.type}`",
            )
        text = reference_to(step, value)
        if (follows := follower_of(recorder, value)) is not None:
            return following.passing(follows, text)
        if isinstance(value, TaskProxy) and kind is not None and text and kind.kind in _OF_MANY_STRINGS:
            how = compared().get(parameter.name)
            if how and kind.kind != parameter.type.kind and parameter.type.accepts(kind):
                recorder.problem(
                    f"{what} is compared by a condition as the string of a `{parameter.type}`, but {value.describe()} "
                    f"is `{kind}`, whose strings differ",
                    f"annotate the task's function `-> {parameter.type}`",
                )
            if how is not None:
                return references.task_value(value._call.key, dag.RETURN_TEXT)
        if isinstance(value, TaskProxy) and kind is not None and kind.optional and text:
            return references.task_value(value._call.key, dag.RETURN_PARAMETER)
        return text
    if isinstance(value, BundleVariable):
        return value.template
    if isinstance(value, Secret):
        recorder.problem(
            f"{what} gets a secret, which would be visible in the job's run", "use the secret in the other job itself"
        )
        return ""
    try:
        return parameter.type.to_text(value)
    except (TypeError, UnsupportedLiteralError) as error:
        recorder.problem(f"{what} does not take {value!r:.60}: {error}", f"pass a value of the type `{parameter.type}`")
        return ""
