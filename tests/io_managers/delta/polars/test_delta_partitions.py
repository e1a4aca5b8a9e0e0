"""Partitioned overwrite against a plain model, over every type that a partition column can have."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import tempfile
import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dbxdec import DeltaMerge
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.delta.polars import predicates
from delta_tools import output, receipt
from thorough import examples

TEXTS = st.sampled_from(["a", "b c", "d'e", 'f"g', "%2F", "h/i", "ü=ß", "NULL", "\\", "A", "a ", "..", "{}", "\0"])
KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "text": (pl.String(), TEXTS),
    "whole": (pl.Int64(), st.sampled_from([-1, 0, 1, 2**40])),
    "small": (pl.Int8(), st.integers(-2, 2)),
    "flag": (pl.Boolean(), st.booleans()),
    "day": (pl.Date(), st.sampled_from([dt.date(1969, 12, 31), dt.date(2024, 2, 29)])),
    "price": (pl.Decimal(10, 2), st.sampled_from([Decimal("1.50"), Decimal("0.01"), Decimal("99999999.99")])),
    "unsigned": (pl.UInt16(), st.integers(0, 2)),
    "category": (pl.Categorical(), st.sampled_from(["a", "b c"])),
    "double": (pl.Float64(), st.sampled_from([0.1, -2.5, 0.0, -0.0, 1e20, float("inf"), float("nan")])),
    "single": (pl.Float32(), st.sampled_from([0.5, -2.5, 0.0, -0.0, float("nan")])),
    "moment": (pl.Datetime("us"), st.sampled_from([dt.datetime(2024, 1, 1, 2, 3, 4, 5), dt.datetime(1999, 1, 1)])),
    "nanos": (pl.Datetime("ns"), st.sampled_from([dt.datetime(1960, 1, 1, 2, 3, 4, 5), dt.datetime(1999, 1, 1)])),
    "zoned": (pl.Datetime("us", "UTC"), st.sampled_from([dt.datetime(2024, 1, 1, 2, 3, 4, 5, tzinfo=dt.UTC)])),
}
NAMES = st.sampled_from(["k", "K space", 'quo"te', "tick`", "dot.ted", "däy", "select"])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], list[str], list[list[tuple[Any, ...]]]]:
    """Names and kinds of one or two partition columns, and the partition tuples of two or three writes."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=2))
    names = draw(st.lists(NAMES, min_size=len(kinds), max_size=len(kinds), unique_by=str.lower))
    row = st.tuples(*(st.none() | KINDS[kind][1] for kind in kinds))
    return names, kinds, draw(st.lists(st.lists(row, max_size=5), min_size=2, max_size=3))


