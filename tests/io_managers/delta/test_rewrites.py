"""What the commits of a source say of its rows: the columns that a span must have throughout, and their types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dbxdec.errors import RunError
from dbxdec.io_managers.contexts import InputContext
from dbxdec.io_managers.delta.source_commits import SourceCommit, reading, refuse_lost_columns
from dbxdec.model.changes import Changes

HERE = InputContext("lake/orders", "orders")


def schema(**columns: Any) -> str:
    """The columns as the log has them."""
    return json.dumps({"type": "struct", **fields(columns)})


def fields(columns: dict[str, Any]) -> dict[str, Any]:
    return {"fields": [{"name": name, "type": kind} for name, kind in columns.items()]}


def struct(**columns: Any) -> dict[str, Any]:
    return {"type": "struct", **fields(columns)}


def array(kind: Any) -> dict[str, Any]:
    return {"type": "array", "elementType": kind, "containsNull": True}


def map_(key: Any, value: Any) -> dict[str, Any]:
    return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": True}


AB, ABC, A, CHANGED = (
    struct(a="long", b="long"),
    struct(a="long", b="long", c="long"),
    struct(a="long"),
    struct(a="date"),
)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("long", "long"),
        (AB, AB),
        (A, AB),
        (AB, ABC),
        (array(A), array(AB)),
        (map_("string", A), map_("string", AB)),
        (map_(A, "string"), map_(AB, "string")),
        (struct(a=A), struct(a=AB, b="long")),
    ],
)
def test_columns_may_come_and_structs_may_grow(before: Any, now: Any) -> None:
    """The values of before are values of the type of now."""
    refuse_lost_columns([schema(x=before)], schema(y="long", x=now), HERE)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("long", "string"),
        ("integer", "long"),
        (A, "long"),
        ("long", A),
        (A, array(A)),
        (array("long"), map_("long", "long")),
        (AB, A),
        (AB, struct(b="long")),
        (A, CHANGED),
        (AB, struct(a="date", b="long")),
        (array(AB), array(A)),
        (array("long"), array("string")),
        (map_("string", AB), map_("string", A)),
        (map_("long", "long"), map_("string", "long")),
        (struct(a=AB), struct(a=A)),
    ],
)
def test_a_column_of_another_type_is_an_error(before: Any, now: Any) -> None:
    """Also inside of structs, lists and maps."""
    with pytest.raises(RunError, match="has other types in some columns: `x"):
        refuse_lost_columns([schema(x=before)], schema(x=now), HERE)


@pytest.mark.parametrize("between", [schema(y="long"), schema(x="string", y="long")])
def test_a_column_that_is_as_before_but_was_not_meanwhile_is_an_error(between: str) -> None:
    """It is another one under its name."""
    at_both_ends = schema(x="long", y="long")
    with pytest.raises(RunError, match="`x`"):
        refuse_lost_columns([at_both_ends, between], at_both_ends, HERE)


def test_all_that_is_lost_is_said_at_once() -> None:
    """The names of what is gone, and the types of what is another."""
    with pytest.raises(RunError, match="has lost its columns `x` and `y` and has other types in some columns: `z` was"):
        refuse_lost_columns([schema(x="long", y="long", z="long")], schema(z="date"), HERE)


ADD, REMOVE = {"add": {"path": "a", "dataChange": True}}, {"remove": {"path": "b", "dataChange": True}}
MOVED = {"add": {"path": "c", "dataChange": False}}, {"remove": {"path": "a", "dataChange": False}}


def commit(operation: str, *actions: dict[str, Any], version: int = 3) -> SourceCommit:
    """A commit with these actions."""
    return SourceCommit.of_lines(version, map(json.dumps, [{"commitInfo": {"operation": operation}}, *actions]))


@pytest.mark.parametrize(
    ("made", "is_rewrite"),
    [
        (commit("WRITE", ADD), False),
        (commit("WRITE"), False),
        (commit("OPTIMIZE", *MOVED), False),
        (commit("DELETE", REMOVE), True),
        (commit("UPDATE", ADD, REMOVE), True),
        (commit("RESTORE", ADD), True),  # of rows that were there before
        (commit("RESTORE"), False),
        (commit("CREATE OR REPLACE TABLE", version=0), False),
        (commit("CREATE OR REPLACE TABLE AS SELECT", ADD, version=0), False),
        (commit("CREATE OR REPLACE TABLE"), True),  # also of a table that had no rows
        (commit("CREATE OR REPLACE TABLE AS SELECT", ADD), True),
        (commit("REPLACE TABLE AS SELECT", ADD, version=1), True),
        (commit("CREATE TABLE AS SELECT", ADD), False),
    ],
)
def test_a_rewrite_does_more_than_add_rows(made: SourceCommit, is_rewrite: bool) -> None:
    """Only rows that are added are new without a change data feed."""
    assert made.is_rewrite is is_rewrite


def test_commits_are_read_by_what_they_did() -> None:
    """By their files where they add rows, by the feed where it was on, and not at all where they add none."""
    add, delete, nothing = commit("WRITE", ADD), commit("DELETE", REMOVE, version=4), commit("OPTIMIZE", version=5)
    read = reading([add, delete, nothing], HERE, Changes(), {3: False, 4: True, 5: False})
    assert (read.by_files, read.by_feed, read.is_empty) == ([add], [delete], False)
    left_out = reading([delete, nothing], HERE, Changes(on_rewrite="skip"), {4: False, 5: False})
    assert (left_out.is_empty, left_out.rows) == (True, 0)


def with_rows(*counts: Any) -> SourceCommit:
    """A commit whose files have these numbers of rows, None for one that does not say it."""
    stats = [{} if count is None else {"stats": json.dumps({"numRecords": count})} for count in counts]
    return commit("WRITE", *({"add": {"path": "a", "dataChange": True, **one}} for one in stats))


@pytest.mark.parametrize(
    ("made", "rows"),
    [(with_rows(), 0), (with_rows(2), 2), (with_rows(2, 0, 3), 5), (with_rows(2, None), None), (with_rows(None), None)],
)
def test_the_number_of_rows_is_known_where_all_files_say_it(made: SourceCommit, rows: int | None) -> None:
    """Of some files alone it would be too low."""
    assert made.rows == rows
    assert reading([made], HERE, Changes(), {}).rows == rows


def test_the_number_of_rows_is_not_known_where_a_feed_tells_of_some() -> None:
    """Its files have rows of before and after an update."""
    both = [with_rows(2), commit("DELETE", REMOVE, version=4)]
    assert reading(both, HERE, Changes(), {3: True, 4: True}).rows is None


def test_each_rewrite_is_named_up_to_three() -> None:
    """How many more there are is said with the last of them."""
    commits = [commit("DELETE", REMOVE, version=version) for version in range(3, 8)]
    with pytest.raises(RunError) as error:
        reading(commits, HERE, Changes(), dict.fromkeys(range(3, 8), False))
    assert [problem.message.split(" of lake")[0] for problem in error.value.problems] == [
        f"version {version}" for version in (3, 4, 5)
    ]
    assert ["more such versions" in problem.message for problem in error.value.problems] == [False, False, True]
    assert "(and 2 more such versions)" in error.value.problems[2].message
