"""Ends the runs that a backfill has left at work on the platform."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dbxdec.remote.started import Started
from dbxdec.remote.workspace import RefusedError, Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from dbxdec.local.backfills import Record


def cancel_runs(record: Record, here: Path) -> int:
    """Cancel the runs of which nothing tells that they have ended, and return their number. Raises RunError."""
    head, place = record.head, record.place
    job_id, plan, names = int(place["job_id"]), set(record.plan), [str(name) for name in head["names"]]
    started = Started.of(here, str(head["job"]), str(head["target"]), job_id)
    wanted = {run for key, run in started.open_runs().items() if key in plan}
    asked_for = plan & started.unanswered()
    workspace = Workspace.connect(place.get("host"), place.get("profile"))
    at_work = {
        run.id
        for run in workspace.runs(job_id, active_only=True)
        if run.id in wanted or tuple(run.parameters.get(name) for name in names) in asked_for
    }
    for run_id in sorted(at_work):
        with suppress(RefusedError):  # it has just ended
            workspace.cancel(run_id)
    return len(at_work)
