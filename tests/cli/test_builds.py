"""What is said of modules that are not installed on this machine."""

from __future__ import annotations

import pytest

from dbxdec.cli.builds import how_to_install

THE_PROJECT = "install what the project depends on, as with `pip install -e .`"
SPARK = 'Spark, which a cluster has, comes with `pip install "dbxdec[spark]"`'


@pytest.mark.parametrize(
    ("absent", "how"),
    [
        (["acme_lake"], THE_PROJECT),
        (["pyspark"], SPARK),
        (["delta"], SPARK),
        (["acme_lake", "pyspark"], f"{THE_PROJECT}; {SPARK}"),
    ],
)
def test_spark_is_no_dependency_of_a_project(absent: list[str], how: str) -> None:
    """A pipeline leaves Spark to its cluster, so an install of the project would not bring it."""
    assert how_to_install(absent) == how
