"""The lines of a table's log, for all engines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def actions(lines: Iterable[str], *kinds: str) -> list[dict[str, Any]]:
    """Return the actions of these kinds in lines of the log, each without what is null in it.

    A writer may put spaces into a line, and name other kinds with null (Delta protocol, "Delta Log Entries").
    """
    found = [json.loads(line) for line in lines if any(f'"{kind}"' in line for kind in kinds)]
    known = [{kind: action[kind] for kind in kinds if action.get(kind) is not None} for action in found]
    return [action for action in known if action]
