"""The locks that keep other backfills of a job away, and of the jobs that it runs."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.local import ledger
from dbxdec.records import dataclass
from dbxdec.support.locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Alone:
    """The locks of the only backfill of a job: open files, which the processes of its tasks keep as well.

    `path` is the one of the job itself; the others are of the jobs that it runs.
    """

    path: Path
    descriptors: tuple[int, ...]


@contextmanager
def alone(here: Path, job: str, inner: Iterable[str] = ()) -> Iterator[Alone]:
    """Keep other backfills of a job away, and of the jobs that it runs. Raises RunError where one is at work."""
    with ExitStack() as stack:
        # In one order, so that of two backfills that share some jobs one goes on.
        found = [stack.enter_context(_locked(_lock_of(here, name), name)) for name in sorted({job, *inner})]
        yield Alone(_lock_of(here, job), tuple(found))


def _lock_of(here: Path, job: str) -> Path:
    return ledger.state_folder(here) / f"backfill-{job}.lock"


@contextmanager
def _locked(path: Path, job: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        # The last processes of one that was killed end in a moment.
        for left in range(_LOOKS, -1, -1):
            if try_lock(descriptor):
                break
            if not left:
                raise RunError(
                    f"another backfill of the job `{job}` is at work here, or one of a job that runs it",
                    hint="wait for it, or end it",
                )
            time.sleep(_LOOK_S)
        yield descriptor
    finally:
        with suppress(OSError):
            os.close(descriptor)


_LOOKS, _LOOK_S = 20, 0.05
