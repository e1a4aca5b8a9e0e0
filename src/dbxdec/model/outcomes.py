"""How an expectation of a table came out, as a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def text(name: str, outcome: Mapping[str, Any]) -> str:
    """Return `"plausible delay": 3 of 842 rows failed (kept)` of what the receipt has."""
    failed, rows = outcome["failed"], outcome["rows"]
    broken = " (failed)" if outcome.get("broken") else ""
    match outcome.get("rule"):
        case "rows":
            return f'"{name}": {rows:,} rows{broken}'
        case "fraction":
            return f'"{name}": {failed:,} of {rows:,} rows fulfil it{broken}'
        case _:
            action = f" ({outcome['action']})" if failed else ""
            return f'"{name}": {failed:,} of {rows:,} rows failed{action}'
