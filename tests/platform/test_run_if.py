"""When a task runs: `run_if` and branches over the states of its upstream tasks, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import pytest

from dbxdec.platform.known import of_task
from dbxdec.platform.run_if import (
    NEEDS_FAILURE,
    RESULT_STATE_OF,
    RESULT_STATES,
    RUNS_AFTER_FAILURE,
    STATE_OF,
    State,
    failed,
    instead,
    instead_of_running,
)
from dbxdec.runtime import upstream

FAILED = (State.FAILED, State.TIMED_OUT, State.UPSTREAM_FAILED, State.CANCELLED)
DONE = (State.SUCCESS, State.SKIPPED, State.DESELECTED)
LEFT_OUT = State.EXCLUDED
RUNS, STOPPED = None, State.UPSTREAM_FAILED
ALL = ("ALL_SUCCESS", "NONE_FAILED", "AT_LEAST_ONE_SUCCESS", "ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED")

# By the upstream tasks: "d" is done, "f" has failed, "x" is excluded.
TABLE = {
    "": (RUNS, RUNS, RUNS, RUNS, LEFT_OUT, LEFT_OUT),
    "d": (RUNS, RUNS, RUNS, RUNS, LEFT_OUT, LEFT_OUT),
    "f": (STOPPED, STOPPED, STOPPED, RUNS, RUNS, RUNS),
    "x": (LEFT_OUT,) * 6,
    "xx": (LEFT_OUT,) * 6,
    "df": (STOPPED, STOPPED, RUNS, RUNS, RUNS, LEFT_OUT),
    "dx": (RUNS, RUNS, RUNS, RUNS, LEFT_OUT, LEFT_OUT),
    "fx": (STOPPED, STOPPED, STOPPED, RUNS, RUNS, LEFT_OUT),
    "ff": (STOPPED, STOPPED, STOPPED, RUNS, RUNS, RUNS),
    "dfx": (STOPPED, STOPPED, RUNS, RUNS, RUNS, LEFT_OUT),
}


@pytest.mark.parametrize(("upstream", "expected"), TABLE.items())
def test_each_value_of_run_if(upstream: str, expected: tuple[State | None, ...]) -> None:
    """Whatever the kind of failure, and whether a task has run, is skipped or was not selected."""
    for states in product(*({"d": DONE, "f": FAILED, "x": (LEFT_OUT,)}[letter] for letter in upstream)):
        assert tuple(instead_of_running(value, states) for value in ALL) == expected
        assert instead_of_running(None, states) == expected[0]


def test_the_sets_follow_from_the_rules() -> None:
    """What may run after a failure, and what needs one, is what the table says."""
    one_failed = {value for i, value in enumerate(ALL) if RUNS in (TABLE["f"][i], TABLE["df"][i])}
    assert one_failed == RUNS_AFTER_FAILURE
    assert {value for i, value in enumerate(ALL) if TABLE["d"][i] is LEFT_OUT} == NEEDS_FAILURE
    assert {state for state in State if failed(state)} == {*FAILED}


@dataclass(frozen=True)
class Dependency:
    task: str
    outcome: str | None = None


@dataclass(frozen=True)
class Task:
    depends_on: tuple[Dependency, ...]
    run_if: str | None = None


BRANCH, WHOLE, OTHER = Dependency("chosen", "true"), Dependency("chosen"), Dependency("other")


@pytest.mark.parametrize(
    ("depends_on", "chosen", "taken", "run_if", "expected"),
    [
        ((BRANCH,), State.SUCCESS, "true", None, RUNS),
        ((BRANCH,), State.SUCCESS, "false", None, LEFT_OUT),
        ((BRANCH, OTHER), State.SUCCESS, "false", "ALL_DONE", LEFT_OUT),  # a branch has to be taken, whatever else
        ((OTHER, BRANCH), State.SUCCESS, "false", "AT_LEAST_ONE_SUCCESS", LEFT_OUT),
        ((WHOLE,), State.SUCCESS, "true", None, RUNS),  # it waits for the condition, and for no branch
        ((WHOLE,), State.SUCCESS, "false", None, RUNS),
        ((BRANCH, OTHER), State.FAILED, None, "ALL_DONE", STOPPED),  # without an outcome no branch is taken
        ((BRANCH, OTHER), State.EXCLUDED, None, "ALL_DONE", LEFT_OUT),
        ((WHOLE, OTHER), State.FAILED, None, "ALL_DONE", RUNS),
        ((BRANCH,), State.DESELECTED, None, None, RUNS),  # nobody has asked for the condition
    ],
)
def test_branches(
    depends_on: tuple[Dependency, ...], chosen: State, taken: str | None, run_if: str | None, expected: State | None
) -> None:
    """A branch counts before `run_if`; a task that waits for the condition itself runs after either outcome."""
    states = {"chosen": chosen, "other": State.SUCCESS}
    assert instead(Task(depends_on, run_if), states, {"chosen": taken} if taken else {}) == expected


def test_result_states_are_those_of_the_platform() -> None:
    """Each state of a task that is part of a run has one, in the words of the platform's references."""
    ended = {state for state in State if state not in (State.DESELECTED, State.SUCCESS_WITH_FAILURES)}
    assert set(RESULT_STATE_OF) == ended
    assert set(RESULT_STATE_OF.values()) <= RESULT_STATES
    of_failed = {str(state): RESULT_STATE_OF[state] for state in FAILED}
    assert of_failed == {
        "failed": "failed",
        "timed out": "timedout",
        "upstream failed": "upstream_failed",
        "cancelled": "canceled",
    }
    assert all(failed(state) != (RESULT_STATE_OF[state] in ("success", "excluded")) for state in ended)
    assert of_task("a", State.TIMED_OUT, {})["tasks.a.result_state"] == "timedout"
    assert RESULT_STATES - set(RESULT_STATE_OF.values()) == {"evicted", "upstream_canceled", "upstream_evicted"}


def test_each_result_state_of_the_platform_is_a_state() -> None:
    """A task is told with them how its upstream tasks have ended: that of a task that was skipped is a success."""
    assert set(STATE_OF) == RESULT_STATES
    assert all(RESULT_STATE_OF[STATE_OF[ended]] == ended for ended in RESULT_STATE_OF.values())
    assert STATE_OF["success"] is State.SUCCESS
    assert all(failed(STATE_OF[ended]) for ended in RESULT_STATES - {"success", "excluded"})


def test_upstream_tasks_that_have_run_are_not_among_those_that_have_not() -> None:
    """By the states that the platform tells; how the others have ended is said in words of ours."""
    told = {ended: ended for ended in sorted(RESULT_STATES)}
    assert upstream.of_platform(told) == {ended: str(STATE_OF[ended]) for ended in RESULT_STATES - {"success"}}
    assert upstream.of_platform({"a": "success", "b": "timedout"}) == {"b": "timed out"}
