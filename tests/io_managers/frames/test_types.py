"""What survives in which kind of frame: the tables of docs/frames.md are what is found here."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsParquetIoManager
from dbxdec.io_managers.contexts import InputContext
from dbxdec.io_managers.delta.polars import schemas
from dbxdec.io_managers.frames import conversions
from delta_tools import output, receipt, wanted
from repository import ROOT

pytest.importorskip("duckdb")
pytest.importorskip("narwhals")
pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa

BIG = 2**60 + 1
MOMENTS = [dt.datetime(1, 1, 1, 0, 0, 0, 1), None, dt.datetime(9999, 12, 31, 23, 59, 59, 999999)]
AWARE = [dt.datetime(2024, 10, 27, 0, 30, 0, 1, tzinfo=dt.UTC), None]
FIELDS = pl.Struct({"a": pl.Int64, "b": pl.List(pl.String)})

VALUES: dict[str, pl.Series] = {
    "Boolean": pl.Series([True, None, False]),
    "Int8, Int16, Int32": pl.Series([-(2**31), None, 2**31 - 1], dtype=pl.Int32),
    "Int64": pl.Series([BIG, None, -BIG], dtype=pl.Int64),
    "UInt8, UInt16, UInt32, UInt64": pl.Series([2**63 + 1, None, 0], dtype=pl.UInt64),
    "Int128, UInt128": pl.Series([2**100, None], dtype=pl.Int128),
    "Float32": pl.Series([1.5, None, float("nan")], dtype=pl.Float32),
    "Float64": pl.Series([1.5, None, float("nan"), float("inf"), -0.0]),
    "Decimal(38, 10)": pl.Series([Decimal("9" * 28 + "." + "9" * 10), None], dtype=pl.Decimal(38, 10)),
    "String": pl.Series(["ä\0b", None, ""]),
    "Binary": pl.Series([b"\x00\xff", None, b""]),
    "Date": pl.Series([dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]),
    "Datetime(us)": pl.Series(MOMENTS, dtype=pl.Datetime("us")),
    "Datetime(us, UTC)": pl.Series(AWARE, dtype=pl.Datetime("us", "UTC")),
    "Datetime(us, Europe/Berlin)": pl.Series(AWARE).dt.convert_time_zone("Europe/Berlin"),
    "Datetime(ns)": pl.Series([1, None]).cast(pl.Datetime("ns")),
    "Duration": pl.Series([dt.timedelta(days=400, microseconds=1), None, dt.timedelta(-1)]),
    "Time": pl.Series([1, None]).cast(pl.Time),
    "List(Int64)": pl.Series([[BIG, None], None, []], dtype=pl.List(pl.Int64)),
    "Struct": pl.Series([{"a": BIG, "b": ["x", None]}, None, {"a": None, "b": None}], dtype=FIELDS),
    "List(Struct)": pl.Series([[{"a": BIG, "b": []}, None], None, []], dtype=pl.List(FIELDS)),
    "Array(Int64, 2)": pl.Series([[BIG, 2], None], dtype=pl.Array(pl.Int64, 2)),
    "Categorical": pl.Series(["a", None, "b"], dtype=pl.Categorical),
    "Enum": pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "a"])),
    "Null": pl.Series([None, None]),
}


def arrow_type(found: Any) -> str:
    return str(found.schema.field("c").type)


# The columns of the table: an annotation, the type that a frame has, and its values as Python has them.
KINDS: dict[str, tuple[Any, Callable[[Any], str], Callable[[Any], list[Any]]]] = {
    "`pa.Table`, `pa.RecordBatchReader`": (pa.Table, arrow_type, lambda found: found["c"].to_pylist()),
    "`pd.DataFrame`": (
        pd.DataFrame,
        lambda found: str(found["c"].dtype),
        lambda found: pa.array(found["c"]).to_pylist(),
    ),
    "`duckdb.DuckDBPyRelation`": (
        duckdb.DuckDBPyRelation,
        lambda found: str(found.types[0]).strip('"'),
        lambda found: [value for (value,) in found.fetchall()],
    ),
}
SAME: dict[str, tuple[Any, Callable[[Any], list[Any]]]] = {
    "reader": (pa.RecordBatchReader, lambda found: found.read_all()["c"].to_pylist()),
    "narwhals": (nw.DataFrame[Any], lambda found: found["c"].to_list()),
    "narwhals lazy": (nw.LazyFrame[Any], lambda found: found.collect()["c"].to_list()),
}


def plain(value: Any) -> Any:
    """A value in a form that is the same for the same value: moments in UTC, fields in order, NaN equal to itself."""
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | pl.Series):
        return [plain(one) for one in value]
    return repr(value)


def asked(series: pl.Series, annotation: Any) -> Any:
    return conversions.given(pl.LazyFrame({"c": series}), InputContext("table", "frame", annotation))


def back(found: Any) -> pl.Series:
    taken: pl.DataFrame = conversions.taken(found, "what the task `t` returned").lazy().collect()
    return taken["c"]


def through(name: str, kind: str) -> str:
    """A cell of the table: the type in the task, and what it is when the task returns it."""
    series = VALUES[name]
    annotation, type_of, values = KINDS[kind]
    try:
        found = asked(series, annotation)
    except RunError:
        return "refused"
    shown = f"`{type_of(found)}`"
    returned = back(found)
    if name != "Time" and "ns" not in name:  # Python's own values end at microseconds
        assert plain(values(asked(series, annotation))) == plain(series.to_list())
    assert returned.cast(series.dtype).equals(series, null_equal=True)
    return shown if returned.dtype == series.dtype else f"{shown}; returned: {said(returned.dtype)}"


def said(kind: Any) -> str:
    """A type of Polars as the page writes it."""
    if isinstance(kind, pl.Datetime):
        return f"Datetime({kind.time_unit}{f', {kind.time_zone}' if kind.time_zone else ''})"
    if isinstance(kind, pl.Decimal):
        return f"Decimal({kind.precision}, {kind.scale})"
    return str(kind).partition("(")[0] if isinstance(kind, pl.Enum | pl.Categorical | pl.Duration) else str(kind)


def in_delta(name: str) -> str:
    try:
        _, stored = schemas.storable(pl.DataFrame({"c": VALUES[name].head(0)}))
    except RunError:
        return "refused"
    if stored["c"] == VALUES[name].dtype:
        return "as it is"
    return "signed" if stored["c"].is_signed_integer() else said(stored["c"])


def table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows])


def documented(expected: str) -> None:
    page = (ROOT / "docs/frames.md").read_text(encoding="utf-8")
    assert expected in page, f"docs/frames.md has to have this table:\n{expected}"


def test_the_page_says_what_survives() -> None:
    """Type by type: values are the same in the task, and after the task has returned them."""
    rows = [[name, in_delta(name), *(through(name, kind) for kind in KINDS)] for name in VALUES]
    documented(table(["Polars", "In a Delta table", *KINDS], rows))


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("kind", SAME)
def test_readers_are_as_tables_and_narwhals_has_everything(name: str, kind: str) -> None:
    """A reader has the types of a table; a frame of narwhals is one of Polars inside."""
    series = VALUES[name]
    annotation, values = SAME[kind]
    if kind == "reader" and through(name, "`pa.Table`, `pa.RecordBatchReader`") == "refused":
        with pytest.raises(RunError, match="the parameter `frame` has columns of types that pyarrow does not have"):
            asked(series, annotation)
        return
    if name != "Time" and "ns" not in name:
        assert plain(values(asked(series, annotation))) == plain(series.to_list())
    returned = back(asked(series, annotation))
    assert returned.dtype == series.dtype
    assert returned.equals(series, null_equal=True)


TYPES: list[Any] = [
    *(pl.Boolean, pl.Int8, pl.Int64, pl.UInt64, pl.Float32, pl.Float64, pl.String, pl.Binary, pl.Date, pl.Time),
    *(pl.Datetime("us"), pl.Datetime("us", "UTC"), pl.Decimal(38, 3), pl.List(pl.Int64), FIELDS, pl.List(FIELDS)),
]
EVERY = {**{name: one[0] for name, one in KINDS.items()}, **{name: one[0] for name, one in SAME.items()}}


@pytest.mark.parametrize("kind", EVERY)
@given(frame=dataframes(allowed_dtypes=TYPES, max_cols=4, max_size=6, allow_null=True))
def test_any_frame_survives(kind: str, frame: pl.DataFrame) -> None:
    """There and back it is equal, with its types, nulls and order of rows."""
    if frame.width == 0:
        return
    found = conversions.given(frame.lazy(), InputContext("table", "frame", EVERY[kind]))
    assert_frame_equal(conversions.taken(found, "what the task `t` returned").lazy().collect(), frame)


@pytest.mark.parametrize("name", VALUES)
def test_parquet_files_keep_all_types(tmp_path: Path, name: str) -> None:
    """From one frame of Arrow to the next, or of narwhals where Arrow lacks the type."""
    series = VALUES[name]
    annotation: Any = nw.DataFrame if "128" in name and "Decimal" not in name else pa.Table
    io = PolarsParquetIoManager(tmp_path)
    io.write(output(tmp_path / "t"), asked(series, annotation))
    returned = back(io.read(wanted(tmp_path / "t", receipt(), annotation)))
    assert returned.dtype == series.dtype
    assert returned.equals(series, null_equal=True)


def arrow(values: list[Any], kind: Any = None) -> Any:
    return pa.table({"c": pa.array(values, kind)})


def pandas(values: Any) -> Any:
    return pd.DataFrame({"c": values})


def query(expression: str) -> Any:
    return CONNECTION.sql(f"SELECT {expression} AS c")


CONNECTION = duckdb.connect()
RETURNED: dict[str, tuple[str, Callable[[], Any]]] = {
    "pyarrow: `dictionary` of strings": (
        "Categorical",
        lambda: arrow(["a", None], pa.dictionary(pa.int8(), pa.string())),
    ),
    "pyarrow: `string_view`, `binary_view`": ("String", lambda: arrow(["a", None], pa.string_view())),
    "pyarrow: `fixed_size_binary`": ("Binary", lambda: arrow([b"ab", None], pa.binary(2))),
    "pyarrow: `date64`, `timestamp[s]`": (
        "Datetime(ms)",
        lambda: arrow([dt.datetime(2024, 1, 1), None], pa.timestamp("s")),
    ),
    "pyarrow: `time32`, `time64`": ("Time", lambda: arrow([dt.time(1), None], pa.time32("s"))),
    "pyarrow: `decimal256`": ("refused", lambda: arrow([Decimal(1)], pa.decimal256(40, 0))),
    "pyarrow: `month_day_nano_interval`": ("refused", lambda: arrow([(1, 1, 1)], pa.month_day_nano_interval())),
    "pyarrow: extension types, such as `uuid` and `json`": ("refused", lambda: arrow([b"0" * 16], pa.uuid())),
    "pyarrow: `list_view`, `union`, `run_end_encoded`": ("refused", lambda: arrow([[1]], pa.list_view(pa.int64()))),
    "pandas: `int64` of numpy, `Int64`": ("Int64", lambda: pandas(pd.array([BIG, None], dtype="Int64"))),
    "pandas: `float64` of numpy; NaN is null": ("Float64", lambda: pandas([1.5, float("nan")])),
    "pandas: `datetime64` with a zone": (
        "Datetime(us, Europe/Berlin)",
        lambda: pandas(pd.to_datetime(AWARE).tz_convert("Europe/Berlin")),
    ),
    "pandas: `timedelta64`": ("Duration", lambda: pandas(pd.to_timedelta([1], unit="s"))),
    "pandas: `category` of strings": ("Categorical", lambda: pandas(pd.Categorical(["a", None]))),
    "pandas: `object` of dates, Decimals, lists, ... of one type": (
        "Date",
        lambda: pandas([dt.date(2024, 1, 1), None]),
    ),
    "pandas: `object` of several types": ("refused", lambda: pandas([1, "a"])),
    "pandas: `object` of UUIDs, `period`, `interval`, `complex`, sparse": (
        "refused",
        lambda: pandas([uuid.UUID(int=1)]),
    ),
    "DuckDB: `HUGEINT`, `UHUGEINT` (sums are); more digits are an error": (
        "Decimal(38, 0)",
        lambda: query(f"sum({BIG})"),
    ),
    "DuckDB: `UUID`, `JSON`": ("String", lambda: query("uuid()")),
    "DuckDB: `ENUM`": ("Categorical", lambda: query("'a'::ENUM('a', 'b')")),
    "DuckDB: `TIMESTAMP WITH TIME ZONE`": ("Datetime(us, UTC)", lambda: query("TIMESTAMPTZ '2024-01-01 00:00:00+00'")),
    "DuckDB: `TIME`": ("Time", lambda: query("TIME '10:00:00'")),
    "DuckDB: `INTERVAL`, `BIT`, `TIME WITH TIME ZONE`, `BIGNUM`, `UNION`": (
        "refused",
        lambda: query("INTERVAL 1 MONTH"),
    ),
}
CONNECTION.execute("SET TimeZone = 'UTC'")


def test_the_page_says_what_results_become() -> None:
    """Types that Polars' own frames don't have."""
    rows = []
    for name, (expected, made) in RETURNED.items():
        try:
            kind = said(back(made()).dtype)
        except RunError:
            kind = "refused"
        assert kind == expected, name
        rows.append([name, kind])
    documented(table(["Returned", "In Polars"], rows))


@pytest.mark.parametrize("start", range(5))
@pytest.mark.parametrize("length", range(5))
def test_parts_of_arrays_are_taken_as_they_are(start: int, length: int) -> None:
    """As a table has them after `slice`, and batches of a reader; also lists of a fixed size, inside of others too."""
    fixed = pa.array([[1, 2], None, [3, 4], [5, None]], pa.list_(pa.int64(), 2))
    columns = {
        "fixed": fixed,
        "inside": pa.StructArray.from_arrays([fixed], ["x"]),
        "list": pa.array([[BIG], None, [], [None]]),
        "flag": pa.array([True, None, False, True]),
        "text": pa.array(["a", None, "", "b"]),
    }
    part = pa.table(columns).slice(start, length)
    cut = pa.chunked_array([pa.array([7]), pa.array([8, 9, 10])]).slice(start, length)
    part = part.append_column("cut", cut)
    for found in (part, part.to_reader(2)):
        assert conversions.taken(found, "it").lazy().collect().to_dicts() == part.to_pylist()


def encoded(values: Any) -> Any:
    """A column whose values are in a dictionary."""
    return pa.table({"c": pa.DictionaryArray.from_arrays(pa.array([0, None]), values)})


def unknown(kind: Any) -> Any:
    """A field of an extension type that pyarrow does not know."""
    return pa.field("c", kind, metadata={"ARROW:extension:name": "geoarrow.wkb"})


REFUSED: dict[str, Callable[[], Any]] = {
    "uuid in a dictionary": lambda: encoded(pa.array([b"0" * 16], pa.uuid())),
    "decimal256 in a dictionary": lambda: encoded(pa.array([Decimal(1)], pa.decimal256(40, 0))),
    "dictionary in a dictionary": lambda: encoded(pa.array(["a"]).dictionary_encode()),
    "category of intervals": lambda: pandas(pd.cut([1, 2, 3], 2)),
    "lists of no values": lambda: arrow([[]], pa.list_(pa.int64(), 0)),
    "unknown extension": lambda: pa.table([[b"x"]], schema=pa.schema([unknown(pa.binary())])),
    "unknown extension inside": lambda: arrow([{"c": b"x"}], pa.struct([unknown(pa.binary())])),
    "geometry": lambda: query("'POINT(1 2)'::GEOMETRY"),
    "variant": lambda: query("1::VARIANT"),
    "decimal256 inside": lambda: arrow([[Decimal(1)]], pa.list_(pa.decimal256(40, 0))),
    "uuid inside": lambda: pa.table({"c": pa.StructArray.from_arrays([pa.array([b"0" * 16], pa.uuid())], ["x"])}),
    "json": lambda: arrow(["{}"], pa.json_()),
    "period": lambda: pandas(pd.period_range("2024-01", periods=1, freq="M")),
    "interval of pandas": lambda: pandas(pd.interval_range(0, 1)),
    "complex": lambda: pandas([1j]),
    "sparse": lambda: pandas(pd.arrays.SparseArray([1, 0])),
    "bit": lambda: query("'01'::BIT"),
    "time with a zone": lambda: query("TIMETZ '10:00:00+05'"),
    "union": lambda: query("union_value(n := 1)"),
    "interval inside": lambda: query("{'x': [INTERVAL 1 DAY]}"),
    "hugeint inside": lambda: query("[1::HUGEINT]"),
    "run-end encoded": lambda: pa.table(
        {"c": pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array([1]))}
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_types_that_would_change_are_refused_with_their_column(name: str) -> None:
    """None of them is taken as something else."""
    with pytest.raises(RunError, match="what the task `t` returned has columns that can't be stored:\n    c: "):
        conversions.taken(REFUSED[name](), "what the task `t` returned")


NOON = dt.datetime(2024, 1, 1, 12)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
CHANGED: dict[str, list[Any]] = {
    "texts and bytes": ["a", b"b"],
    "a day before a time of it": [NOON.date(), NOON],
    "a time without a zone before one with a zone": [NOON, NOON.replace(tzinfo=BERLIN)],
    "a time with a zone before one without a zone": [NOON.replace(tzinfo=BERLIN), NOON],
    "time of day with a zone": [dt.time(10, tzinfo=dt.timezone(dt.timedelta(hours=5)))],
    "nanoseconds": [pd.Timestamp("2024-01-01 00:00:00.000000001")],
    "nanoseconds of a duration": [dt.timedelta(1), pd.Timedelta(1, "ns")],
    "whole numbers among others": [1, 2.5],
    "inside a list": [["a", b"b"]],
    "inside a dict": [{"day": NOON.date()}, None, {"day": NOON}],
}


@pytest.mark.parametrize("name", CHANGED)
def test_objects_of_pandas_that_would_become_others_are_refused(name: str) -> None:
    """With the column, the value, and what it would be: Arrow takes the type of the first one for all."""
    column = pd.Series(CHANGED[name], dtype=object)
    with pytest.raises(RunError, match=r"can't be stored:\n    c: object, .* would become"):
        conversions.taken(pandas(column), "what the task `t` returned")


SAME_OBJECTS: dict[str, tuple[list[Any], list[Any]]] = {
    "missing values": (["a", None, pd.NA, float("nan")], ["a", None, None, None]),
    "missing times": ([NOON, pd.NaT, pd.Timestamp(NOON)], [NOON, None, NOON]),
    "an hour that is there twice": (
        [dt.datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=BERLIN) for fold in (0, 1)],
        [dt.datetime(2024, 10, 27, hour, 30, tzinfo=dt.UTC) for hour in (0, 1)],
    ),
    "numbers of numpy": ([np.int64(BIG), None, 3], [BIG, None, 3]),
    "floats of numpy": ([np.float32(1.5), float("nan"), 2.5], [1.5, None, 2.5]),
    "arrays and lists": ([np.array([1, 2]), [3], (), None], [[1, 2], [3], [], None]),
    "dicts of other keys": ([{"a": 1}, {"b": [2]}, None], [{"a": 1, "b": None}, {"a": None, "b": [2]}, None]),
    "decimals and whole numbers": ([Decimal("1.5"), 2], [Decimal("1.5"), Decimal("2.0")]),
}


@pytest.mark.parametrize("name", SAME_OBJECTS)
def test_objects_of_pandas_that_are_the_same_in_one_type_are_taken(name: str) -> None:
    """Also beside values that are missing."""
    given, expected = SAME_OBJECTS[name]
    found = conversions.taken(pandas(pd.Series(given, dtype=object)), "what the task `t` returned")
    assert plain(found["c"].to_list()) == plain(expected)


ENDLESS = [
    "DATE 'infinity'",
    "TIMESTAMP '-infinity'",
    "TIMESTAMPTZ 'infinity'",
    "'infinity'::TIMESTAMP_S",
    "'-infinity'::TIMESTAMP_NS",
    "TIME '24:00:00'",
    "[DATE '2024-01-01', DATE 'infinity']",
    "{'x': MAP {'a': [TIMESTAMP 'infinity']}}",
]


@pytest.mark.parametrize("expression", ENDLESS)
def test_values_that_only_duckdb_has_are_refused(expression: str) -> None:
    """They would be days far away, or null."""
    found = conversions.taken(query(f"unnest([NULL, {expression}])"), "what the task `t` returned")
    with pytest.raises(RunError, match=r"has infinite dates, times beyond a day, .* in: 'c'"):
        found.collect()


def test_a_connection_takes_other_queries_after_rows_are_refused() -> None:
    """A retry in the same process may use the same connection, while the error of the first try is still there."""
    with duckdb.connect() as con:
        endless = conversions.taken(con.sql("SELECT DATE 'infinity' AS c"), "what the task `t` returned")
        with pytest.raises(RunError) as error:
            endless.collect()
        assert con.sql("SELECT 1").fetchall() == [(1,)], error


@pytest.mark.parametrize("expression", ["NULL::DATE", "DATE '9999-12-31'", "TIME '23:59:59.999999'", "[]::DATE[]"])
def test_the_last_days_and_times_are_taken(expression: str) -> None:
    """And no value at all."""
    assert len(conversions.taken(query(expression), "what the task `t` returned").collect()) == 1


@pytest.mark.skipif(not hasattr(pl, "Map"), reason="Polars has maps since 2.1")
def test_types_inside_of_maps_are_refused_as_others_are() -> None:
    """By their column, as DuckDB would make an interval of a duration."""
    series = pl.Series([{"a": dt.timedelta(1)}], dtype=pl.Map(pl.String, pl.Duration))
    with pytest.raises(RunError, match=r"columns of types that DuckDB does not have:\n    c: Map"):
        asked(series, duckdb.DuckDBPyRelation)


DAY_S = 86_400
BEYOND = {
    "seconds of a moment": pa.array([None, 2**62], pa.timestamp("s")),
    "seconds before all dates": pa.array([None, -(2**62)], pa.timestamp("s")),
    "seconds of a duration": pa.array([2**62], pa.duration("s")),
    "the end of a day": pa.array([DAY_S], pa.int32()).view(pa.time32("s")),
    "a time before the day": pa.array([-1], pa.int64()).view(pa.time64("us")),
    "in a dictionary": pa.array([DAY_S * 10**9], pa.int64()).view(pa.time64("ns")).dictionary_encode(),
    "inside": pa.array([[{"a": 2**62}]], pa.list_(pa.struct({"a": pa.timestamp("s")}))),
}


@pytest.mark.parametrize("name", BEYOND)
def test_values_of_arrow_beyond_those_of_polars_are_refused(name: str) -> None:
    """Of tables, and of readers as they are read: they would be others, or null."""
    found = pa.table({"c": BEYOND[name]})
    for data in (found, found.to_reader()):
        with pytest.raises(RunError, match=r"times beyond a day, or seconds beyond all dates, .* in: 'c'"):
            conversions.taken(data, "what the task `t` returned").lazy().collect()


def broken(kind: Any = None) -> Any:
    """An array of strings of which one isn't UTF-8, as Arrow makes it of bytes without looking at them."""
    return pa.array([b"fine", None, b"\xff\xfe"]).cast(kind or pa.binary()).view(LIKE[kind])


