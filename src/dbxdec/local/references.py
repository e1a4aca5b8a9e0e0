"""The platform's dynamic value references, resolved for a run on this machine."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


def resolve(text: str, values: Mapping[str, str]) -> str:
    """`text` with every `{{name}}` in `values` replaced; others stay as they are, as on the platform."""
    return _REFERENCE.sub(lambda match: values.get(match[1], match[0]), text)


def of_run(job: str, run_id: str, started: int, parameters: Mapping[str, str], *, repair: int = 0) -> dict[str, str]:
    """What references to a run on this machine stand for; `started` is in milliseconds since the epoch."""
    moment = dt.datetime.fromtimestamp(started / 1000, dt.UTC)
    known = {
        "workspace.id": "local",
        "job.id": job,
        "job.name": job,
        "job.run_id": run_id,
        "job.repair_count": str(repair),
        "job.start_time.timestamp_ms": str(started),
        "job.start_time.iso_datetime": moment.isoformat(timespec="seconds"),
        "job.start_time.iso_date": moment.date().isoformat(),
    }
    # A default may itself be a reference, as that of run_date(...) is.
    return known | {f"job.parameters.{name}": resolve(text, known) for name, text in parameters.items()}
