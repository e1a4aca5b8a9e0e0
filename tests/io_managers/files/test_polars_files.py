"""Parquet, CSV and NDJSON through Polars, on real files and on an object storage."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from polars.testing.parametric import column, dataframes

from dbxdec import secret
from dbxdec.errors import DbxdecError, NotWrittenError, RunError, TargetExistsError
from dbxdec.io_managers import PolarsCsvIoManager, PolarsNdjsonIoManager, PolarsParquetIoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext
from dbxdec.io_managers.files import manager
from dbxdec.io_managers.files.polars import PolarsFiles
from delta_tools import frame, output, receipt, wanted
from object_storage import ObjectStorage, object_storage
from repository import TESTS

KINDS: list[type[PolarsFiles]] = [PolarsParquetIoManager, PolarsCsvIoManager, PolarsNdjsonIoManager]
EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.suffix)
LAZY = pytest.mark.parametrize("lazy", [False, True], ids=["DataFrame", "LazyFrame"])
READERS: dict[str, Callable[[str], pl.DataFrame]] = {
    "parquet": pl.read_parquet,
    "csv": pl.read_csv,
    "ndjson": pl.read_ndjson,
}
WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "parquet": pl.DataFrame.write_parquet,
    "csv": pl.DataFrame.write_csv,
    "ndjson": pl.DataFrame.write_ndjson,
}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "a lake" / "ü" / "table"


def values(io: PolarsFiles, target: Path, run: str | None = None) -> list[int]:
    return list(io.read(wanted(target, receipt(run) if run else None))["x"])


@EACH
@LAZY
def test_a_run_reads_what_it_wrote_whatever_others_write_meanwhile(
    kind: type[PolarsFiles], lazy: bool, target: Path
) -> None:
    """Each run's readers get its own rows, all others the newest, also as a file of the format for other programs."""
    io = kind("unused", mode="overwrite")
    for run in ("1", "2"):
        data = frame(int(run))
        assert io.write(output(target, receipt(run)), data.lazy() if lazy else data).rows == 1
    assert (values(io, target, "1"), values(io, target, "2"), values(io, target)) == ([1], [2], [2])
    assert READERS[kind.suffix](str(target / f"table.{kind.suffix}"))["x"].to_list() == [2]
    assert isinstance(io.read(wanted(target, annotation=pl.LazyFrame)), pl.LazyFrame)


@EACH
def test_mode_error_refuses_what_is_there_before_the_function_runs(kind: type[PolarsFiles], target: Path) -> None:
    """It names what another run, or somebody else, has put there; a retry of the same write passes and adds nothing."""
    io = kind("unused")
    io.preflight(output(target))
    io.write(output(target), frame(1))
    with pytest.raises(TargetExistsError, match="already exists"):
        io.preflight(output(target, receipt("2")))
    with pytest.raises(TargetExistsError):
        io.write(output(target, receipt("2")), frame(2))
    again = receipt(attempt=2)
    io.preflight(output(target, again))
    assert io.write(output(target, again), frame(9)).note == "already written by attempt 1"
    with pytest.raises(RunError, match="another build"):
        io.preflight(output(target, receipt(attempt=2, build="c" * 64)))
    assert values(io, target) == [1]
    theirs = target.with_name("theirs")
    theirs.mkdir()
    (theirs / "x.csv").write_text("x\n1\n")
    with pytest.raises(TargetExistsError):
        io.preflight(output(theirs))


@EACH
def test_mode_ignore_keeps_what_is_there(kind: type[PolarsFiles], target: Path) -> None:
    """It makes missing files and keeps others, which readers of the run then get."""
    io = kind("unused", mode="ignore")
    io.write(output(target, receipt("1")), frame(1))
    for attempt in (1, 2):
        assert "kept" in io.write(output(target, receipt("2", attempt=attempt)), frame(2)).note
    assert values(io, target, "2") == [1]
    assert io.write(output(target, receipt("1", attempt=2)), frame(1)).note == "already written by attempt 1"
    with pytest.raises(NotWrittenError):
        values(io, target, "3")  # it never ran
    theirs = target.with_name(f"theirs.{kind.suffix}")
    theirs.mkdir()
    WRITERS[kind.suffix](frame(5), theirs / f"x.{kind.suffix}")
    io.write(output(theirs), frame(2))
    assert values(io, theirs, "77") == [5]


