"""Tables as they are wanted, through Polars: made so, changed in place, and filled once whatever is killed."""

from __future__ import annotations

import ast
import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType

from dbxdec import DeltaMerge, column
from dbxdec.errors import RunError, TargetExistsError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.delta.polars import expressions
from delta_tools import output, receipt, wanted

TS = dt.datetime(2024, 1, 2, 3, tzinfo=dt.UTC)
ROW = pl.DataFrame({"amount": [1.5], "ts": [TS]})
WANTED: dict[str, Any] = {
    "comment": "it's",
    "properties": {"delta.enableChangeDataFeed": True, "my.own": 1},
    "columns": {
        "amount": column(not_null=True, comment="in EUR"),
        "day": column(generated="CAST(ts AS DATE)", comment="of ts"),
    },
    "constraints": {"positive": "amount > 0"},
}


def write(
    path: Path, value: Any = ROW, run: str = "1", attempt: int = 1, mode: Any = "append", **options: Any
) -> WriteResult:
    manager = PolarsDeltaIoManager("unused", mode=mode, **options)
    return manager.write(output(path, receipt(run, attempt=attempt)), value)


def state(path: Path) -> tuple[Any, ...]:
    table = DeltaTable(str(path))
    metadata = table.metadata()
    fields = {field.name: (field.nullable, field.metadata.get("comment")) for field in table.schema().fields}
    return metadata.description, dict(metadata.configuration), fields


def stored(path: Path) -> list[dict[str, Any]]:
    return pl.read_delta(str(path)).to_dicts()


def test_a_table_is_made_as_it_is_wanted(tmp_path: Path) -> None:
    write(tmp_path / "t", **WANTED)
    write(tmp_path / "t", run="2", **WANTED)
    assert state(tmp_path / "t") == (
        "it's",
        {"delta.enableChangeDataFeed": "true", "my.own": "1", "delta.constraints.positive": "amount > 0"},
        {"amount": (False, "in EUR"), "ts": (True, None), "day": (True, "of ts")},
    )
    assert stored(tmp_path / "t") == [{"amount": 1.5, "ts": TS, "day": dt.date(2024, 1, 2)}] * 2


