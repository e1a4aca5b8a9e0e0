"""Benchmarks as ratios of pairs measured in turn, so that a drifting machine drifts for both: `make bench`.

Each line: what is measured, over what, the median ratio with its spread, and the budget that the project has set.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from dbxdec import IoManager, Job, codegen, job, task
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.manifest import Manifest
from delta_tools import output, receipt, wanted
from projects import Project, shop


@dataclass(frozen=True)
class Pair:
    """Seconds of ours and of the yardstick, pair by pair."""

    name: str
    over: str
    budget: str
    ours: tuple[float, ...]
    yardstick: tuple[float, ...]

    def __str__(self) -> str:
        ratios = [a / b for a, b in zip(self.ours, self.yardstick, strict=True)]
        more = 1000 * (statistics.median(self.ours) - statistics.median(self.yardstick))
        return (
            f"{self.name:<42} {statistics.median(ratios):6.2f}x  ({min(ratios):.2f} to {max(ratios):.2f}), "
            f"{more:+8.1f} ms over {self.over}; budget {self.budget}"
        )


def paired(name: str, over: str, budget: str, ours: Callable[[], None], yardstick: Callable[[], None], n: int) -> Pair:
    """Run both `n` times in turn, after one of each that does not count."""
    ours()
    yardstick()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(n):
        for what, seconds in zip((ours, yardstick), times, strict=True):
            began = time.perf_counter()
            what()
            seconds.append(time.perf_counter() - began)
    return Pair(name, over, budget, tuple(times[0]), tuple(times[1]))


def quietly(*command: str, cwd: Path, **environment: str) -> None:
    subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, check=True, capture_output=True)


def start_up(folder: Path) -> Pair:
    """One empty task as a process, over importing the same module in bare Python."""
    project = empty(folder / "empty")
    assert project.build().code == 0
    site = folder / "site"
    quietly(
        sys.executable, "-m", "uv", "pip", "install", "--no-deps", "--target", str(site), str(project.wheel), cwd=folder
    )
    values = {
        "{{workspace.id}}": "1",
        "{{job.run_id}}": "1",
        "{{task.execution_count}}": "1",
        "{{job.start_time.timestamp_ms}}": "0",
    }
    (form,) = project.jobs()["nothing"]["tasks"]
    named = form["python_wheel_task"]["named_parameters"]
    argv = [f"--{name}={values.get(value, value)}" for name, value in named.items()]
    path = {"PYTHONPATH": str(site)}
    return paired(
        "dbxdec-run of an empty task",
        "importing its module",
        "<= 30 ms more",
        lambda: quietly(sys.executable, "-P", "-m", "dbxdec.runtime", *argv, cwd=folder, **path),
        lambda: quietly(sys.executable, "-P", "-c", "import shop.pipelines.sales", cwd=folder, **path),
        20,
    )


def empty(root: Path) -> Project:
    project = shop(root)
    project.write(
        "src/shop/pipelines/sales.py",
        "from dbxdec import job, task\n\n\n@job\ndef nothing():\n"
        "    @task\n    def only() -> None: ...\n\n    only()\n",
    )
    return project


def hook(folder: Path) -> Pair:
    """A wheel of a small pipeline with the hook, over the same wheel without it."""
    project, plain = shop(folder / "with"), shop(folder / "without")
    plain.edit("pyproject.toml", "[tool.hatch.build.hooks.dbxdec]\n", "")
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel")
    return paired(
        "hatchling build with the hook",
        "without",
        "<= 2x for `hatch build`",
        lambda: quietly(*build, cwd=project.root),
        lambda: quietly(*build, cwd=plain.root),
        7,
    )


def many_tasks() -> str:
    """100 jobs of 100 tasks: bodies, DAG checks, manifest, job definitions."""

    class Shelf(IoManager):
        base_path = "/lake/{job}"

        def read(self, context: object) -> int:
            raise NotImplementedError

        def write(self, context: object, value: object) -> None:
            raise NotImplementedError

    shelf = Shelf()
    from dbxdec import checks
    from dbxdec.manifest import decode, encode, encode_jobs

    @task(io_manager=shelf)
    def step(before: object = None) -> object: ...

    def wide(i: int) -> Job[[]]:
        @job(key=f"job_{i}")
        def one() -> None:
            last: object = None
            for k in range(100):
                last = step.override(key=f"step_{k}")(last)

        return one

    began = time.perf_counter()
    built = [wide(i).build().dag for i in range(100)]
    assert checks.check(built) == []
    bodies = time.perf_counter()
    manifest = decode(encode(Manifest("p", "1", "b" * 64, "bench", encode_jobs(built))), "bench")
    made = time.perf_counter()
    codegen.build_jobs(manifest, wheel="p.whl")
    ended = time.perf_counter()
    return (
        f"10,000 tasks: {ended - began:.2f} s (bodies and DAG {bodies - began:.2f}, manifest {made - bodies:.2f}, "
        f"job definitions {ended - made:.2f})"
    )


def io_manager(folder: Path, rows: int) -> list[Pair]:
    """Writing and reading a table through the IoManager, over the direct calls of polars."""
    data = pl.select(
        id=pl.int_range(rows),
        x=pl.int_range(rows).cast(pl.Float64).sin(),
        text=pl.int_range(rows).mod(997).cast(pl.String),
    )
    ours, direct = folder / "ours", folder / "direct"
    io = PolarsDeltaIoManager("unused", mode="overwrite")
    runs = iter(range(1_000))
    name = f"{rows / 1e6:g} M rows"

    def write() -> None:
        io.write(output(ours, receipt(str(next(runs)))), data)

    pairs = [
        paired(f"write {name}", "write_delta", "<= 1.03x", write, lambda: write_directly(data, direct), 7),
        paired(
            f"read {name}",
            "read_delta",
            "<= 1.03x",
            lambda: discard(io.read(wanted(ours))),
            lambda: discard(pl.read_delta(str(direct))),
            15,
        ),
    ]
    shutil.rmtree(ours)
    shutil.rmtree(direct)
    return pairs


def write_directly(data: pl.DataFrame, target: Path) -> None:
    data.write_delta(str(target), mode="overwrite")


def discard(_: object) -> None:
    """A result that nobody needs."""


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        print(start_up(folder))
        print(hook(folder))
        for rows in (1_000_000, 5_000_000):
            for pair in io_manager(folder, rows):
                print(pair)
    print(many_tasks())


if __name__ == "__main__":
    main()
