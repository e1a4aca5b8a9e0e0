"""Attempts of a task that reads what is new: planned, read and committed apart, so that a test can let them die."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from dbxdec.io_managers.contexts import OutputContext, Receipt, WriteId, WriteResult
from dbxdec.io_managers.delta.manager import DeltaIoManager
from dbxdec.model.beginnings import Wanted
from dbxdec.model.changes import Changes
from dbxdec.runtime import consuming
from dbxdec.runtime.consuming import Plan
from dbxdec.runtime.sources import Output, Source

Write = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Consumer:
    """A task with one parameter for each source, and its outputs, by the managers of their tables."""

    outputs: Mapping[str, tuple[DeltaIoManager, Path | str]]
    sources: Mapping[str, tuple[DeltaIoManager, Path | str]]
    changes: Changes = field(default_factory=Changes)
    task: str = "clean"
    annotation: Any = pl.LazyFrame
    optional: bool = False
    returns: tuple[str, ...] = ("polars.LazyFrame",)

    def attempt(self, run: str, number: int = 1, *, adopt: str = "", restart: bool = False) -> Attempt:
        """Begin an attempt of a run: what it reads is decided, and nothing is written yet."""
        contexts = {name: self._context(name, run, number) for name in self.outputs}
        outputs = {name: Output(manager, contexts[name]) for name, (manager, _) in self.outputs.items()}
        sources = [
            Source(name, str(path), self.changes, manager, self.annotation, self.optional)
            for name, (manager, path) in self.sources.items()
        ]
        adopted = dict.fromkeys(self.sources, adopt) if adopt else {}
        plan = consuming.plan("shop", outputs, sources, Wanted(adopted, restart))
        return Attempt(self, plan, outputs, sources)

    def _context(self, name: str, run: str, number: int) -> OutputContext:
        write = WriteId("1", "hourly", run, self.task, output="" if name == "result" else name)
        receipt = Receipt(write, number, "build", "parameters")
        return OutputContext(str(self.outputs[name][1]), receipt, self.returns)


@dataclass(frozen=True)
class Attempt:
    """One attempt, between what it has read and what it commits."""

    consumer: Consumer
    plan: Plan
    outputs: Mapping[str, Output]
    sources: list[Source]

    def read(self) -> dict[str, Any]:
        """The new rows, by parameter."""
        found = {}
        for source in self.sources:
            span = self.plan.spans.get(source.parameter)
            found[source.parameter] = None if span is None else source.manager.read(source.context(span))
        return found

    def commit(self, value: Any, *only: str) -> dict[str, WriteResult | None]:
        """Store `value` in the outputs that lack it, or in those of them with these names."""
        written = {}
        for name, progress in self.plan.progress.items():
            if only and name not in only:
                continue
            output = self.outputs[name]
            receipt = replace(output.context.receipt, progress=progress)
            written[name] = self.consumer.outputs[name][0].write(replace(output.context, receipt=receipt), value)
        return written

    @property
    def spans(self) -> dict[str, tuple[int | None, int]]:
        """The versions that it reads, by parameter."""
        return {name: (span.after, span.until) for name, span in self.plan.spans.items()}


def run(consumer: Consumer, name: str, make: Write | None = None, **options: Any) -> Plan:
    """Let a run of the consumer read and commit; `make` is the task's function, by default its only source."""
    attempt = consumer.attempt(name, **options)
    if not attempt.plan.is_done:
        read = attempt.read()
        attempt.commit(make(read) if make is not None else next(iter(read.values())))
    return attempt.plan