@EACH
def test_nothing_to_write_is_said_to_readers_of_the_run(kind: type[PolarsFiles], target: Path) -> None:
    """None leaves the files as they are, and a reader of that run learns that nothing was written."""
    io = kind("unused", mode="overwrite")
    io.write(output(target, receipt("1")), frame(1))
    assert io.write(output(target, receipt("2")), None).note == "nothing to write"
    assert values(io, target) == [1]
    for run in ("2", "3"):
        with pytest.raises(NotWrittenError, match="wrote nothing"):
            values(io, target, run)
    assert io.write(output(target, receipt("1", attempt=2)), None).note == "already written by attempt 1"
    assert values(io, target, "1") == [1]


@EACH
def test_a_retry_replaces_its_own_and_a_zombie_gives_way(kind: type[PolarsFiles], target: Path) -> None:
    """Of two attempts of one write the later one counts, whichever ends last."""
    io = kind("unused", mode="overwrite")
    io.write(output(target, receipt(attempt=2)), frame(2))
    assert io.write(output(target), frame(1)).note == "already written by attempt 2"
    assert values(io, target) == values(io, target, "77") == [2]
    io.write(output(target, receipt(attempt=3)), frame(3))
    assert values(io, target) == values(io, target, "77") == [3]


@EACH
def test_an_older_run_repaired_later_has_its_own_files(kind: type[PolarsFiles], target: Path) -> None:
    """A repair after newer runs is neither dropped nor read by them."""
    io = kind("unused", mode="overwrite")
    for run in ("9", "5"):
        io.write(output(target, receipt(run)), frame(int(run)))
    assert (values(io, target, "9"), values(io, target, "5")) == ([9], [5])


@pytest.mark.sampled(1)
@EACH
def test_killed_writers_leave_what_was_there(kind: type[PolarsFiles], target: Path, tmp_path: Path) -> None:
    """kill -9 at any moment of a write: readers see all of the old rows or all of the new, and a retry succeeds."""
    io = kind("unused", mode="overwrite")
    io.write(output(target, receipt("0")), frame(0, 0))
    script = tmp_path / "writer.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(TESTS)!r})
        import polars as pl
        from delta_tools import output, receipt
        from dbxdec.io_managers import {kind.__name__}
        big = pl.DataFrame({{"x": range(400_000)}})
        print("ready", flush=True)
        {kind.__name__}("unused", mode="overwrite").write(output(Path({str(target)!r}), receipt("1")), big)
        """)
    )
    for delay in (0.0, 0.005, 0.01, 0.02, 0.04):
        process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert io.read(wanted(target)).height in (2, 400_000)
        assert values(io, target, "0") == [0, 0]
    io.write(output(target, receipt("1", attempt=9)), frame(1))
    assert values(io, target, "1") == values(io, target) == [1]


@pytest.mark.parametrize("mode", ["error", "ignore"])
def test_what_a_killed_attempt_has_left_is_no_target(mode: Any, target: Path) -> None:
    """Data without the file that names it neither refuses nor satisfies the retry."""
    (target / "_dbxdec" / "x" / "y").mkdir(parents=True)
    (target / "_dbxdec" / "x" / "y" / "0.parquet").touch()
    io = PolarsParquetIoManager("unused", mode=mode)
    io.preflight(output(target))
    assert io.write(output(target), frame(1)).rows == 1
    assert values(io, target) == [1]


@EACH
def test_replaced_files_go_after_a_day(kind: type[PolarsFiles], target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then their run can read them, and then it learns that they are gone; the disk is not filled."""
    io = kind("unused", mode="overwrite")
    now = time.time_ns()
    for run, hours in (("1", 0), ("2", 1), ("3", 30)):
        monkeypatch.setattr(time, "time_ns", lambda hours=hours: now + hours * 3600 * 10**9)
        io.write(output(target, receipt(run)), frame(int(run)))
    assert (values(io, target, "2"), values(io, target, "3")) == ([2], [3])
    with pytest.raises(RunError, match="was replaced and then removed"):
        values(io, target, "1")
    assert len([path for path in target.rglob(f"0.{kind.suffix}*") if path.is_file()]) == 2


