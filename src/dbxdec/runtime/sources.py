"""The tables of which a task reads what is new, and those that keep how far it has read."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers.contexts import InputContext, ReadFacts
from dbxdec.io_managers.delta.progress import Consumer
from dbxdec.model import checks, places
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dbxdec.io_managers.contexts import OutputContext
    from dbxdec.io_managers.delta.progress import Head, Standing
    from dbxdec.io_managers.positions import Span
    from dbxdec.model import dag
    from dbxdec.model.changes import Changes
    from dbxdec.model.contracts import Contract


class Manager(Protocol):
    """The part of a manager of Delta tables, or of a test's, that serves a task which reads what is new."""

    @property
    def merges(self) -> frozenset[str]: ...
    def read(self, context: InputContext) -> Any: ...
    def head(self, context: InputContext) -> Head | None: ...
    def standing(
        self, context: OutputContext, consumer: Consumer, *, counts: bool = False, anew: bool = False
    ) -> Standing: ...
    def share(self, context: OutputContext, version: int) -> None: ...


@dataclass(frozen=True)
class Source:
    """A parameter that gets what is new in a table: the place, what is wanted, and how its annotation is read."""

    parameter: str
    uri: str
    changes: Changes
    manager: Manager
    annotation: Any
    optional: bool
    contract: Contract | None = None

    def context(self, span: Span | None = None) -> InputContext:
        place = (self.uri, self.parameter, self.annotation)
        return InputContext(*place, changes=self.changes, span=span, facts=ReadFacts(), contract=self.contract)


@dataclass(frozen=True)
class Output:
    """An output of the task: its manager, and what a write of it is told.

    `others` are the other tasks that share the table, with the keys of their jobs.
    """

    manager: Manager
    context: OutputContext
    others: frozenset[tuple[str, str]] = field(default=frozenset())

    @property
    def appends(self) -> bool:
        """True if rows that it has would be there twice if they came again: a merge takes them."""
        return not self.manager.merges.issuperset(self.context.returns or ("a frame",))

    def consumer(self, project: str, name: str, beside: frozenset[str]) -> Consumer:
        """Return the task and the output, whose name is `name`; `beside` are others that write the same table."""
        write = self.context.receipt.id
        return Consumer(project, write.job, write.task, name, beside, self.others)

    def id(self, parameter: str) -> str:
        """Return the id of the table; empty without one, and for one that can't be read, as no source of this task is.

        `parameter` is who asks, for messages.
        """
        try:
            head = self.manager.head(InputContext(self.context.uri, parameter))
        except RunError:
            return ""
        return "" if head is None else head.id


def sharing(
    job: dag.Job, task: dag.Task, output: str, jobs: Callable[[], Iterable[dag.Job]]
) -> frozenset[tuple[str, str]]:
    """Return the other tasks of the project that share the table of an output, with the keys of their jobs."""
    own = task.outputs[output]
    if not own.shared or own.target is None:
        return frozenset()
    table = _place(own.target)
    writers = ((one, other) for one in jobs() for other in one.tasks if (one.key, other.key) != (job.key, task.key))
    return frozenset(
        (one.key, other.key)
        for one, other in writers
        if any(place.shared and place.target and _place(place.target) == table for place in other.outputs.values())
    )


def _place(target: str) -> str | None:
    """Return the place of an output in this run; None if a bundle variable in it has no value here."""
    try:
        return checks.place(places.resolved(target))
    except DbxdecError:
        return None