@pytest.mark.parametrize(
    "frame",
    [
        ROW.with_columns(amount=-1.0),
        ROW.with_columns(amount=pl.lit(None, pl.Float64)),
        ROW.with_columns(day=dt.date(2020, 1, 1)),
    ],
    ids=["constraint", "not null", "generated"],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_rows_that_violate_a_rule_are_refused(tmp_path: Path, frame: pl.DataFrame, lazy: bool) -> None:
    """Also those of the first write; what was there stays."""
    for before in (0, 1):
        with pytest.raises(RunError, match="rows of the result violate a rule of the table"):
            write(tmp_path / "t", frame.lazy() if lazy else frame, run="9", **WANTED)
        assert len(stored(tmp_path / "t")) == before
        write(tmp_path / "t", **WANTED)


def test_a_table_that_is_there_is_changed_in_place(tmp_path: Path) -> None:
    write(tmp_path / "t", **WANTED)
    other: dict[str, Any] = {
        "comment": "other",
        "properties": {"my.own": "2"},
        "columns": {"amount": column(not_null=False), "ts": column(comment="when")},
        "constraints": {"positive": "amount > 1", "new": "ts IS NOT NULL"},
    }
    write(tmp_path / "t", run="2", **other)
    assert state(tmp_path / "t") == (
        "other",
        {
            "delta.enableChangeDataFeed": "true",
            "my.own": "2",
            "delta.constraints.positive": "amount > 1",
            "delta.constraints.new": "ts IS NOT NULL",
        },
        {"amount": (True, "in EUR"), "ts": (True, "when"), "day": (True, "of ts")},
    )
    before = DeltaTable(str(tmp_path / "t")).version()
    write(tmp_path / "t", run="3", **other)
    assert DeltaTable(str(tmp_path / "t")).version() == before + 1


def test_what_can_not_be_changed_is_told_before_the_function_runs(tmp_path: Path) -> None:
    write(tmp_path / "t")
    wanted_then: dict[str, Any] = {"columns": {"ts": column(not_null=True), "amount": column(generated="1.5")}}
    manager = PolarsDeltaIoManager("unused", mode="append", **wanted_then)
    for act in (
        lambda: manager.preflight(output(tmp_path / "t", receipt("2"))),
        lambda: write(tmp_path / "t", run="2", **wanted_then),
    ):
        with pytest.raises(RunError) as error:
            act()
        assert [one.message.partition(" of ")[0] for one in error.value.problems] == [
            "the column `amount`",
            "the column `ts`",
        ]
        assert "constraints=" in str(error.value)


def test_the_constraint_in_the_place_of_not_null_can_be_written_so(tmp_path: Path) -> None:
    """With a name that a constraint may have, and backticks around that of a column."""
    name = "Größe %"
    frame = pl.DataFrame({name: [1]})
    manager = PolarsDeltaIoManager("unused", mode="append", columns={name: column(not_null=True)})
    PolarsDeltaIoManager("unused", mode="append").write(output(tmp_path / "t"), frame)
    with pytest.raises(RunError) as error:
        manager.preflight(output(tmp_path / "t", receipt("2")))
    _, _, written = str(error.value.problems[0].hint).partition("constraints=")
    again = PolarsDeltaIoManager("unused", mode="append", constraints=ast.literal_eval(written))
    again.write(output(tmp_path / "t", receipt("2")), frame)
    with pytest.raises(RunError, match="violate a rule"):
        again.write(output(tmp_path / "t", receipt("3")), pl.DataFrame({name: [None]}, schema={name: pl.Int64}))


def test_a_constraint_that_rows_violate_leaves_the_one_before(tmp_path: Path) -> None:
    write(tmp_path / "t", **WANTED)
    with pytest.raises(RunError, match="do not meet the constraint `positive`, amount > 100"):
        write(tmp_path / "t", run="2", constraints={"positive": "amount > 100"})
    assert state(tmp_path / "t")[1]["delta.constraints.positive"] == "amount > 0"
    assert len(stored(tmp_path / "t")) == 1


@pytest.mark.parametrize(
    ("condition", "version"),
    [("amount>0", 4), ("amount BETWEEN 0 AND 5", 5), ("  amount  >  0 ", 4), ("amount IN (1.5, 2)", 5)],
)
def test_a_constraint_that_delta_rs_spells_otherwise_is_given_once(
    tmp_path: Path, condition: str, version: int
) -> None:
    for run in ("1", "2", "3"):
        write(tmp_path / "t", run=run, constraints={"some": condition})
    # The table, its constraint, perhaps its words, and three writes.
    assert DeltaTable(str(tmp_path / "t")).version() == version


def test_a_property_that_delta_does_not_know_is_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RunError, match=r"delta\.nope"):
            write(tmp_path / "t", properties={"delta.nope": "1"})
        write(tmp_path / "t", run="2")


def test_rules_of_a_column_that_is_not_there_are_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RunError, match=r"(?s)rules for `amonut`, but .* has no such column.*did you mean `amount`"):
            write(tmp_path / "t", columns={"amonut": column(comment="x")})
        write(tmp_path / "t", run="2")