LIKE = {None: pa.string(), pa.large_binary(): pa.large_string(), pa.binary_view(): pa.string_view()}
BROKEN: dict[str, Callable[[], Any]] = {
    "strings": broken,
    "large strings": lambda: broken(pa.large_binary()),
    "views": lambda: broken(pa.binary_view()),
    "dictionary": lambda: pa.DictionaryArray.from_arrays(pa.array([2, 0], pa.int32()), broken()),
    "struct": lambda: pa.StructArray.from_arrays([broken()], ["x"]),
    "list": lambda: pa.ListArray.from_arrays(pa.array([0, 3], pa.int32()), broken()),
    "map": lambda: pa.MapArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["k"]), broken()[2:]),
    "numbers of a dictionary": lambda: pa.DictionaryArray.from_arrays(
        pa.array([7], pa.int32()), pa.array(["a"]), safe=False
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("kind", ["table", "reader", "pandas", "narwhals"])
def test_values_that_are_none_of_their_types_are_refused(name: str, kind: str) -> None:
    """They would be committed, and nobody could read the table."""
    found = pa.table({"n": pa.nulls(len(BROKEN[name]()), pa.int8()), "c": BROKEN[name]()})
    data = {
        "table": lambda: found,
        "reader": found.to_reader,
        "pandas": lambda: pd.DataFrame({"c": pd.arrays.ArrowExtensionArray(found["c"])}),
        "narwhals": lambda: nw.from_native(found),
    }[kind]()
    with pytest.raises(RunError, match=r"has columns whose values don't fit their types:\n    c: "):
        conversions.taken(data, "what the task `t` returned").lazy().collect()


def test_strings_that_duckdb_takes_from_arrow_are_looked_at() -> None:
    """It does not look at them itself where it only passes them on."""
    found = duckdb.connect().from_arrow(pa.table({"c": broken()}))
    with pytest.raises(RunError, match=r"values don't fit their types:\n    c: .*UTF8"):
        conversions.taken(found, "what the task `t` returned").collect()


def test_bytes_beside_the_rows_of_a_part_are_not_looked_at() -> None:
    """Only what is stored must be right, and what is null is not stored."""
    found = pa.table({"c": broken()})[:2]
    assert conversions.taken(found, "what the task `t` returned")["c"].to_list() == ["fine", None]
