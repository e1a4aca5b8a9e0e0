"""Remote places and tables of a catalog, answered by folders of this machine while `dbxdec run` runs."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spark_tools
from dbxdec.model import places
from projects import Project
from running import dbxdec, define, empty, states
from spark_tools import needs_own_spark

ROOTS = {
    "azure": "abfss://lake@acct.dfs.core.windows.net/x",
    "amazon": "s3://bucket/some folder",
    "google": "gs://bucket",
    "volume": "/Volumes/main/gold/files",
    "dbfs": "dbfs:/mnt/x",
    "fuse": "/dbfs/mnt/y",
}
MANAGERS = "\n".join(
    f'{name} = PolarsDeltaIoManager(base_path="{root}", mode="overwrite", storage_options={{"key": "unknown"}})'
    for name, root in ROOTS.items()
)
TASKS = "\n".join(
    f"""
    @task(io_manager={name})
    def of_{name}(before: pl.DataFrame) -> pl.DataFrame:
        return before.with_columns(pl.col("x") + 1)
"""
    for name in ROOTS
)
CALLS = "".join(f"    found = of_{name}(found)\n" for name in ROOTS)
CLOUDS = f"""
{MANAGERS}

@job
def clouds() -> None:
    @task(io_manager=azure.table("start"))
    def start() -> pl.DataFrame:
        return pl.DataFrame({{"x": [0]}})

{TASKS}

    @task
    def told(found: pl.DataFrame, start: pl.DataFrame) -> None:
        print("FOUND", found["x"].to_list(), start.height)

    found = start()
{CALLS}
    told(found, azure.table("start"))
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return empty(tmp_path.resolve())


def test_every_kind_of_remote_place_lies_below_the_local_root(project: Project) -> None:
    """A chain of tasks over all of them runs without any cloud or credentials, and nothing lies elsewhere."""
    define(project, CLOUDS)
    said = dbxdec(project, "run", "clouds", "--root", "clouds")
    assert said.code == 0, said
    assert f"FOUND [{len(ROOTS)}] 1" in said.out
    tables = {path.parent.relative_to(project.root).as_posix() for path in project.root.rglob("_delta_log")}
    assert tables == {
        "clouds/abfss/lake_acct.dfs.core.windows.net/x/start",
        "clouds/abfss/lake_acct.dfs.core.windows.net/x/of_azure",
        "clouds/s3/bucket/some_folder-8b51833d/of_amazon",
        "clouds/gs/bucket/of_google",
        "clouds/Volumes/main/gold/files/of_volume",
        "clouds/dbfs/mnt/x/of_dbfs",
        "clouds/dbfs/mnt/y/of_fuse",
    }
    assert not Path("/Volumes").exists()
    assert "s3://bucket/some folder/of_amazon (here: clouds/s3/bucket/some_folder-8b51833d/of_amazon)" in said.out


@pytest.mark.slow
def test_fresh_sets_local_copies_of_remote_places_aside(project: Project) -> None:
    """What `--fresh` moves away are the folders that stand for the cloud's."""
    define(project, CLOUDS.replace("overwrite", "append"))
    for options in ([], ["--fresh"]):
        assert dbxdec(project, "run", "clouds", *options).code == 0
    there = project.root / ".dbxdec/lake/s3/bucket/some_folder-8b51833d/of_amazon"
    assert pl.read_delta(str(there)).height == 1


@pytest.mark.slow
def test_remote_asks_the_places_themselves(project: Project) -> None:
    """With --remote nothing is mapped: a bucket that can't be reached fails the task."""
    define(
        project,
        """
cloud = PolarsDeltaIoManager(base_path="s3://bucket/x", mode="overwrite", storage_options={
    "aws_endpoint": "http://127.0.0.1:9", "aws_allow_http": "true", "aws_region": "x", "max_retries": "0",
    "aws_access_key_id": "x", "aws_secret_access_key": "x"})


@job
def far() -> None:
    @task(io_manager=cloud)
    def save() -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    save()
""",
    )
    said = dbxdec(project, "run", "far", "--remote")
    assert said.code == 1
    assert states(project) == {"save": "failed"}
    assert "(here:" not in said.out


