"""Names in tasks that nothing defines are an error at build, at the line of their use; what may be defined is none."""

# ruff: noqa: E501 - a table of programs

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbxdec.errors import Problem
from discovered import problems

HEAD = "from dbxdec import job, task\n"
JOB = "\n@job\ndef {name}() -> None:\n    task_()\n"


def marked(modules: dict[str, str]) -> set[tuple[str, str]]:
    """The lines that say what is undefined in them: `# undefined: a, b.c`."""
    return {
        (f"{path}:{i}", name)
        for path, text in modules.items()
        for i, line in enumerate(text.splitlines(), 1)
        if "# undefined: " in line
        for name in line.partition("# undefined: ")[2].split(", ")
    }


UNDEFINED = {
    "p/helpers.py": """
import functools


def good() -> None:
    print(dbutils.secrets, deeper())  # undefined: dbutils


def deeper() -> None:
    print(spark)  # undefined: spark


@functools.cache
def cached() -> int:
    return spark  # undefined: spark


def unused() -> None:
    print(spark)
""",
    "p/pipelines/everywhere.py": """
from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec import job, task
from p import helpers
from p.helpers import cached, good

import p.helpers as other

if TYPE_CHECKING:
    import polars as pl


@task
def anywhere(n: int) -> None:
    df = spark.table("x")  # undefined: spark
    display(df)  # undefined: display
    print(spark)
    print([one for x in range(3) if two(x)])  # undefined: one, two
    print(lambda: three)  # undefined: three

    def inner() -> None:
        print(json.dumps(n), np.array([1]))  # undefined: json, np

    class Inner:
        x = four  # undefined: four
        y = x
        z: int = 3

    @anything  # undefined: anything
    def decorated() -> None: ...

    print(pl.DataFrame())  # undefined: pl


@task
def attributes() -> None:
    helpers.good()
    helpers.load_it()  # undefined: helpers.load_it
    other.good()
    good()
    cached()
    goood()  # undefined: goood


@job
def nightly() -> None:
    @task
    def nested() -> None:
        def helper() -> None:
            print(sqlContext)  # undefined: sqlContext

        helper()

    anywhere(3)
    attributes()
    nested()
""",
    "p/pipelines/stars.py": """
from polars import *
from dbxdec import job, task


@task
def task_() -> None:
    print(DataFrame, from_a_newer_polars)
    print(spark, dbutils)  # undefined: spark, dbutils


@job
def hourly() -> None:
    task_()
""",
    "p/pipelines/decorated.py": """
from functools import wraps

from dbxdec import job, task


def loud(fn):
    @wraps(fn)
    def wrapper(*args, **kwargs):
        log.info("called")  # undefined: log
        return fn(*args, **kwargs)

    return wrapper


@task
@loud
def task_() -> None:
    print(sc)  # undefined: sc


@job
def weekly() -> None:
    task_()
""",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    return problems(tmp_path_factory.mktemp("undefined"), UNDEFINED)


def test_what_nothing_defines_is_found_wherever_a_task_uses_it(found: list[Problem]) -> None:
    """In functions, comprehensions, classes, helpers of the project and their decorators; each name once a function."""
    said = {(str(p.where), name[1]) for p in found if (name := re.search(r"uses `([^`]+)`", p.message))}
    assert said == marked(UNDEFINED)
    assert len(found) == len(said)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("spark", "`spark = SparkSession.builder.getOrCreate()`"),
        ("sc", "`.sparkContext`"),
        ("dbutils", "`from databricks.sdk.runtime import dbutils`"),
        ("display", "a task runs without a notebook"),
        ("json", "write `import json`"),
        ("np", "write `import numpy as np`"),
        ("pl", "imported only under TYPE_CHECKING"),
        ("goood", "did you mean `good`?"),
        ("helpers.load_it", "define it in `p.helpers`"),
        ("one", "make it a parameter of the task"),
    ],
)
def test_the_hint_says_what_to_write(found: list[Problem], name: str, hint: str) -> None:
    """What notebooks have by themselves has a mend of its own."""
    problem = next(p for p in found if f"uses `{name}`" in p.message)
    assert hint in (problem.hint or "")


