"""What the build side costs: the hook, `dbxdec bundle`, many tasks; and the start of `dbxdec-run`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from measure import Pair, paired, quietly

from conftest import ROOT
from dbxdec import IoManager, Job, checks, codegen, job, task
from dbxdec.manifest import Manifest, decode, encode, encode_jobs
from projects import Project, shop


def empty(root: Path) -> Project:
    """A project whose one task does nothing."""
    project = shop(root)
    project.write(
        "src/shop/pipelines/sales.py",
        "from dbxdec import job, task\n\n\n@job\ndef nothing():\n"
        "    @task\n    def only() -> None: ...\n\n    only()\n",
    )
    return project


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


def hook(folder: Path) -> list[Pair]:
    """A wheel of a small pipeline with the hook, over the same wheel without it, by hatch and by hatchling alone."""
    project, plain = shop(folder / "with"), shop(folder / "without")
    plain.edit("pyproject.toml", "[tool.hatch.build.hooks.dbxdec]\n", "")
    wheels = folder / "wheels"
    quietly(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels), cwd=ROOT)
    # hatch builds in an environment of its own, which the call that does not count has made.
    places = {
        "HATCH_DATA_DIR": str(folder / "hatch"),
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "UV_CONSTRAINT": str(ROOT / "constraints.txt"),
        "UV_BUILD_CONSTRAINT": str(ROOT / "constraints.txt"),
        "PIP_FIND_LINKS": str(wheels),
        "UV_FIND_LINKS": str(wheels),
    }
    found = []
    for tool, budget in (("hatch", "<= 2x"), ("hatchling", "none")):
        build = (sys.executable, "-m", tool, "build", "-t", "wheel")
        found.append(
            paired(
                f"{tool} build -t wheel with the hook",
                "without",
                budget,
                lambda build=build: quietly(*build, cwd=project.root, **places),  # type: ignore[misc]
                lambda build=build: quietly(*build, cwd=plain.root, **places),  # type: ignore[misc]
                7,
            )
        )
    return found


def fresh(folder: Path) -> Pair:
    """`dbxdec bundle` where nothing has changed, over a Python that does nothing."""
    project = shop(folder / "fresh")
    dbxdec = str(Path(sys.executable).with_name("dbxdec"))
    quietly(dbxdec, "bundle", cwd=project.root)
    return paired(
        "dbxdec bundle when nothing has changed",
        "bare Python",
        "<= 150 ms more",
        lambda: quietly(dbxdec, "bundle", cwd=project.root),
        lambda: quietly(sys.executable, "-c", "", cwd=project.root),
        20,
    )


def many_tasks(_: Path) -> str:
    """100 jobs of 100 tasks: bodies, DAG checks, manifest, job definitions."""

    class Shelf(IoManager):
        base_path = "/lake/{job}"

        def read(self, context: object) -> int:
            raise NotImplementedError

        def write(self, context: object, value: object) -> None:
            raise NotImplementedError

    shelf = Shelf()

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
