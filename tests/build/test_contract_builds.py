"""Contracts in a build: named in the manifest, their columns beside it, the same build id without their library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from dbxdec.build.discovery.process import discover
from dbxdec.build.discovery.spec import ShippedFile
from dbxdec.build.wheels import read_wheel
from dbxdec.errors import ManifestError
from dbxdec.model import contract_forms
from projects import Project, shop
from running import DBXDEC

# One worker process takes all: each would make the projects of this module anew.
pytestmark = pytest.mark.xdist_group("contracts")

PIPELINE = """
from __future__ import annotations

from typing import Annotated

import dataframely as dy
import polars as pl

from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


class Orders(dy.Schema):
    id = dy.Int64(min=0, check=lambda column: column < 1000)
    customer = dy.String(nullable=True)

    @dy.rule()
    def even(cls) -> pl.Expr:
        return pl.col("id") % 2 == 0


@task(io_manager=lake)
def orders() -> dy.LazyFrame[Orders]: ...


@task
def report(orders: Annotated[pl.DataFrame, Orders] | None, parts: list[dy.DataFrame[Orders]]) -> None: ...


@job
def sales() -> None:
    made = orders()
    report(made, [made])
"""

# Python runs it when it starts: a library that is there is as if it were not.
WITHOUT = """
import importlib.machinery as machinery
import os

absent = os.environ["ABSENT"].split(",")
find = machinery.PathFinder.find_spec
machinery.PathFinder.find_spec = lambda name, path=None, target=None: (
    None if name.partition(".")[0] in absent else find(name, path, target)
)
"""
MODEL = """
from typing import Annotated

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import DataFrame, LazyFrame

from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(bundle_variable("lake"), mode="append")


class Flights(pa.DataFrameModel):
    day: pl.Date
    delay: int = pa.Field(ge=0, nullable=True)

    @pa.check("delay")
    def plausible(cls, data) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col(data.key) < 5000)

    class Config:
        coerce = True


@task(io_manager=lake.table("silver/flights"))
def clean() -> LazyFrame[Flights]: ...


@task
def report(flights: DataFrame[Flights] | None, more: Annotated[pl.LazyFrame, Flights]) -> None: ...


@job
def daily() -> None:
    made = clean()
    report(made, made)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with contracts, built where their library is installed."""
    project = shop(tmp_path_factory.mktemp("contracts"))
    project.write("src/shop/pipelines/sales.py", PIPELINE)
    said = project.build()
    assert said.code == 0, said.output
    return project


def copied(project: Project, folder: Path, **environment: str) -> Project:
    """A copy of the project, without what was built."""
    shutil.copytree(project.root, folder, ignore=shutil.ignore_patterns("dist", "resources"))
    return Project(folder, environment)


def test_a_wheel_names_contracts_and_has_their_columns_beside_the_manifest(built: Project) -> None:
    """Outputs and inputs name the class; the file beside has columns, types, nulls and the line of the class."""
    orders, report = built.manifest()["jobs"]["sales"]["tasks"]
    name = "shop.pipelines.sales:Orders"
    assert orders["outputs"]["result"]["contract"] == name
    assert report["contracts"] == {"orders": name, "parts[0]": name}
    found = read_wheel(built.wheel).contracts
    line = PIPELINE.lstrip("\n").splitlines().index("class Orders(dy.Schema):") + 1
    assert found == {
        name: contract_forms.Columns(
            (contract_forms.Column("id", "Int64", False), contract_forms.Column("customer", "String", True)),
            "refused",
            f"src/shop/pipelines/sales.py:{line}",
        )
    }


def test_a_build_without_the_library_is_the_same_build(built: Project, tmp_path: Path) -> None:
    """It has the same id, no columns, and says that the contract is not compared."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT, encoding="utf-8")
    other = copied(built, tmp_path / "tree", PYTHONPATH=str(tmp_path), ABSENT="dataframely")
    said = other.build()
    assert said.code == 0, said.output
    assert "note: the contract `Orders` is not compared: the library is not installed where" in said.output
    assert other.manifest() == built.manifest()
    assert read_wheel(other.wheel).contracts == {}
    assert [name for name in members(built) if name not in members(other)] == [
        "shop_pipelines-1.2.0.dist-info/extra_metadata/dbxdec/contracts.json"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("absent", ["pandera", "pandera,polars"])
def test_models_of_pandera_are_the_same_without_it(absent: str, tmp_path: Path) -> None:
    """Also where Polars is absent, too."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT, encoding="utf-8")
    files = []
    for path, content in {"p/__init__.py": "", "p/pipelines/__init__.py": "", "p/pipelines/a.py": MODEL}.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        files.append(ShippedFile(path, str(file), path))
    found = discover(files, project="p", version="1")
    other = discover(files, project="p", version="1", environment={"PYTHONPATH": str(tmp_path), "ABSENT": absent})
    assert other.jobs == found.jobs
    assert other.contracts == {}
    columns = found.contracts["p.pipelines.a:Flights"]["columns"]
    assert columns == [
        {"name": "day", "type": "Date", "nullable": False},
        {"name": "delay", "type": "Int64", "nullable": True},
    ]


def members(project: Project) -> list[str]:
    with zipfile.ZipFile(project.wheel) as archive:
        return archive.namelist()


def test_diff_names_the_column_and_its_reader(built: Project, tmp_path: Path) -> None:
    """A column that is gone, with the task that reads it and its line; a new one; another type."""
    project = copied(built, tmp_path / "tree")
    project.edit("src/shop/pipelines/sales.py", "    customer = dy.String(nullable=True)\n", "    day = dy.Date()\n")
    project.edit("src/shop/pipelines/sales.py", "id = dy.Int64(", "id = dy.Int32(")
    said = subprocess.run(
        [*DBXDEC, "diff", str(built.wheel), "."],
        cwd=project.root,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    reader = "(read by report, src/shop/pipelines/sales.py:"
    assert f"contract Orders: ~ id Int64 -> id Int32 {reader}" in said
    assert f"contract Orders: - customer String or null {reader}" in said
    assert "contract Orders: + day Date\n" in said


@pytest.mark.slow
def test_diff_with_a_wheel_that_has_no_columns_says_so(built: Project, tmp_path: Path) -> None:
    """It was built without the library."""
    bare = tmp_path / built.wheel.name
    with zipfile.ZipFile(built.wheel) as archive, zipfile.ZipFile(bare, "w") as copy:
        for member in archive.infolist():
            if not member.filename.endswith("/contracts.json"):
                copy.writestr(member, archive.read(member))
    said = subprocess.run(
        [*DBXDEC, "diff", str(bare), str(built.wheel)], capture_output=True, text=True, check=True
    ).stdout
    assert "contract Orders: not compared" in said


@pytest.mark.parametrize("content", ["[]", "{", '{"a": {}}', '{"a": {"columns": [{}], "others": "", "source": ""}}'])
def test_columns_that_nobody_wrote_are_refused(content: str) -> None:
    """A wheel may come from anywhere."""
    with pytest.raises(ManifestError, match="has contracts that can't be read"):
        contract_forms.decode(content.encode(), "x.whl")


def test_the_file_is_the_same_in_each_build() -> None:
    """It is canonical: sorted, with a line for each contract."""
    forms = {"b:B": {"source": "x", "columns": []}, "a:A": {"others": "kept"}}
    lines = contract_forms.encode(forms).decode().splitlines()
    assert lines == ["{", ' "a:A": {"others": "kept"},', ' "b:B": {"columns": [], "source": "x"}', "}"]
    assert json.loads("".join(lines)) == forms
