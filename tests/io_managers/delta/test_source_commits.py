"""What the commits of a source say of its rows: the columns that a span must have throughout, and their types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dbxdec.errors import RunError
from dbxdec.io_managers.contexts import InputContext
from dbxdec.io_managers.delta.source_commits import refuse_lost_columns

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
    ("before", "now", "said"),
    [
        ("long", "string", "`x` was long and is string"),
        ("integer", "long", "`x` was integer and is long"),
        (A, "long", "`x` was struct and is long"),
        ("long", A, "`x` was long and is struct"),
        (A, array(A), "`x` was struct and is array"),
        (array("long"), map_("long", "long"), "`x` was array and is map"),
        (AB, A, "`x` was struct and is struct"),
        (AB, struct(b="long"), "`x` was struct and is struct"),
        (A, CHANGED, "`x` was struct and is struct"),
        (AB, struct(a="date", b="long"), "`x` was struct and is struct"),
        (array(AB), array(A), "`x` was array and is array"),
        (array("long"), array("string"), "`x` was array and is array"),
        (map_("string", AB), map_("string", A), "`x` was map and is map"),
        (map_("long", "long"), map_("string", "long"), "`x` was map and is map"),
        (struct(a=AB), struct(a=A), "`x` was struct and is struct"),
    ],
)
def test_a_column_of_another_type_is_an_error(before: Any, now: Any, said: str) -> None:
    """Also inside of structs, lists and maps."""
    with pytest.raises(RunError, match=f"has other types in some columns: {said}"):
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
