"""Records of runs: for a program as JSON, and in words for people."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from dbxdec.model import following

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.local.history import Run


def as_json(run: Run) -> dict[str, Any]:
    """Return a run for a program: how it ended, and each of its tasks."""
    return {
        "id": run.id,
        "job": run.job,
        "state": run.state,
        "build_id": run.head["build_id"],
        "started_ms": run.started,
        "ended_ms": run.ended,
        "repairs": run.repairs,
        "parameters": {name: following.shown(text) for name, text in run.head["parameters"].items()},
        "variables": run.head["variables"],
        "tasks": [
            {**{k: v for k, v in event.items() if k != "event"}, "runs": [_attempt(a) for a in run.attempts(key)]}
            for key, event in run.tasks().items()
        ],
        "folder": str(run.folder),
    }


def _attempt(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in ("event", "task")}


def moment(ms: int) -> str:
    """Return a time of this machine's clock."""
    return dt.datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
