"""Fixtures that cost something, made once for all worker processes."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from filelock import FileLock

import spark_tools
from dbxdec.support import masking
from repository import ROOT
from thorough import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forked import Forked
    from object_storage import ObjectStorage
    from projects import Project, Result

# Environments that tests make are compiled once. The processes that tests start write no byte code: it goes by a file's
# size and second, so that an edit within a second could pass unseen.
os.environ |= {"UV_COMPILE_BYTECODE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
# Under `hatch test` the Hatch that tests start would look for the environment of that name in their projects. A pytest
# that a test starts has other options than this one.
for _name in ("HATCH_ENV", "HATCH_ENV_ACTIVE", "PYTEST_ADDOPTS"):
    os.environ.pop(_name, None)

# No test depends on how quick the machine is: neither an example's deadline nor the pace at which examples are made.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    max_examples=examples(100),
)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _secrets_of_one_test() -> Iterator[None]:
    """A secret that a test uses in this process is none to the next one."""
    with masking.scope():
        yield


@pytest.fixture(autouse=True, scope="module")
def _sockets_of_spark(request: pytest.FixtureRequest) -> Iterator[None]:
    """Py4J leaves the sockets of ended threads to the garbage collector, which would blame any later test."""
    yield
    if "spark" in str(request.path.relative_to(ROOT)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@dataclass(frozen=True)
class Installation:
    """An environment with dbxdec from its wheel, and what a pipeline needs to run, but nothing of the build side."""

    prefix: Path

    @property
    def python(self) -> str:
        return str(self.prefix / "bin" / "python")

    def install(self, project: Project) -> Project:
        """The project, with its wheel on the path of whatever `run` starts."""
        site = project.root.parent / "site"
        shutil.rmtree(site, ignore_errors=True)
        subprocess.run(
            [*uv(), "pip", "install", "-q", "--python", self.python, "--no-deps", "--target", site, project.wheel],
            check=True,
        )
        from projects import Project as Repository

        return Repository(project.root, {**project.environment, "PYTHONPATH": str(site)})

    def dbxdec(self, project: Project, *arguments: str) -> Result:
        """`dbxdec ...` in the project's folder."""
        return project.run(str(self.prefix / "bin" / "dbxdec"), *arguments)


def uv() -> list[str]:
    return [sys.executable, "-m", "uv"]


