"""What is said of keys that only receipts could tell of."""

from __future__ import annotations

import datetime as dt

from dbxdec.local.missing import Keys, Table, _untold, remedy
from dbxdec.model import required
from dbxdec.model.dag import JobParameter
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
        "its log can't be read, and its history begins on 2024-01-03: of 1 older keys nobody knows"
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
