"""What is new in a table with a log of another writer: marked rows, no statistics, and columns that came later."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from test_changes import FEED, Tables

from consumers import Consumer, run
from dbxdec.errors import RunError
from dbxdec.model.changes import Changes

MARK = {
    "storageType": "u",
    "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^",
    "offset": 4,
    "sizeInBytes": 40,
    "cardinality": 1,
}


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def edit(tables: Tables, version: int, change: Callable[[str, dict[str, Any]], None]) -> None:
    """Write a commit of the source as another writer would have: `change` gets each action with its kind."""
    path = tables.source / "_delta_log" / f"{version:020}.json"
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        for kind, content in action.items():
            change(kind, content)
    path.write_text("".join(json.dumps(action) + "\n" for action in actions))


def marked(kind: str, content: dict[str, Any]) -> None:
    """Have files that a commit adds be such of which a row is deleted."""
    if kind == "add":
        content["deletionVector"] = MARK


def test_rows_without_statistics_are_new_to_a_reader_that_may_get_none(tables: Tables) -> None:
    """Their number is not known, which is not the same as that there are none."""
    tables.add(1)
    consumer = tables.consumer(optional=True)
    run(consumer, "a")
    tables.add(2)
    edit(tables, 1, lambda kind, content: content.pop("stats", None) if kind == "add" else None)
    attempt = consumer.attempt("b")
    context = attempt.sources[0].context(attempt.plan.spans["source"])
    assert tables.manager.read(context).collect()["id"].to_list() == [2]
    assert context.facts.rows is None


@pytest.mark.parametrize("kind", ["rows", "feed"])
def test_rows_that_are_marked_as_deleted_are_refused(tables: Tables, kind: Any) -> None:
    """The files of the commit have them still."""
    tables.add(1, feed=True)
    consumer = tables.consumer(Changes(kind))
    run(consumer, "a")
    tables.add(2, 3)
    edit(tables, 1, marked)
    with pytest.raises(RunError, match=r"version 1 of .* marks single rows as deleted .* Polars can't tell `source`"):
        consumer.attempt("b").read()


def test_files_that_a_rewrite_marks_are_refused_where_the_feed_has_none(tables: Tables) -> None:
    """A commit that removes whole files and states no changes of its own."""
    tables.add(1, 2, feed=True)
    consumer = tables.consumer()
    run(consumer, "a")
    tables.add(3, mode="overwrite")
    edit(tables, 1, marked)
    with pytest.raises(RunError, match=r"version 1 of .* marks single rows as deleted"):
        consumer.attempt("b").read()


@pytest.mark.parametrize("new", [True, False])
def test_an_output_that_lags_gets_the_columns_of_what_it_lacks(tables: Tables, new: bool) -> None:
    """It gets the rows of the other one, although the source has got a column, or another property, since then."""
    outputs = {name: (tables.manager, tables.folder / name) for name in ("good", "bad")}
    consumer = Consumer(outputs, {"source": (tables.manager, tables.source)})
    tables.add(1)
    run(consumer, "a")
    tables.add(2)
    died = consumer.attempt("b")
    died.commit(died.read()["source"], "good")
    if new:
        tables.add(3, note=["new"])
    else:
        DeltaTable(str(tables.source)).alter.set_table_properties(FEED["configuration"])
    attempt = consumer.attempt("c")
    assert attempt.read()["source"].collect().equals(pl.DataFrame({"id": [2]}))
    assert attempt.spans == {"source": (0, 1)}
