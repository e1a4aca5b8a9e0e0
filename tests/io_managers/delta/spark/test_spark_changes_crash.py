"""A task that reads what is new with Spark, through deaths, losing zombies and changes of its tables: each row once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers.delta.spark.log import SparkTable
from dbxdec.io_managers.delta.spark.manager import SparkDeltaIoManager
from dbxdec.model.changes import Changes
from dbxdec.runtime.consuming import Plan
from spark_consumers import Consumer, Table
from spark_tools import IS_CONNECT, Place, needs_own_spark, needs_spark, rows_of
from thorough import THOROUGH

pytest.importorskip("pyspark")

spark, path = spark_tools.spark, spark_tools.path
pytestmark = needs_spark
TESTS = Path(__file__).parents[3]


class Died(BaseException):
    """The process is gone."""


class Loop:
    """One task with its source and its target, and what has happened to them."""

    def __init__(self, path: Place, seed: int, *, merges: bool) -> None:
        self.target, self.merges = path, merges
        self.source = Place(path.spark, f"{path.uri}_source", path.kind)
        self.random = random.Random(seed)  # noqa: S311
        self.task = Consumer.of(
            Table(path.manager("append"), path.uri),
            Table(path.manager(), self.source.uri),
            changes=Changes(at_least_once=IS_CONNECT),
        )
        self.zombies: list[tuple[str, Plan, Any]] = []
        self.next = self.run_id = 0
        self.open: tuple[str, int] | None = None
        self.seen: dict[str, int] = {}
        self.add()

    def add(self) -> None:
        values = [(self.next + number, 1) for number in range(self.random.randint(1, 3))]
        self.next += len(values)
        self.target.pairs(*values).write.format("delta").mode("append").save(self.source.uri)

    def attempt(self) -> tuple[str, int]:
        """A retry of the run that has died, or a new run."""
        if self.open is not None and self.random.random() < 0.7:
            run, number = self.open
            self.open = (run, number + 1)
        else:
            self.run_id += 1
            self.open = (str(self.run_id), 1)
        return self.open

    def value(self, new: Any) -> Any:
        if not self.merges:
            return None if new.isEmpty() and self.random.random() < 0.5 else new
        merge = DeltaMerge(new, on="k").when_matched_update({"x": "target.x + 1"})
        return merge.when_not_matched_insert_all()

    def run(self) -> None:
        run, number = self.attempt()
        self.task.run(run, number, make=self.value)
        self.open = None

    def die_before(self) -> None:
        run, number = self.attempt()
        found = self.task.plan(run, number)
        if not found.is_done:
            new = self.task.read(found)["new"]
            if self.random.random() < 0.5:
                self.zombies.append((run, found, new))

    def die_after(self) -> None:
        """The process dies between its commit and its look at it: what it had still to note stays undone."""
        run, number = self.attempt()
        genuine = SparkTable.find

        def find(table: SparkTable, write: Any, *, since: int = 0) -> Any:
            if since:
                raise Died
            return genuine(table, write, since=since)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SparkTable, "find", find)
            try:
                self.task.run(run, number, make=self.value)
            except Died:
                self.note("died after")

    def zombie(self) -> None:
        """An attempt that was taken for dead writes what it had read."""
        if self.zombies:
            run, found, new = self.zombies.pop(self.random.randrange(len(self.zombies)))
            self.loses(lambda: self.task.write(found, run, 1, self.value(new)))

    def loses(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except RunError as error:
            if "another run has taken" not in str(error) and "was restored" not in str(error):
                raise
            self.note("lost")
            return True
        self.note("won")
        return False

    def both(self) -> None:
        """Two runs that have read one after the other write in one order, in the other, or at once."""
        self.run_id += 1
        one, other = f"{self.run_id} short", f"{self.run_id} long"
        short = self.task.plan(one)
        first = self.task.read(short)["new"]
        self.add()
        long = self.task.plan(other)
        second = self.task.read(long)["new"]
        acts = [
            lambda: self.task.write(short, one, 1, self.value(first)),
            lambda: self.task.write(long, other, 1, self.value(second)),
        ]
        self.random.shuffle(acts)
        if self.random.random() < 0.5:
            lost = [self.loses(act) for act in acts]
        else:
            with ThreadPoolExecutor(2) as pool:
                lost = list(pool.map(self.loses, acts))
        assert sorted(lost) == [False, True]
        self.open = None

    def optimize(self) -> None:
        for at in (self.source, self.target):
            self.target.spark.sql(f"OPTIMIZE delta.`{at.uri}`").collect()

    def checkpoint(self) -> None:
        for at in (self.source, self.target):
            if not IS_CONNECT:
                log = self.target.spark._jvm.org.apache.spark.sql.delta.DeltaLog
                log.forTable(self.target.spark._jsparkSession, at.uri).checkpoint()

    def restore(self) -> None:
        commits = self.target.spark.sql(f"DESCRIBE HISTORY delta.`{self.target.uri}`").collect()
        back = self.random.randint(0, min(4, len(commits) - 1))
        if back:
            to = commits[back]["version"]
            self.target.spark.sql(f"RESTORE TABLE delta.`{self.target.uri}` TO VERSION AS OF {to}").collect()
            self.open = None
            self.note("restored")

    def note(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1

    def check(self) -> None:
        there = rows_of(self.target)
        assert [x for _, x in there] == [1] * len(there)
        assert len({k for k, _ in there}) == len(there)

    def end(self) -> None:
        self.open = None
        self.run()
        there = sorted(rows_of(self.target))
        assert there == [(k, 1) for k in range(self.next)]


STEPS = ("add", "run", "add", "run", "die_before", "die_after", "zombie", "both", "optimize", "checkpoint", "restore")


def walk(path: Place, seed: int, count: int, *, merges: bool) -> Loop:
    loop = Loop(path, seed, merges=merges)
    loop.run()
    for number in range(count):
        step = loop.random.choice(STEPS)
        try:
            getattr(loop, step)()
            if number % 10 == 9:
                loop.check()
        except (RunError, AssertionError) as error:
            raise AssertionError(f"step {number} of seed {seed}: {step}") from error
        loop.note(step)
    loop.end()
    return loop


@pytest.mark.parametrize("merges", [False, True], ids=["append", "merge"])
def test_a_few_steps(path: Place, merges: bool) -> None:
    """Deaths, zombies and restores, in a fixed order: no row is lost, none is there twice."""
    if IS_CONNECT and merges:
        pytest.skip("classic: `.changes()` promises a merge there no more than at least once, and this asks for once")
    loop = Loop(path, 1, merges=merges)
    for step in ("die_before", "die_after", "add", "both", "zombie"):
        getattr(loop, step)()
    loop.end()
    assert loop.seen["died after"] >= 1


@pytest.mark.slow
@pytest.mark.classic
@pytest.mark.parametrize(("seed", "merges"), [(1, False), (2, True)], ids=["append", "merge"])
def test_hundreds_of_steps(path: Place, seed: int, merges: bool) -> None:
    """In any order."""
    loop = walk(path, seed, 300 if THOROUGH else 20, merges=merges)
    if THOROUGH:  # few steps need not have had each
        assert {"won", "lost", "died after", "restored"} <= set(loop.seen)


PROGRAM = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    tools, lake, run, attempt, jars, end = sys.argv[1:]
    sys.path.insert(0, tools)
    import spark_tools
    from spark_consumers import Consumer, Table
    from dbxdec.io_managers.delta.spark.log import SparkTable
    from dbxdec.io_managers.delta.spark.manager import SparkDeltaIoManager

    spark = spark_tools.start(Path(lake, f"warehouse{run}.{attempt}"), jars)
    at = spark_tools.Place(spark, lake + "/target", SparkDeltaIoManager)
    task = Consumer.of(Table(at.manager("append"), at.uri), Table(at.manager(), lake + "/source"))

    def die():
        os.killpg(0, signal.SIGKILL)

    if end == "committed":
        find = SparkTable.find
        SparkTable.find = lambda self, write, *, since=0: die() if since else find(self, write)
        task.run(run, int(attempt))
    else:
        # The filter uses `x`: Spark computes no column that nobody uses.
        task.run(
            run,
            int(attempt),
            make=lambda new: at.midway("100", die).crossJoin(new.select("k")).where("x = 100").select("k"),
        )
    """
)


