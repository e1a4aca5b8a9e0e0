"""Whatever dies, comes late or is restored: the target of a task that reads what is new has each row once."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from consumers import Attempt, Consumer
from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.model.changes import Changes
from thorough import examples

STEPS = examples(100)


class Ordeal:
    """A source that grows, a consumer of it that is killed and restarted, and what both tables must be in the end."""

    def __init__(self, folder: Path, seed: int, *, merges: bool) -> None:
        self.source, self.target = folder / "source", folder / "target"
        self.random = random.Random(seed)  # noqa: S311 - a test
        self.merges = merges
        self.ids = 0
        self.runs = 0
        self.zombies: list[tuple[Attempt, Any]] = []
        self.done: list[str] = []
        manager = PolarsDeltaIoManager(folder, mode="append")
        changes = Changes("latest", by=("id",)) if merges else Changes()
        self.consumer = Consumer(
            {"result": (manager, self.target)},
            {"rows": (manager, self.source)},
            changes,
            returns=("dbxdec.DeltaMerge",) if merges else ("polars.LazyFrame",),
        )
        self.grow()

    def step(self) -> None:
        steps = [self.grow, self.grow, self.run, self.run, self.die_before, self.die_after, self.leave, self.wake]
        steps += [self.wake, self.race, self.optimize, self.checkpoint]
        if self.merges:
            steps += [self.change, self.change]
        if self.random.random() < 0.1:
            steps = [self.restore]
        self.random.choice(steps)()

    # The source

    def grow(self) -> None:
        new = list(range(self.ids, self.ids + self.random.randint(1, 4)))
        self.ids = new[-1] + 1
        frame = pl.DataFrame({"id": new, "value": [self.random.random() for _ in new]})
        feed = {"configuration": {"delta.enableChangeDataFeed": "true"}} if self.merges else {}
        frame.write_delta(str(self.source), mode="append", delta_write_options=feed)

    def change(self) -> None:
        table = DeltaTable(str(self.source))
        one = self.random.randrange(self.ids)
        if self.random.random() < 0.5:
            table.delete(f"id = {one}")
        else:
            table.update(updates={"value": str(self.random.random())}, predicate=f"id = {one}")

    def optimize(self) -> None:
        DeltaTable(str(self.source)).optimize.compact()

    def checkpoint(self) -> None:
        for path in (self.source, self.target):
            if path.exists():
                DeltaTable(str(path)).create_checkpoint()

    # The consumer

    def _name(self) -> str:
        self.runs += 1
        return f"run-{self.runs}"

    def _read(self, attempt: Attempt) -> Any:
        rows = attempt.read()["rows"].collect()
        if not self.merges:
            return rows
        merge = DeltaMerge(rows, on="id").when_matched_delete("source._change_type = 'delete'")
        return merge.when_matched_update_all().when_not_matched_insert_all("source._change_type <> 'delete'")

    def run(self) -> None:
        attempt = self.consumer.attempt(self._name())
        attempt.commit(self._read(attempt))

    def die_before(self) -> None:
        name = self._name()
        self._read(self.consumer.attempt(name))
        again = self.consumer.attempt(name, 2)
        again.commit(self._read(again))

    def die_after(self) -> None:
        name = self._name()
        attempt = self.consumer.attempt(name)
        attempt.commit(self._read(attempt))
        self.grow()
        assert self.consumer.attempt(name, 2).plan.is_done

    def leave(self) -> None:
        """Let an attempt read, and commit at some later time."""
        attempt = self.consumer.attempt(self._name())
        self.zombies.append((attempt, self._read(attempt)))

    def wake(self) -> None:
        if self.zombies:
            attempt, value = self.zombies.pop(self.random.randrange(len(self.zombies)))
            self._commit_late(attempt, value)

    def _commit_late(self, attempt: Attempt, value: Any) -> bool:
        try:
            attempt.commit(value)
        except RunError as error:
            if not any(said in str(error) for said in ("another run has taken", "was restored")):
                raise
            return False
        return True

    def race(self) -> None:
        """Let two runs read the same position, the second one more of it, and commit in either order."""
        first = self.consumer.attempt(self._name())
        rows = self._read(first)
        self.grow()
        second = self.consumer.attempt(self._name())
        pairs = [(first, rows), (second, self._read(second))]
        self.random.shuffle(pairs)
        taken = [self._commit_late(attempt, value) for attempt, value in pairs]
        assert taken == [True, False]

    def restore(self) -> None:
        newest = DeltaTable(str(self.target)).version() if self.target.exists() else 0
        if newest:
            DeltaTable(str(self.target)).restore(self.random.randint(max(0, newest - 5), newest - 1))


def rows(path: Path) -> list[tuple[Any, ...]]:
    return sorted(pl.read_delta(str(path)).select("id", "value").rows())


@pytest.mark.parametrize("merges", [False, True], ids=["append", "merge"])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.sampled(2)
def test_the_target_has_each_row_of_the_source_once(tmp_path: Path, seed: int, merges: bool) -> None:
    """Runs die before and after their commits, two take the same rows, late ones commit, tables are restored."""
    ordeal = Ordeal(tmp_path, seed, merges=merges)
    for _ in range(STEPS):
        ordeal.step()
    ordeal.run()
    assert rows(ordeal.target) == rows(ordeal.source)
