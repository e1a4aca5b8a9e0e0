"""The flow of one run: which task may start when, and the values that the run knows from tasks that have ended.

All commands and tests that run a job on this machine share it. Executors differ: `dbxdec run` starts tasks as
processes, many at once, and a test calls their functions one after another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from dbxdec.local.selection import followers
from dbxdec.model import protocol
from dbxdec.model.dag import run_order
from dbxdec.model.variables import resolve as resolve_variables
from dbxdec.platform import conditions, references, run_if
from dbxdec.platform import known as known_references
from dbxdec.platform.run_if import State
from dbxdec.platform.texts import iterations
from dbxdec.records import dataclass
from dbxdec.runtime import upstream

if TYPE_CHECKING:
    from dbxdec.model.dag import Job, Task


def _with_references(task: Task) -> Iterator[str]:
    """Yield the strings of a task in which the platform itself resolves references, not the task's function."""
    if task.each is not None:
        yield protocol.for_each_inputs(task.each)
        yield str(task.each.concurrency)
    yield from map(str, task.settings.get("condition_task", {}).values())
    yield from map(str, task.settings.get("run_job_task", {}).get("job_parameters", {}).values())


class Executor(Protocol):
    """Runs the tasks of one run, in whatever way."""

    def begin(self, task: Task) -> None:
        """Take `task`, whose upstream tasks have all ended."""

    def wait(self) -> str | None:
        """Wait for a task to end; return the key of one that ended since the last call, or None to be asked again."""


@dataclass()
class Flow:
    """One run of `job`. `known` has the values of references; each task that ends adds to it, in a new mapping."""

    job: Job
    variables: Mapping[str, str]
    known: Mapping[str, str]
    states: dict[str, State] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    """The branches that conditions have taken: "true" or "false"."""

    def drive(self, executor: Executor, done: Collection[str] = ()) -> None:
        """Give each task to `executor` once its upstream tasks have ended; those in `done` have ended before."""
        order, downstream = run_order(self.job), followers(self.job)
        tasks = {task.key: task for task in order}
        missing = {task.key: sum(d.task not in done for d in task.depends_on) for task in order}
        ready = [task.key for task in order if task.key not in done and not missing[task.key]]
        running = 0
        while ready or running:
            for key in ready:
                executor.begin(tasks[key])
            running, ready = running + len(ready), []
            if (ended := executor.wait()) is not None:
                running -= 1
                for key in downstream[ended]:
                    missing[key] -= 1
                    ready += [] if missing[key] else [key]

    def instead(self, task: Task) -> State | None:
        """Return the state of `task` when it must not run, None when it may."""
        return run_if.instead(task, self.states, self.outcomes)

    def not_run(self, task: Task) -> dict[str, str]:
        """Return the upstream tasks of `task` that have not run to their end, and the state of each.

        A skipped one counts as done: its function is the platform's.
        """
        found = {d.task: self.states[d.task] for d in task.depends_on}
        return {key: str(state) for key, state in found.items() if state not in (State.SUCCESS, State.SKIPPED)}

    @staticmethod
    def refuse_absent(task: Task, known: Mapping[str, str], not_run: Mapping[str, str]) -> None:
        """Raise RunError if items, a condition or parameters of `task` need a value that no task has left.

        `not_run` are the upstream tasks that have not run, and how each has ended.
        """
        for text in _with_references(task):
            for segments in references.found_in(text):
                how = not_run.get(segments[1]) if segments[0] == "tasks" and segments[2:3] == ("values",) else None
                if how is not None and references.path(*segments) not in known:
                    raise upstream.left_nothing(segments[1], how, task.key)

    def end(self, key: str, state: State, values: Mapping[str, Any]) -> None:
        """Note that a task has ended, and its task values."""
        self.states[key] = state
        self.known = {**self.known, **known_references.of_task(key, state, values)}

    def resolved(self, text: str, known: Mapping[str, str]) -> str:
        """Return `text` with bundle variables and references resolved."""
        return references.resolve(resolve_variables(text, self.variables), known)

    def decide(self, task: Task, known: Mapping[str, str]) -> tuple[bool, str]:
        """Evaluate a condition, note the branch, and return whether it holds, and that in words. Raises RunError."""
        held, said = conditions.decide(task.settings["condition_task"], lambda text: self.resolved(text, known))
        self.take_branch(task.key, held)
        return held, said

    def take_branch(self, key: str, held: bool) -> None:
        """Note the branch of a condition."""
        self.outcomes[key] = "true" if held else "false"

    def iterations(self, task: Task, known: Mapping[str, str]) -> list[dict[str, str]]:
        """Return the values of references for each iteration of a for-each task. Raises RunError."""
        assert task.each is not None  # noqa: S101 - the caller has looked
        return iterations(references.resolve(protocol.for_each_inputs(task.each), known))

    @property
    def upstream(self) -> dict[str, tuple[str, ...]]:
        """Return the tasks that each task waits for, in the order of the run."""
        return {task.key: tuple(d.task for d in task.depends_on) for task in run_order(self.job)}
