"""For-each tasks that get no iteration in a run: the task that leaves the empty list says so in their tables' logs.

Nobody else can: without iterations nothing of them runs, and the key would be missing for ever.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dbxdec.io_managers.base import log
from dbxdec.io_managers.contexts import NO_ITEMS, OutputContext
from dbxdec.io_managers.delta.manager import DeltaIoManager
from dbxdec.model import places, required
from dbxdec.records import dataclass
from dbxdec.runtime.binding import written_by

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import Receipt
    from dbxdec.model import dag


@dataclass(frozen=True)
class Waiting:
    """A keyed table of a for-each task, whose items are the task value `key` of another task."""

    task: dag.Task
    output: str
    key: str
    manager: DeltaIoManager

    def note(self, receipt: Receipt, parameters: Mapping[str, Any]) -> None:
        """Note that the key of a run is there, without items; `receipt` is that of the task that has left the list.

        The list is left: what prevents the note is logged, and fails no task.
        """
        uri = self.task.outputs[self.output].target or ""
        try:
            uri = places.resolved(uri)
            write = written_by(replace(receipt.id, item=NO_ITEMS, items=0), self.task, self.output)
            self.manager.check_name()
            self.manager.setup()
            self.manager.write(OutputContext(uri, replace(receipt, id=write), parameters=parameters), None)
        except Exception as error:  # noqa: BLE001 - of an engine or a storage
            log.warning("of %s it is not noted that `%s` has no items: %s", uri, self.task.key, error)


def waiting_for(job: dag.Job, task: str, managers: Mapping[tuple[str, str], IoManager]) -> tuple[Waiting, ...]:
    """Return the tables with keys of those for-each tasks of `job` whose items `task` leaves."""
    found = []
    for other, output, stored in required.tables(job):
        left = None if other.each is None or stored.per_item else other.each.left_by
        manager = managers.get((other.key, output))
        if left is not None and left[0] == task and isinstance(manager, DeltaIoManager):
            found.append(Waiting(other, output, left[1], manager))
    return tuple(found)
