"""The cost of keys: asking tables which ones they have, and a backfill over its tasks."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction
from local_run import DBXDEC
from measure import Budget, Line, Pair, paired, quietly

from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import WriteId
from dbxdec.io_managers.delta.key_log import done
from object_storage import object_storage
from projects import shop

TABLES, KEYS, BEHIND = 40, 1000, 9
ROUNDS = 5
PIPELINE = """
import datetime as dt

import polars as pl

from dbxdec import daily, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager("lake", mode="append")


@task
def one(day: dt.date) -> str:
    return str(day)


@task
def two(one: str) -> str:
    return one


@task(io_manager=lake.table("gold"))
def three(two: str) -> pl.DataFrame:
    return pl.DataFrame({"day": [two]})


@job
def delays(day: dt.date = daily(since=dt.date(2020, 1, 1))) -> None:
    three(two(one(day)))
"""


def keyed_table(path: Path) -> None:
    """A table with the keys of 1,000 runs: all but nine of them in its checkpoint."""
    pl.DataFrame({"x": [1]}).write_delta(str(path))

    def commit(first: int, last: int) -> None:
        names = [WriteId("1", "job", str(n), "task", key=f"day={n}").transaction for n in range(first, last)]
        now = time.time_ns() // 1_000_000
        properties = CommitProperties(app_transactions=[Transaction(name, 1, now) for name in names])
        pl.DataFrame({"x": [1]}).write_delta(
            str(path), mode="append", delta_write_options={"commit_properties": properties}
        )

    commit(0, KEYS - BEHIND)
    DeltaTable(str(path)).create_checkpoint()
    for n in range(KEYS - BEHIND, KEYS):
        commit(n, n + 1)


def missing(folder: Path) -> Iterator[Pair | Line]:
    """The keys of 40 tables with 1,000 each, over opening these tables; and the requests that a storage gets for it."""
    keyed_table(folder / "table")
    paths = [folder / f"table{n}" for n in range(TABLES)]
    for path in paths:
        shutil.copytree(folder / "table", path)
    manager = PolarsDeltaIoManager("unused")

    def ask() -> None:
        for path in paths:
            log = manager.key_log(str(path))
            assert log is not None
            assert len(done(log.standing(), "")[0]) == KEYS

    yield paired(
        f"the keys of {TABLES} tables, {KEYS:,} each",
        "opening them by delta-rs",
        Budget("more", 500),
        ask,
        lambda: [DeltaTable(str(path)) for path in paths],
        ROUNDS,
    )
    stored = folder / "storage"
    with object_storage(stored) as storage:
        for path in sorted((folder / "table").rglob("*")):
            if path.is_file():
                storage.put(f"lake/table/{path.relative_to(folder / 'table')}", path.read_bytes())
        uri = "s3://lake/table"
        storage.asked()
        DeltaTable(uri, storage_options=storage.options)
        opened = len(storage.asked())
        log = PolarsDeltaIoManager("unused", storage_options=storage.options).key_log(uri)
        assert log is not None
        assert len(done(log.standing(), "")[0]) == KEYS
        asked = len(storage.asked())
    text = f"requests to a storage for the {KEYS:,} keys of a table: {asked}; delta-rs opens it with {opened}"
    limit = opened + BEHIND + 10
    yield Line(f"{text}; budget <= {limit}", None if asked <= limit else f"{text}, budget {limit}")


def filled(folder: Path) -> Pair:
    """ms for each key of a backfill through a job of three tasks, over what the tasks themselves take."""
    project = shop(folder / "shop")
    project.write("src/shop/pipelines/sales.py", PIPELINE)
    quietly(*DBXDEC, "bundle", cwd=project.root)
    quietly(*DBXDEC, "backfill", "delays", "day=2020-01-01..2020-01-05", "--yes", "-j", "1", cwd=project.root)
    ours, yardstick = [], []
    for first, last in (("2021-01-01", "2022-05-15"), ("2023-01-01", "2024-05-14")):  # 500 days each
        began = time.perf_counter()
        quietly(*DBXDEC, "backfill", "delays", f"day={first}..{last}", "--yes", "-j", "1", cwd=project.root)
        ours.append((time.perf_counter() - began) * 1000 / 500)
        runs = [run for run in (project.root / ".dbxdec/runs").iterdir() if first <= _day(run) <= last]
        yardstick.append(_of_tasks(runs) / len(runs))
    return Pair("a key of a backfill of 500, three tasks", "its tasks", Budget("more", 30), ours, yardstick)


def _day(run: Path) -> str:
    return str(json.loads((run / "run.json").read_text())["parameters"]["day"])


def _of_tasks(runs: list[Path]) -> float:
    """The ms that the tasks of these runs took, from their starts to their ends."""
    total = 0
    for run in runs:
        events = map(json.loads, (run / "events.jsonl").read_text().splitlines())
        total += sum(event["ended_ms"] - event["started_ms"] for event in events if event["event"] == "task")
    return total