def test_helpers_are_named_with_the_task_that_calls_them(found: list[Problem]) -> None:
    """The line is the helper's, and the message says whose run it would break; so do the jobs that it concerns."""
    problem = next(p for p in found if str(p.where) == "p/helpers.py:10")
    assert problem.message == "`deeper`, which the task `attributes` calls, uses `spark`, which is not defined"
    assert problem.jobs == ("nightly",)


DEFINED = {
    "at import": "x = 3\n@task\ndef task_() -> None:\n    print(x, __name__, __file__, task_, len)\n",
    "in a branch that is not taken here": (
        "import os\nif os.environ.get('NEVER'):\n    x = 3\n@task\ndef task_() -> None:\n    print(x)\n"
    ),
    "by a fallback of an import": (
        "try:\n    from json import nothing\nexcept ImportError:\n    other = 3\n@task\ndef task_() -> None:\n"
        "    print(nothing, other)\n"
    ),
    "and deleted": "for x in range(3):\n    pass\ndel x\n@task\ndef task_() -> None:\n    print(x)\n",
    "by `global`": "def later() -> None:\n    global x\n    x = 3\n@task\ndef task_() -> None:\n    later()\n    print(x)\n",
    "by its namespace": "globals()['y'] = 3\n@task\ndef task_() -> None:\n    print(x)\n",
    "by exec": "exec('y = 3')\n@task\ndef task_() -> None:\n    print(x)\n",
    "by a star": "from p.names import *\n@task\ndef task_() -> None:\n    print(x)\n",
    "perhaps, and NameError is caught": (
        "@task\ndef task_() -> None:\n    try:\n        print(spark)\n    except NameError:\n        print(3)\n"
    ),
    "perhaps, and everything is caught": (
        "@task\ndef task_() -> None:\n    try:\n        print(spark)\n    except (ValueError, Exception):\n        pass\n"
    ),
    "perhaps, and a function inside is asked": (
        "@task\ndef task_() -> None:\n    def ask():\n        return spark\n    try:\n        ask()\n"
        "    except NameError:\n        pass\n"
    ),
    "perhaps, and a helper is asked": (
        "def ask():\n    return spark\n@task\ndef task_() -> None:\n    try:\n        ask()\n    except NameError:\n"
        "        pass\n"
    ),
    "perhaps, and it is suppressed": (
        "from contextlib import suppress\n@task\ndef task_() -> None:\n    with suppress(NameError):\n"
        "        print(spark)\n"
    ),
    "perhaps, and its namespace is asked": (
        "@task\ndef task_() -> None:\n    if 'spark' in globals():\n        print(spark)\n"
    ),
    "for checkers, and only they see it": (
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import acme\n@task\n"
        "def task_(x: acme.X | None = None) -> None:\n    y: acme.Y = 3\n    if TYPE_CHECKING:\n        print(acme.Z)\n"
        "    if False:\n        print(nowhere)\n"
    ),
    "by a local import": "@task\ndef task_() -> None:\n    import json\n    def inner():\n        return json\n    inner()\n",
    "by the function itself": (
        "@task\ndef task_() -> None:\n    def inner():\n        return later\n    later = inner\n    class K:\n"
        "        x = 3\n        y = x\n        __slots__ = ()\n    print([K for K in [later]])\n"
    ),
    "by a module that makes its attributes": (
        "from p import lazy\n@task\ndef task_() -> None:\n    print(lazy.anything)\n"
    ),
    "by a module of a package": "import p\nfrom p import pipelines\n@task\ndef task_() -> None:\n    print(p.names, pipelines)\n",
    "by an absent module": "import acme\nfrom acme import y\n@task\ndef task_() -> None:\n    print(acme.anything, y.z)\n",
}


def test_what_may_be_defined_is_no_mistake(tmp_path: Path) -> None:
    """Whatever can give a name its value in the run, or waits for its absence, is left to the run."""
    modules = {
        f"p/pipelines/m{i}.py": (
            (f"from __future__ import annotations\n{HEAD}" if text.startswith("from __future__") else HEAD)
            + text.removeprefix("from __future__ import annotations\n")
            + JOB.format(name=f"job{i}")
        )
        for i, text in enumerate(DEFINED.values())
    }
    others = {"p/names.py": "y = 3\n", "p/lazy.py": "def __getattr__(name):\n    return name\n"}
    assert [str(problem) for problem in problems(tmp_path, {**modules, **others})] == []
