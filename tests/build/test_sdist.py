"""The sdist of dbxdec itself: whoever packages it anew runs the tests from there."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from repository import ROOT

NEEDED = ("src", "tests", "examples", "docs", "bench")
MADE = {"__pycache__", ".dbxdec", "dist", "resources", "lake", ".pytest_cache", ".hypothesis", "venv"}


@pytest.mark.slow
def test_an_sdist_holds_all_that_its_tests_need(tmp_path: Path) -> None:
    """Examples, documents and pinned versions as well: everything of the repository that is no machine's own."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    files = {
        file.relative_to(ROOT).as_posix()
        for folder in NEEDED
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and not MADE & set(file.relative_to(ROOT).parts)
    }
    assert files <= names
    assert {"constraints.txt", "Makefile", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith((".ci", ".venv", "build/", "dist/"))]
