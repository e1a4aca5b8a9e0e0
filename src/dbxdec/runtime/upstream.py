"""Upstream tasks that have not run their function: why an input of a task may have nothing to read.

A run on this machine, or in a test, knows how they have ended; the platform tells a task of those that may not run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dbxdec.errors import NotWrittenError, RunError
from dbxdec.platform.run_if import STATE_OF, State
from dbxdec.support import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "DBXDEC_NOT_RUN"
"""The environment variable with those tasks and how each has ended, as JSON; the local runner sets it."""
REPLACED = "replaced by a command"
_FAILED = frozenset({State.FAILED, State.TIMED_OUT, State.CANCELLED})
LEFT_OUT: frozenset[str] = frozenset({State.EXCLUDED, State.UPSTREAM_FAILED})
"""The states of a task that has not even begun. What an earlier attempt of the run has stored is no result of it."""


def not_run() -> dict[str, str]:
    """Return the upstream tasks that have not run, and how each has ended, if the runner has said it."""
    found: dict[str, str] = json.loads(environment.given(VARIABLE) or "{}")
    return found


def of_platform(states: Mapping[str, str]) -> dict[str, str]:
    """Return those of them that have not run, and how each has ended, by the result states of the platform."""
    return {task: str(STATE_OF[state]) for task, state in states.items() if STATE_OF[state] is not State.SUCCESS}


def ended(task: str, how: str) -> str:
    """Return how a task that has returned nothing has ended, as a part of a sentence."""
    return f"the task `{task}` {'has failed' if how in _FAILED else 'did not run'} in this run ({how})"


def error(task: str, how: str, parameter: str, reader: str, *, is_table: bool) -> NotWrittenError:
    """Return the error of an input of the task `reader` that needs what such a task would have returned."""
    ways = [f"annotate `{parameter}` with `| None`, if that may happen"]
    if how == State.DESELECTED:
        ways.insert(0, _run_it_too(task, reader))
    if is_table:
        ways.append("read the newest version of any run: `latest(x)`, or the table itself (`io.table(...)`)")
    return NotWrittenError(
        f"{ended(task, how)}, so it has returned nothing, but `{parameter}` needs it", hint="; or ".join(ways)
    )


def left_nothing(task: str, how: str, reader: str) -> RunError:
    """Return the error of the items, the condition or the parameters of `reader` that need a value of such a task."""
    hint = _run_it_too(task, reader) if how == State.DESELECTED else f"let it run whenever `{reader}` runs"
    return RunError(f"{ended(task, how)}, so it has left no value, but `{reader}` needs it", hint=hint)


def _run_it_too(task: str, reader: str) -> str:
    return f"run it too, as with `--from {task} --until {reader}`, or in a test with `inputs=`"
