"""The shape of a job, for assertions: its tasks, what they wait for, where their arguments come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.authoring import contracting
from dbxdec.errors import AuthoringError, RunError, did_you_mean, in_order, listed
from dbxdec.model import checks, dag, literals
from dbxdec.records import dataclass
from dbxdec.testing.arguments import check_job, check_key
from dbxdec.testing.given import resolved_in_a_run
from dbxdec.views import texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.authoring.jobs import BuiltJob, Job


@dataclass(frozen=True)
class TaskShape:
    """A task, in words.

    Attributes:
        key: The task's key.
        kind: `"function"`, `"for each"`, `"notebook_task"` and so on.
        inputs: Where each argument comes from: `extract`, `split["bad"]`, `parameter day`, `table ${var.root}/x`,
            `each item`, or the literal as Python writes it.
        after: The tasks that it waits for; `incomplete.true` for a branch of the condition `incomplete`.
        targets: The places of its outputs.
        run_if: When it runs, if it says so.
        each: Where the items of a for-each task come from.
        settings: The platform's fields.

    Example:
        ```python
        from dbxdec import job, task
        from dbxdec.testing import TaskShape, job_dag


        @job
        def hello(name: str = "world") -> None:
            @task
            def greet(name: str) -> None: ...

            greet(name)


        shape: TaskShape = job_dag(hello)["greet"]
        assert shape.inputs == {"name": "parameter name"}
        ```
    """

    key: str
    kind: str
    inputs: Mapping[str, str]
    after: frozenset[str]
    targets: Mapping[str, str | None]
    run_if: str | None
    each: str | None
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class JobDag:
    """The shape of a job: what `job_dag(job)` returns. `dag["task"]` is the shape of one task.

    Attributes:
        key: The job's key.
        tasks: The keys of its tasks.
        edges: Pairs of a task and one that waits for it.
        parameters: The job's parameters, in words.
        settings: The platform's fields.
        shapes: All tasks, in the order of the job's body.

    Raises:
        RunError: `dag[key]` is asked for a task that the job does not have.

    Example:
        ```python
        from dbxdec import job, task
        from dbxdec.testing import JobDag, job_dag


        @job
        def two() -> None:
            @task
            def first() -> int: ...

            @task
            def second(n: int) -> None: ...

            second(first())


        dag: JobDag = job_dag(two)
        assert dag.edges == {("first", "second")}
        ```
    """

    key: str
    tasks: frozenset[str]
    edges: frozenset[tuple[str, str]]
    parameters: Mapping[str, str]
    settings: Mapping[str, Any]
    shapes: tuple[TaskShape, ...]

    def __getitem__(self, key: str) -> TaskShape:
        """The task `key`. Raises RunError for a task that the job does not have."""
        __tracebackhide__ = True
        check_key(key)
        for shape in self.shapes:
            if shape.key == key:
                return shape
        known = [shape.key for shape in self.shapes]
        hint = did_you_mean(key, known) or f"its tasks are {listed(known)}"
        raise RunError(f"the job `{self.key}` has no task `{key}`", hint=hint)


def job_dag(job: Job[...]) -> JobDag:
    """Return the shape of a job, for assertions.

    Args:
        job: The job: a function with `@job`.

    Returns:
        Its tasks, what they wait for, and where their arguments come from.

    Raises:
        AuthoringError: The build would refuse the job; all mistakes at once.

    Example:
        ```python
        from dbxdec import job, task
        from dbxdec.testing import job_dag


        @job
        def hello() -> None:
            @task
            def one() -> int: ...

            one()


        assert job_dag(hello).tasks == {"one"}
        ```
    """
    __tracebackhide__ = True
    check_job(job)
    found = built(job)[job.key].dag
    shapes = tuple(map(_shape, found.tasks))
    return JobDag(
        key=found.key,
        tasks=frozenset(task.key for task in found.tasks),
        edges=frozenset((before, shape.key) for shape in shapes for before in shape.after),
        parameters={parameter.name: texts.parameter(parameter) for parameter in found.parameters},
        settings=found.settings,
        shapes=shapes,
    )


def built(job: Job[...]) -> dict[str, BuiltJob]:
    """Return `job` and the jobs that it runs, by key. Raises AuthoringError with every mistake in their bodies."""
    __tracebackhide__ = True
    found: dict[str, BuiltJob] = {}
    waiting = [job]
    while waiting:
        one = waiting.pop()
        found[one.key] = one.build()
        waiting += [other for key, other in found[one.key].jobs.items() if key not in found]
    problems = [problem for one in found.values() for problem in one.problems]
    dags = [one.dag for one in found.values()]
    problems = problems or [*checks.check(dags), *contracting.across(dags)]
    if problems:
        raise AuthoringError(in_order(problems))
    return found


def _shape(task: dag.Task) -> TaskShape:
    return TaskShape(
        key=task.key,
        kind=texts.kind(task),
        inputs={name: _said(binding) for name, binding in task.inputs.items()},
        after=frozenset(d.task if d.outcome is None else f"{d.task}.{d.outcome}" for d in task.depends_on),
        targets={name: output.target for name, output in task.outputs.items()},
        run_if=task.run_if,
        each=None if task.each is None else _said(task.each.items),
        settings=task.settings,
    )


def _said(binding: dag.Binding) -> str:
    if isinstance(binding, dag.Literal) and not any(resolved_in_a_run(binding.value)):
        return repr(literals.decode(binding.value))
    return texts.binding(binding)
