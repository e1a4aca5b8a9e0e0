"""Measures calls in turn, so that a drifting machine drifts for all, and in processes of their own where memory or
caches matter."""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).parent
ROOT = HERE.parent


@dataclass(frozen=True)
class Sample:
    """One call: `wall` and `cpu` in ms, the latter of all threads and of all processes that it has started."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Budget:
    """A limit that the project has set: `ratio`: at most so many times the yardstick; `more`: at most so much more than
    it, in the unit of the measurement; `fold`: so many times less than it at least."""

    kind: Literal["ratio", "more", "fold"]
    limit: float


@dataclass(frozen=True)
class Line:
    """One line of the report; `missed` says what exceeds its budget, None where none does."""

    text: str
    missed: str | None = None


@dataclass(frozen=True)
class Pair:
    """The costs of ours and of the yardstick, round by round, in `unit`; `cpu` has the same in CPU time."""

    name: str
    over: str
    budget: Budget | None
    ours: Sequence[float]
    yardstick: Sequence[float]
    unit: str = "ms"
    cpu: tuple[Sequence[float], Sequence[float]] | None = None

    def line(self) -> Line:
        """The median of the ratios with the middle half of them, both medians, and the budget.

        A budget in ms or MB is compared with the quickest of each side: what other processes of the machine add to a
        round, they never take away.
        """
        fold = self.budget is not None and self.budget.kind == "fold"
        ratios = _ratios(self.yardstick, self.ours) if fold else _ratios(self.ours, self.yardstick)
        ratio = statistics.median(ratios)
        facts = [_middle(ratios), *self._cpu(fold), f"n={len(ratios)}"]
        text = (
            f"{self.name:<47} {ratio:6.2f}x{' less' if fold else ''} ({', '.join(facts)}); "
            f"{_number(statistics.median(self.ours))} and {_number(statistics.median(self.yardstick))} {self.unit}: "
            f"{self.over}"
        )
        if self.budget is None:
            return Line(f"{text}; no budget")
        more = min(self.ours) - min(self.yardstick)
        got, said, kept = {
            "ratio": (f"{ratio:.2f}x", f"<= {self.budget.limit:g}x", ratio <= self.budget.limit),
            "more": (f"{more:+.1f} {self.unit}", f"<= +{self.budget.limit:g} {self.unit}", more <= self.budget.limit),
            "fold": (f"{ratio:.2f}x less", f">= {self.budget.limit:g}x less", ratio >= self.budget.limit),
        }[self.budget.kind]
        if self.budget.kind == "more":
            text += f"; the quickest {got}"
        if kept:
            return Line(f"{text}; budget {said}: kept")
        return Line(f"{text}; budget {said}: MISSED", f"{self.name}: {got}, budget {said}")

    def _cpu(self, fold: bool) -> list[str]:
        if self.cpu is None:
            return []
        above, below = reversed(self.cpu) if fold else self.cpu
        return [f"cpu {statistics.median(_ratios(above, below)):.2f}x"]


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"


def _middle(values: Sequence[float]) -> str:
    if len(values) < 4:
        return f"{min(values):.2f} to {max(values):.2f}"
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{low:.2f} to {high:.2f}"


def in_turn(n: int, *calls: Callable[[], Any]) -> list[list[Sample]]:
    """Time each of `calls` `n` times, after one of each that does not count; every second round goes backwards."""
    found: list[list[Sample]] = [[] for _ in calls]
    for call in calls:
        call()
    for i in range(n):
        order = list(zip(calls, found, strict=True))
        for call, samples in order if i % 2 == 0 else reversed(order):
            samples.append(_sample(call))
    return found


def paired(
    name: str, over: str, budget: Budget | None, ours: Callable[[], Any], yardstick: Callable[[], Any], n: int
) -> Pair:
    """The two in turn, `n` times."""
    mine, theirs = in_turn(n, ours, yardstick)
    cpu = ([s.cpu for s in mine], [s.cpu for s in theirs])
    return Pair(name, over, budget, [s.wall for s in mine], [s.wall for s in theirs], cpu=cpu)


def _sample(call: Callable[[], Any]) -> Sample:
    gc.collect()
    cpu, began = _cpu(), time.perf_counter()
    result = call()
    wall, cpu = time.perf_counter() - began, _cpu() - cpu
    del result  # freeing it is the caller's business in both
    return Sample(1000 * wall, 1000 * cpu)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def quietly(*command: str | Path, cwd: Path, **environment: str) -> None:
    """A process that must succeed; what it has said is in the error where it does not."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")


@dataclass(frozen=True)
class Peak:
    """Memory in MB: the most that the process has had during the call, and what it had before."""

    peak: float
    before: float


def peak_of(module: str, function: str, *arguments: object) -> Peak:
    """The memory of `function(*arguments)`, of a module of this folder, in a fresh process.

    A function that is a generator prepares up to its first `yield`, and what comes after it is measured. On Linux the
    peak is the kernel's VmHWM, set back before the call: `ru_maxrss` would begin at the peak of whoever started the
    process.
    """
    done = subprocess.run(
        [sys.executable, str(HERE / "measure.py"), module, function, json.dumps(arguments)],
        cwd=HERE,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{module}.{function}{arguments} ended with {done.returncode}:\n{done.stderr}")
    return Peak(*json.loads(done.stdout.splitlines()[-1]))


def _measure_peak(module: str, function: str, arguments: str) -> None:
    from importlib import import_module

    steps = getattr(import_module(module), function)(*json.loads(arguments))
    next(steps)
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        own = True
    except OSError:  # not Linux
        own = False
    before = _high_water(own)
    kept = list(steps)
    print(json.dumps([_high_water(own), before]))
    del kept


def _high_water(own: bool) -> float:
    if own:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    _measure_peak(*sys.argv[1:])
