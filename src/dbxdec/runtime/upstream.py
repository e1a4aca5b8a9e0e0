"""Upstream tasks that have not run their function: why an input of a task may have nothing to read.

Only a run on this machine, or in a test, knows how they have ended; the platform does not say it to a task.
"""

from __future__ import annotations

import json
import os

from dbxdec.errors import NotWrittenError
from dbxdec.platform.run_if import State

VARIABLE = "DBXDEC_NOT_RUN"
"""The environment variable with those tasks and how each has ended, as JSON; the local runner sets it."""
REPLACED = "replaced by a command"
_FAILED = frozenset({State.FAILED, State.TIMED_OUT, State.CANCELLED})


def not_run() -> dict[str, str]:
    """Return the upstream tasks that have not run, and how each has ended, if the runner has said it."""
    found: dict[str, str] = json.loads(os.environ.get(VARIABLE) or "{}")
    return found


def ended(task: str, how: str) -> str:
    """Return how a task that has returned nothing has ended, as a part of a sentence."""
    return f"the task `{task}` {'has failed' if how in _FAILED else 'did not run'} in this run ({how})"


def error(task: str, how: str, parameter: str, reader: str, *, is_table: bool) -> NotWrittenError:
    """Return the error of an input of the task `reader` that needs what such a task would have returned."""
    ways = [f"annotate `{parameter}` with `| None`, if that may happen"]
    if how == State.DESELECTED:
        ways.insert(0, f"run it too, as with `--from {task} --until {reader}`, or in a test with `inputs=`")
    if is_table:
        ways.append("read the newest version of any run: `latest(x)`, or the table itself (`io.table(...)`)")
    return NotWrittenError(
        f"{ended(task, how)}, so it has returned nothing, but `{parameter}` needs it", hint="; or ".join(ways)
    )
