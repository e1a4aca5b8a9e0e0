"""Builds that are killed: whatever is left, no wheel lies beside the resources of another build."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from left_behind import assert_no_dangling, assert_resources
from projects import Project, shop

SALES = "src/shop/pipelines/sales.py"
HATCHLING = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
# At random moments of a build; `DBXDEC_KILLS=200` for a long run.
KILLS = int(os.environ.get("DBXDEC_KILLS", "6"))

# Ends the build, and not what it starts, just before the n-th change of a file in the project.
_AT_A_CHANGE = """
import os
import signal
import sys

if "hatchling" in sys.orig_argv:
    root, left = os.environ["KILL_BELOW"] + os.sep, int(os.environ["KILL_AT"])
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

    def watch(event, arguments):
        global left
        if event == "open":
            changes = isinstance(arguments[2], int) and arguments[2] & writing
        else:
            changes = event in ("os.rename", "os.remove", "os.utime", "os.chmod", "os.mkdir", "os.link", "os.truncate")
        paths = [os.path.abspath(os.fspath(one)) for one in arguments[:2] if isinstance(one, (str, bytes, os.PathLike))]
        if changes and any(str(path).startswith(root) for path in paths):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A repository that was built."""
    project = shop(tmp_path / "repository")
    assert project.build().code == 0
    return project


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
@pytest.mark.slow
@pytest.mark.parametrize("what", ["a module", "the version"])
def test_a_kill_before_any_change_leaves_no_wheel_beside_other_resources(
    project: Project, tmp_path: Path, what: str
) -> None:
    """A build killed before each of its changes of files, one by one, leaves nothing that does not belong together."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_AT_A_CHANGE, encoding="utf-8")
    for name in ("dist", "resources"):
        shutil.copytree(project.root / name, tmp_path / "before" / name)
    if what == "a module":
        project.write("src/shop/words.py", "WORDS = 1\n")
    else:
        project.edit("pyproject.toml", 'version = "1.2.0"', 'version = "1.3.0"')
    code = at = 0
    while at == 0 or code != 0:
        at += 1
        for name in ("dist", "resources"):
            shutil.rmtree(project.root / name)
            shutil.copytree(tmp_path / "before" / name, project.root / name)
        environment = {
            **os.environ,
            "PYTHONPATH": str(tmp_path / "site"),
            "KILL_BELOW": str(project.root),
            "KILL_AT": str(at),
        }
        done = subprocess.run(HATCHLING, cwd=project.root, env=environment, capture_output=True, check=False)
        code = done.returncode
        assert code in (0, -signal.SIGKILL), done.stderr
        assert_no_dangling(project)
    assert at > 4  # the old resources, the wheel, its time, the new resources
    assert project.resources.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_kill_at_any_moment_leaves_no_wheel_beside_other_resources(project: Project) -> None:
    """Builds killed at random moments leave what belongs together, and the next build is whole."""
    chance = random.Random(20)  # noqa: S311
    began = time.monotonic()
    assert project.build().code == 0
    usual = time.monotonic() - began
    kills, number = 0, 2
    while kills < KILLS:
        number += 1
        project.write("src/shop/words.py", f"WORDS = {number}\n")
        # Most of what matters happens near the end.
        delay = usual * chance.choice((chance.uniform(0, 1.1), chance.uniform(0.7, 1.1)))
        with subprocess.Popen(
            HATCHLING, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as build:
            try:
                build.wait(delay)
            except subprocess.TimeoutExpired:
                os.killpg(build.pid, signal.SIGKILL)
                kills += 1
        assert_no_dangling(project)
    assert project.build("--clean").code == 0
    assert_resources(project, project.wheel)