_FLAT = [
    column("i", dtype=pl.Int64),
    column("u", dtype=pl.UInt8),
    column("j", dtype=pl.Int16),
    column("w", dtype=pl.UInt64),
    column("g", dtype=pl.Float32, allow_null=True),
    column("f", dtype=pl.Float64, allow_null=True),
    column("b", dtype=pl.Boolean, allow_null=True),
    column("s", dtype=pl.String, allow_null=True),
    column("d", dtype=pl.Date, allow_null=True),
    column("t", dtype=pl.Datetime("us"), allow_null=True),
    column("z", dtype=pl.Datetime("ms", "Europe/Berlin"), allow_null=True),
    column("l", dtype=pl.Duration("us"), allow_null=True),
    column("m", dtype=pl.Decimal(20, 4), allow_null=True),
]


@EACH
@given(data=dataframes(_FLAT, max_size=6, allow_null=False))
def test_frames_come_back_equal(kind: type[PolarsFiles], data: pl.DataFrame, tmp_path_factory: Any) -> None:
    """Types, nulls, empty texts, quotes, line ends and zones included; NDJSON refuses NaN and infinity by name."""
    target = tmp_path_factory.mktemp("t") / "x"
    io = kind("unused", mode="overwrite")
    if kind is PolarsNdjsonIoManager and not (data["f"].is_finite() & data["g"].is_finite()).all():
        with pytest.raises(RunError, match=r"'[fg]' has NaN or infinity"):
            io.write(output(target), data)
        return
    io.write(output(target), data)
    assert_frame_equal(io.read(wanted(target)), data)


ODD = [
    'size "in"',
    "\ufeffid",
    "a\nb",
    "\r\n",
    "",
    " ",
    " a ",
    "#",
    ",",
    '"',
    '""',
    "a,b",
    "\\",
    "*",
    "^a$",
    "\x85",
    "null",
    "1",
]
STRINGS = st.sampled_from(ODD) | st.text(st.characters(codec="utf-8"), max_size=5)
VALUES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (pl.String(), STRINGS),
    (pl.Int64(), st.integers(-(2**63), 2**63 - 1)),
    (pl.UInt64(), st.integers(0, 2**64 - 1)),
    (pl.Float64(), st.floats(allow_nan=False, allow_infinity=False)),
    (pl.Boolean(), st.booleans()),
    (pl.Date(), st.dates()),
    (pl.Datetime("us"), st.datetimes()),
    (pl.Time(), st.times()),
    (pl.Decimal(38, 10), st.decimals(-(10**20), 10**20, places=10)),
    (pl.Categorical(), STRINGS),
]


@st.composite
def odd_frames(draw: st.DrawFn) -> pl.DataFrame:
    """Frames of any names, one column included, whose values are nulls, empty strings and what formats are made of."""
    names = draw(st.lists(STRINGS.filter(lambda name: "\0" not in name), min_size=1, max_size=3, unique=True))
    height = draw(st.integers(0, 4))
    columns = []
    for number in range(len(names)):
        kind, values = draw(st.sampled_from(VALUES))
        column = draw(st.lists(st.none() | values, min_size=height, max_size=height))
        columns.append(pl.Series(str(number), column, dtype=kind))
    frame = pl.DataFrame(columns)
    frame.columns = names  # Polars makes no series of such names
    return frame


