"""Tasks with frames of other libraries at build: their libraries may be absent there, and have to be required."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dbxdec.build import frames
from dbxdec.build.discovery.process import Discovered, discover
from dbxdec.build.discovery.spec import ShippedFile
from dbxdec.errors import DiscoveryError, Problem, SourceLocation
from projects import shop

# One worker process takes all: each would make the projects of this module anew.
pytestmark = pytest.mark.xdist_group("frames")

SALES = "src/shop/pipelines/sales.py"

PIPELINE = """
from typing import Any

import duckdb
import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa

from dbxdec import each, job, task
from dbxdec.io_managers import PolarsDeltaIoManager, PolarsParquetIoManager

lake = PolarsDeltaIoManager("/lake", mode="append")

@task(io_manager=lake)
def a(n: int) -> pa.RecordBatchReader | None: ...

@task(outputs={"x": lake.table("x"), "y": PolarsParquetIoManager("/files").table("y")})
def b(rows: pa.Table | None, *more: pa.Table) -> dict[str, pd.DataFrame | None]: ...

@task(io_manager=lake)
def c(rows: list[pd.DataFrame], frame: nw.LazyFrame[Any]) -> nw.DataFrame: ...

@task(io_manager=lake.table("new"))
def d(
    con: duckdb.DuckDBPyConnection, new: duckdb.DuckDBPyRelation, table: nw.LazyFrame | None
) -> duckdb.DuckDBPyRelation: ...

@job
def daily() -> None:
    many = a(each([1, 2]))
    parts = b(many)
    last = c(many, parts["x"])
    d(last.changes(), lake.table("reference"))
"""
LIBRARIES = ("duckdb", "narwhals", "pandas", "pyarrow")
# Python finds none of the libraries, as if they were not installed.
HIDDEN = f"""
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = classmethod(
    lambda cls, name, *rest: None if name.partition(".")[0] in {LIBRARIES} else find(name, *rest)
)
"""


def discovered(root: Path, pipeline: str = PIPELINE, **options: Any) -> Discovered:
    files = {"p/__init__.py": "", "p/pipelines/__init__.py": "", "p/pipelines/daily.py": pipeline}
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    shipped = [ShippedFile(path, str(root / path), path) for path in files]
    return discover(shipped, project="p", version="1", **options)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Discovered:
    """The pipeline where all libraries are installed."""
    return discovered(tmp_path_factory.mktemp("there"))


def refused(root: Path, pipeline: str) -> list[str]:
    with pytest.raises(DiscoveryError) as error:
        discovered(root, pipeline)
    return [f"{one.message}; {one.hint}" for one in error.value.problems]


def test_libraries_that_are_absent_change_nothing(there: Discovered, tmp_path: Path) -> None:
    """Placeholders replace them, with type parameters too: the jobs are those of a build that has them."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HIDDEN, encoding="utf-8")
    absent = discovered(tmp_path / "project", environment={"PYTHONPATH": str(tmp_path / "site")})
    assert absent.stand_ins == LIBRARIES
    assert there.stand_ins == ()
    assert absent.jobs == there.jobs
    assert absent.needs.keys() == there.needs.keys() == {*LIBRARIES}


def test_what_tasks_need_is_known_by_their_annotations(there: Discovered) -> None:
    """Each library once, with the task that asks for it first, its line and its annotation."""
    needs = there.needs
    assert sorted(needs) == [*LIBRARIES]
    assert "the task `a` is annotated `pa.RecordBatchReader | None`, which needs pyarrow" in needs["pyarrow"].message
    assert "the task `b` is annotated `dict[str, pd.DataFrame | None]`, which needs pandas" in needs["pandas"].message
    assert "the task `c` is annotated `nw.LazyFrame[" in needs["narwhals"].message
    assert "the task `d` is annotated `duckdb.DuckDBPyRelation`" in needs["duckdb"].message
    place = needs["pyarrow"].where
    assert isinstance(place, SourceLocation)
    assert place.path == "p/pipelines/daily.py"


@pytest.mark.slow
def test_a_connection_needs_its_library(tmp_path: Path) -> None:
    """Although no manager makes it."""
    before, _, after = PIPELINE.partition("@task(io_manager=lake)\ndef a")
    pipeline = (
        before + "@task\ndef a(con: duckdb.DuckDBPyConnection) -> int: ...\n\n@job\ndef daily() -> None:\n    a()\n"
    )
    assert after
    assert sorted(discovered(tmp_path, pipeline).needs) == ["duckdb", "pyarrow"]


