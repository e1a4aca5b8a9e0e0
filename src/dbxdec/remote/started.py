"""The runs that backfills of this machine have started on the platform: `.dbxdec/remote/<job>-<target>.jsonl`.

A line has "event", "job" (the id on the platform), "key", and

    "starting"    after: the run of the key that it comes after; written before the platform is asked
    "started"     run: the answer
    "repairing"   run; written before the platform is asked
    "repaired"    run
    "ended"       run, state

The tables and the platform tell what is to be done, so a lost or torn line costs nothing. It only helps where the
platform's list does not yet show a run that it has just started.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dbxdec.local import journal
from dbxdec.local.ledger import state_folder
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dbxdec.local.missing import Key

_FOLDER = "remote"


def folder(here: Path) -> Path:
    """Return the folder for what this machine knows of the platform."""
    found = state_folder(here) / _FOLDER
    found.mkdir(exist_ok=True)
    return found


def slug(job: str, target: str) -> str:
    """Return a name for files of a job and a target."""
    return f"{job}-{quote(target, safe='')}"


@dataclass(frozen=True)
class Started:
    """The record of one job on the platform."""

    path: Path
    job_id: int

    @classmethod
    def of(cls, here: Path, job: str, target: str, job_id: int) -> Started:
        """Return the record of a target's job."""
        return cls(folder(here) / f"{slug(job, target)}.jsonl", job_id)

    def note(self, event: str, key: Key, **facts: Any) -> None:
        """Append one line; it is there when the call returns."""
        journal.append(self.path, {"event": event, "job": self.job_id, "key": list(key), **facts})

    def open_runs(self) -> Mapping[Key, int]:
        """Return by key the last runs of which no line tells that they have ended."""
        found: dict[tuple[str, ...], int] = {}
        with suppress(OSError):
            for _, line in journal.read_lines(self.path)[0]:
                key, run = line.get("key"), line.get("run")
                if line.get("job") != self.job_id or not isinstance(key, list) or not isinstance(run, int):
                    continue
                if line.get("event") == "ended":
                    found.pop(tuple(key), None)
                else:
                    found[tuple(key)] = run
        return found

    def unanswered(self) -> set[Key]:
        """Return the keys of which a run was asked for last, and no line has the answer."""
        found: dict[tuple[str, ...], str] = {}
        with suppress(OSError):
            for _, line in journal.read_lines(self.path)[0]:
                if line.get("job") == self.job_id and isinstance(key := line.get("key"), list):
                    found[tuple(key)] = str(line.get("event"))
        return {key for key, event in found.items() if event == "starting"}
