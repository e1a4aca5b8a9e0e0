"""The cost of starting a task: `dbxdec-run` of one that does nothing, over importing it, and over its rival."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import environments
from measure import Budget, Line, Pair, Sample, in_turn, paired, quietly

from projects import Project, shop

EMPTY = "from {} import job, task\n\n\n@job\ndef nothing():\n    @task\n    def only() -> None: ...\n\n    only()\n"
# Databricks finds the entry point among those of the distribution and calls it; both runners are spared that look-up.
OURS = "from dbxdec.runtime import main; main()"
RIVALS = "from databricks_bundle_decorators.runtime import main; main()"
_REFERENCES = {
    "{{workspace.id}}": "1",
    "{{job.run_id}}": "1",
    "{{task.execution_count}}": "1",
    "{{job.start_time.timestamp_ms}}": "0",
}


def start_up(folder: Path) -> Iterator[Pair | Line]:
    """One empty task as a process, over importing the same module; then both runners over bare Python."""
    project = _empty(folder / "empty")
    arguments = _arguments(project)
    python = _with_pipeline(folder / "ours", sys.executable, folder, project)
    yield paired(
        "dbxdec-run of an empty task",
        "importing its module",
        Budget("more", 15),
        lambda: _start(python, folder, OURS, *arguments),
        lambda: _start(python, folder, "import shop.pipelines.sales"),
        25,
    )
    newer = environments.rival_python()
    if newer is None:
        yield Line(f"dbxdec-run over {environments.RIVAL}' runner: {environments.why_no_rival()}")
        return
    yield _against(folder, newer, project, arguments)


def _against(folder: Path, newer: str, project: Project, arguments: list[str]) -> Pair:
    """The time that both runners add to a bare Python, on the same Python."""
    own = _with_pipeline(folder / "ours-newer", newer, folder, project)
    other = environments.tools(folder)
    rival = _rival(folder / "rival")
    environments.install(other, "--no-deps", str(rival.root))
    named = ["--__job_name__=nothing", "--__task_key__=only", "--__run_id__=1"]
    runs = in_turn(
        25,
        lambda: _start(own, folder, OURS, *arguments),
        lambda: _start(own, folder, ""),
        lambda: _start(other, folder, RIVALS, *named),
        lambda: _start(other, folder, ""),
    )
    ours_more, theirs_more = _more(runs[0], runs[1]), _more(runs[2], runs[3])
    return Pair(
        "dbxdec-run of an empty task, over bare Python",
        f"the runner of {environments.RIVAL}, over bare Python",
        Budget("fold", 4),
        [more.wall for more in ours_more],
        [more.wall for more in theirs_more],
        cpu=([more.cpu for more in ours_more], [more.cpu for more in theirs_more]),
    )


def _more(runs: list[Sample], bare: list[Sample]) -> list[Sample]:
    """The time that the runs took more than the bare ones of the same rounds."""
    return [Sample(a.wall - b.wall, a.cpu - b.cpu) for a, b in zip(runs, bare, strict=True)]


def _start(python: Path, folder: Path, code: str, *arguments: str) -> None:
    quietly(python, "-P", "-c", code, *arguments, cwd=folder)


def _empty(root: Path) -> Project:
    project = shop(root)
    project.write("src/shop/pipelines/sales.py", EMPTY.format("dbxdec"))
    built = project.build()
    assert built.code == 0, built.output
    return project


def _rival(root: Path) -> Project:
    """The same project for databricks-bundle-decorators, which finds pipelines by their entry points."""
    project = Project(root)
    project.write(
        "pyproject.toml",
        """
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"

        [project]
        name = "shop-pipelines"
        version = "1.2.0"

        [project.entry-points."databricks_bundle_decorators.pipelines"]
        sales = "shop.pipelines.sales"

        [tool.hatch.build.targets.wheel]
        packages = ["src/shop"]
        """,
    )
    project.write("src/shop/__init__.py", "")
    project.write("src/shop/pipelines/__init__.py", "")
    project.write("src/shop/pipelines/sales.py", EMPTY.format("databricks_bundle_decorators"))
    return project


def _with_pipeline(where: Path, python: str, folder: Path, project: Project) -> Path:
    """An environment with dbxdec and the pipeline from their wheels, without extras: as on a cluster."""
    found = environments.make(where, python, str(next(environments.dbxdec_wheels(folder).glob("*.whl"))))
    environments.install(found, "--no-deps", str(project.wheel))
    return found


def _arguments(project: Project) -> list[str]:
    """The arguments that the platform gives to the one task."""
    (form,) = project.jobs()["nothing"]["tasks"]
    named = form["python_wheel_task"]["named_parameters"]
    return [f"--{name}={_REFERENCES.get(value, value)}" for name, value in named.items()]
