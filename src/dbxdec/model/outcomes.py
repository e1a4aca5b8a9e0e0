"""Results of a table's expectations, and of a contract's rules, as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTRACT = "contract"
"""The action of outcomes that are those of a contract's rules: they fail a write, but for those that only warn."""
WHOLE = "whole"
"""The rule of a contract that is broken by all rows together, so that nobody knows a number."""


def lines(outcomes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the outcomes of a write by their names as sentences; rules of a contract that are met have one."""
    rules = {name: one for name, one in outcomes.items() if one["action"] == CONTRACT}
    met = [one for one in rules.values() if not one["failed"] and not one.get("broken")]
    broken = [name for name, one in rules.items() if one["failed"] or one.get("broken")]
    found = [f"expect {text(name, one)}" for name, one in outcomes.items() if name not in rules]
    found += [f"contract {text(name, rules[name])}" for name in broken]
    return [*found, f"contract: {said_of_met(met[0]['rows'], len(met), others=bool(broken))}"] if met else found


def said_of_met(rows: int, rules: int, *, others: bool) -> str:
    """Return `0 of 842 rows break any of its 7 rules`; with `others` there are some that are broken."""
    return f"0 of {counted(rows, 'row')} break any of its {counted(rules, 'other rule' if others else 'rule')}"


def text(name: str, outcome: Mapping[str, Any]) -> str:
    """Return `"plausible delay": 3 of 842 rows failed (kept)` of what the receipt has."""
    failed, rows = outcome["failed"], outcome["rows"]
    broken = " (failed)" if outcome.get("broken") else ""
    match outcome.get("rule"):
        case "rows":
            return f'"{name}": {counted(rows, "row")}{broken}'
        case "fraction":
            return f'"{name}": {failed:,} of {rows:,} rows fulfil it{broken}'
        case "whole":
            return f'"{name}": broken by {counted(rows, "row")} together ({_done(outcome)})'
        case _:
            action = f" ({_done(outcome)})" if failed else ""
            return f'"{name}": {failed:,} of {rows:,} rows failed{action}'


def _done(outcome: Mapping[str, Any]) -> str:
    """Return what became of the rows that failed."""
    if outcome["action"] != CONTRACT:
        return str(outcome["action"])
    return "kept" if outcome.get("warns") else "failed"
