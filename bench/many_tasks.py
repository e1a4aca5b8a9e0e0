"""100 jobs of 100 tasks, from import to job definitions, in dbxdec and in databricks-bundle-decorators.

Started by its path, in the environment of either, it does the work once and prints the seconds of each phase, and
the CPU seconds, which hold where the machine is shared.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

JOBS, TASKS = 100, 100
ROUNDS = 5
Phases = dict[str, list[float]]
"""Seconds and CPU seconds, by what was done."""
# A type that both can do without; tasks in a chain, each with an IoManager: what large pipelines look like.
_HEAD = """
from typing import Any

from {package} import IoManager, job, task


class Shelf(IoManager):
    base_path = "/lake"

    def read(self, context: Any) -> Any:
        raise NotImplementedError

    def write(self, context: Any, value: Any) -> None:
        raise NotImplementedError


shelf = Shelf()
"""


def compared(folder: Path) -> Iterator[Any]:
    """Both in turn, each in fresh processes of the same Python."""
    import environments
    from measure import Budget, Line, Pair

    newer = environments.rival_python()
    python = newer or sys.executable
    wheel = next(environments.dbxdec_wheels(folder).glob("*.whl"))
    ours = environments.make(folder / "ours", python, f"dbxdec[build] @ {wheel.as_uri()}")
    sides = [("ours", ours, "dbxdec")]
    if newer is not None:
        sides.append(("theirs", environments.tools(folder), "databricks_bundle_decorators"))
    found: dict[str, list[Phases]] = {side: [] for side, _, _ in sides}
    for side, _, package in sides:
        write_project(folder / side, package)
    for i in range(ROUNDS + 1):
        for side, interpreter, _ in sides:
            phases = _once(interpreter, side, folder / side)
            if i:  # the first has compiled the modules
                found[side].append(phases)
    if newer is None:
        yield Line(f"10,000 tasks over {environments.RIVAL}: {environments.why_no_rival()}")
    else:
        yield Pair(
            "10,000 tasks to job definitions",
            environments.RIVAL,
            Budget("fold", 5),
            _sums(found["ours"], 0),
            _sums(found["theirs"], 0),
            cpu=(_sums(found["ours"], 1), _sums(found["theirs"], 1)),
        )
    for side, runs in found.items():
        parts = ", ".join(f"{name} {statistics.median([r[name][1] for r in runs]):.2f}" for name in runs[0])
        yield Line(f"  {side}, CPU seconds: {parts}")


def _sums(runs: list[Phases], which: int) -> list[float]:
    """The ms of all phases together, `which` 1 for those of the CPU."""
    return [1000 * sum(both[which] for both in phases.values()) for phases in runs]


def write_project(root: Path, package: str) -> None:
    """A package `many` with a module for each job."""
    (root / "many").mkdir(parents=True)
    (root / "many" / "__init__.py").write_text("", encoding="utf-8")
    for i in range(JOBS):
        lines = [f"\n\n@job\ndef job_{i}():"]
        for k in range(TASKS):
            parameter = "before: Any" if k else ""
            lines += ["    @task(io_manager=shelf)", f"    def step_{k}({parameter}) -> Any: ...", ""]
        lines += [f"    x{k} = step_{k}({f'x{k - 1}' if k else ''})" for k in range(TASKS)]
        text = _HEAD.format(package=package).replace('"/lake"', f'"/lake/job_{i}"') + "\n".join(lines) + "\n"
        (root / "many" / f"job_{i}.py").write_text(text, encoding="utf-8")


def _once(python: Path, side: str, root: Path) -> Phases:
    command = [str(python), "-P", __file__, side, str(root)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    phases: Phases = json.loads(done.stdout)
    return phases


def ours(watch: Watch) -> int:
    """Discovery's work without its process, the manifest, and definitions checked."""
    from dbxdec.authoring.jobs import registered
    from dbxdec.build import codegen
    from dbxdec.model import checks
    from dbxdec.model.job_forms import encode_jobs
    from dbxdec.model.manifest import Manifest, decode, encode

    watch("import of the library")
    threshold = gc.get_threshold()
    gc.set_threshold(100_000)  # as discovery's process does, and likewise below
    for i in range(JOBS):
        import_module(f"many.job_{i}")
    watch("import of the pipelines")
    gc.disable()
    dags = [job.build(f"many.{job.key}").dag for job in registered()]
    problems = checks.check(dags)
    assert not problems, problems
    watch("bodies and DAG")
    raw = encode_jobs(dags)
    # What follows is done by another process, which has none of all this to search for garbage.
    gc.freeze()
    gc.set_threshold(*threshold)
    gc.enable()
    manifest = decode(encode(Manifest("many", "1", "b" * 64, "bench", raw)), "bench")
    watch("manifest")
    jobs = codegen.build_jobs(manifest, wheel="dist/many.whl")
    watch("job definitions")
    return sum(len(job["tasks"]) for job in jobs.values())


def theirs(watch: Watch) -> int:
    """Its jobs' bodies run at import; its definitions are objects first."""
    generate = import_module("databricks_bundle_decorators").generate_resources
    watch("import of the library")
    for i in range(JOBS):
        import_module(f"many.job_{i}")
    watch("import of the pipelines")
    resources = generate(package_name="many")
    watch("job objects")
    jobs = {key: job.as_dict() for key, job in resources.items()}
    watch("job definitions")
    return sum(len(job["tasks"]) for job in jobs.values())


class Watch:
    """Notes what has passed since it was last asked, under a name."""

    def __init__(self) -> None:
        self.phases: Phases = {}
        self._last = (time.perf_counter(), time.process_time())

    def __call__(self, phase: str) -> None:
        now = (time.perf_counter(), time.process_time())
        self.phases[phase] = [after - before for before, after in zip(self._last, now, strict=True)]
        self._last = now


def _main(side: str, root: str) -> None:
    sys.path.insert(0, root)
    watch = Watch()
    tasks = {"ours": ours, "theirs": theirs}[side](watch)
    assert tasks == JOBS * TASKS, tasks
    print(json.dumps(watch.phases))


if __name__ == "__main__":
    _main(*sys.argv[1:])
