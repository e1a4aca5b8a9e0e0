"""The tests of Spark again, over Spark Connect, locked as serverless compute is.

A process has either a classic session or one of Connect, so another pytest runs them: those marked `connect`, which a
quick run has here alone, and in `make test-all` all but those marked `classic`, which need a JVM in their own process.
In a quick run the server is the JVM of the classic session, which rests meanwhile; else it is one of its own.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import spark_tools
from repository import TESTS
from spark_tools import SERVER, WORLD, needs_spark, server_of
from thorough import THOROUGH, VARIABLE

pytestmark = needs_spark
if not spark_tools.SERVES:
    pytestmark = [*(mark for mark in needs_spark if mark.name != "xdist_group"), pytest.mark.xdist_group("connect")]
spark = spark_tools.spark


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    """A folder with what PySpark needs for Connect and this environment lacks."""
    there = {name.lower() for one in importlib.metadata.distributions() if (name := one.metadata["Name"])}
    named = (
        Requirement(text)
        for text in importlib.metadata.requires("pyspark") or ()
        if 'extra == "connect"' in text or "extra == 'connect'" in text
    )
    wanted = [f"{one.name}{one.specifier}" for one in named if one.name.lower() not in there]
    folder = tmp_path / "libraries"
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    subprocess.run([*install, "--target", folder, *wanted], check=True)
    return folder


@pytest.fixture
def server(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment that names a server that is there already, if one is."""
    return {SERVER: server_of(request.getfixturevalue("spark"))} if spark_tools.SERVES else {}


def test_spark_connect_gives_the_same_results(libraries: Path, server: dict[str, str], tmp_path: Path) -> None:
    """Modes, exactly once, pinned reads, merges, partitions, slices, at paths and in a catalog, and Parquet files."""
    which = "not classic" if THOROUGH else "connect and not slow"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-m",
        which,
        "--tb=short",
        f"--basetemp={tmp_path}/tests",
    ]
    places = [TESTS / "io_managers" / "delta" / "spark", TESTS / "io_managers" / "files" / "test_spark_parquet.py"]
    command += ["--ignore", __file__]
    path = os.pathsep.join([str(libraries), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **server, WORLD: "connect", "PYTHONPATH": path}
    environment.pop(VARIABLE, None)  # many examples of a rule are tried in the other world
    done = subprocess.run([*command, *places], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
