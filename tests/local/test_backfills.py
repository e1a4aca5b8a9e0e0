"""How a backfill ended: what is kept of it, and what is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dbxdec.cli.book import Book
from dbxdec.local import backfilling, backfills
from dbxdec.local.backfill import Plan, Step
from dbxdec.local.backfilling import Ended
from dbxdec.local.backfills import Record
from dbxdec.local.missing import Keys
from dbxdec.platform.run_if import State

DAYS = [("2024-01-01",), ("2024-01-02",)]


def kept(folder: Path, *states: str) -> Record:
    """A backfill of two days that a person has stopped, after runs that ended so."""
    found = backfills.new(folder)
    with found.working(job="daily", target=None, arguments=["daily"], names=["day"], plan=DAYS):
        for day, state in zip(DAYS, states, strict=False):
            found.note_end(day, state, "1", 1.0)
        found.note("over", done=len(states), due=2, stopped=True, time_ms=1)
    return Record(found.path)


def test_a_backfill_whose_runs_have_all_ended_well_is_done(tmp_path: Path) -> None:
    """Ctrl-C during the last of them has stopped nothing."""
    assert kept(tmp_path, "success", "success").state == "success"
    assert kept(tmp_path, "success", "cancelled").state == "cancelled"
    assert kept(tmp_path, "success").state == "cancelled"


@pytest.mark.parametrize(("done", "unfinished", "state"), [(2, 0, "success"), (2, 1, "cancelled"), (1, 0, "cancelled")])
def test_a_resumed_backfill_with_nothing_left_is_done(tmp_path: Path, done: int, unfinished: int, state: str) -> None:
    """Its last run has ended well after it, as on the platform. A run that has not succeeded is something left."""
    record = kept(tmp_path, "success")
    keys = Keys("daily", ("day",), tuple(DAYS), (), made=frozenset(DAYS[:done]))
    book = Book(tmp_path, "daily", None, None, ["daily"], record, None)  # type: ignore[arg-type]
    book.nothing_left(keys, Plan((), done, unfinished))
    found = Record(record.path)
    assert (found.state, len(found.well)) == (state, 2 if state == "success" else 1)


class Pool:
    stopping = False

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("last", "stopped"), [(State.SUCCESS, False), (State.FAILED, False), (State.CANCELLED, True), (None, True)]
)
def test_an_interrupt_that_stops_no_run_does_not_stop_the_backfill(
    monkeypatch: pytest.MonkeyPatch, last: State | None, stopped: bool
) -> None:
    """It came while the last run ended; otherwise runs are left."""
    pool = Pool()

    @contextmanager
    def interruptible(_: Pool) -> Iterator[None]:
        yield

    def one(_: Any, __: Keys, step: Step, *___: Any) -> Ended:
        pool.stopping = step.key == DAYS[0 if last is None else 1]
        return Ended(step, State.SUCCESS if step.key == DAYS[0] or last is None else last, 0)

    monkeypatch.setattr(backfilling, "pool_of", lambda *_, **__: pool)
    monkeypatch.setattr(backfilling, "interruptible", interruptible)
    monkeypatch.setattr(backfilling, "_one", one)
    nothing: Any = SimpleNamespace(path=None, descriptors=(), of=lambda _: None, own=set())
    told: list[Ended] = []
    plan = Plan(tuple(Step(day, "missing") for day in DAYS), 0)
    found = backfilling.run_plan(
        nothing, nothing, plan, nothing, keys_at_once=1, meanwhile=nothing, began=lambda _: None, ended=told.append
    )
    assert (found, len(told)) == (stopped, 1 if last is None else 2)
