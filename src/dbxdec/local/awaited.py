"""Keys that a backfill at work has still to run: no other run may write them meanwhile."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.local import backfills, ledger
from dbxdec.local.inside import related_keys
from dbxdec.local.key_runs import key_of_texts
from dbxdec.local.parameters import parameters_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dbxdec.model.dag import Job
    from dbxdec.model.manifest import Manifest


def refuse_awaited(
    manifest: Manifest,
    job: Job,
    parameters: Mapping[str, str],
    variables: Mapping[str, str],
    here: Path,
    root: str | None,
    began: int,
) -> None:
    """Raise RunError if a backfill at work in the folder `here` is to run the key that these parameters name.

    Both would append it. So would a run of a job inside, or around it, for the same key. `root` is the folder below
    which the run writes, `began` when it began, in ms since the epoch.
    """
    if root != ledger.lake(here):  # a backfill writes there
        return
    key = key_of_texts(job, parameters_at(job, parameters, dt.datetime.fromtimestamp(began / 1000, dt.UTC)))
    for name, own in () if key is None else related_keys(manifest, job, key):
        if (found := backfills.awaiting(here, name, own, variables)) is not None:
            raise RunError(
                f"the backfill {found.id} is at work and is to run the job `{name}` for {' '.join(own)}, which this "
                "run would write as well",
                hint=f"wait for it, or end it: `dbxdec backfills cancel {found.id}`",
            )
