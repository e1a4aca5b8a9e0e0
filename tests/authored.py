"""What tests of the authoring API share: an IoManager of their own, and what a mistaken job says."""

from __future__ import annotations

import inspect
from typing import Any

from dbxdec import IoManager
from dbxdec.authoring.jobs import BuiltJob
from dbxdec.errors import SourceLocation
from dbxdec.io_managers.contexts import InputContext, OutputContext


class Frame:
    """What the manager of these tests stores."""


class Shelf(IoManager):
    """A manager that stores Frames."""

    reads = frozenset({"authored.Frame"})
    writes = reads

    def __init__(self, base_path: Any = "/lake") -> None:
        self.base_path = base_path

    def read(self, context: InputContext) -> Frame:
        return Frame()

    def write(self, context: OutputContext, value: Any) -> None:
        """Nothing is stored here."""


def here(offset: int = 0) -> int:
    """The caller's line."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno + offset


def messages(built: BuiltJob) -> list[str]:
    return [problem.message for problem in built.problems]


def lines(built: BuiltJob) -> list[int]:
    return [p.where.line for p in built.problems if isinstance(p.where, SourceLocation)]
