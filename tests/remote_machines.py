"""A project that is built once, deployed to a workspace on this machine, and backfilled from other machines."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from click.testing import CliRunner

from dbxdec.cli.app import cli
from jobs_server import JobsServer
from projects import Project
from running import DBXDEC, Said, define, empty

FIRST = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=3)
DAYS = [str(FIRST + dt.timedelta(days=n)) for n in range(3)]
BODY = f"""
import datetime as dt
import dbxdec.io_managers.delta.polars.manager as manager
from typing import Literal
from dbxdec import daily, key

def key_log(self, uri):
    if "LOCKED" in os.environ:  # a machine that can't read what the platform can
        raise PermissionError("no permission here")
    return read(self, uri)

read, manager.PolarsDeltaIoManager.key_log = manager.PolarsDeltaIoManager.key_log, key_log

@task(io_manager=lake)
def bronze(day: dt.date, region: str = "eu", scale: int = 1) -> pl.DataFrame:
    return pl.DataFrame({{"day": [day], "region": [region], "scale": [scale]}})

@task(io_manager=lake.table("gold", mode="overwrite", partition_by="day"))
def gold(bronze: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    if Path(os.environ["CONTROL"], f"broken-{{day}}").exists():
        raise ValueError("on purpose")
    return bronze

@job
def delays(day: dt.date = daily(since=dt.date.fromisoformat("{FIRST}")), scale: int = 1) -> None:
    gold(bronze(day, scale=scale), day)

@task(io_manager=lake.table("sales"))
def sold(day: dt.date, region: str) -> pl.DataFrame:
    return pl.DataFrame({{"day": [day], "region": [region]}})

@job
def sales(
    day: dt.date = daily(since=dt.date.fromisoformat("{DAYS[1]}")), region: Literal["eu", "us"] = key("eu")
) -> None:
    sold(day, region)

@task(io_manager=lake.table("newest", mode="overwrite"))
def last(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({{"day": [day]}})

@task
def told(day: dt.date) -> None:
    if Path(os.environ["CONTROL"], f"broken-{{day}}").exists():
        raise ValueError("on purpose")

@job(max_concurrent_runs=4)
def newest(day: dt.date = daily(since=dt.date.fromisoformat("{DAYS[1]}"))) -> None:
    told(day).after(last(day))

@job
def plain(day: dt.date = dt.date(2024, 1, 1), scale: int = 1) -> None:
    bronze.override(key="plain_rows", io_manager=lake.table("plain"))(day, scale=scale)
"""
BUNDLE = """
bundle: {{name: shop}}
include: [resources/*.yml]
variables: {{lake: {{default: {lake}}}}}
targets: {{prod: {{default: true}}}}
"""


@dataclass(frozen=True)
class Built:
    """A build: its project, where its wheel is unpacked, and its definitions of jobs."""

    project: Project
    site: Path
    definitions: dict[str, Any]


_BUILT: dict[str, Built] = {}


def build(root: Path, body: str) -> Built:
    """A build, made once for all tests of this process."""
    if body not in _BUILT:
        _BUILT[body] = _build(root, body)
    return _BUILT[body]


def _build(root: Path, body: str) -> Built:
    project = empty(root / "repository")
    define(project, body)
    done = project.build()
    assert done.code == 0, done.output
    with zipfile.ZipFile(project.wheel) as wheel:
        wheel.extractall(root / "site")
    return Built(project, root / "site", project.jobs())


OLDER = BODY.replace(", scale: int = 1) -> None", ") -> None").replace("(day, scale=scale)", "(day)")
"""The project of before the parameter `scale`."""


@dataclass
class Machine:
    """A person's machine, with the tree of the project."""

    root: Path
    environment: dict[str, str]
    ids: dict[str, int]

    @property
    def project(self) -> Project:
        return Project(self.root)

    def arguments(self, *more: str, job: str = "delays") -> list[str]:
        return ["backfill", job, "-t", "prod", "--job-id", str(self.ids[job]), *more]

    def backfill(self, *more: str, job: str = "delays", by_id: bool = True, **environment: str) -> Said:
        """The command in this process; without `by_id` nobody says which job it is on the platform."""
        arguments = self.arguments(*more, job=job) if by_id else ["backfill", job, "-t", "prod", *more]
        return self.dbxdec(*arguments, **environment)

    def dbxdec(self, *arguments: str, **environment: str) -> Said:
        """Any command, in this process: the SDK takes seconds to import."""
        before = Path.cwd()
        os.chdir(self.root)
        try:
            found = CliRunner().invoke(cli, arguments, env={**self.environment, **environment}, catch_exceptions=False)
        finally:
            os.chdir(before)
        return Said(found.exit_code, found.stdout, found.stderr)

    def missing(self, *more: str, job: str = "delays", **environment: str) -> Said:
        return self.dbxdec("missing", job, "-t", "prod", "--job-id", str(self.ids[job]), *more, **environment)

    def start(self, *more: str, program: str | None = None) -> subprocess.Popen[str]:
        """The command in a process of its own."""
        return subprocess.Popen(
            [*(DBXDEC if program is None else (sys.executable, "-c", program)), *self.arguments(*more)],
            cwd=self.root,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def with_cli(self, summary: object) -> dict[str, str]:
        """The environment with a bundle's CLI that prints `summary`: JSON, or a string that is none, which fails."""
        text = summary if isinstance(summary, str) else json.dumps(summary)
        path = self.root / "databricks"
        code = int(isinstance(summary, str))
        stream = "stderr" if code else "stdout"
        path.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"assert sys.argv[1:] == ['bundle', 'summary', '-t', 'prod', '-o', 'json']\n"
            f"print({text!r}, file=sys.{stream})\nsys.exit({code})\n"
        )
        path.chmod(0o755)
        return {"DATABRICKS_CLI_PATH": str(path)}


@dataclass
class Platform:
    """The workspace, and the folders that its runs look at."""

    server: JobsServer
    lake: Path
    control: Path
    base: Path

    def deploy(self, built: Built, **variables: str) -> None:
        self.server.deploy(
            built.definitions,
            site=built.site,
            variables={"lake": str(self.lake), **variables},
            environment={"CONTROL": str(self.control)},
        )

    def machine(self, built: Built, name: str = "machine") -> Machine:
        root = self.base / name
        shutil.copytree(built.project.root, root, ignore=shutil.ignore_patterns("dist", "resources", ".dbxdec"))
        Project(root).write("databricks.yml", BUNDLE.format(lake=json.dumps(str(self.lake))))
        path = os.pathsep.join(
            folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "databricks").exists()
        )
        environment = {
            **self.server.environment,
            "DATABRICKS_CONFIG_FILE": str(self.base / "none"),
            "PATH": path,
        }
        return Machine(root, environment, {job: self.server.id(job) for job in built.definitions})

    def break_(self, day: str) -> None:
        (self.control / f"broken-{day}").touch()

    def mend(self, day: str) -> None:
        (self.control / f"broken-{day}").unlink()

    def rows(self, table: str) -> list[str]:
        """The days that a table has, with those that it has twice."""
        return sorted(map(str, pl.read_delta(str(self.lake / table))["day"]))


@contextmanager
def workspace(folder: Path, built: Built) -> Iterator[Platform]:
    """A workspace to which a build is deployed."""
    for name in ("control", "platform"):
        (folder / name).mkdir()
    with JobsServer(folder / "platform") as server:
        found = Platform(server, folder / "lake", folder / "control", folder)
        found.deploy(built)
        yield found
