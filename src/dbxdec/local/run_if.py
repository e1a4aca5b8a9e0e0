"""When a task runs, from the states of the tasks before it (docs.databricks.com, "Configure task dependencies")."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.dag import Task


class State(StrEnum):
    """How a task ended.

    `EXCLUDED`: its branch was not taken or its `run_if` did not hold, which the platform treats as success. `SKIPPED`:
    only the platform can run it, and here it counts as done. `DESELECTED`: nobody has asked for it, which the platform
    treats as success as well.
    """

    SUCCESS = "success"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    UPSTREAM_FAILED = "upstream failed"
    EXCLUDED = "excluded"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    DESELECTED = "not selected"


_FAILURES = frozenset({State.FAILED, State.TIMED_OUT, State.UPSTREAM_FAILED, State.CANCELLED})


def failed(state: State) -> bool:
    """Whether the tasks behind one in this state see a failure."""
    return state in _FAILURES


def instead(task: Task, states: Mapping[str, State], outcomes: Mapping[str, str]) -> State | None:
    """The state of `task` where it must not run, None where it may.

    `states` are those of the tasks that it waits for, all of which have ended, `outcomes` the branches that conditions
    have taken.
    """
    seen = []
    for dependency in task.depends_on:
        taken = outcomes.get(dependency.task)
        left_out = dependency.outcome is not None and taken is not None and taken != dependency.outcome
        seen.append(State.EXCLUDED if left_out else states[dependency.task])
    gates = [state for state, d in zip(seen, task.depends_on, strict=True) if d.outcome is not None]
    return instead_of_running(task.run_if, seen, gates=gates)


def instead_of_running(run_if: str | None, before: Sequence[State], *, gates: Sequence[State] = ()) -> State | None:
    """The state of a task that must not run, None for one that may.

    `gates` are those of `before` that stand for branches: each outcome has to be met for the task to run, whatever else
    it waits for (the Jobs API's reference, `TaskDependency.outcome`).
    """
    if any(state is State.EXCLUDED for state in gates):
        return State.EXCLUDED
    # docs.databricks.com, "Configure task dependencies": where all before are excluded, so is this one.
    if before and all(state is State.EXCLUDED for state in before):
        return State.EXCLUDED
    failures = sum(map(failed, before))
    ran = sum(state in (State.SUCCESS, State.SKIPPED, State.DESELECTED) for state in before)
    match run_if or "ALL_SUCCESS":
        case "ALL_SUCCESS":
            return State.UPSTREAM_FAILED if failures else None
        case "AT_LEAST_ONE_SUCCESS":
            return None if ran or not before else State.UPSTREAM_FAILED if failures else State.EXCLUDED
        case "NONE_FAILED":
            return State.UPSTREAM_FAILED if failures else None if ran or not before else State.EXCLUDED
        case "ALL_FAILED":
            return None if before and failures == len(before) else State.EXCLUDED
        case "AT_LEAST_ONE_FAILED":
            return None if failures else State.EXCLUDED
        case _:  # ALL_DONE
            return None
