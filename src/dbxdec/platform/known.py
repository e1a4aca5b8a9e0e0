"""The values of references in a run on this machine."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from dbxdec.platform.references import RESULT_STATE, path, resolve
from dbxdec.platform.run_if import RESULT_STATE_OF, State
from dbxdec.platform.texts import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def of_run(job: str, run_id: str, started: int, parameters: Mapping[str, str], *, repair: int = 0) -> dict[str, str]:
    """Return the values of references to a run. It was triggered when it `started`, in milliseconds since the epoch."""
    known = {
        "workspace.id": "local",
        "job.id": job,
        "job.name": job,
        "job.run_id": run_id,
        "job.repair_count": str(repair),
        "job.trigger.type": "one_time",
    }
    for name, text in _parts(started).items():
        known |= {f"job.start_time.{name}": text, f"job.trigger.time.{name}": text}
    # A default may itself be a reference, such as that of run_date(...).
    return known | {path("job", "parameters", name): resolve(text, known) for name, text in parameters.items()}


def at_start(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the references that each task of a run on this machine can resolve.

    What only the run or the task knows has its own name as its value.
    """
    names = [*of_run("", "", 0, {}), "task.name", "task.execution_count"]
    known = dict(zip(names, names, strict=True))
    return known | {path("job", "parameters", name): resolve(text, known) for name, text in parameters.items()}


def of_task(task: str, state: State, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of references to a task that has ended. `values` are the task values that it has set."""
    ended = RESULT_STATE_OF.get(state)
    found = {} if ended is None else {path("tasks", task, RESULT_STATE): ended}
    return found | {path("tasks", task, "values", key): text_of(value) for key, value in values.items()}


def _parts(milliseconds: int) -> dict[str, str]:
    """Return the parts of a moment in UTC, by their names in references."""
    moment = dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    fields = {name: str(getattr(moment, name)) for name in ("year", "month", "day", "hour", "minute", "second")}
    return {
        **fields,
        "timestamp_ms": str(milliseconds),
        "iso_datetime": moment.isoformat(timespec="seconds"),
        "iso_date": moment.date().isoformat(),
        "iso_weekday": str(moment.isoweekday()),
        "is_weekday": "true" if moment.isoweekday() <= 5 else "false",
    }