@EACH
@given(data=odd_frames(), lazy=st.booleans())
def test_whatever_columns_are_called_they_come_back(
    kind: type[PolarsFiles], data: pl.DataFrame, lazy: bool, tmp_path_factory: Any
) -> None:
    """Quotes, line ends, byte order marks, patterns, empty names; a single column of nulls and empty strings too."""
    target = tmp_path_factory.mktemp("t") / "x"
    kind("unused").write(output(target), data.lazy() if lazy else data)
    back = kind("unused").read(wanted(target))
    assert isinstance(back, pl.DataFrame)
    assert back.schema == data.schema
    assert back.rows() == data.rows()


@pytest.mark.parametrize("name", ODD)
def test_other_programs_read_the_names_of_csv(name: str, target: Path) -> None:
    """By the rules of CSV (RFC 4180); a byte order mark that is the name's own is not taken for the file's."""
    PolarsCsvIoManager("unused").write(output(target), pl.DataFrame({name: [1], "z": [2]}))
    with (target / "table.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [[name, "z"], ["1", "2"]]


@EACH
@pytest.mark.parametrize("name", ["a[1]", "a*", "a?", "[", "{a,b}", "a=b", "a#b"])
def test_a_path_is_no_pattern(kind: type[PolarsFiles], name: str, tmp_path: Path) -> None:
    """A folder with the signs of patterns is read, and not another that they match."""
    for other, run in ((tmp_path / "a1", 1), (tmp_path / name, 2)):
        kind("unused").write(output(other / "t"), frame(run))
    assert values(kind("unused"), tmp_path / name / "t") == [2]


def test_nested_values_are_in_ndjson_and_refused_in_csv(target: Path) -> None:
    """Lists and structs of plain values go to JSON lines; CSV names each column that it can't hold, all at once."""
    data = pl.DataFrame({"l": [[1, 2], []], "s": [{"a": "x", "b": [1.5]}, {"a": None, "b": []}]})
    io = PolarsNdjsonIoManager("unused")
    io.write(output(target), data)
    assert_frame_equal(io.read(wanted(target)), data)
    named = pl.DataFrame({"s": [{"a": 1.5, "*": 2.5, "^a$": 3.5}]})  # to Polars these names are patterns
    PolarsNdjsonIoManager("unused", mode="overwrite").write(output(target), named)
    assert_frame_equal(io.read(wanted(target)), named)
    for value in ({"l": [[1.0, None], [math.nan]]}, {"s": [None, {"a": {"*": [[math.inf], None]}}]}):
        with pytest.raises(RunError, match=r"'[ls]' has NaN or infinity"):
            PolarsNdjsonIoManager("unused", mode="overwrite").write(output(target), pl.DataFrame(value).lazy())
    with pytest.raises(RunError, match=r"can't store 'l' \(List\(Int64\)\), 's' \(Struct"):
        PolarsCsvIoManager("unused", mode="overwrite").write(output(target), data)
    with pytest.raises(RunError, match=r"can't store 'x' \(Binary\)"):
        PolarsNdjsonIoManager("unused", mode="overwrite").write(output(target), pl.DataFrame({"x": [b"a"]}))


@pytest.mark.parametrize("kind", [pl.Struct({}), pl.List(pl.Struct({})), pl.Struct({"a": pl.Struct({})}), pl.Object()])
def test_columns_that_parquet_has_no_type_for_are_named(kind: pl.DataType, target: Path) -> None:
    """The error comes before anything is written, and does not point to the manager that raises it."""
    data = pl.DataFrame({"ok": [1], "x": pl.Series([None], dtype=kind)})
    with pytest.raises(RunError, match=r"PolarsParquetIoManager can't store 'x' \(") as caught:
        PolarsParquetIoManager("unused").write(output(target), data)
    assert "PolarsParquetIoManager" not in str(caught.value.problems[0].hint)
    assert not target.exists()


class TestPartitions:
    """PolarsParquetIoManager with `partition_by`."""

    @LAZY
    def test_types_and_odd_values_come_back(self, lazy: bool, target: Path) -> None:
        """Texts that look like numbers, nulls, dates, spaces, slashes and percent signs are what they were."""
        data = pl.DataFrame(
            {
                "x": range(6),
                "text": ["01", None, "a/b c", "%41", "ü='\"", "1.0"],
                "day": [dt.date(2024, 2, 29), None, *[dt.date(1999, 1, 1)] * 4],
                "yes": [True, False, None, True, True, True],
            }
        )
        io = PolarsParquetIoManager("unused", mode="overwrite", partition_by=["text", "day", "yes"])
        assert io.write(output(target), data.lazy() if lazy else data).rows == 6
        reader = PolarsParquetIoManager("unused")  # a reader need not know how it was written
        assert_frame_equal(reader.read(wanted(target)).sort("x"), data)

    def test_an_empty_frame_keeps_its_columns(self, target: Path) -> None:
        """No rows, and the same schema."""
        data = pl.DataFrame(schema={"x": pl.Int64, "k": pl.String})
        io = PolarsParquetIoManager("unused", partition_by="k")
        io.write(output(target), data)
        assert_frame_equal(io.read(wanted(target)), data)

    def test_columns_that_make_no_folders_are_refused_before_the_query_runs(self, target: Path) -> None:
        """Missing columns, unfit types, and partitions without a column beside them are said by name."""

        def never(data: pl.DataFrame) -> pl.DataFrame:
            raise AssertionError("the query ran")

        for data, by, said in (
            ({"x": [1]}, "k", r"no column `k`, .*its columns are `x`"),
            ({"x": [1], "k": [1.5]}, "k", r"can't be partitioned by these columns:.*k: Float64"),
            ({"k": [1]}, "k", "no column other than those of `partition_by`"),
        ):
            query = pl.LazyFrame(data).map_batches(never)
            with pytest.raises(RunError, match=f"(?s){said}"):
                PolarsParquetIoManager("unused", partition_by=by).write(output(target), query)
        assert not target.exists()


@EACH
def test_files_of_somebody_else_can_be_read(kind: type[PolarsFiles], target: Path) -> None:
    """A folder or a file that dbxdec has not written is read as it looks; a missing one is said in one sentence."""
    io = kind("unused")
    with pytest.raises(RunError, match=r"there is nothing at .*`frame` reads"):
        io.read(wanted(target))
    target.mkdir(parents=True)
    for path in (target / f"one.{kind.suffix}", target / f"two.{kind.suffix}"):
        WRITERS[kind.suffix](frame(1), path)
    assert values(io, target) == [1, 1]
    assert values(io, target / f"one.{kind.suffix}") == [1]
    assert kind(target.parent).table("table").read().collect().height == 2


@EACH
def test_a_failing_query_changes_nothing(kind: type[PolarsFiles], target: Path) -> None:
    """The author's own exception passes, and readers have what was there."""
    io = kind("unused", mode="overwrite")
    io.write(output(target, receipt("1")), frame(1))

    def fail(data: pl.DataFrame) -> pl.DataFrame:
        raise ZeroDivisionError("of the author")

    with pytest.raises((ZeroDivisionError, pl.exceptions.ComputeError), match="of the author"):
        io.write(output(target, receipt("2")), frame(1).lazy().map_batches(fail))
    assert values(io, target) == [1]


@EACH
def test_wrong_options_and_results_are_named(kind: type[PolarsFiles], target: Path) -> None:
    """All wrong options at once; "append" says which manager does; a result that is no frame by its type."""
    with pytest.raises(DbxdecError, match=r"(?s)`mode`.*'append'.*PolarsDeltaIoManager.*`base_path` is empty"):
        kind("", mode="append")  # type: ignore[arg-type]
    with pytest.raises(RunError, match=r"returned a builtins\.dict.*(?s:.)*polars\.DataFrame"):
        kind("unused").write(output(target), {"x": [1]})
    assert not target.exists()


@pytest.mark.sampled(1)
@EACH
def test_what_was_replaced_a_day_ago_goes_from_an_object_storage(
    kind: type[PolarsFiles], storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of writes that no run can be reading any more are removed, and the newest stays."""
    io, uri = kind("s3://bucket", mode="overwrite", storage_options=storage.options), "s3://bucket/ä lake/a b"
    monkeypatch.setattr(manager, "_KEPT_MS", -1)
    for run in ("1", "2", "3"):
        io.write(OutputContext(uri, receipt(run)), frame(int(run)))
    data = [key for key in storage.keys("bucket/ä lake/a b/_dbxdec/") if key.endswith(f"/0.{kind.suffix}")]
    assert len(data) == 1
    assert list(io.read(InputContext(uri, "x", pl.DataFrame))["x"]) == [3]


@pytest.mark.slow
@EACH
def test_secrets_of_options_are_resolved_at_run_time_and_shown_nowhere(
    kind: type[PolarsFiles], storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target's whole life on an object storage: modes, pinned reads, the file for others; options stay as given."""
    monkeypatch.setenv("DBXDEC_SECRET_VAULT_KEY", storage.options["aws_secret_access_key"])
    options = {**storage.options, "aws_secret_access_key": secret("vault", "key")}
    before = dict(options)
    io = kind("s3://bucket", mode="overwrite", storage_options=options)
    uri = f"s3://bucket/a lake/{kind.suffix}"
    for run in ("1", "2"):
        io.write(OutputContext(uri, receipt(run)), frame(int(run)).lazy())
    for run, expected in (("1", [1]), ("2", [2])):
        assert list(io.read(InputContext(uri, "x", pl.DataFrame, receipt(run).id))["x"]) == expected
    assert list(io.read(InputContext(uri, "x", pl.DataFrame))["x"]) == [2]
    shown = storage.get(f"bucket/a lake/{kind.suffix}/{kind.suffix}.{kind.suffix}")
    assert shown is not None
    (Path(storage.folder.parent) / "shown").write_bytes(shown)
    assert READERS[kind.suffix](str(storage.folder.parent / "shown"))["x"].to_list() == [2]
    with pytest.raises(TargetExistsError):
        kind("s3://bucket", storage_options=options).preflight(OutputContext(uri, receipt("3")))
    assert options == before
    for key in storage.keys():  # noqa: SIM118
        assert b"hunter2" not in (storage.get(key) or b"")
    assert "hunter2" not in repr(io) + repr(io.store_of(uri)) + repr(io.settings())


@pytest.mark.parametrize("place", ["s3://bucket/x", "s3://bucket/404 not found: NoSuchKey"])
def test_a_storage_that_refuses_is_said_in_one_sentence(tmp_path: Path, place: str) -> None:
    """Neither a traceback of Polars, nor taken for a missing file, whatever the path is called."""
    with object_storage(tmp_path / "objects") as storage:
        storage.forbid()
        options = {**storage.options, "aws_max_retries": "0"}
        io = PolarsCsvIoManager("s3://bucket", mode="overwrite", storage_options=options)
        with pytest.raises(RunError, match=f"{place} can't be read") as caught:
            io.write(OutputContext(place, receipt()), frame(1))
    assert len(str(caught.value).splitlines()) <= 3


@EACH
def test_a_path_that_can_be_no_folder_is_said_in_one_sentence(kind: type[PolarsFiles], tmp_path: Path) -> None:
    """A file where the folder should be is named, and left alone."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="can't be written"):
        kind("unused", mode="overwrite").write(output(tmp_path / "file" / "x"), frame(1))
    assert (tmp_path / "file").read_text() == "x"


def test_decimals_times_and_categories_keep_their_types_in_text(target: Path) -> None:
    """What CSV has no form for comes back by the schema beside it."""
    data = pl.DataFrame(
        {
            "m": [Decimal("1.50"), None],
            "t": [dt.time(1, 2, 3, 4), None],
            "c": pl.Series(["a", "b"], dtype=pl.Categorical),
            "e": pl.Series(["a", None], dtype=pl.Enum(["a", "b"])),
            "z": pl.Series([dt.datetime(2024, 10, 27, 0, 30), None], dtype=pl.Datetime("ns", "UTC")),
        }
    )
    for kind in (PolarsCsvIoManager, PolarsNdjsonIoManager):
        io = kind("unused", mode="overwrite")
        io.write(output(target), data)
        assert_frame_equal(io.read(wanted(target)), data)


@EACH
def test_files_that_readers_of_data_skip_are_no_part_of_another_programs_folder(
    kind: type[PolarsFiles], tmp_path: Path
) -> None:
    """Their names begin with `_` or `.`: rows that were not committed, marks of success, checksums."""
    for name, number in (("1", 1), ("_temporary/0/2", 2), ("_tmp", 3), (".hidden", 4)):
        path = tmp_path / f"{name}.{kind.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[kind.suffix](pl.DataFrame({"x": [number]}), path)
    (tmp_path / "_SUCCESS").write_text("ok")
    (tmp_path / f".1.{kind.suffix}.crc").write_bytes(b"crc")
    assert list(kind("unused").read(InputContext(str(tmp_path))).collect()["x"]) == [1]


def test_partitions_of_another_programs_folder_are_columns_beside_files_to_skip(tmp_path: Path) -> None:
    """As they are where there are none of those files."""
    for day in ("a", "b"):
        (tmp_path / f"day={day}").mkdir()
        pl.DataFrame({"x": [1]}).write_parquet(tmp_path / f"day={day}" / "0.parquet")
    whole = PolarsParquetIoManager("unused").read(InputContext(str(tmp_path))).collect()
    (tmp_path / "_SUCCESS").write_text("ok")
    found = PolarsParquetIoManager("unused").read(InputContext(str(tmp_path))).collect()
    assert_frame_equal(found, whole, check_row_order=False)
    assert sorted(found["day"]) == ["a", "b"]


def test_a_column_that_comes_late_in_another_programs_ndjson_is_read(tmp_path: Path) -> None:
    """However many lines come before it."""
    lines = ['{"a": 1}\n'] * 150 + ['{"a": 2, "b": 3}\n']
    (tmp_path / "0.ndjson").write_text("".join(lines))
    found = PolarsNdjsonIoManager("unused").read(InputContext(str(tmp_path))).collect()
    assert found["b"].drop_nulls().to_list() == [3]


@EACH
def test_a_result_that_another_run_has_replaced_at_once_is_still_read(kind: type[PolarsFiles], target: Path) -> None:
    """Of two runs that note their writes at once, the later note may not know of the other one."""
    io = kind("unused", mode="overwrite")
    io.write(output(target, receipt("1")), frame(1))
    note = target / "_dbxdec/newest.json"
    before = json.loads(note.read_text())["dbxdec"]["replaced"]
    io.write(output(target, receipt("2")), frame(2))
    later = json.loads(note.read_text())["dbxdec"]
    note.write_text(json.dumps({"dbxdec": {**later, "replaced": before}}))
    assert values(io, target, "1") == list(frame(1)["x"])


@EACH
def test_the_home_folder_by_its_short_name_is_refused(
    kind: type[PolarsFiles], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polars would put the data there, and the receipts would lie in a folder `~`."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    io = kind("~/lake", mode="overwrite")
    with pytest.raises(RunError, match="~ is the home folder to Polars alone"):
        io.write(OutputContext(io.uri("t"), receipt(), ("polars.DataFrame",)), frame(1))
    assert not [*tmp_path.iterdir()]
