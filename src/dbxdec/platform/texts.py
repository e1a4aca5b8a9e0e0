"""The strings that stand for JSON values in references, and the iterations of a for-each task."""

from __future__ import annotations

import json
from typing import Any

from dbxdec.errors import RunError
from dbxdec.platform.references import INPUT, path
from dbxdec.support.masking import brief


def text_of(value: Any) -> str:
    """Return what a reference to a task value, or to an item, becomes: a string as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def iterations(inputs: str) -> list[dict[str, str]]:
    """Return what the references `input` and `input.<key>` stand for, for each iteration over `inputs`.

    Raises RunError where `inputs` is not a JSON list.
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
