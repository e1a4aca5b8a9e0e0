"""What `--fresh` moves out of the way: the tables of a job, below the project, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dbxdec.errors import RunError, SourceLocation
from dbxdec.local.setting_aside import set_aside
from dbxdec.model.dag import Job, Output, Task

HERE = SourceLocation("a.py", 1)


def task(key: str, *targets: str, shared: bool = False, **fields: Any) -> Task:
    outputs = {f"o{i}": Output("dbxdec.io_managers:X", target, shared=shared) for i, target in enumerate(targets)}
    return Task(key, **{"function": "shop:f", "source": HERE, "inputs": {}, "outputs": outputs, **fields})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, in which the process works."""
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src/shop.py").write_text("")
    (folder / "pyproject.toml").write_text("")
    monkeypatch.chdir(folder)
    return folder


def stored(place: Path, kind: str = "_delta_log") -> Path:
    """A table at a place."""
    (place / kind).mkdir(parents=True)
    return place


def fresh(here: Path, *tasks: Task, others: tuple[Job, ...] = (), **values: str) -> list[str]:
    """Move what a job of these tasks has stored; return what is said."""
    jobs = {one.key: one for one in (Job("daily", "shop", "daily", HERE, tasks), *others)}
    build: Any = SimpleNamespace(manifest=SimpleNamespace(job=jobs.__getitem__), sources={"shop.py": "src/shop.py"})
    said: list[str] = []
    set_aside(build, "daily", values, here, lambda text: said.append(str(text)))
    return said


def aside(here: Path) -> list[str]:
    """What has been moved, without the moment."""
    root = here / ".dbxdec/set_aside"
    return sorted(str(found.parent.relative_to(root)).partition("/")[2] for found in root.rglob("_*") if found.is_dir())


@pytest.mark.parametrize("kind", ["_delta_log", "_dbxdec", "_items"])
def test_what_a_task_has_stored_is_moved_below_the_state_folder(here: Path, kind: str) -> None:
    """By its place in the project, which git ignores there; a bundle variable has its value of this run."""
    place = stored(here / "lake/dev/orders", kind)
    (said,) = fresh(here, task("load", "lake/${var.stage}/orders"), stage="dev")
    assert said.startswith("lake/dev/orders is set aside: .dbxdec/set_aside/")
    assert not place.exists()
    assert aside(here) == ["lake/dev/orders"]
    assert (here / ".dbxdec/.gitignore").read_text() == "*\n"


@pytest.mark.parametrize("there", [False, True])
def test_where_nothing_is_stored_nothing_is_moved(here: Path, there: bool) -> None:
    """An empty folder stays."""
    if there:
        (here / "lake/orders").mkdir(parents=True)
    assert fresh(here, task("load", "lake/orders")) == []
    assert not (here / ".dbxdec").exists()
    assert (here / "lake/orders").exists() is there


def test_tables_of_the_jobs_that_it_runs_are_moved_too(here: Path) -> None:
    """And of those that these run."""
    places = {key: {"run_job_task": {"job_id": f"${{resources.jobs.{key}.id}}"}} for key in ("b", "c")}
    runs = [task(key, kind="run_job", function=None, settings=settings) for key, settings in places.items()]
    others = (Job("b", "shop", "b", HERE, (runs[1],)), Job("c", "shop", "c", HERE, (task("load", "lake/c"),)))
    stored(here / "lake/c")
    assert len(fresh(here, runs[0], others=others)) == 1
    assert aside(here) == ["lake/c"]


def test_a_table_inside_of_another_goes_with_it(here: Path) -> None:
    """It is moved once, and so is one of two tasks."""
    stored(here / "lake/a")
    stored(here / "lake/a/b")
    assert len(fresh(here, task("x", "lake/a", "lake/a/b"), task("y", "lake/a"))) == 1
    assert aside(here) == ["lake/a", "lake/a/b"]


def test_shared_tables_stay_and_are_named(here: Path) -> None:
    """Other tasks write them too. One that is not there is no matter."""
    place = stored(here / "lake/shared")
    assert fresh(here, task("load", "lake/shared", "lake/none", shared=True)) == [
        "lake/shared stays as it is: other tasks write it too"
    ]
    assert place.exists()


def refused(here: Path, *tasks: Task) -> list[str]:
    with pytest.raises(RunError) as error:
        fresh(here, *tasks)
    assert not (here / ".dbxdec/set_aside").exists()
    return [problem.message.partition(": ")[2] for problem in error.value.problems]


def test_nothing_is_moved_where_one_can_not_be(here: Path, tmp_path: Path) -> None:
    """All of them are named: what is elsewhere, no result, or holds files of the project."""
    kept = stored(here / "lake/orders")
    (here / "lake/by_hand").mkdir()
    (here / "lake/by_hand/file").write_text("")
    outside = stored(tmp_path / "elsewhere")
    stored(here / "src", "_dbxdec")
    stored(here, "_dbxdec")
    targets = ["lake/orders", "lake/by_hand", str(outside), "src", str(here), "s3://bucket/x", "main.gold.orders"]
    said = refused(here, task("load", *targets))
    assert said == [
        "no run of dbxdec has written what is there",
        f"{outside} is outside of the project",
        "it holds files of the project",
        "it holds files of the project",
        "it is not on this machine",
        "it is not on this machine",
    ]
    assert kept.exists()


def test_the_state_folder_itself_is_never_moved(here: Path) -> None:
    """It has the records of the runs."""
    stored(here / ".dbxdec", "_dbxdec")
    assert refused(here, task("load", "./.dbxdec")) == ["it holds files of the project"]


def test_a_lake_below_the_state_folder_is_moved(here: Path) -> None:
    """That is where remote places are on this machine."""
    stored(here / ".dbxdec/lake/orders")
    fresh(here, task("load", ".dbxdec/lake/orders"))
    assert aside(here) == [".dbxdec/lake/orders"]


def test_links_are_followed(here: Path, tmp_path: Path) -> None:
    """A folder that is a link out of the project is outside of it; that of a state folder elsewhere is not."""
    stored(tmp_path / "disk/orders")
    (here / "lake").symlink_to(tmp_path / "disk")
    assert refused(here, task("load", "lake/orders")) == [f"{tmp_path / 'disk/orders'} is outside of the project"]
    (tmp_path / "state").mkdir()
    (here / ".dbxdec").symlink_to(tmp_path / "state")
    place = stored(tmp_path / "state/lake/x")
    fresh(here, task("load", ".dbxdec/lake/x"))
    assert not place.exists()


def test_what_is_on_another_disk_is_not_moved(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A move would copy all of it."""
    place = stored(here / "lake/orders")
    real = Path.stat

    def elsewhere(path: Path, **options: Any) -> Any:
        found = real(path, **options)
        return SimpleNamespace(st_dev=found.st_dev + 1, st_mode=found.st_mode) if path == place else found

    monkeypatch.setattr(Path, "stat", elsewhere)
    assert refused(here, task("load", "lake/orders")) == ["it is on another disk than .dbxdec"]