MATRIX_CELL = "front end, layout"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The front ends with the layouts that each has built, where such tests have run."""
    ran: dict[tuple[str, str], str] = {}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            for name, cell in getattr(report, "user_properties", ()):
                if name == MATRIX_CELL and getattr(report, "when", "") == "call":
                    ran[cell[0], cell[1]] = "ok" if outcome == "passed" else outcome
    if not ran:
        return
    ends, layouts = sorted({end for end, _ in ran}), sorted({layout for _, layout in ran})
    width = max(map(len, ends))
    terminalreporter.section("front end x layout (-: hatchling makes no editable wheel of it)")
    terminalreporter.line(" " * width + "  " + "  ".join(layouts))
    for end in ends:
        cells = (ran.get((end, layout), "-").center(len(layout)) for layout in layouts)
        terminalreporter.line(f"{end:<{width}}  " + "  ".join(cells))


_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """A Chromium of this machine."""
    return next((found for name in _CHROMIUMS if (found := shutil.which(name))), None)


def _left_to_slow_runs(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the cases of sampled tests beyond those that a quick run takes: so many, evenly from all of them.

    By their names, which are the same in each run, whatever order the tests have.
    """
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left = []
    for of_one in cases.values():
        of_one.sort(key=lambda item: item.nodeid)
        marker = of_one[0].get_closest_marker("sampled")
        assert marker is not None
        count = min(marker.args[0], len(of_one))
        taken = {i * len(of_one) // count for i in range(count)}
        left += [item for i, item in enumerate(of_one) if i not in taken]
    return left


@pytest.hookimpl(tryfirst=True)  # before those that are slow are deselected
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip by name what can't run here, which the summary shows; first comes what only one worker may run.

    That is the longest piece of work: begun last, it would leave the other workers idle.
    """
    for item in _left_to_slow_runs(items):
        item.add_marker("slow")
    for item in items:
        # A quick run has these over Spark Connect alone: in both worlds they take minutes.
        if item.get_closest_marker("connect") and not spark_tools.IS_CONNECT:
            item.add_marker("slow")
    # Those of examples use the session that other tests have started: one of their own is slower.
    items.sort(key=lambda item: (item.get_closest_marker("xdist_group") is None, "examples/" in item.nodeid))
    if chromium() is None:
        skip = pytest.mark.skip(reason=f"chromium: none of {', '.join(_CHROMIUMS)} is on PATH")
        for item in items:
            if item.get_closest_marker("chromium"):
                item.add_marker(skip)
    if shutil.which("databricks") is None:
        skip = pytest.mark.skip(reason="databricks_cli: the command `databricks` is not on PATH")
        for item in items:
            if item.get_closest_marker("databricks_cli"):
                item.add_marker(skip)


def pytest_sessionstart() -> None:
    """Nothing that collection makes is garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """The garbage collector would look at a million objects of collection again and again: a sixth of the time."""
    gc.enable()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all worker processes of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def dbxdec_wheel(shared: Path) -> Path:
    """The wheel of dbxdec itself, built from this tree.

    Its folder is called by its content: uv keeps a wheel by its path, also for a later run in a folder of that name.
    """
    with FileLock(shared / "wheel.lock"):
        if not (shared / "wheels").exists():
            command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(shared / "built")]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            (built,) = (shared / "built").glob("*.whl")
            folder = shared / "wheels" / hashlib.sha256(built.read_bytes()).hexdigest()[:16]
            folder.mkdir(parents=True)
            built.rename(folder / built.name)
    (wheel,) = (shared / "wheels").glob("*/*.whl")
    return wheel


@pytest.fixture(scope="session")
def build_only(shared: Path, dbxdec_wheel: Path) -> str:
    """The Python of an environment with dbxdec[build] and nothing else: no polars, no pyspark."""
    prefix = shared / "build-only"
    python = str(prefix / "bin" / "python")
    with FileLock(shared / "build-only.lock"):
        if not (prefix / "ready").exists():
            subprocess.run([*uv(), "venv", "-q", "--python", sys.executable, prefix], check=True)
            constraints = ["-c", str(ROOT / "constraints.txt")]
            requirement = f"dbxdec[build] @ {dbxdec_wheel.as_uri()}"
            subprocess.run([*uv(), "pip", "install", "-q", "--python", python, *constraints, requirement], check=True)
            (prefix / "ready").touch()
    return python


@pytest.fixture(scope="session")
def installation(shared: Path, dbxdec_wheel: Path) -> Installation:
    """dbxdec[polars,cli] installed from its wheel, without hatchling and databricks-bundles."""
    prefix = shared / "installation"
    with FileLock(shared / "installation.lock"):
        if not (prefix / "ready.json").exists():
            subprocess.run([*uv(), "venv", "-q", "--python", sys.executable, prefix], check=True)
            requirement = f"dbxdec[polars,cli] @ {dbxdec_wheel.as_uri()}"
            constraints = ["-c", str(ROOT / "constraints.txt")]
            python = str(prefix / "bin" / "python")
            subprocess.run([*uv(), "pip", "install", "-q", "--python", python, *constraints, requirement], check=True)
            listed = subprocess.run(
                [*uv(), "pip", "list", "--python", python, "--format", "json"], check=True, capture_output=True
            )
            names = {entry["name"] for entry in json.loads(listed.stdout)}
            assert not names & {"hatchling", "databricks-bundles"}
            (prefix / "ready.json").write_bytes(listed.stdout)
    return Installation(prefix)


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """Programs of dbxdec, called in processes that start at once."""
    from forked import Forked

    found = Forked()
    yield found
    found.close()


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    """An object storage on this machine; each test has keys of its own."""
    from object_storage import object_storage

    with object_storage(tmp_path_factory.mktemp("storage") / "objects") as found:
        yield found
