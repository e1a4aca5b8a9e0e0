"""Keys that a backfill at work has still to run: no other run may write them meanwhile."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.local import backfills, ledger
from dbxdec.local.inside import related_keys
from dbxdec.local.key_runs import key_of_texts, key_text
from dbxdec.local.parameters import parameters_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dbxdec.local.backfills import Record
    from dbxdec.local.missing import Key
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
    texts = parameters_at(job, parameters, dt.datetime.fromtimestamp(began / 1000, dt.UTC))
    if not job.key_parameters:
        _refuse_given(job, texts, variables, here)
        return
    key = key_of_texts(job, texts)
    for name, own in () if key is None else related_keys(manifest, job, key):
        for record in backfills.at_work(here, name, variables):
            if own in record.awaited:
                raise _awaited(record, name, own)


def _refuse_given(job: Job, texts: Mapping[str, str], variables: Mapping[str, str], here: Path) -> None:
    """Raise RunError if a backfill at work is to run a job without keys for the values that these parameters have."""
    for record in backfills.at_work(here, job.key, variables):
        if (own := _given(job, texts, record.names)) in record.awaited:
            raise _awaited(record, job.key, own)


def _given(job: Job, texts: Mapping[str, str], names: Sequence[str]) -> Key:
    """Return the values of some parameters as a backfill has them; an empty key where they have none."""
    known = {one.name: one for one in job.parameters}
    try:
        return tuple(key_text(known[name], known[name].value(texts[name], names=True)) for name in names)
    except (KeyError, ValueError, TypeError):
        return ()


def _awaited(record: Record, job: str, key: Key) -> RunError:
    return RunError(
        f"the backfill {record.id} is at work and is to run the job `{job}` for {' '.join(key)}, which this run would "
        "write as well",
        hint=f"wait for it, or end it: `dbxdec backfills cancel {record.id}`",
    )
