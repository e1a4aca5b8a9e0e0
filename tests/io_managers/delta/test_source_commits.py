"""What the commits of a table that is read for what is new have done to its columns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dbxdec.errors import RunError
from dbxdec.io_managers.contexts import InputContext
from dbxdec.io_managers.delta.source_commits import refuse_lost_columns

HERE = InputContext("lake/orders", "new")


def struct(**fields: Any) -> dict[str, Any]:
    return {"type": "struct", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}


def array(kind: Any) -> dict[str, Any]:
    return {"type": "array", "elementType": kind}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ("integer", "long", "`x` was integer and is long"),
        ("integer", array("integer"), "`x` was integer and is array"),
        (struct(a="short", b="long"), struct(a="integer"), "`x.a` was short and is integer, `x.b` is gone"),
        (array(struct(a="short")), array(struct(a="long")), "`x.element.a` was short and is long"),
    ],
)
def test_another_type_is_named_where_it_is(before: Any, now: Any, said: str) -> None:
    """Inside of a struct or a list, too."""
    with pytest.raises(RunError) as error:
        refuse_lost_columns([json.dumps(struct(x=before))], json.dumps(struct(x=now)), HERE)
    assert f"has other types in some columns: {said} since the task" in str(error.value)


def test_structs_may_have_got_fields() -> None:
    """Rows of before have null there."""
    newest = json.dumps(struct(x=array(struct(b="long", a="short"))))
    refuse_lost_columns([json.dumps(struct(x=array(struct(a="short"))))], newest, HERE)
