"""Stand-ins against the packages that pipelines really import, absent and present."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from conftest import uv
from projects import Project, shop
from repository import ROOT

SALES = "src/shop/pipelines/sales.py"

# As pipelines use them at import; none of these packages is in the tests' environment.
USES = {
    "pydantic": """
        from pydantic import BaseModel, Field

        class Row(BaseModel):
            id: int = Field(ge=0)
            names: list[str] = Field(default_factory=list)
    """,
    "pandera": """
        import pandera.polars as pa
        from pandera.typing.polars import DataFrame, Series

        class Rows(pa.DataFrameModel):
            id: Series[int] = pa.Field(ge=0, coerce=True)

        Checked = DataFrame[Rows]
    """,
    "google": """
        from google.auth import credentials
        from google.cloud import bigquery, storage

        client = storage.Client(project="p")
        schema = [bigquery.SchemaField("id", "INT64")]

        class Mine(credentials.Credentials):
            pass
    """,
    "pyspark": """
        from pyspark.sql import Column, DataFrame, SparkSession, functions as F, types as T
        from pyspark.sql.window import Window

        SCHEMA = T.StructType([T.StructField("id", T.LongType()), T.StructField("day", T.DateType())])
        LATEST = F.row_number().over(Window.partitionBy("id").orderBy(F.col("day").desc()))
        TOTAL = F.col("a") + F.lit(1)

        def clean(frame: DataFrame, column: "Column | str") -> DataFrame:
            return frame.where(F.col("id") > 3)
    """,
    "databricks": """
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.service.jobs import Task as PlatformTask

        def owner(client: WorkspaceClient) -> PlatformTask | None: ...
    """,
    "an in-house package": """
        from acme_lake import ops, readers
        from acme_lake.readers import Reader as Base

        ops.configure(region="eu")
        DEFAULT = readers.REGISTRY["eu"].open(path="x", retries=3)

        class Reader(Base, strict=True):
            kind = readers.Kind.FAST
    """,
}

REFUSED = {
    "tenacity": (
        "from tenacity import retry, stop_after_attempt\n\n\n@retry(stop=stop_after_attempt(3))\ndef helper(): ...\n",
        "`helper`",
    ),
    "pydantic": (
        "from pydantic import BaseModel\n\n\nclass Row(BaseModel):\n    x: int = 1\n\n\nrow = Row(x=3)\n",
        "`Row`",
    ),
    "pyspark": ("from pyspark.sql import functions as F\n\nBIG = F.col('x') > 3\n", "is compared"),
    "packaging of its own version": ("import pandera\n\nNEW = pandera.__version__ > '0.20'\n", "is compared"),
}


def indented(code: str) -> str:
    import textwrap

    return textwrap.dedent(code).strip() + "\n"


def with_code(root: Path, code: str) -> Project:
    project = shop(root)
    project.edit(SALES, "import polars as pl\n", "import polars as pl\n" + indented(code))
    return project


@pytest.mark.sampled(3)
@pytest.mark.parametrize("code", USES.values(), ids=USES.keys())
def test_common_uses_of_absent_packages_build(tmp_path: Path, code: str, build_only: str) -> None:
    """Models, schemas, annotations, clients and expressions of absent packages do not stop the build."""
    result = with_code(tmp_path / "repository", code).build(python=build_only)
    assert result.code == 0, result.output
    assert "replaced by placeholders" in result.output


@pytest.mark.parametrize(("code", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_uses_that_need_the_real_thing_are_refused(tmp_path: Path, code: str, said: str, build_only: str) -> None:
    """Decorators, instances and comparisons of absent packages fail at their line, and name the ways out."""
    project = with_code(tmp_path / "repository", code)
    result = project.build(python=build_only)
    assert result.code == 1
    assert said in result.output
    assert f"{SALES}:" in result.output
    assert "require-runtime-dependencies" in result.output
    assert project.wheels == []


# What does at import, too, where the packages are installed.
BOTH = [
    indented(USES["pydantic"]),
    indented(USES["pandera"]),
    indented(USES["databricks"]),
    "from google.auth import credentials\n\n\nclass Mine(credentials.Credentials): ...\n",
    "import tenacity\n\nWAIT = tenacity.wait_fixed(3)\n",
    "from pyspark.sql import DataFrame as SparkFrame, types as T\n\nSCHEMA = T.StructType([])\n",
    "\n\n@task(io_manager=lake)\ndef frames(a: SparkFrame | None, b: 'Series[int]') -> pl.LazyFrame: ...\n",
]


@pytest.mark.slow
def test_the_manifest_is_the_same_with_the_real_packages(tmp_path: Path, build_only: str) -> None:
    """Building with the packages installed gives the very bytes that building without any of them gives."""
    project = with_code(tmp_path / "repository", "".join(BOTH[:-1]))
    path = project.root / SALES
    path.write_text(path.read_text(encoding="utf-8") + BOTH[-1], encoding="utf-8")
    result = project.build(python=build_only)
    assert result.code == 0, result.output
    names = "databricks.sdk, google, pandera, polars, pydantic, pyspark, tenacity"
    assert f"replaced by placeholders: {names}" in result.output
    absent = project.wheel.read_bytes()
    site = tmp_path / "site"
    wanted = ["pydantic", "pandera", "databricks-sdk", "google-auth", "tenacity"]
    command = [*uv(), "pip", "install", "-q", "--target", site, "-c", ROOT / "constraints.txt", *wanted]
    subprocess.run(list(map(str, command)), check=True)
    result = Project(project.root, {"PYTHONPATH": str(site)}).build()
    assert result.code == 0, result.output
    assert "replaced by placeholders" not in result.output
    assert project.wheel.read_bytes() == absent
