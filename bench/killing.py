"""Writers killed at any instant and retried, more of them than the tests kill."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Line

import crash


def kills(folder: Path) -> Iterator[Line]:
    """KILLS writers (200 unless said), killed and retried: rows are counted."""
    import polars as pl

    wanted = int(os.environ.get("KILLS", "200"))
    for kind in crash.KINDS:
        began = time.perf_counter()
        table = folder / kind
        ordeal = crash.endure(kind, table, wanted // len(crash.KINDS), seed=int(began))
        rows = sorted(pl.read_delta(str(table)).rows())
        right = rows == crash.expected(kind, ordeal.runs)
        text = (
            f"{kind}: {ordeal.kills} kills over {ordeal.runs} runs in {time.perf_counter() - began:.0f} s: "
            f"{'each run once' if right else 'WRONG ROWS'}"
        )
        yield Line(text, None if right else text)