def stored_form(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values that are one partition, as NaNs are."""
    return tuple("NaN" if value != value else value for value in row)


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(), lazy=st.booleans(), by_delta_rs=st.booleans())
@example(case=(["n", "t"], ["day", "text"], [[(None, "a")], [(None, None)]]), lazy=False, by_delta_rs=True)
@example(case=(["z"], ["double"], [[(0.0,)], [(-0.0,), (0.0,)]]), lazy=False, by_delta_rs=True)
@example(case=(["s", "t"], ["single", "text"], [[(0.5, "a")], [(0.5, "b")], [(0.5, "a")]]), lazy=True, by_delta_rs=True)
def test_a_partitioned_overwrite_is_what_the_model_says(
    case: tuple[list[str], list[str], list[list[tuple[Any, ...]]]], lazy: bool, by_delta_rs: bool
) -> None:
    """Each write replaces exactly the partitions whose value tuples are in its data, whoever writes the files."""
    names, kinds, writes = case
    schema = {**{name: KINDS[kind][0] for name, kind in zip(names, kinds, strict=True)}, "write": pl.Int64()}
    model: dict[tuple[Any, ...], list[int]] = {}
    options = {"target_file_size": 2**27} if by_delta_rs else None  # an option of delta-rs' own writer
    io = PolarsDeltaIoManager("unused", mode="overwrite", partition_by=names, delta_write_options=options)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "table")
        for number, rows in enumerate(writes):
            data = pl.DataFrame([(*row, number) for row in rows], schema=schema, orient="row")
            io.write(output(table, receipt(str(number))), data.lazy() if lazy else data)
            for key in {stored_form(row) for row in rows}:
                model[key] = []
            for row in rows:
                model[stored_form(row)].append(number)
        found: dict[tuple[Any, ...], list[int]] = {}
        for row in pl.read_delta(str(table)).select(*names, "write").rows():
            found.setdefault(stored_form(row[:-1]), []).append(row[-1])
    assert {key: sorted(rows) for key, rows in found.items()} == {key: rows for key, rows in model.items() if rows}


@pytest.mark.parametrize(
    ("columns", "tuples", "sql"),
    [
        (["n"], [(1,)], '"n" = 1'),
        (["n"], [(2,), (1,), (1,)], '"n" IN (1, 2)'),
        (["n"], [(None,)], '"n" IS NULL'),
        (["n"], [(1,), (None,)], '("n" = 1 OR "n" IS NULL)'),
        (["n", "r"], [(1, "us"), (2, "eu")], '("n" = 1 AND "r" = \'us\') OR ("n" = 2 AND "r" = \'eu\')'),
        (["it's"], [("o'clock",)], "\"it's\" = 'o''clock'"),
        (["f"], [(-0.0,)], "\"f\" IN (CAST('-0.0' AS DOUBLE), CAST('0.0' AS DOUBLE))"),
    ],
)
def test_the_predicate_names_tuples_and_quotes_everything(
    columns: list[str], tuples: list[tuple[Any, ...]], sql: str
) -> None:
    """Values are listed for each combination of the columns before, nulls apart, names and texts quoted."""
    assert predicates.predicate(columns, tuples) == sql


@pytest.mark.parametrize(("dtype", "value"), [(pl.Float32(), 0.1), (pl.Float32(), 3.3), (pl.Datetime("ns"), -1000)])
def test_values_that_are_rounded_name_their_own_partition(tmp_path: Path, dtype: Any, value: Any) -> None:
    """Floats in single precision, and moments before 1970, replace what the same value has written."""
    io = PolarsDeltaIoManager("unused", mode="overwrite", partition_by="k")
    for run in range(2):
        data = pl.DataFrame({"k": pl.Series([value]).cast(dtype), "run": [run]})
        io.write(output(tmp_path / "table", receipt(str(run))), data)
    assert pl.read_delta(str(tmp_path / "table"))["run"].to_list() == [1]


@pytest.mark.slow
def test_thousands_of_partitions_do_not_end_the_stack(tmp_path: Path) -> None:
    """A predicate over 10,000 value tuples is evaluated; as a flat chain it would crash the process."""
    program = textwrap.dedent(
        """
        import sys
        import polars as pl
        from dbxdec.io_managers.delta.polars import predicates
        data = pl.DataFrame({"a": [0], "b": ["x"], "v": [1]})
        data.write_delta(sys.argv[1], delta_write_options={"partition_by": ["a", "b"]})
        predicate = predicates.predicate(["a", "b"], [(number, "x") for number in range(10_000)], ["b"])
        options = {"partition_by": ["a", "b"], "predicate": predicate}
        data.write_delta(sys.argv[1], mode="overwrite", delta_write_options=options)
        """
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "table")], check=True)
    assert pl.read_delta(str(tmp_path / "table")).height == 1


def test_partitions_may_be_spelled_in_another_case(tmp_path: Path) -> None:
    """Delta has no two columns that differ only in their case: the first write, and each later one, takes theirs."""
    for number, (name, by_delta_rs) in enumerate([("region", False), ("REGION", True), ("Region", False)]):
        frame = pl.DataFrame({"Region": ["eu", "us"][: number + 1], "n": [number] * min(number + 1, 2)})
        options: dict[str, Any] = {"delta_write_options": {"target_file_size": 2**27}} if by_delta_rs else {}
        manager = PolarsDeltaIoManager(tmp_path, mode="overwrite", partition_by=name, **options)
        context = output(tmp_path / "table", receipt(str(number)))
        manager.preflight(context)
        manager.write(context, frame)
        stored = pl.read_delta(str(tmp_path / "table")).sort("Region")
        assert stored.rows() == frame.rows()
    merged = PolarsDeltaIoManager(tmp_path, partition_by="region")
    merged.write(output(tmp_path / "merged", receipt("1")), DeltaMerge(frame.head(1), on="n"))
    assert DeltaTable(str(tmp_path / "merged")).metadata().partition_columns == ["Region"]
