"""Conditions that Polars may write under hold for the same rows in Spark as in delta-rs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError

import spark_tools
import sql_expressions
from spark_tools import needs_spark

pytestmark = needs_spark
spark = spark_tools.spark


def taken_by_delta_rs(folder: Path, condition: str) -> list[bool]:
    """Whether each of the rows may be added to a table with the constraint."""
    table = DeltaTable.create(str(folder), Schema.from_arrow(pl.Schema(sql_expressions.KINDS)))
    table.alter.add_constraint({"it": "true"})
    table.alter.set_table_properties({"delta.constraints.it": condition}, raise_if_not_exists=False)
    found = []
    for row in sql_expressions.ROWS.iter_slices(1):
        try:
            row.write_delta(folder, mode="append")
        except DeltaError as error:
            if "Invalid data found" not in str(error) and "validation check failed" not in str(error):
                raise
            found.append(False)
        else:
            found.append(True)
    return found


@pytest.mark.slow
def test_each_condition_holds_for_the_same_rows_in_both_engines(spark: Any, tmp_path: Path) -> None:
    """A row meets a constraint where it is true, not where it is null."""
    sql_expressions.ROWS.write_parquet(tmp_path / "rows.parquet", compression="snappy")
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    try:
        rows = spark.read.parquet(str(tmp_path / "rows.parquet"))
        found = rows.selectExpr(*(f"({one}) IS TRUE" for one in sql_expressions.ALIKE)).collect()
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)
    for number, condition in enumerate(sql_expressions.ALIKE):
        by_spark = [row[number] for row in found]
        assert taken_by_delta_rs(tmp_path / str(number), condition) == by_spark, condition