@pytest.mark.parametrize(
    ("target", "there"),
    [
        ("lake/x", "lake/x"),
        ("/tmp/lake/x", "/tmp/lake/x"),  # noqa: S108 - a text
        ("file:///data/x", "file:///data/x"),
        ("C:/data/x", "C:/data/x"),
        ("S3A://Bucket/x", "/local/s3a/Bucket/x"),
        ("main.gold.delays", "/local/tables/main/gold/delays"),
        ("gold.delays", "/local/tables/gold/delays"),
        ("Main.Gold.Delays", "/local/tables/main/gold/delays"),
        ("abfss://raw@lake.dfs.core.windows.net/x/", "/local/abfss/raw_lake.dfs.core.windows.net/x"),
        ("delays", "delays"),
    ],
)
def test_where_a_target_lies(monkeypatch: pytest.MonkeyPatch, target: str, there: str) -> None:
    """Local paths stay; remote ones, and tables by their name, go below the root; without a root nothing does."""
    monkeypatch.setenv(places.ROOT, "/local")
    assert places.place_here(target) == there
    monkeypatch.delenv(places.ROOT)
    assert places.place_here(target) == target


_SEGMENT = st.text(min_size=1).filter(lambda text: "/" not in text)


@given(st.lists(st.lists(_SEGMENT, min_size=1, max_size=3).map(tuple), min_size=2, max_size=4, unique=True))
def test_each_remote_place_has_a_local_folder_of_its_own(paths: list[tuple[str, ...]]) -> None:
    """In whatever script it is written, and none of them is outside the root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(places.ROOT, "/local")
        found = {os.path.normpath(places.here("s3://b/" + "/".join(path))) for path in paths}
    assert len(found) == len(paths)
    assert all(place.isascii() and place.startswith("/local/s3/b/") for place in found)


def test_odd_places_keep_what_can_be_read_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of them makes the folder's name another one."""
    monkeypatch.setenv(places.ROOT, "/local")
    found = [places.here(f"s3://b/{name}") for name in ("売上", "顧客", "a b", "a_b", "../x")]
    assert found == [
        "/local/s3/b/__-f82d7e37",
        "/local/s3/b/__-ba073d9b",
        "/local/s3/b/a_b-806c5cd3",
        "/local/s3/b/a_b",
        "/local/s3/b/..-9608161c/x",
    ]
    assert places.table_here("main.売上.x") != places.table_here("main.顧客.x")


SPARK = """
from pyspark.sql import DataFrame, SparkSession

from dbxdec.io_managers import SparkTableIoManager

gold = SparkTableIoManager("main.gold", mode="append")


@job
def catalog() -> None:
    @task(io_manager=gold)
    def numbers() -> DataFrame:
        return SparkSession.active().range(3)

    @task(io_manager=gold.table("silver.doubled"))
    def doubled(numbers: DataFrame) -> DataFrame:
        return numbers.selectExpr("id * 2 AS id")

    @task
    def told(doubled: DataFrame, all_of: DataFrame) -> int:
        return doubled.count() + all_of.count()

    told(doubled(numbers()), gold.table("numbers"))
"""


class TestCatalog:
    pytestmark = needs_own_spark

    def test_tables_of_a_catalog_lie_below_the_local_root(self, project: Project, tmp_path: Path) -> None:
        """Without a catalog, tables by name are folders; writing, reading and reading as an input work, twice."""
        define(project, SPARK)
        settings = spark_tools.defaults(tmp_path / "conf")
        for _ in range(2):
            said = dbxdec(project, "run", "catalog", "-j", "1", **settings)
            assert said.code == 0, said
        tables = {path.parent.relative_to(project.root).as_posix() for path in project.root.rglob("_delta_log")}
        assert tables == {".dbxdec/lake/tables/main/gold/numbers", ".dbxdec/lake/tables/silver/doubled"}
        assert "main.gold.numbers (here: .dbxdec/lake/tables/main/gold/numbers)" in said.out
        assert pl.read_delta(str(project.root / ".dbxdec/lake/tables/main/gold/numbers")).height == 6
        assert os.listdir(project.root / ".dbxdec/lake") == ["tables"]
