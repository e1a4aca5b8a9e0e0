"""What the platform does itself between tasks: it compares, and refers to what tasks have left."""

from __future__ import annotations

import json
import operator
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.masking import brief
from dbxdec.views import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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


def decide(condition: Mapping[str, str], resolve: Callable[[str], str]) -> tuple[bool, str]:
    """Whether the fields of a condition task hold, and that in words; `resolve` knows variables and references."""
    left, right = resolve(condition["left"]), resolve(condition["right"])
    held = holds(condition["op"], left, right)
    op = texts.OPERATORS.get(condition["op"], condition["op"])
    return held, f"{left} {op} {right}: {'true' if held else 'false'}"


def references_to(task: str, state: State, values: Path) -> dict[str, str]:
    """`references` to a task that has ended, whose values are in the folder `values`."""
    path = values / f"{task}.json"
    return references(task, state, json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})


def references(task: str, state: State, left: Mapping[str, Any]) -> dict[str, str]:
    """`tasks.<task>.result_state`, and `tasks.<task>.values.<key>` of what the task has left."""
    found = {f"tasks.{task}.result_state": str(state).replace(" ", "_")}
    return found | {f"tasks.{task}.values.{name}": _text(value) for name, value in left.items()}


def iterations(inputs: str) -> list[dict[str, str]]:
    """The references `input` and `input.<key>` of each iteration of a for-each task with these inputs.

    Raises RunError where they are no JSON list.
    """
    try:
        items = json.loads(inputs)
    except ValueError:
        items = None
    if not isinstance(items, list):
        raise RunError(f"the items of each(...) are {brief(inputs)}, not a JSON list")
    return [
        {
            "input": _text(item),
            **({f"input.{key}": _text(value) for key, value in item.items()} if type(item) is dict else {}),
        }
        for item in items
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
