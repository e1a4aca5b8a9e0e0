"""The result of a run in a test: the input and the output of each task."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.errors import HandledError, RunError, did_you_mean, listed
from dbxdec.platform import status
from dbxdec.platform.run_if import State
from dbxdec.records import dataclass
from dbxdec.testing.arguments import check_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dbxdec.testing.lake import Lake


@dataclass(frozen=True, eq=False)
class TaskResult:
    """The result of a task, or of one iteration of it.

    Attributes:
        key: The task's key.
        state: How it ended.
        reads: The arguments that its function was given, by parameter.
        task_values: What it has set with `set_task_value`.
        fields: The fields of a native task, a condition or a run of another job, with references resolved.
        error: What it raised; None if it raised nothing.
        iterations: Those of a task with `each(...)`, in the order of the items.
        item: The item, of an iteration.
        run: The run of another job that the task has started.
        expectations: How the expectations of its table came out, by their names: `failed` of `rows`, and the `action`;
            of those over all rows also the `rule`. So did the rules of its contract (`"contract"`). With named outputs
            by the output first; those of a for-each task are in its `iterations`.

    Example:
        ```python
        from dbxdec.testing import State, TaskResult

        assert TaskResult("load", State.SUCCESS).error is None
        ```
    """

    key: str
    state: State
    reads: Mapping[str, Any] = field(default_factory=dict)
    task_values: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    error: Exception | None = None
    iterations: tuple[TaskResult, ...] = ()
    item: Any = None
    run: JobResult | None = None
    expectations: Mapping[str, Any] = field(default_factory=dict)
    load: Callable[[], Any] | None = field(default=None, repr=False)

    @property
    def value(self) -> Any:
        """The task's stored result: a frame, a small result, a dict of its outputs, a list for its iterations.

        If nothing stores it, it is what the function returned. Of a condition it is whether it holds.

        Raises:
            RunError: The task has not succeeded.
        """
        __tracebackhide__ = True
        if self.load is None or self.state is not State.SUCCESS:
            why = f": {type(self.error).__name__}: {self.error}" if self.error else ""
            raise RunError(f"the task `{self.key}` has no result, its state is {self.state}{why}")
        return self.load()

    def __repr__(self) -> str:
        return f"<{self.key}: {self.state}>"


@dataclass(frozen=True, eq=False)
class JobResult:
    """The result of a run of a job.

    `result["delays"]` is the result of its task `delays`; `result["a/b"]` that of the task `b` of the job that the task
    `a` runs. A task that the job does not have is a RunError.

    Attributes:
        job: The job's key.
        tasks: The results of all tasks, by key.
        parameters: The job parameters, typed.
        tables: The tables, in memory.

    Example:
        ```python
        from dbxdec import job, task
        from dbxdec.testing import JobResult, run_job


        @job
        def hello() -> None:
            @task
            def one() -> int:
                return 1

            one()


        result: JobResult = run_job(hello)
        assert result.states == {"one": "success"}
        assert result.outputs == {"one": 1}
        ```
    """

    job: str
    tasks: Mapping[str, TaskResult]
    parameters: Mapping[str, Any]
    tables: Lake
    stored: frozenset[str] = field(repr=False)
    upstream: Mapping[str, tuple[str, ...]] = field(repr=False)

    @property
    def state(self) -> State:
        """The state in which the run ended, as on the platform: failed if a task has failed that no other waits for."""
        return status.of_run({key: task.state for key, task in self.tasks.items()}, self.upstream)

    @property
    def states(self) -> dict[str, str]:
        """The states of all tasks: "success", "failed", "upstream failed", "excluded", "skipped", "not selected"."""
        return {key: str(task.state) for key, task in self.tasks.items()}

    @property
    def outputs(self) -> dict[str, Any]:
        """The results of the tasks that have stored one."""
        done = (self.tasks[key] for key in self.tasks if key in self.stored)
        return {task.key: task.value for task in done if task.state is State.SUCCESS}

    @property
    def error(self) -> Exception | None:
        """The error that the first failed task has raised; None if no task has failed."""
        errors = [task.error for task in self.tasks.values() if task.error is not None]
        return next((error for error in errors if not isinstance(error, HandledError)), None)

    def __getitem__(self, key: str) -> TaskResult:
        """Return the result of the task `key`. Raises RunError for a task that the job does not have."""
        __tracebackhide__ = True
        check_key(key)
        first, _, rest = key.partition("/")
        if rest and first in self.tasks and (inner := self.tasks[first].run) is not None:
            return inner[rest]
        if key not in self.tasks:
            hint = did_you_mean(key, self.tasks) or f"its tasks are {listed(list(self.tasks))}"
            raise RunError(f"the job `{self.job}` has no task `{key}`", hint=hint)
        return self.tasks[key]

    def __repr__(self) -> str:
        return f"<{self.job}: {', '.join(f'{key} {state}' for key, state in self.states.items())}>"
