"""Pairs measured in turn, so that a drifting machine drifts for both, and processes' peak memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Pair:
    """What ours and the yardstick have cost, pair by pair, in `unit`."""

    name: str
    over: str
    budget: str
    ours: tuple[float, ...]
    yardstick: tuple[float, ...]
    unit: str = "ms"

    def __str__(self) -> str:
        ratios = [a / b for a, b in zip(self.ours, self.yardstick, strict=True)]
        more = statistics.median(self.ours) - statistics.median(self.yardstick)
        return (
            f"{self.name:<44} {statistics.median(ratios):6.2f}x  ({min(ratios):.2f} to {max(ratios):.2f}), "
            f"{more:+9.1f} {self.unit} over {self.over}; budget {self.budget}"
        )


def paired(name: str, over: str, budget: str, ours: Callable[[], Any], yardstick: Callable[[], Any], n: int) -> Pair:
    """Time both `n` times in turn, after one of each that does not count."""
    ours()
    yardstick()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(n):
        for what, found in zip((ours, yardstick), times, strict=True):
            began = time.perf_counter()
            what()
            found.append(1000 * (time.perf_counter() - began))
    return Pair(name, over, budget, tuple(times[0]), tuple(times[1]))


def quietly(*command: str, cwd: Path, **environment: str) -> None:
    """A process that must succeed."""
    subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, check=True, capture_output=True)


def in_child(module: str, function: str, arguments: Sequence[object]) -> dict[str, float]:
    """What a function of a module of this folder gives in a fresh process, with its seconds and peak memory in MB.

    The peak is what the process has had at most over what it had when the function was called.
    """
    code = (
        "import json, resource, sys, time\n"
        f"import {module}\n"
        "arguments = json.loads(sys.argv[1])\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before, began = peak(), time.perf_counter()\n"
        f"{module}.{function}(*arguments)\n"
        "print(json.dumps({'seconds': time.perf_counter() - began, 'peak': peak() - before, 'whole': peak()}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        cwd=Path(__file__).parent,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
