"""Jobs that differ in each process, by sets, time or chance: found at build, and only where a project has these."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from dbxdec.build.discovery import process
from dbxdec.build.discovery.process import discover
from dbxdec.build.discovery.spec import ShippedFile
from dbxdec.errors import DiscoveryError, SourceLocation

HEAD = """
from __future__ import annotations

import datetime as dt
import random
import time
import uuid
from datetime import date
from uuid import uuid4

from dbxdec import job, task, task_values

NAMES = ("n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8")


@task
def show(names: list[str]) -> None: ...
"""


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The orders of sets of the child processes that are started."""
    seeds: list[str] = []
    run = process._run

    def counted(folder, environment, *args):  # type: ignore[no-untyped-def]
        seeds.append(environment["PYTHONHASHSEED"])
        return run(folder, environment, *args)

    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    monkeypatch.setattr(process, "_run", counted)
    return seeds


def found(root: Path, code: str) -> list[str]:
    """The messages of a build of one module, and where they are."""
    text = HEAD + textwrap.dedent(code)
    (root / "m.py").write_text(text)
    try:
        discover([ShippedFile("m.py", str(root / "m.py"), "src/m.py")], project="p", version="1", pipelines=["m"])
    except DiscoveryError as error:
        places = [problem.where for problem in error.problems]
        assert all(isinstance(place, SourceLocation) for place in places)
        return [
            f"{text.splitlines()[place.line - 1].strip()}: {problem.message}"
            for problem, place in zip(error.problems, places, strict=True)
            if isinstance(place, SourceLocation)
        ]
    return []


REFUSED = {
    "a set of the module": "S = set(NAMES)\n@job\ndef one() -> None:\n    show(list(S))",
    "a set of the body": "@job\ndef one() -> None:\n    show(list({*NAMES}))",
    "a comprehension": "@job\ndef one() -> None:\n    show(list({n.upper() for n in NAMES}))",
    "a frozenset of a function": "def f():\n    return list(frozenset(NAMES))\n@job\ndef one() -> None:\n    show(f())",
    "uuid4": "@job\ndef one() -> None:\n    show([uuid4().hex])",
    "uuid4 of the module": "ID = str(uuid.uuid4())\n@job\ndef one() -> None:\n    show([ID])",
    "random": "@job\ndef one() -> None:\n    show([str(random.random())])",
    "now": "@job\ndef one() -> None:\n    show([dt.datetime.now().isoformat()])",
    "time": "@job\ndef one() -> None:\n    show([str(time.time())])",
}


@pytest.mark.parametrize("code", REFUSED.values(), ids=REFUSED)
def test_a_job_that_depends_on_the_order_of_a_set_is_refused(code: str, tmp_path: Path, children: list[str]) -> None:
    """The run would refuse it, in whatever process the order is another one."""
    (said,) = found(tmp_path, code)
    assert said.startswith("show(")
    assert "gives another task `show` when it runs again, with another order of the elements of sets" in said
    assert children == ["0", "1"]


def test_a_closure_that_depends_on_the_order_is_refused(tmp_path: Path, children: list[str]) -> None:
    """A nested task takes the value along."""
    code = """
    @job
    def one() -> None:
        names = list(set(NAMES))

        @task
        def report() -> str:
            return names[0]

        report()
    """
    (said,) = found(tmp_path, code)
    assert "gives another task `report`" in said


def test_today_is_refused_at_any_hour(tmp_path: Path, children: list[str]) -> None:
    """It is another day in one of the zones in which the body runs again."""
    (said,) = found(tmp_path, "@job\ndef one() -> None:\n    show([date.today().isoformat()])")
    assert "gives another task `show` when it runs again" in said


@pytest.mark.parametrize(
    "parameter",
    [
        "day: date = date.today()",
        "day: dt.datetime = dt.datetime.now()",
        "day: str = uuid4().hex",
        "day: list[str] = list(set(NAMES))",
    ],
)
def test_a_default_that_each_import_makes_anew_is_refused(parameter: str, tmp_path: Path, children: list[str]) -> None:
    """Every run would have the day of the build."""
    (said,) = found(tmp_path, f"@job\ndef one({parameter}) -> None:\n    show(list(NAMES))")
    assert said.startswith("@job: the default of the job parameter `day` is another one each time")


def test_a_job_with_another_key_each_time_is_one_mistake(tmp_path: Path, children: list[str]) -> None:
    """Its defaults and tasks may be the same each time."""
    code = "@job(key=f'one_{uuid4().hex}')\ndef one(day: str = 'x') -> None:\n    show(list(NAMES))"
    (said,) = found(tmp_path, code)
    assert said.partition(": ")[2].startswith("the job `one_")
    assert said.endswith("is not there each time that its module is imported, or has another key then")


def test_a_random_value_that_a_nested_task_takes_along_is_refused(tmp_path: Path, children: list[str]) -> None:
    """Each task would have another one."""
    code = """
    @job
    def one() -> None:
        batch = uuid4().hex

        @task
        def report() -> str:
            return batch

        report()
    """
    (said,) = found(tmp_path, code)
    assert "gives another task `report`" in said


def test_a_sorted_set_is_allowed(tmp_path: Path, children: list[str]) -> None:
    """Each order gives the same job, so all of them have been tried."""
    assert found(tmp_path, "@job\ndef one() -> None:\n    show(sorted({*NAMES}))") == []
    assert children == ["0", "1", "2"]


FREE = {
    "no set": "@job\ndef one() -> None:\n    show(list(NAMES))",
    "a membership": "@job\ndef one() -> None:\n    show([n for n in NAMES if n in {'n1', 'n2'}])",
    "a set in a task": (
        "@task\ndef work() -> list[str]:\n    return list({*NAMES})\n@job\ndef one() -> None:\n    show(work())"
    ),
    "a set in a nested task": (
        "@job\ndef one() -> None:\n    @task\n    def work() -> list[str]:\n        return list(set(NAMES))\n"
        "    show(work())"
    ),
    "an attribute": (
        "def left() -> None:\n    task_values.set('a', 1)\n@job\ndef one() -> None:\n    show(list(NAMES))"
    ),
    "a time in a helper of tasks": (
        "def stamp() -> float:\n    return time.time()\n@task\ndef work() -> float:\n    return stamp()\n"
        "@job\ndef one() -> None:\n    work()\n    show(list(NAMES))"
    ),
    "a pause": "time.sleep(0)\nrandom.seed(3)\n@job\ndef one() -> None:\n    show(list(NAMES))",
    "a string": "@job\ndef one() -> None:\n    show([f'{n} set' for n in NAMES])",
}


@pytest.mark.parametrize("code", FREE.values(), ids=FREE)
def test_a_project_without_sets_is_imported_once(code: str, tmp_path: Path, children: list[str]) -> None:
    """It pays nothing. What only tasks do matters to nobody else."""
    assert found(tmp_path, code) == []
    assert children == ["0"]


def test_the_order_of_the_author_is_kept(tmp_path: Path, children: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONHASHSEED of the environment is the first order."""
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert found(tmp_path, FREE["no set"]) == []
    assert children == ["7"]
