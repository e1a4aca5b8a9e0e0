"""What a build may leave in a tree, and what not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from layouts import content_of
from projects import Project


def named_wheels(project: Project) -> set[Path]:
    """The wheels that the resources of a tree name; each of the others that lie beside its own is there."""
    text = project.resources.read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    (artifact,) = document["artifacts"].values()
    names = {entry["source"] for entry in artifact["files"]} | set(re.findall(r"[^\s\"']+\.whl", text))
    found = {(project.resources.parent / name).resolve() for name in names}
    beside = {path for path in found if path.parent.name == "libraries"}
    assert all(path.is_file() for path in beside)
    return found - beside


def assert_resources(project: Project, wheel: Path) -> None:
    """The resources name this wheel and its build id."""
    assert named_wheels(project) == {wheel.resolve()}
    build_id = json.loads(content_of(wheel).manifest)["build_id"]
    assert build_id in project.resources.read_text(encoding="utf-8")


def assert_no_dangling(project: Project) -> None:
    """Whatever resources there are, the wheel that they name is there, and is of that build."""
    if project.resources.exists():
        (wheel,) = named_wheels(project)
        assert_resources(project, wheel)
