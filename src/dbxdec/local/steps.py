"""What the platform does itself between tasks: it compares, and refers to what tasks have left."""

from __future__ import annotations

import json
import operator
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dbxdec.local.run_if import State

_TEXT = {"EQUAL_TO": operator.eq, "NOT_EQUAL": operator.ne}
_NUMBER = {
    "GREATER_THAN": operator.gt,
    "GREATER_THAN_OR_EQUAL": operator.ge,
    "LESS_THAN": operator.lt,
    "LESS_THAN_OR_EQUAL": operator.le,
}


def holds(op: str, left: str, right: str) -> bool:
    """Whether a condition holds: equality compares texts, order compares numbers (docs.databricks.com, "If/else").

    Raises RunError where a side of an order is no number.
    """
    if op in _TEXT:
        return bool(_TEXT[op](left, right))
    try:
        return bool(_NUMBER[op](float(left), float(right)))
    except ValueError:
        raise RunError(f"the condition compares {left!r} and {right!r} by size, and one is no number") from None


def references_to(tasks: Mapping[str, State], values: Path) -> dict[str, str]:
    """`tasks.<task>.values.<key>` and `tasks.<task>.result_state` of all tasks that have ended."""
    found = {f"tasks.{key}.result_state": str(state).replace(" ", "_") for key, state in tasks.items()}
    for key in tasks:
        path = values / f"{key}.json"
        if path.exists():
            left: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            found |= {f"tasks.{key}.values.{name}": _text(value) for name, value in left.items()}
    return found


def iterations(inputs: str) -> list[dict[str, str]]:
    """The references `input` and `input.<key>` of each iteration of a for-each task with these inputs.

    Raises RunError where they are no JSON list.
    """
    try:
        items = json.loads(inputs)
    except ValueError:
        items = None
    if not isinstance(items, list):
        raise RunError(f"the items of each(...) are {inputs!r:.80}, not a JSON list")
    return [
        {
            "input": _text(item),
            **({f"input.{key}": _text(value) for key, value in item.items()} if type(item) is dict else {}),
        }
        for item in items
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
