"""Runs of `dbxdec` as a user's shell would start them, and what tests look at afterwards."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dbxdec.local import ledger
from projects import Project, shop

DBXDEC = (sys.executable, "-c", "from dbxdec.cli import main; main()")

HEAD = """
from __future__ import annotations

import os
import time
from pathlib import Path

import polars as pl

from dbxdec import bundle_variable, condition, context, each, job, native_task, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="append")
"""
_FRAMES = re.compile(r"\bpl\b|\blake\b|\bPolars|\bpolars\b")


@dataclass(frozen=True)
class Said:
    """What a command printed, by stream, and its exit code."""

    code: int
    out: str
    err: str


def empty(root: Path) -> Project:
    """A project without a pipeline."""
    project = shop(root)
    (project.root / "src/shop/pipelines/sales.py").unlink()
    return project


def define(project: Project, body: str) -> None:
    """The project's one module of pipelines.

    It has Polars if it has tables: each process of a run would import it, which takes as long as all else together.
    """
    lines = HEAD.split("\n")
    if not _FRAMES.search(body):
        lines = ["" if _FRAMES.search(line) else line for line in lines]
    project.write("src/shop/pipelines/sales.py", "\n".join(lines) + body)


def dbxdec(project: Project, *arguments: str, **environment: str) -> Said:
    done = subprocess.run(
        [*DBXDEC, *arguments],
        cwd=project.root,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def states(project: Project) -> dict[str, str]:
    """How the tasks of the last run ended."""
    return {key: str(event["state"]) for key, event in ledger.find(project.root, "last").tasks().items()}


def marks(project: Project) -> list[str]:
    """What tasks have left in the file "marks"."""
    path = project.root / "marks"
    return path.read_text().split() if path.exists() else []


MARK = """

def mark(text: str) -> None:
    with open("marks", "a") as file:
        file.write(text + "\\n")
"""


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} has not come"
        time.sleep(0.05)


def wait_for_no_worker(folder: Path) -> None:
    """Until no worker process of a run in `folder` is left."""
    end = time.monotonic() + 30
    while True:
        workers = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                here = os.readlink(process / "cwd") == str(folder)
                workers += (
                    [process.name] if here and b"dbxdec.local.worker" in (process / "cmdline").read_bytes() else []
                )
            except OSError:
                continue
        if not workers:
            return
        assert time.monotonic() < end, f"workers are left: {workers}"
        time.sleep(0.1)
