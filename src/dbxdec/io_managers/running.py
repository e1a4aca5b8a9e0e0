"""The running task, for an IoManager that the task's own code calls: the receipt of what it writes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.io_managers.contexts import Receipt
    from dbxdec.io_managers.positions import Progress


@dataclass(frozen=True, slots=True)
class _Running:
    receipt: Receipt
    outputs: Mapping[str, object]
    progress: Mapping[str, Progress]
    asked: set[str] = field(default_factory=set)
    """The outputs whose receipts the task's own code has asked for."""


_running: _Running | None = None


@contextmanager
def running(
    receipt: Receipt,
    outputs: Mapping[str, object] = MappingProxyType({}),
    progress: Mapping[str, Progress] = MappingProxyType({}),
) -> Iterator[None]:
    """Tell IoManagers that the task's own code uses which task is running; `outputs` are its named outputs.

    `progress` is what the commits of its outputs state, by the name of the output; that of a single one has no name.
    """
    global _running
    before, _running = _running, _Running(receipt, outputs, progress)
    try:
        yield
    finally:
        _running = before


def running_receipt() -> Receipt | None:
    """Return the receipt of the running task, without one of its outputs; None outside a run."""
    return None if _running is None else _running.receipt


def current_receipt(manager: object = None) -> Receipt | None:
    """Return the receipt of the running task, for the named output that `manager` is; None outside a run."""
    if _running is None:
        return None
    name = next((name for name, output in _running.outputs.items() if output is manager), "")
    _running.asked.add(name)
    identity = replace(_running.receipt.id, output=name)
    return replace(_running.receipt, id=identity, progress=_running.progress.get(name))


def has_asked(output: str) -> bool:
    """Return whether the task's own code has asked for the receipt of an output: it makes a commit itself."""
    return _running is not None and output in _running.asked
