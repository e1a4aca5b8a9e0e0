"""What is said of keys that only receipts could tell of."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from dbxdec.errors import RunError, SourceLocation
from dbxdec.local.backfill import plan_of
from dbxdec.local.history import Run
from dbxdec.local.missing import Keys, Table, _untold, remedy
from dbxdec.model import required
from dbxdec.model.dag import Job, JobParameter
from dbxdec.model.keys import Choices, Periods
from dbxdec.model.values import ValueType

DAY = JobParameter("day", ValueType("date"), key=Periods("daily"))
REGION = JobParameter("region", ValueType("str"), key=Choices(("eu", "us")))
SINCE = int(dt.datetime(2024, 1, 3, 12, tzinfo=dt.UTC).timestamp() * 1000)
DUE = [("2024-01-01",), ("2024-01-02",), ("2024-01-03",)]


def test_keys_older_than_the_history_can_not_be_told() -> None:
    """A key that was due later is missing; one with a receipt is done."""
    table = Table("gold", frozenset({("2024-01-01",)}), told_since=SINCE)
    assert _untold(table, DUE, [DAY]) == {("2024-01-02",)}
    told = Table("gold", table.done, told_since=SINCE, untold=_untold(table, DUE, [DAY]), source="receipts")
    keys = Keys("delays", ("day",), tuple(DUE), (told,))
    assert [keys.state(key) for key in DUE] == ["done", "can't be told", "missing"]
    assert [table.why for table in keys.unknown] == [
        "its log can't be read, and its history begins on 2024-01-03: of 1 older key nobody knows"
    ]
    assert keys.source == "receipts"


def test_a_key_without_a_period_may_always_be_older() -> None:
    """Nobody knows when it was due."""
    table = Table("gold", told_since=SINCE)
    assert _untold(table, [("eu",), ("us",)], [REGION]) == {("eu",), ("us",)}


def test_a_log_that_tells_all_leaves_nothing_untold() -> None:
    """Only receipts have a beginning."""
    assert _untold(Table("gold"), DUE, [DAY]) == set()


def test_tables_of_items_say_what_makes_them_one() -> None:
    """No log of one table tells of all items; there is nothing that a person could read first."""
    said = remedy(Table("gold", why=required.OF_ITEMS), "delays")
    assert said is not None
    assert "`partition_by=...`" in said
    assert "`keyed=False`" in said


def test_a_first_key_that_lacks_iterations_is_refused_or_resumed(tmp_path: Path) -> None:
    """Nobody knows whether they had no rows: a new run would append the others again, a resumed one does not."""
    key = ("2024-01-01",)
    table = Table(
        "gold",
        begun=frozenset({key}),
        created=SINCE,
        untold=frozenset({key}),
        untold_why=required.BEFORE_IT_WAS_THERE,
        mode="append",
    )
    keys = Keys("delays", ("day",), (key,), (table,))
    job = Job("delays", "shop", "delays", SourceLocation("a.py", 1), ())
    assert keys.state(key) == "can't be told"
    with pytest.raises(RunError) as raised:
        plan_of(job, keys, {}, again=None, newest_first=False)
    assert [problem.hint for problem in raised.value.problems] == [remedy(table, "delays")]
    run = Run(tmp_path, {})
    plan = plan_of(job, keys, {key: run}, again=None, newest_first=False)
    assert [step.before for step in plan.steps] == [run]
