"""The own time of `dbxdec run` for each task, of 200 that do nothing, in warm processes; and other commands."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from measure import Budget, Pair, paired, quietly

from dbxdec.local import ledger
from projects import Project, shop

TASKS = 200
AT_ONCE = 2
ROUNDS = 5
PIPELINE = f"""
from dbxdec import each, job, task


@job
def tasks():
    @task
    def nothing() -> None: ...

    for n in range({TASKS}):
        nothing.override(key=f"nothing{{n}}")()


@job
def items():
    @task
    def nothing(n: int) -> None: ...

    nothing(each(list(range({TASKS})), concurrency={AT_ONCE}))
"""
DBXDEC = (sys.executable, "-c", "from dbxdec.cli import main; main()")


def per_task(folder: Path) -> Iterator[Pair]:
    """ms for each task, from the start of the second wave of tasks, when all processes are warm, to the last one's end.

    A job of 200 tasks has each of them read a body with 200 calls, as on the platform.
    """
    project = shop(folder / "shop")
    project.write("src/shop/pipelines/sales.py", PIPELINE)
    for job, name in (("tasks", f"a task of {TASKS}"), ("items", f"an iteration of {TASKS}")):
        ours, yardstick = [], []
        for _ in range(ROUNDS):
            ours.append(_run(project, job))
            yardstick.append(_bare())
        title = f"dbxdec run, {name}, {AT_ONCE} at once"
        yield Pair(title, "a call in a process pool", Budget("more", 10), ours, yardstick)


def commands(folder: Path) -> Iterator[Pair]:
    """Commands a person waits for: `--help` in 0.15 s, `check` of a small project in 1 s, a bare Python included."""
    project = shop(folder / "shop")
    for argument, limit, rounds in (("--help", 130, 15), ("check", 980, 7)):
        yield paired(
            f"dbxdec {argument}",
            "a bare Python",
            Budget("more", limit),
            partial(quietly, *DBXDEC, argument, cwd=project.root),
            partial(quietly, sys.executable, "-c", "", cwd=project.root),
            rounds,
        )


def _run(project: Project, job: str) -> float:
    quietly(*DBXDEC, "run", job, "--jobs", str(AT_ONCE), cwd=project.root)
    attempts = [e for e in ledger.find(project.root, "last").events if e["event"] == "attempt"]
    warm = sorted(attempts, key=lambda e: e["started_ms"])[AT_ONCE:]
    return float(max(e["ended_ms"] for e in warm) - warm[0]["started_ms"]) / len(warm)


def _bare() -> float:
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        list(pool.map(_nothing, range(AT_ONCE * 4)))
        began = time.perf_counter()
        list(pool.map(_nothing, range(TASKS)))
        return 1000 * (time.perf_counter() - began) / TASKS


def _nothing(_: int) -> None:
    """The body of the tasks."""