@pytest.mark.slow
@pytest.mark.classic
@pytest.mark.parametrize("end", [pytest.param("midway", marks=needs_own_spark), "committed"])
def test_processes_that_are_killed(path: Place, end: str) -> None:
    """In the midst of the query, and after the commit: the retry adds what is missing, and only that."""
    lake = Path(path.uri).parent
    source, target = (Place(path.spark, f"{lake}/{name}", path.kind) for name in ("source", "target"))

    def add(*values: int) -> None:
        path.spark.createDataFrame([(v,) for v in values], "k bigint").write.format("delta").mode("append").save(
            source.uri
        )

    task = Consumer.of(Table(target.manager("append"), target.uri), Table(source.manager(), source.uri))
    add(0)
    task.run("1")
    add(1, 2)
    jars = path.spark.sparkContext.getConf().get("spark.jars")
    command = [sys.executable, "-c", PROGRAM, str(TESTS), str(lake), "2", "1", jars, end]
    assert subprocess.run(command, start_new_session=True, check=False).returncode == -signal.SIGKILL
    assert target.stored == ([0] if end == "midway" else [0, 1, 2])
    add(3)
    task.run("2", attempt=2)
    task.run("3")
    assert target.stored == [0, 1, 2, 3]
    assert isinstance(target.manager(), SparkDeltaIoManager)
