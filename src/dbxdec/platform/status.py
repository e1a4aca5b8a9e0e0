"""The state of a run: the platform looks only at the leaves, the tasks that no other task waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.platform.run_if import State, failed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SUCCEEDED = frozenset({State.SUCCESS, State.SUCCESS_WITH_FAILURES})
"""The states of a run that succeeded, also for the run-job task that started it."""


def leaves(upstream: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the tasks that no other task waits for. `upstream` has, for each task, the tasks that it waits for."""
    return set(upstream) - {key for others in upstream.values() for key in others}


def of_run(states: Mapping[str, State], upstream: Mapping[str, Iterable[str]]) -> State:
    """Return the state of a run from the states of its tasks.

    Tasks that were not selected are not part of the run.
    """
    part = {key: state for key, state in states.items() if state is not State.DESELECTED}
    if State.CANCELLED in part.values():
        return State.CANCELLED
    ends = leaves({key: upstream[key] for key in part})
    if any(failed(part[key]) for key in ends):
        return State.FAILED
    return State.SUCCESS_WITH_FAILURES if any(map(failed, part.values())) else State.SUCCESS