SPARK = """
import duckdb
import narwhals as nw
import pyarrow as pa
from pyspark.sql import DataFrame

from dbxdec import job, task
from dbxdec.io_managers import SparkDeltaIoManager

lake = SparkDeltaIoManager("/lake", mode="append")

@task(io_manager=lake)
def a() -> pa.Table: ...

@task(io_manager=lake)
def b() -> DataFrame: ...

@task(io_manager=lake.table("c"))
def c(rows: pa.Table, new: duckdb.DuckDBPyRelation, table: nw.LazyFrame | None) -> DataFrame: ...

@job
def daily() -> None:
    a()
    found = b()
    c(found, found.changes(), lake.table("reference"))
"""


def test_tables_of_spark_have_none_of_these_frames(tmp_path: Path) -> None:
    """As result and as parameter, also of what is new: errors that name what to write."""
    first, *reads = refused(tmp_path, SPARK)
    assert "the task `a` returns `pa.Table`, which SparkDeltaIoManager can't store" in first
    assert [one.partition(", which")[0].rpartition("annotated ")[2] for one in reads] == [
        "`pa.Table`",
        "`duckdb.DuckDBPyRelation`",
        "`nw.LazyFrame | None`",
    ]
    assert all("annotate it as polars.DataFrame, polars.LazyFrame or pyspark.DataFrame" in one for one in reads)


@pytest.mark.slow
def test_a_connection_is_neither_passed_nor_returned(tmp_path: Path) -> None:
    """A run gives it, and nothing stores it."""
    pipeline = PIPELINE.replace("d(last.changes(),", "d(con=many, new=last.changes(), table=").replace(
        "def a(n: int) -> pa.RecordBatchReader | None", "def a(n: int) -> duckdb.DuckDBPyConnection"
    )
    said = refused(tmp_path, pipeline)
    assert any("`d` gets a value for `con`, but a run gives it a connection of DuckDB" in one for one in said)
    assert any("`a` returns `duckdb.DuckDBPyConnection`, which PolarsDeltaIoManager can't store" in one for one in said)


@pytest.mark.slow
def test_the_build_warns_with_the_place(tmp_path: Path) -> None:
    """A requirement ends it."""
    project = shop(tmp_path)
    project.edit(SALES, "import polars as pl\n", "import polars as pl\nimport pyarrow as pa\n")
    project.edit(SALES, "def orders(n: int) -> pl.DataFrame", "def orders(n: int) -> pa.Table")
    built = project.build()
    assert built.code == 0, built.output
    assert f"{SALES}:" in built.output
    assert (
        "the task `orders` is annotated `pa.Table`, which needs pyarrow, but no dependency of the project"
        in built.output
    )
    project.edit("pyproject.toml", '"dbxdec[polars]>=0.1"', '"dbxdec[polars,pyarrow]>=0.1"')
    assert "which needs pyarrow" not in project.build().output


NEEDS = {name: Problem(name) for name in LIBRARIES}


def lacking(*requirements: str, jobs: Any = None, pins: tuple[str, ...] = ()) -> list[str]:
    return [problem.message for problem in frames.lacking(NEEDS, requirements, jobs or {}, pins)]


@pytest.mark.parametrize(
    ("requirement", "left"),
    [
        ("dbxdec[polars]>=0.1", ["duckdb", "narwhals", "pandas", "pyarrow"]),
        ("PyArrow>=18; python_version > '3'", ["duckdb", "narwhals", "pandas"]),
        ("dbxdec[pandas,narwhals]", ["duckdb"]),
        ("dbxdec[all]>=0.1", []),
        ("polars[pyarrow,pandas]", ["duckdb", "narwhals"]),
        ("wheels/pyarrow-1.whl", ["duckdb", "narwhals", "pandas", "pyarrow"]),
    ],
)
def test_what_the_dependencies_bring_is_not_lacking(requirement: str, left: list[str]) -> None:
    """Named itself, as an extra, or by an extra of dbxdec."""
    assert lacking(requirement) == left


@pytest.mark.parametrize(
    "requirement", ["python-dateutil>=2", "PyDateutil", "py_dateutil", "libs/dateutil-2.9-py3-none-any.whl", "dateutil"]
)
def test_a_module_is_brought_by_a_package_with_a_longer_name(requirement: str) -> None:
    """It need not be meant for the project's module of that name."""
    own = {"dateutil": Problem("dateutil"), "helpers": Problem("helpers")}
    assert frames.lacking({}, [requirement], {}, (), own) == [own["helpers"]]


def test_environments_and_locks_bring_libraries_too() -> None:
    """Those of any job, and what is pinned."""
    environment = {"environment_version": "3", "dependencies": ["duckdb==2.0.1", "/Volumes/a.whl"]}
    found = lacking("dbxdec", jobs={"daily": {"environments": {"default": environment}}}, pins=("pandas==3.1.1",))
    assert found == ["narwhals", "pyarrow"]


def test_nothing_is_looked_up_without_needs() -> None:
    """A project without such frames pays nothing."""
    assert frames.lacking({}, ["not a requirement ["], {}, ()) == []
