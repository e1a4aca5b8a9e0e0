"""A container image that has the wheel: `libraries=[]` installs none, and the build says what that asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from projects import Project, shop, without_own

SALES = "src/shop/pipelines/sales.py"
IMAGE = 'docker_image={"url": "registry/shop:1"}'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return shop(tmp_path / "repository")


def tasks(project: Project) -> dict[str, Any]:
    """The tasks of the job that was built, by key."""
    return {task["task_key"]: task for task in project.jobs()["sales"]["tasks"]}


def test_an_empty_list_is_honoured_on_an_image(project: Project) -> None:
    """The task has no libraries, its siblings have the wheel, and a warning says what the image must hold."""
    project.edit(SALES, "num_workers=1", f"num_workers=1, {IMAGE}")
    project.edit(SALES, "@task(io_manager=lake)", "@task(io_manager=lake, libraries=[])")
    result = project.build()
    assert result.code == 0, result.output
    assert "libraries" not in tasks(project)["orders"]
    assert without_own(tasks(project)["total"]["libraries"]) == [{"whl": f"../dist/{project.wheel.name}"}]
    assert "the task `sales.orders` has `libraries=[]` on a cluster with a docker_image" in result.output
    assert "so the image must contain this build's wheel" in result.output


def test_a_cluster_of_its_own_may_have_the_image(project: Project) -> None:
    """An image on the task's own new cluster counts as well."""
    new = {"spark_version": "16.4.x-scala2.12", "node_type_id": "x", "num_workers": 1, "docker_image": {"url": "a"}}
    cluster = f"new_cluster={new!r}"
    project.edit(SALES, "@task(io_manager=lake)", f"@task(io_manager=lake, libraries=[], {cluster})")
    assert project.build().code == 0
    assert "libraries" not in tasks(project)["orders"]


@pytest.mark.parametrize("libraries", ["", ", libraries=[{'pypi': {'package': 'humanize'}}]"])
def test_an_image_alone_gets_the_wheel(project: Project, libraries: str) -> None:
    """Without an empty list the wheel is installed, image or not."""
    project.edit(SALES, "num_workers=1", f"num_workers=1, {IMAGE}")
    project.edit(SALES, "@task(io_manager=lake)", f"@task(io_manager=lake{libraries})")
    result = project.build()
    assert result.code == 0
    assert tasks(project)["orders"]["libraries"][0] == {"whl": f"../dist/{project.wheel.name}"}
    assert "docker_image" not in result.output


def test_an_empty_list_without_an_image_gets_the_wheel(project: Project) -> None:
    """On a plain cluster the wheel has to come from somewhere."""
    project.edit(SALES, "@task(io_manager=lake)", "@task(io_manager=lake, libraries=[])")
    assert project.build().code == 0
    assert without_own(tasks(project)["orders"]["libraries"]) == [{"whl": f"../dist/{project.wheel.name}"}]
