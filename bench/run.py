"""`make bench`: ratios of pairs measured in turn, each with its spread and the budget that the project has set.

`make bench ONLY=hook` (or start, bundle, tasks, times, memory, growth, crash with KILLS=1000) measures only that.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import building
import storage

BENCHES: dict[str, Callable[[Path], Any]] = {
    "start": building.start_up,
    "hook": building.hook,
    "bundle": building.fresh,
    "tasks": building.many_tasks,
    "times": storage.times,
    "memory": storage.memory,
    "growth": storage.growth,
    "crash": storage.kills,
}


def main(only: Iterable[str]) -> None:
    """Measure and print; raises SystemExit for a name that is none."""
    chosen = list(only) or list(BENCHES)
    if unknown := [name for name in chosen if name not in BENCHES]:
        raise SystemExit(f"no benchmark is called {unknown[0]}; there are {', '.join(BENCHES)}")
    for name in chosen:
        with tempfile.TemporaryDirectory() as scratch:
            found = BENCHES[name](Path(scratch))
            for line in [found] if isinstance(found, str) or not isinstance(found, Iterable) else found:
                print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