@pytest.mark.parametrize("mode", ["error", "append", "ignore", "overwrite"])
def test_a_kill_between_the_table_and_its_rows_is_mended(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry of the same write fills the table; with "error" and "ignore" no other write does."""
    from dbxdec.io_managers.delta.polars import definition

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(definition, "adjust", die)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "t", mode=mode, **WANTED)
    assert stored(tmp_path / "t") == []
    if mode == "error":
        with pytest.raises(TargetExistsError):
            write(tmp_path / "t", run="2", mode=mode, **WANTED)
    PolarsDeltaIoManager("unused", mode=mode, **WANTED).preflight(output(tmp_path / "t", receipt("1", attempt=2)))  # type: ignore[arg-type]
    write(tmp_path / "t", attempt=2, mode=mode, **WANTED)
    assert len(stored(tmp_path / "t")) == 1
    write(tmp_path / "t", attempt=3, mode=mode, **WANTED)
    assert len(stored(tmp_path / "t")) == 1
    assert "delta.constraints.positive" in state(tmp_path / "t")[1]


def test_a_generated_column_parts_a_table(tmp_path: Path) -> None:
    options: dict[str, Any] = {"partition_by": "day", "columns": {"day": column(generated="CAST(ts AS DATE)")}}
    later = ROW.with_columns(ts=TS + dt.timedelta(days=1), amount=7.0)
    write(tmp_path / "t", pl.concat([ROW, later]), **options)
    write(tmp_path / "t", later.with_columns(amount=8.0), run="2", mode="overwrite", **options)
    write(tmp_path / "t", ROW.with_columns(amount=9.0), run="3", mode="overwrite", replace={"day": dt.date(2024, 1, 2)})
    assert {row["day"].day: row["amount"] for row in stored(tmp_path / "t")} == {2: 9.0, 3: 8.0}


def test_a_merge_makes_and_changes_its_table_too(tmp_path: Path) -> None:
    merge = DeltaMerge(ROW, on="ts")
    write(tmp_path / "t", merge, comment="first", constraints={"positive": "amount > 0"})
    write(tmp_path / "t", DeltaMerge(ROW.with_columns(amount=2.0), on="ts"), run="2", comment="second")
    assert state(tmp_path / "t")[:2] == ("second", {"delta.constraints.positive": "amount > 0"})
    assert [row["amount"] for row in stored(tmp_path / "t")] == [2.0]


def test_a_new_schema_keeps_the_comments_of_its_columns(tmp_path: Path) -> None:
    write(tmp_path / "t", columns={"amount": column(comment="in EUR")}, comment="kept")
    write(tmp_path / "t", ROW.with_columns(z=1), run="2", mode="overwrite", schema="replace")
    assert state(tmp_path / "t")[0] == "kept"
    assert state(tmp_path / "t")[2]["amount"] == (True, "in EUR")
    assert PolarsDeltaIoManager("unused").read(wanted(tmp_path / "t", receipt("2"))).shape == (1, 3)


def test_readers_of_the_run_get_its_rows(tmp_path: Path) -> None:
    write(tmp_path / "t", **WANTED)
    write(tmp_path / "t", ROW.with_columns(amount=2.0), run="2", **WANTED)
    found = PolarsDeltaIoManager("unused").read(wanted(tmp_path / "t", receipt("2")))
    assert isinstance(found, pl.DataFrame)
    assert found["amount"].to_list() == [2.0]


UNLIKE = [
    "date_format(ts, 'yyyy-MM')", "substring(s, 0, 2)", "left(s, -1)", "n / 2", "CAST(ts AS STRING)", "ts::STRING",
    "CAST(ts AS BIGINT)", "CAST(amount AS STRING)", "year(ts)", "concat(s, 'x')", "upper(date_format(ts, 'MM'))",
]  # fmt: skip
ALIKE = [
    "CAST(ts AS DATE)", "cast(`ts` as date)", "CAST(CAST(ts AS DATE) AS STRING)", "date_trunc('MONTH', ts)",
    "n * 2 + 1", "n % 3", "1.5", "n IN (1, 2)", "CASE WHEN (n > 1) THEN (1) ELSE (0) END", "CAST(n AS STRING)",
    "upper(s) || ' / year(x)'", "substring(s, 1, 4)", "coalesce(s, '')", "CAST(amount AS DECIMAL(10, 2))",
]  # fmt: skip
KINDS = {"ts": pl.Datetime("us", "UTC"), "s": pl.String(), "n": pl.Int32(), "amount": pl.Float64()}


@pytest.mark.parametrize("expression", UNLIKE)
def test_generated_columns_that_spark_computes_otherwise_are_refused(tmp_path: Path, expression: str) -> None:
    """delta-rs would store 'yyyy-MM' as the month, without an error; a table of Spark's is named by preflight."""
    message = r"the generated column `made` of .* delta-rs may make other values than Spark"
    table = tmp_path / "t"
    kinds = {"ts": "timestamp", "s": "string", "n": "integer", "amount": "double", "made": "string"}
    fields = [
        Field(
            name, PrimitiveType(kind), metadata={"delta.generationExpression": expression} if name == "made" else None
        )
        for name, kind in kinds.items()
    ]
    DeltaTable.create(str(table), Schema(fields))
    with pytest.raises(RunError, match=message):
        PolarsDeltaIoManager("unused", mode="append").preflight(output(table))
    with pytest.raises(RunError, match=message):
        write(tmp_path / "new", pl.DataFrame(schema=KINDS), columns={"made": column(generated=expression)})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("expression", ALIKE)
def test_generated_columns_that_both_engines_compute_alike_are_taken(expression: str) -> None:
    """Each was tried with delta-rs and Spark."""
    expressions.refuse_generated({"made": expression}, KINDS, "t")
