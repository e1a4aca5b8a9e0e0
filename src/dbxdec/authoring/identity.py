"""Tests in a job's body whether a job parameter is None. Nothing else than the code shows them: `is` asks no object."""

from __future__ import annotations

from dis import opmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import CodeType

_TESTS = {code for name, code in opmap.items() if name == "IS_OP" or (name.startswith("POP_JUMP") and "NONE" in name)}


def tested_for_none(code: CodeType, names: Collection[str]) -> Iterator[tuple[str, int | None]]:
    """Yield (name, line) of each test of a variable among `names` that `code` nowhere assigns."""
    if _TESTS.isdisjoint(code.co_code[::2]):
        return
    import dis  # not needed by most jobs

    steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "EXTENDED_ARG", "NOP")]
    assigned = {str(step.argval) for step in steps if step.opname.startswith(("STORE_FAST", "STORE_DEREF"))}
    for i, step in enumerate(steps):
        if not step.opname.startswith(("LOAD_FAST", "LOAD_DEREF")) or step.argval not in names or i + 1 == len(steps):
            continue
        after = steps[i + 1]
        is_none = after.opname == "LOAD_CONST" and after.argval is None and steps[i + 2].opname == "IS_OP"
        if step.argval not in assigned and (after.opcode in _TESTS or is_none):
            yield step.argval, step.positions.lineno if step.positions else None
