"""Equal keys in the source of a DeltaMerge: Spark would insert a row for each of them.

The check is a part of the merge's own query. It costs no further pass over the source, which serverless compute could
not keep for it, and it sees the rows that are merged. Null equals nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.spark_frames import quoted, string_literal
from dbxdec.io_managers.spark_session import CHECK, said_by_check

if TYPE_CHECKING:
    from collections.abc import Sequence

_EQUAL = "equal keys"


def refused(source: Any, keys: Sequence[str]) -> Any:
    """Return `source` with a check of its `keys`, which makes its query fail. `is_told` recognises the error."""
    return source.selectExpr(*checks(source.columns, keys)) if keys else source


def checks(columns: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return the expressions that select `columns` with a check of the `keys` among them."""
    if not keys:
        return [*map(quoted, columns)]
    first = keys[0] if keys[0] in columns else next(name for name in columns if name.lower() == keys[0].lower())
    names = ", ".join(map(quoted, keys))
    count = f"count(1) OVER (PARTITION BY {names})"
    fail = f"raise_error({string_literal(CHECK + _EQUAL)})"
    checked = f"CASE WHEN {_some(keys)} AND {count} > 1 THEN {fail} ELSE {quoted(first)} END AS {quoted(first)}"
    return [checked if name == first else quoted(name) for name in columns]


def is_told(error: BaseException) -> bool:
    """Return whether a merge failed by the check."""
    return said_by_check(error) == _EQUAL


def error(task: str, source: Any, keys: Sequence[str]) -> RunError:
    """Return the error of equal keys in `source`. It names one of them, unless the query gives other rows now."""
    twice = source.where(_some(keys)).groupBy(*map(quoted, keys)).count().where("count > 1").limit(1).collect()
    said = "rows with equal keys"
    if twice:
        values = ", ".join(f"{name}={value!r}" for name, value in zip(keys, twice[0], strict=False))
        said = f"{twice[0]['count']} rows with the key {values}"
    return RunError(
        f"the source of the DeltaMerge of the task `{task}` has {said}; keys must be unique",
        hint="keep one row for each key, or merge on more columns",
    )


def _some(keys: Sequence[str]) -> str:
    return " AND ".join(f"{quoted(name)} IS NOT NULL" for name in keys)
