"""JSON values as strings in references, and the iterations of a for-each task."""

from __future__ import annotations

import json
from typing import Any

from dbxdec.errors import RunError
from dbxdec.platform.references import INPUT, path
from dbxdec.support.masking import brief


def text_of(value: Any) -> str:
    """Return the string that a reference to this task value or item becomes: a string stays, anything else is JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def iterations(inputs: str) -> list[dict[str, str]]:
    """Return the values of the references `input` and `input.<key>`, for each iteration over `inputs`.

    Raises RunError if `inputs` is not a JSON list.
    """
    try:
        items = json.loads(inputs)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list):
        raise RunError(f"the items of each(...) are {brief(inputs)}, not a JSON list")
    return [
        {
            INPUT: text_of(item),
            **({path(INPUT, key): text_of(value) for key, value in item.items()} if type(item) is dict else {}),
        }
        for item in items
    ]
