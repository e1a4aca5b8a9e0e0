"""The request of the build to the discovery process, and problems, in the forms that pass between them."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, SourceLocation
from dbxdec.records import dataclass
from dbxdec.support.files import write

if TYPE_CHECKING:
    from collections.abc import Sequence

WHERE_SIGNAL: signal.Signals | None = getattr(signal, "SIGUSR1", None)
"""The signal that asks a hanging child for its traceback; None on systems without such signals."""
CANT_WRITE = 74
"""The exit code of a child that can't write its result, as in sysexits.h. The last line of its output says why."""


@dataclass(frozen=True)
class Spec:
    """The input of the discovery process.

    `root` holds a copy of the wheel's files. `sources` maps paths in the wheel to paths in the project. `unshipped`
    names modules that lie beside the shipped ones in the tree and are not in the wheel. The bodies of the jobs
    `left_out` do not run. With `rewritten`, strings with
    bundle variables inside are watched.
    """

    root: str
    modules: list[str]
    sources: dict[str, str]
    unshipped: list[str]
    stand_ins: bool
    progress: str
    result: str
    left_out: Sequence[str] = ()
    rewritten: bool = False


@dataclass(frozen=True)
class Progress:
    """The next step of the discovery process, with a module or a job, so that it is known where it died."""

    module: str = ""
    job: str = ""
    where: str = ""

    def __str__(self) -> str:
        if self.module:
            return f"importing `{self.module}`"
        return f"running the body of the job `{self.job}`" if self.job else "checking the jobs"

    def note(self, path: str) -> None:
        """Write it to a file."""
        write(path, json.dumps(asdict(self)))

    @classmethod
    def noted(cls, path: str) -> Progress:
        """Read what a process, which may have ended while it wrote, has noted."""
        try:
            return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return cls()


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
