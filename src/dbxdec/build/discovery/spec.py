"""The request of the build to the discovery process, and problems, in the forms that pass between them."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any

from dbxdec.errors import Problem, SourceLocation

WHERE_SIGNAL: signal.Signals | None = getattr(signal, "SIGUSR1", None)
"""The signal that asks a hanging child for its traceback; None on systems without such signals."""
CANT_WRITE = 74
"""The exit code of a child that can't write its result, as in sysexits.h. The last line of its output says why."""


@dataclass(frozen=True)
class Spec:
    """The input of the discovery process.

    `root` holds a copy of the wheel's files. `sources` maps paths in the wheel to paths in the project. `unshipped`
    names modules that lie beside the shipped ones in the tree and are not in the wheel. With `rewritten`, strings with
    bundle variables inside are watched.
    """

    root: str
    modules: list[str]
    sources: dict[str, str]
    unshipped: list[str]
    stand_ins: bool
    progress: str
    result: str
    rewritten: bool = False


@dataclass(frozen=True, slots=True)
class ShippedFile:
    """A file of the wheel: its `path` there, its current location, and its path in the project for messages."""

    path: str
    origin: str
    source: str


def form_of(problem: Problem) -> list[Any]:
    """Return the JSON form of a problem."""
    where = problem.where
    place = [where.path, where.line] if isinstance(where, SourceLocation) else where
    return [problem.message, place, problem.hint, problem.jobs]
