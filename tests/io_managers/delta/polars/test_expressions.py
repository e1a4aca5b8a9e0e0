"""Which constraints and generated columns Polars may write under: those that delta-rs evaluates as Spark does."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, Schema

import sql_expressions
from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.delta.definition import CONSTRAINT
from dbxdec.io_managers.delta.polars import expressions
from delta_tools import output, receipt

KINDS = sql_expressions.KINDS
REFUSED = r"the constraint `it` of .* which other rows may meet in delta-rs than in Spark"


def with_constraint(folder: Path, condition: str) -> Path:
    """Make an empty table with a constraint in the words of its author, as Spark does."""
    DeltaTable.create(str(folder), Schema.from_arrow(pl.Schema(KINDS)))
    log = folder / "_delta_log" / f"{0:020}.json"
    actions = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for action in actions:
        if "metaData" in action:
            action["metaData"]["configuration"] = {f"{CONSTRAINT}it": condition}
        if "protocol" in action:
            action["protocol"] = {"minReaderVersion": 1, "minWriterVersion": 3}
    log.write_text("\n".join(map(json.dumps, actions)) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("condition", sql_expressions.UNLIKE)
def test_constraints_that_delta_rs_evaluates_otherwise_are_not_the_same(condition: str) -> None:
    """It would refuse rows that are valid, or take others."""
    assert not expressions.is_same(condition, KINDS)


@pytest.mark.parametrize("condition", sql_expressions.ALIKE)
def test_constraints_that_both_engines_evaluate_alike_are_the_same(condition: str) -> None:
    """Also while the columns are not known yet, unless what is meant depends on their types."""
    assert expressions.is_same(condition, KINDS)


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_a_constraint_of_the_table_is_refused_before_the_function_runs(tmp_path: Path, mode: Any) -> None:
    """Whatever the task does with rows of the table."""
    table = with_constraint(tmp_path / "t", "n / 2 > 2")
    io = PolarsDeltaIoManager("unused", mode="error" if mode == "merge" else mode)
    returns = ("dbxdec.io_managers.delta.merge.DeltaMerge",) if mode == "merge" else ("polars.DataFrame",)
    with pytest.raises(RunError, match=REFUSED) as refused:
        io.preflight(output(table, returns=returns))
    assert "SparkDeltaIoManager" in str(refused.value)


@pytest.mark.parametrize("exists", [True, False])
def test_a_constraint_that_a_task_states_is_refused_before_the_function_runs(tmp_path: Path, *, exists: bool) -> None:
    """Also where the table will be made by the write."""
    table = tmp_path / "t"
    if exists:
        with_constraint(table, "n > 0")
    io = PolarsDeltaIoManager("unused", mode="append", constraints={"it": "substring(s, 0, 1) = 'A'"})
    with pytest.raises(RunError, match=REFUSED):
        io.preflight(output(table))


def test_columns_of_a_stated_constraint_are_those_of_the_result(tmp_path: Path) -> None:
    """What is known only then is asked then, before the table is made."""
    frame = pl.DataFrame({"Price": [1.5]})
    io = PolarsDeltaIoManager("unused", constraints={"it": "price > 0"})
    io.preflight(output(tmp_path / "t"))
    with pytest.raises(RunError, match=REFUSED):
        io.write(output(tmp_path / "t"), frame)
    assert not (tmp_path / "t").exists()
    merge = DeltaMerge(frame, on="Price")
    with pytest.raises(RunError, match=REFUSED):
        io.write(output(tmp_path / "t"), merge)


CONDITIONS = {
    "c > 12.3": ("c", [Decimal(15)], [Decimal(12)]),
    "`a b` > 0": ("a b", [1], [0]),
    "extract(YEAR FROM day) = 2024": ("day", [sql_expressions.ROWS["day"][0]], [sql_expressions.ROWS["day"][1]]),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_table_has_constraints_in_the_words_of_their_author(tmp_path: Path, condition: str) -> None:
    """delta-rs would put 12300 for 12.3, and "a b", which is a string to Spark, for `a b`."""
    column, good, bad = CONDITIONS[condition]
    io = PolarsDeltaIoManager("unused", mode="append", constraints={"it": condition})
    for run in ("1", "2"):
        rows = pl.DataFrame({column: good}, schema={column: KINDS[column]})
        io.preflight(output(tmp_path / "t", receipt(run)))
        io.write(output(tmp_path / "t", receipt(run)), rows)
    table = DeltaTable(str(tmp_path / "t"))
    assert expressions.of_table(table) == {"it": condition}
    assert table.version() == 4  # the table, its constraint, the words, and two writes
    with pytest.raises(RunError, match="constraint"):
        io.write(output(tmp_path / "t", receipt("3")), pl.DataFrame({column: bad}, schema={column: KINDS[column]}))


def test_a_constraint_in_the_words_of_delta_rs_is_mended(tmp_path: Path) -> None:
    """A write before may have died between the constraint and its words."""
    schema = {"c": KINDS["c"]}
    made = DeltaTable.create(str(tmp_path / "t"), Schema.from_arrow(pl.Schema(schema)))
    made.alter.add_constraint({"it": "c > 12.3"})
    assert expressions.of_table(DeltaTable(str(tmp_path / "t"))) == {"it": "c > '12300'::decimal(10, 3)"}
    io = PolarsDeltaIoManager("unused", mode="append", constraints={"it": "c > 12.3"})
    io.preflight(output(tmp_path / "t"))
    io.write(output(tmp_path / "t"), pl.DataFrame({"c": [Decimal(15)]}, schema=schema))
    assert expressions.of_table(DeltaTable(str(tmp_path / "t"))) == {"it": "c > 12.3"}


def test_names_in_double_quotes_are_taken_where_delta_rs_has_put_them(tmp_path: Path) -> None:
    """It does so where a constraint was added through it alone; an author states them as Spark does."""
    made = DeltaTable.create(str(tmp_path / "t"), Schema.from_arrow(pl.Schema({"Up": pl.Int32})))
    made.alter.add_constraint({"it": "Up > 0"})
    assert expressions.of_table(DeltaTable(str(tmp_path / "t"))) == {"it": '"Up" > 0'}
    PolarsDeltaIoManager("unused", mode="append").preflight(output(tmp_path / "t"))
    with pytest.raises(RunError, match=REFUSED):
        PolarsDeltaIoManager("unused", mode="append", constraints={"it": '"Up" > 0'}).preflight(output(tmp_path / "t"))
