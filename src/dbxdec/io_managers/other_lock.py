"""A note for results of a run that a repair goes on with: other versions of packages have written them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.io_managers.running import running_receipt

if TYPE_CHECKING:
    from dbxdec.io_managers.contexts import InputContext, Receipt


def note_other_lock(found: Receipt, context: InputContext) -> None:
    """Note for the log that a result was written with another lock; `found` is its receipt, of this run."""
    own = running_receipt()
    if own is not None and found.lock != own.lock:
        context.facts.note = "written in this run with another lock, so with other versions of packages"
