"""`make bench`: ratios of what is measured in turn, each with its spread and the budget that the project has set.

`make bench ONLY="hook bundle"` measures only these; `ROWS=1000000` sets the sizes of `times` and `peaks`,
`SCALE=1` the smaller scale of `growth`, `KILLS=1000` the number of writers killed by `crash`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import building
import changes
import expecting
import history
import keys
import killing
import local_run
import many_tasks
import memory
import reading
import sparking
import starting
import storage
from measure import Line, Pair

BENCHES: dict[str, Callable[[Path], Any]] = {
    "start": starting.start_up,
    "hook": building.hook,
    "bundle": building.fresh,
    "local": local_run.per_task,
    "cli": local_run.commands,
    "ledger": history.kept,
    "missing": keys.missing,
    "filled": keys.filled,
    "tasks": many_tasks.compared,
    "times": storage.times,
    "results": reading.results,
    "news": changes.read,
    "expect": expecting.expectations,
    "peaks": memory.peaks,
    "growth": memory.growth,
    "spark": sparking.through_spark,
    "crash": killing.kills,
}


def main(only: Iterable[str]) -> None:
    """Measure and print; raises SystemExit for a name that is none."""
    chosen = list(only) or list(BENCHES)
    if unknown := [name for name in chosen if name not in BENCHES]:
        raise SystemExit(f"no benchmark is called {unknown[0]}; there are {', '.join(BENCHES)}")
    # With it each start compiles every module anew, as on no machine where people work.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    missed = []
    for name in chosen:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="dbxdec-bench-") as scratch:
            found = BENCHES[name](Path(scratch).resolve())
            for measured in [found] if isinstance(found, Line | Pair) else found:
                line = measured.line() if isinstance(measured, Pair) else measured
                print(f"{name:<6}  {line.text}", flush=True)
                missed += [line.missed] if line.missed else []
        print(f"{name:<6}  ({time.perf_counter() - began:.0f} s)", flush=True)
    print("Medians; in brackets the middle half of the ratios of single rounds, and the median ratio of CPU times.")
    print("\n".join(["Budgets missed:", *missed]) if missed else "All budgets are kept.")


if __name__ == "__main__":
    main(sys.argv[1:])
