"""Wrong projects, each with exactly what its author sees.

A folder of `tests/wrong/` holds what sets one project apart from the plain one of `projects.PYPROJECT`: its files lie
below `src/shop/`, a `pyproject.toml` is added to the plain one (or replaces it, where it has a [build-system] of its
own), and `gitignore` becomes the `.gitignore`. `expected.txt` is all that the build says, with the build's id left out.

After a change of messages run this file with DBXDEC_WRITE_EXPECTED=1, which writes the texts anew, and read the diff as
an author would: does it say what is wrong, where, and what to write instead?
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from projects import PYPROJECT, Project
from repository import TESTS

FOLDER = TESTS / "wrong"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.txt"))
# One of each way by which a message reaches the author.
BY_THE_REAL_TOOL = [
    "argument-misspelt",
    "config-many-mistakes",
    "field-misspelt",
    "import-error-of-two-modules",
    "import-never-ends",
    "input-maybe-unwritten",
    "stand-in-compared",
    "ten-mistakes",
    "warning-schedule",
]


def make(case: str, root: Path) -> Project:
    """The project of a case, in the folder `root`."""
    project = Project(root)
    project.write("pyproject.toml", PYPROJECT)
    project.write("src/shop/__init__.py", "")
    if (FOLDER / case / "pipelines").is_dir():
        project.write("src/shop/pipelines/__init__.py", "")
    for file in sorted((FOLDER / case).rglob("*")):
        if not file.is_file() or file.suffix == ".pyc" or file.name == "expected.txt":
            continue
        name = file.relative_to(FOLDER / case).as_posix()
        text = file.read_text(encoding="utf-8")
        if name == "pyproject.toml":
            project.write(name, text if "[build-system]" in text else PYPROJECT + text)
        elif name == "gitignore":
            project.write(".gitignore", text)
        else:
            target = root / "src" / "shop" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return project


def without_id(said: str) -> str:
    """What a build says, without what every change of dbxdec or of the project changes."""
    return re.sub(r"\bbuild [0-9a-f]{12}\b", "build <id>", said)


def expected(case: str) -> str:
    return (FOLDER / case / "expected.txt").read_bytes().decode("utf-8")


@pytest.mark.sampled(50)
@pytest.mark.parametrize("case", CASES)
def test_a_wrong_project_says_exactly_what_is_wrong(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The build hook, run by hatchling in this process, says the expected text; where it fails, it leaves nothing."""
    project = make(case, tmp_path / "repository")
    failed = False
    try:
        list(WheelBuilder(str(project.root)).build(directory=str(project.root / "dist"), versions=["standard"]))
    except SystemExit as end:
        failed = end.code == 1
    said = without_id(capfd.readouterr().err)
    if "DBXDEC_WRITE_EXPECTED" in os.environ:
        (FOLDER / case / "expected.txt").write_bytes(said.encode("utf-8"))
    assert said == expected(case)
    assert str(tmp_path) not in said
    assert failed == (not project.wheels) == (not project.resources.exists())


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", BY_THE_REAL_TOOL)
def test_the_real_tool_says_the_same(case: str, tmp_path: Path) -> None:
    """`hatchling build` as a process of its own shows the author this text and nothing else."""
    project = make(case, tmp_path / "repository")
    result = project.build()
    wheels = "".join(
        f"{wheel.relative_to(project.root)}\n" for wheel in project.wheels
    )  # the tool's own line, the last
    assert without_id(result.output) == expected(case) + wheels
    assert result.code == (0 if wheels else 1)


def test_every_folder_is_a_case() -> None:
    """No folder is left out for want of an expected text, and no real build for want of a folder."""
    assert sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) == CASES
    assert set(BY_THE_REAL_TOOL) <= set(CASES)
