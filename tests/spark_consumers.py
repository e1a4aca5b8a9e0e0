"""A task that reads what is new in tables, step by step: as `runtime/consuming` does it for an attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dbxdec.io_managers.contexts import InputContext, OutputContext, ReadFacts, Receipt, WriteId, WriteResult
from dbxdec.io_managers.delta.manager import DeltaIoManager
from dbxdec.model.beginnings import Wanted
from dbxdec.model.changes import Changes
from dbxdec.runtime.consuming import Plan, plan
from dbxdec.runtime.sources import Output, Source


@dataclass(frozen=True)
class Table:
    """A table and the manager that reads or writes it."""

    manager: DeltaIoManager
    uri: str


@dataclass
class Consumer:
    """A task `task` with one output or several, which reads sources by their parameters."""

    outputs: Mapping[str, Table]
    sources: Mapping[str, Table]
    changes: Changes = field(default_factory=Changes)
    annotation: Any = None
    optional: bool = False
    returns: tuple[str, ...] | None = None
    facts: dict[str, ReadFacts] = field(default_factory=dict)

    @classmethod
    def of(cls, target: Table, source: Table, **options: Any) -> Consumer:
        return cls({"return": target}, {"new": source}, **options)

    def context(self, run: str, attempt: int, output: str) -> OutputContext:
        write = WriteId("1", "job", run, "task", output="" if output == "return" else output)
        return OutputContext(
            self.outputs[output].uri, Receipt(write, attempt, "b" * 64, "p"), self.returns, has_readers=False
        )

    def plan(self, run: str, attempt: int = 1, adopted: Mapping[str, str] | None = None, restart: bool = False) -> Plan:
        outputs = {name: Output(one.manager, self.context(run, attempt, name)) for name, one in self.outputs.items()}
        sources = [
            Source(name, one.uri, self.changes, one.manager, self.annotation, self.optional)
            for name, one in self.sources.items()
        ]
        return plan("project", outputs, sources, Wanted(adopted or {}, restart))

    def read(self, found: Plan) -> dict[str, Any]:
        """The values of the parameters."""
        values = {}
        for name, span in found.spans.items():
            one = self.sources[name]
            context = InputContext(one.uri, name, self.annotation, changes=self.changes, span=span, facts=ReadFacts())
            values[name] = one.manager.read(context)
            self.facts[name] = context.facts
        return values

    def write(self, found: Plan, run: str, attempt: int, value: Any, output: str = "return") -> WriteResult:
        context = self.context(run, attempt, output)
        receipt = replace(context.receipt, progress=found.progress[output])
        written = self.outputs[output].manager.write(replace(context, receipt=receipt), value)
        assert written is not None
        return written

    def run(
        self, run: str, attempt: int = 1, make: Callable[..., Any] = lambda new: new, **wanted: Any
    ) -> WriteResult | None:
        """A whole attempt; None where an earlier one has done everything."""
        found = self.plan(run, attempt, **wanted)
        if found.is_done:
            return None
        value = make(**self.read(found))
        written = None
        for output in found.progress:
            written = self.write(found, run, attempt, value, output)
        return written
