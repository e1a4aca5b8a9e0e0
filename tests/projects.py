"""Small pipeline repositories for tests: written, built by the real tools, installed, run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PYPROJECT = """
[build-system]
requires = ["hatchling", "dbxdec[build]"]
build-backend = "hatchling.build"

[project]
name = "shop-pipelines"
version = "1.2.0"
requires-python = ">=3.11"
dependencies = ["dbxdec[polars]>=0.1"]

[tool.hatch.build.targets.wheel]
packages = ["src/shop"]

[tool.hatch.build.hooks.dbxdec]

[tool.dbxdec.variables]
lake = "lake"
"""

PIPELINE = """
from __future__ import annotations

import polars as pl

from dbxdec import bundle_variable, job, job_cluster, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")
small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)


@task(io_manager=lake)
def orders(n: int) -> pl.DataFrame:
    return pl.DataFrame({"id": range(n)})


@job(cluster=small)
def sales(n: int = 3) -> None:
    @task
    def total(orders: pl.LazyFrame) -> int:
        return orders.collect().height

    @task
    def report(total: int, words: list[str]) -> None:
        print("REPORT", total, words)

    report(total(orders(n)), ["a", "b"])
"""


def without_own(libraries: list[Any]) -> list[Any]:
    """Libraries of a task, or dependencies of an environment, without the wheel that dbxdec ships of itself.

    The tests run an editable dbxdec, which is in no index.
    """
    return [library for library in libraries if "/libraries/dbxdec-" not in str(library)]


@dataclass(frozen=True)
class Result:
    """How a process ended, and all that it said."""

    code: int
    output: str


@dataclass(frozen=True)
class Project:
    """A pipeline repository in a folder."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, text: str) -> Path:
        """Write a file of the repository."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return target

    def edit(self, path: str, before: str, after: str) -> None:
        """Replace the one occurrence of `before` in a file."""
        text = (self.root / path).read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{before!r} is {text.count(before)} times in {path}"
        (self.root / path).write_text(text.replace(before, after), encoding="utf-8")

    def run(self, *command: str, timeout: float = 300) -> Result:
        """A process in the repository's folder."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout)

    def build(self, *arguments: str, python: str = sys.executable) -> Result:
        """A build by hatchling itself, in the environment of the tests or another one."""
        return self.run(python, "-m", "hatchling", "build", "-t", "wheel", *arguments)

    @property
    def wheels(self) -> list[Path]:
        return sorted((self.root / "dist").glob("*.whl"))

    @property
    def wheel(self) -> Path:
        """The one wheel that was built."""
        (wheel,) = self.wheels
        return wheel

    @property
    def resources(self) -> Path:
        return self.root / "resources" / "dbxdec.yml"

    def manifest(self) -> dict[str, Any]:
        """The manifest in the wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            (name,) = [n for n in archive.namelist() if n.endswith("/extra_metadata/dbxdec/manifest.json")]
            document: dict[str, Any] = json.loads(archive.read(name))
            return document

    def jobs(self) -> dict[str, Any]:
        """The jobs in the resources file."""
        import yaml

        jobs: dict[str, Any] = yaml.safe_load(self.resources.read_text(encoding="utf-8"))["resources"]["jobs"]
        return jobs


def shop(root: Path) -> Project:
    """A repository with one job of three tasks."""
    project = Project(root)
    project.write("pyproject.toml", PYPROJECT)
    project.write("src/shop/__init__.py", "")
    project.write("src/shop/pipelines/__init__.py", "")
    project.write("src/shop/pipelines/sales.py", PIPELINE)
    return project
