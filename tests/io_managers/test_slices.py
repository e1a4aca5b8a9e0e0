"""`replace={"day": day}`: a value is exactly one that the column can have, or it is refused in one sentence."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.delta import exact
from dbxdec.io_managers.delta.spark import predicates
from delta_tools import output, receipt, wanted

UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")
DAY, MIDNIGHT, NOON = dt.date(2024, 1, 1), dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 12)


class Country(enum.Enum):
    DE = "de"


# Of each type: the value of a row, what names that row, and what names no row that there could be.
CASES: dict[str, tuple[Any, Any, list[Any], list[Any]]] = {
    "Date": (pl.Date(), DAY, [DAY, MIDNIGHT], [NOON, MIDNIGHT.replace(tzinfo=UTC), "2024-01-01", 19723]),
    "naive": (pl.Datetime("us"), NOON, [NOON], [DAY, NOON.replace(tzinfo=UTC), "2024-01-01T12:00:00", 1]),
    "zoned": (
        pl.Datetime("us", "UTC"),
        NOON.replace(tzinfo=UTC),
        [NOON.replace(tzinfo=UTC), NOON.replace(hour=13, tzinfo=BERLIN)],
        [NOON, DAY],
    ),
    "String": (pl.String(), "1", ["1"], [1, True, DAY, Country.DE]),
    "Categorical": (pl.Categorical(), "1", ["1"], [1, Country.DE]),
    "Int32": (pl.Int32(), 1, [1, 1.0, Decimal("1.0")], [True, "1", 1.5, 2**31, Decimal("0.5"), DAY]),
    "UInt8": (pl.UInt8(), 1, [1], [True, 128, -129]),
    "Float64": (pl.Float64(), 1.5, [1.5, Decimal("1.5")], [True, "1.5", 2**53 + 1, Decimal("0.1")]),
    "Float32": (pl.Float32(), 0.1, [0.10000000149011612], [0.1, 1e300]),
    "Decimal": (
        pl.Decimal(10, 2),
        Decimal("1.50"),
        [Decimal("1.5"), Decimal("1.5000"), 1.5],
        [Decimal("1.505"), 0.1, 10**8, "1.50", True],
    ),
    "Boolean": (pl.Boolean(), True, [True], [1, 0, "true", 1.0]),
    "Binary": (pl.Binary(), b"1", [], [b"1", "1"]),
    "List": (pl.List(pl.Int64()), [1], [], [None, [1]]),
}
RIGHT = [(name, part, value) for name, case in CASES.items() for value in case[2] for part in (False, True)]
WRONG = [(name, part, value) for name, case in CASES.items() for value in case[3] for part in (False, True)]


def make(table: Path, name: str, part: bool) -> pl.DataFrame:
    """A table with a row of the value, and one of null."""
    kind, value = CASES[name][:2]
    data = pl.DataFrame({"c": pl.Series([value, None], dtype=kind), "v": [1, 2]})
    PolarsDeltaIoManager("unused", partition_by="c" if part else None).write(output(table), data)
    return data


@pytest.mark.parametrize(("name", "part", "value"), RIGHT)
def test_a_value_names_its_own_rows(tmp_path: Path, name: str, part: bool, value: Any) -> None:
    """In a partition column or another: they are replaced, and emptied; a row of another value is refused."""
    data = make(tmp_path / "t", name, part)
    io = PolarsDeltaIoManager("unused", mode="overwrite", replace={"c": value})
    new = data.head(1).with_columns(v=pl.lit(3, dtype=pl.Int64))
    for number, (rows, left) in enumerate([(new, [2, 3]), (new.lazy(), [2, 3]), (new.head(0), [2])], start=2):
        io.preflight(output(tmp_path / "t", receipt(str(number))))
        io.write(output(tmp_path / "t", receipt(str(number))), rows)
        assert sorted(io.read(wanted(tmp_path / "t")).lazy().collect()["v"]) == left
    with pytest.raises(RunError, match="its result has a row with c=None"):
        io.write(output(tmp_path / "t", receipt("9")), data.tail(1))


@pytest.mark.parametrize(("name", "part", "value"), WRONG)
def test_a_value_that_no_row_could_have_is_refused_before_the_function_runs(
    tmp_path: Path, name: str, part: bool, value: Any
) -> None:
    """Neither cast in silence nor an error of delta-rs, on a table that is there and on a new one."""
    if part and name in ("Binary", "List"):
        return
    data = make(tmp_path / "t", name, part)
    io = PolarsDeltaIoManager("unused", mode="overwrite", replace={"c": value})
    for refused in (io.preflight, lambda context: io.write(context, data.head(0))):
        with pytest.raises(RunError, match=r"`replace` has c=.*, but the column `c` is "):
            refused(output(tmp_path / "t", receipt("2")))
    with pytest.raises(RunError, match=r"`replace` has c="):
        io.write(output(tmp_path / "new"), data.head(0).lazy())
    assert not (tmp_path / "new").exists()
    assert pl.read_delta(str(tmp_path / "t")).height == 2


def test_an_empty_string_is_null_in_a_partition_column_alone(tmp_path: Path) -> None:
    """Elsewhere it is a value like others, and null is another."""
    data = pl.DataFrame({"p": ["a", None], "s": ["", None], "v": [1, 2]})
    PolarsDeltaIoManager("unused", partition_by="p").write(output(tmp_path / "t"), data)
    with pytest.raises(RunError, match="an empty partition value as null"):
        PolarsDeltaIoManager("unused", mode="overwrite", replace={"p": ""}).write(
            output(tmp_path / "t", receipt("2")), data.head(0)
        )
    io = PolarsDeltaIoManager("unused", mode="overwrite", replace={"s": ""})
    io.write(output(tmp_path / "t", receipt("3")), data.head(0))
    assert pl.read_delta(str(tmp_path / "t"))["v"].to_list() == [2]


# Of each type: values that a file's statistics take for one, the first of them, or lose by rounding.
HIDDEN: dict[str, tuple[Any, list[Any]]] = {
    "NaN": (pl.Float64(), [0.25, float("nan")]),
    "NaN, single": (pl.Float32(), [0.25, float("nan")]),
    "rounded to another": (pl.Decimal(38, 20), [Decimal(1), Decimal("1.00000000000000000001")]),
    "rounded away": (pl.Decimal(38, 20), [Decimal("1.00000000000000000001")]),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_rows_that_statistics_hide_are_not_lost(tmp_path: Path, name: str) -> None:
    """Rows of another value stay, and those of the value are replaced, in files that the manager has written."""
    kind, values = HIDDEN[name]
    data = pl.DataFrame({"c": pl.Series(values, dtype=kind), "v": range(len(values))})
    PolarsDeltaIoManager("unused").write(output(tmp_path / "t"), data)
    io = PolarsDeltaIoManager("unused", mode="overwrite", replace={"c": values[0]})
    io.write(output(tmp_path / "t", receipt("2")), data.head(1).with_columns(v=pl.lit(7, dtype=pl.Int64)))
    assert sorted(pl.read_delta(str(tmp_path / "t"))["v"]) == sorted([*range(1, len(values)), 7])


@pytest.mark.parametrize("name", HIDDEN)
def test_rows_that_the_statistics_of_delta_rs_hide_are_an_error(tmp_path: Path, name: str) -> None:
    """It would lose rows of other values, or leave those of the value: one sentence, and the table is as it was."""
    kind, values = HIDDEN[name]
    data = pl.DataFrame({"c": pl.Series(values, dtype=kind), "v": range(len(values))})
    data.write_delta(str(tmp_path / "t"))
    io = PolarsDeltaIoManager("unused", mode="overwrite", replace={"c": values[0]})
    with pytest.raises(RunError, match=r"delta-rs would replace other rows of "):
        io.write(output(tmp_path / "t", receipt("2")), data.head(1))
    assert sorted(pl.read_delta(str(tmp_path / "t"))["v"]) == [*range(len(values))]


def test_values_that_statistics_hold_exactly_are_replaced_in_files_of_delta_rs_too(tmp_path: Path) -> None:
    """Bounds that are the value, nulls, and other files are no reason to refuse."""
    price = pl.Decimal(38, 20)
    for c, d in ((0.25, "1"), (None, None), (0.5, "1.5"), (float("nan"), "2")):
        one = pl.DataFrame({"c": [c, c, None], "d": pl.Series([d and Decimal(d)] * 3, dtype=price), "v": [1, 2, 3]})
        one.cast({"c": pl.Float64}).write_delta(str(tmp_path / "t"), mode="append")
    for run in ("2", "3"):
        io = PolarsDeltaIoManager("unused", mode="overwrite", replace={"c": 0.25, "d": Decimal(1)})
        new = pl.DataFrame({"c": [0.25], "d": pl.Series([Decimal(1)], dtype=price), "v": [7]})
        io.write(output(tmp_path / "t", receipt(run)), new)
        assert sorted(pl.read_delta(str(tmp_path / "t"))["v"]) == [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 7]


def test_all_wrong_values_are_told_at_once(tmp_path: Path) -> None:
    """Each with its column's type, and what to give instead."""
    data = pl.DataFrame({"day": [DAY], "n": [1], "v": [1]})
    io = PolarsDeltaIoManager("unused", mode="overwrite", replace={"day": NOON, "n": "1"})
    with pytest.raises(RunError) as error:
        io.write(output(tmp_path / "t"), data)
    assert len(error.value.problems) == 2
    assert "the column `day` is Date\n    hint: give a date" in str(error.value)


NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.decimals(allow_nan=False) | st.booleans()
KINDS = [
    exact.whole("tinyint", 8),
    exact.whole("bigint", 64),
    exact.Kind("float", "single"),
    exact.Kind("double", "double"),
    exact.Kind("decimal(5,2)", "decimal", precision=5, scale=2),
    exact.Kind("decimal(38,20)", "decimal", precision=38, scale=20),
]


@given(value=NUMBERS, kind=st.sampled_from(KINDS))
def test_a_number_is_itself_or_refused(value: Any, kind: exact.Kind) -> None:
    """Of whatever type it is given, it is never rounded, cut or wrapped."""
    try:
        found = exact.exact({"x": value}, {"x": kind}, ())["x"]
    except RunError:
        return
    assert type(value) is not bool
    assert found == value
    assert type(found) is {"whole": int, "decimal": Decimal}.get(kind.family, float)
    if isinstance(found, Decimal):
        assert found.as_tuple().exponent == -kind.scale
        assert len(found.as_tuple().digits) <= max(kind.precision, 1)


@pytest.mark.parametrize(
    ("kind", "value", "sql"),
    [
        ("string", "", "`c` = ''"),
        ("string", None, "`c` IS NULL"),
        ("date", MIDNIGHT, "`c` = CAST('2024-01-01' AS date)"),
        ("int", 1.0, "`c` = CAST('1' AS int)"),
        ("decimal(10,2)", Decimal("1.5"), "`c` = CAST('1.50' AS decimal(10,2))"),
        ("timestamp", NOON.replace(tzinfo=UTC), "`c` = timestamp_micros(1704110400000000)"),
        ("timestamp_ntz", NOON, "`c` = CAST('2024-01-01 12:00:00' AS timestamp_ntz)"),
        ("varchar(5)", "a", "`c` = 'a'"),
    ],
)
def test_sparks_slice_names_the_same_rows(kind: str, value: Any, sql: str) -> None:
    """As the column has the value; an empty string is not null where no partition is."""
    assert predicates.slice_predicate({"c": value}, {"c": kind}, ()) == sql


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", NOON),
        ("timestamp", NOON),
        ("timestamp_ntz", NOON.replace(tzinfo=UTC)),
        ("timestamp", DAY),
        ("int", "1"),
        ("tinyint", 128),
        ("boolean", 1),
        ("string", 1),
        ("array<int>", None),
        ("binary", b"1"),
    ],
)
def test_spark_casts_nothing_in_silence_either(kind: str, value: Any) -> None:
    """A moment of the session's zone, a day that is cut from a moment, a number that wraps: all are refused."""
    with pytest.raises(RunError, match="`replace` has c="):
        predicates.slice_predicate({"c": value}, {"c": kind}, ())
