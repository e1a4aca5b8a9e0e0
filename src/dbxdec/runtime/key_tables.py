"""The keys that the tables of a job have, as their IoManagers read them from the logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.delta.key_log import done
from dbxdec.io_managers.delta.manager import DeltaIoManager
from dbxdec.model import places, required
from dbxdec.runtime.binding import slot_of
from dbxdec.support.boundary import said
from dbxdec.support.masking import Mask, of_this_machine

if TYPE_CHECKING:
    from dbxdec.io_managers.base import IoManager
    from dbxdec.model import dag


def keys_of(
    job: dag.Job, task: dag.Task, output: str, manager: IoManager, *, may_be_none: bool = False
) -> dict[str, Any]:
    """Return the place of an output, and the keys that are there, or why that can't be told (`why`).

    Of the keys `begun` a part of the iterations is there. `created` is when the table was made, in milliseconds since
    the epoch. A `strange` table has rows of which the log does not say the keys. Where only receipts tell, keys of
    before `told_since`, in milliseconds too, may be there as well. Of the keys `untold` nobody knows (`untold_why`).
    `forgotten` has the times, in milliseconds too, at which a person took keys back that have not been written since.
    `may_be_none` says that the task may return None for the output.
    """
    uri = places.resolved(task.outputs[output].target or "")
    if task.outputs[output].per_item:
        return {"uri": uri, "why": required.OF_ITEMS}
    if not isinstance(manager, DeltaIoManager):
        return {"uri": uri, "why": f"{type(manager).__name__} does not read keys"}
    try:
        log = manager.key_log(uri)
        if log is None:
            return {"uri": uri, "keys": []}
        slot = slot_of(job.key, task, output)
        writers = {slot_of(job.key, one, name) for one in job.tasks for name in one.outputs}
        told = log.told()
        whole, begun = done(told.standing, slot)
        strange = log.since is None and log.is_strange(slot, writers=writers)
        forgotten = {key: at for key, at in log.forgotten(slot).items() if key not in whole}
        known = {"created": log.created, "strange": strange, "told_since": log.since, "forgotten": forgotten}
        unclear, why = told.untold(slot), told.why
        # What is written again in its place is a part: another run makes it whole, and harms nothing.
        appends = task.outputs[output].settings.get("mode") == "append"
        if may_be_none and appends and (unproven := told.unproven(slot)):
            unclear, why = unclear | unproven, why or required.BEFORE_IT_WAS_THERE
        untold = {"untold": sorted(unclear), "untold_why": Mask(of_this_machine()).text(why)} if unclear else {}
        return {"uri": uri, "keys": sorted(whole), "begun": sorted(begun), **known, **untold}
    except Exception as error:  # noqa: BLE001 - one table costs no other
        return {"uri": uri, "why": said(error)}
