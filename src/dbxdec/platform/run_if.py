"""The rules for when a task runs, given its upstream tasks (docs.databricks.com, "Configure task dependencies")."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class State(StrEnum):
    """The state in which a task, or a run, ended. It is a string: `"success"`, `"upstream failed"` and so on.

    `EXCLUDED`: its branch was not taken or its `run_if` did not hold, which the platform treats as success. `SKIPPED`:
    only the platform can run it, and here it counts as done. `DESELECTED`: nobody has asked for it, which the platform
    treats as success as well. `SUCCESS_WITH_FAILURES`: a run in which a task failed, and none of those that no other
    task waits for.

    Example:
        ```python
        from dbxdec.testing import State

        assert State.UPSTREAM_FAILED == "upstream failed"
        ```
    """

    SUCCESS = "success"
    SUCCESS_WITH_FAILURES = "succeeded with failures"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    UPSTREAM_FAILED = "upstream failed"
    EXCLUDED = "excluded"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    DESELECTED = "not selected"


RESULT_STATES = frozenset(
    {
        "success",
        "failed",
        "excluded",
        "canceled",
        "evicted",
        "timedout",
        "upstream_canceled",
        "upstream_evicted",
        "upstream_failed",
    }
)
"""The possible values of `{{tasks.<task>.result_state}}` (docs.databricks.com, "Dynamic value references")."""

RESULT_STATE_OF = {
    State.SUCCESS: "success",
    State.SKIPPED: "success",
    State.FAILED: "failed",
    State.TIMED_OUT: "timedout",
    State.UPSTREAM_FAILED: "upstream_failed",
    State.EXCLUDED: "excluded",
    State.CANCELLED: "canceled",
}
"""Result states by state. A task that was not selected has none: it is not part of the run."""

STATE_OF = {
    **{ended: state for state, ended in RESULT_STATE_OF.items() if state is not State.SKIPPED},
    "evicted": State.CANCELLED,
    "upstream_canceled": State.UPSTREAM_FAILED,
    "upstream_evicted": State.UPSTREAM_FAILED,
}
"""States by result state."""

RUNS_AFTER_FAILURE = frozenset({"ALL_DONE", "AT_LEAST_ONE_SUCCESS", "AT_LEAST_ONE_FAILED", "ALL_FAILED"})
"""Values of `run_if` with which a task may run although an upstream task has failed."""
NEEDS_FAILURE = frozenset({"AT_LEAST_ONE_FAILED", "ALL_FAILED"})
"""Values of `run_if` with which a task runs only if an upstream task has failed, and is excluded otherwise."""

_FAILURES = frozenset({State.FAILED, State.TIMED_OUT, State.UPSTREAM_FAILED, State.CANCELLED})


class _Dependency(Protocol):
    @property
    def task(self) -> str: ...
    @property
    def outcome(self) -> str | None: ...


class _Task(Protocol):
    @property
    def depends_on(self) -> Iterable[_Dependency]: ...
    @property
    def run_if(self) -> str | None: ...


def failed(state: State) -> bool:
    """Return whether a task in this state counts as failed for its downstream tasks."""
    return state in _FAILURES


def instead(task: _Task, states: Mapping[str, State], outcomes: Mapping[str, str]) -> State | None:
    """Return the state of `task` if it must not run, or None if it may run.

    `states` are those of its upstream tasks, all of which have ended. `outcomes` are the branches that conditions have
    taken.
    """
    seen, gates = [], []
    for dependency in task.depends_on:
        taken = outcomes.get(dependency.task)
        left_out = dependency.outcome is not None and taken is not None and taken != dependency.outcome
        seen.append(State.EXCLUDED if left_out else states[dependency.task])
        if dependency.outcome is not None:
            gates.append(seen[-1])
    return instead_of_running(task.run_if, seen, gates=gates)


def instead_of_running(run_if: str | None, upstream: Sequence[State], *, gates: Sequence[State] = ()) -> State | None:
    """Return the state of a task that must not run, or None for one that may run.

    `gates` are the states in `upstream` that belong to branches. For the task to run, each outcome has to be met,
    whatever else the task waits for (the Jobs API's reference, `TaskDependency.outcome`).
    """
    if any(state is State.EXCLUDED for state in gates):
        return State.EXCLUDED
    if any(map(failed, gates)):
        return State.UPSTREAM_FAILED
    # "If all task dependencies are excluded, the task is also excluded, regardless of its Run if condition."
    if upstream and all(state is State.EXCLUDED for state in upstream):
        return State.EXCLUDED
    failures = sum(map(failed, upstream))
    ran = sum(state in (State.SUCCESS, State.SKIPPED, State.DESELECTED) for state in upstream)
    match run_if or "ALL_SUCCESS":
        case "ALL_SUCCESS" | "NONE_FAILED":  # excluded tasks count as successes
            return State.UPSTREAM_FAILED if failures else None
        case "AT_LEAST_ONE_SUCCESS":
            return None if ran or not upstream else State.UPSTREAM_FAILED
        case "ALL_FAILED":
            return None if upstream and failures == len(upstream) else State.EXCLUDED
        case "AT_LEAST_ONE_FAILED":
            return None if failures else State.EXCLUDED
        case _:  # ALL_DONE
            return None
