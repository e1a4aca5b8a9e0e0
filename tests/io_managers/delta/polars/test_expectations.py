"""What tables expect of their rows, through Polars: bad rows never become visible."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from dbxdec import DeltaMerge, ExpectationError, bundle_variable, fraction, rows, unique
from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers import PolarsDeltaIoManager, SparkDeltaIoManager
from dbxdec.io_managers.contexts import Receipt, WriteResult
from dbxdec.io_managers.delta.polars.judging import Conditions
from dbxdec.model.variables import using
from delta_tools import output, receipt

DAY = dt.date(2024, 1, 1)
FLIGHTS = pl.DataFrame(
    {
        "day": [DAY] * 6,
        "flight": [1, 2, 3, 4, 5, 6],
        "delay": [1, 6000, -1, None, 5, 5],
        "carrier": ["a", "b", "c", "d", None, "f"],
    }
)


class Tables:
    """A table and its quarantine."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.bad = folder, folder / "flights", folder / "bad"
        self.lake = PolarsDeltaIoManager(folder, mode="append")

    def write(self, value: Any, run: str = "1", *, attempt: int = 1, **options: Any) -> WriteResult:
        """Store a result in a table with these expectations."""
        parameters = options.pop("parameters", {"day": DAY})
        table = self.lake.table("flights", **options)
        context = output(self.path, receipt(run, attempt=attempt), ("polars.LazyFrame", "dbxdec.DeltaMerge"))
        context = replace(context, parameters=parameters)
        table.preflight(context)
        found = table.write(context, value)
        assert found is not None
        return found

    def flights(self, path: str = "flights") -> list[int]:
        return sorted(pl.read_delta(str(self.folder / path))["flight"].to_list())

    @property
    def version(self) -> int:
        return DeltaTable(str(self.path)).version()

    @property
    def stated(self) -> dict[str, Any]:
        """What the newest commit says of expectations."""
        found = Receipt.from_metadata(DeltaTable(str(self.path)).history(1)[0]["userMetadata"])
        assert found is not None
        return found[1].get("expect", {})  # type: ignore[no-any-return]


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def test_columns_of_quarantine_are_none_of_the_rows(tables: Tables) -> None:
    """It would lose theirs."""
    drops: dict[str, Any] = {"expect_or_drop": {"it": "delay < 5"}}
    frame = FLIGHTS.with_columns(_dbxdec_failed=pl.lit("x"))
    with pytest.raises(RunError, match="have `_dbxdec_failed`, and its quarantine adds columns of these names"):
        tables.write(frame, **drops, quarantine=tables.lake.table("bad"))
    assert tables.write(frame, **drops).rows == 2


@pytest.mark.parametrize(
    ("root", "name", "wrong"),
    [
        ("{folder}/a|b", "bad", "delta-rs misreads . in a local path"),
        ("lake", "bad", "delta-rs misreads %41 in its path"),
        ("{folder}", "file", "there is a file where its folder should be"),
        ("{folder}/file", "bad", "there is a file where its folder should be"),
        ("file://{folder}", "flights", "goes into .*/flights, the table that is its own quarantine"),
        ("{folder}", "parted", "is partitioned by"),
    ],
)
def test_a_quarantine_that_can_not_be_written_is_told_before_the_function_runs(
    tables: Tables, root: str, name: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the first dropped row would tell it, after the function has run."""
    (tables.folder / "file").write_text("")
    (tables.folder / "c%41").mkdir()
    monkeypatch.chdir(tables.folder / "c%41")
    FLIGHTS.write_delta(tables.folder / "parted", delta_write_options={"partition_by": ["carrier"]})
    bad = PolarsDeltaIoManager(root.format(folder=tables.folder), mode="append").table(name, partition_by="day")
    table = tables.lake.table("flights", expect_or_drop={"it": "delay < 5"}, quarantine=bad)
    with pytest.raises(RunError, match=wrong):
        table.preflight(output(tables.path, receipt("1"), ("polars.LazyFrame",)))


def test_a_relative_quarantine_is_lost_with_the_machine_of_the_task(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the platform, as a relative target is."""
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "16.4")
    bad = PolarsDeltaIoManager("lake", mode="append").table("bad")
    table = tables.lake.table("flights", expect_or_drop={"it": "delay < 5"}, quarantine=bad)
    with pytest.raises(RunError, match=r"would be in lake/bad, a relative path"):
        table.preflight(output(tables.path, receipt("1"), ("polars.LazyFrame",)))


LAZY: list[Callable[[pl.DataFrame], Any]] = [lambda frame: frame, lambda frame: frame.lazy()]
ways = pytest.mark.parametrize("form", LAZY, ids=["eager", "lazy"])
# With a feed delta-rs writes the rows itself.
writers = pytest.mark.parametrize(
    "options", [{}, {"properties": {"delta.enableChangeDataFeed": True}}], ids=["files", "delta-rs"]
)


@ways
@writers
def test_rows_are_counted_and_kept(tables: Tables, form: Any, options: Any) -> None:
    """`expect` stores all rows, and its numbers are in the result and in the commit."""
    found = tables.write(form(FLIGHTS), expect={"plausible": "delay < 5000", "any": "flight > 0"}, **options)
    assert tables.flights() == [1, 2, 3, 4, 5, 6]
    wanted = {
        "plausible": {"failed": 2, "rows": 6, "action": "kept"},  # null is a violation
        "any": {"failed": 0, "rows": 6, "action": "kept"},
    }
    assert dict(found.expectations) == tables.stated == wanted


@ways
@writers
def test_rows_are_dropped_into_quarantine(tables: Tables, form: Any, options: Any) -> None:
    """Good and bad rows are all rows; a bad one says what it does not meet, and who would have stored it."""
    found = tables.write(
        form(FLIGHTS),
        expect_or_drop={"carrier": "carrier IS NOT NULL", "delay": lambda frame: pl.col("delay") >= 0},
        quarantine=tables.lake.table("bad"),
        **options,
    )
    assert tables.flights() == [1, 2, 6]
    bad = pl.read_delta(str(tables.bad)).sort("flight")
    assert bad.drop("day", "carrier", "delay").rows() == [
        (3, ["delay"], "1", "task"),
        (4, ["delay"], "1", "task"),
        (5, ["carrier"], "1", "task"),
    ]
    assert bad.columns[-3:] == ["_dbxdec_failed", "_dbxdec_run", "_dbxdec_task"]
    assert found.expectations["delay"] == {"failed": 2, "rows": 6, "action": "quarantined"}


@ways
@writers
def test_a_query_runs_once(tables: Tables, form: Any, options: Any) -> None:
    """Of a random frame good and bad rows are all rows."""
    numbers = pl.DataFrame({"flight": range(10_000)})
    seen: list[int] = []

    def count(frame: pl.DataFrame) -> pl.DataFrame:
        seen.append(frame.height)
        return frame.with_columns(chance=pl.Series([hash((len(seen), i)) % 2 for i in range(frame.height)]))

    frame = form(numbers).lazy().map_batches(count, schema={"flight": pl.Int64, "chance": pl.Int64})
    tables.write(frame, expect_or_drop={"even": "chance = 0"}, quarantine=tables.lake.table("bad"), **options)
    assert sorted([*tables.flights(), *tables.flights("bad")]) == list(range(10_000))
    assert sum(seen) == 10_000


@ways
@writers
def test_a_failed_expectation_leaves_the_table_alone(tables: Tables, form: Any, options: Any) -> None:
    """All that failed are named with their numbers; the quarantine is there; no file of the write stays."""
    tables.write(FLIGHTS.head(1), "0", **options)
    files, before = set(tables.path.rglob("*.parquet")), tables.version
    with pytest.raises(ExpectationError) as raised:
        tables.write(
            form(pl.concat([FLIGHTS, FLIGHTS.head(2)])),
            expect_or_drop={"carrier": "carrier IS NOT NULL"},
            expect_or_fail={
                "its day": "day = :day",
                "plausible": "delay < 5000",
                "one row a flight": unique("day", "flight"),
                "many": rows(at_least=100),
                "late": fraction("delay > 60", at_most=0.1),
            },
            quarantine=tables.lake.table("bad"),
            **options,
        )
    said = [problem.message.partition("failed: ")[2] for problem in raised.value.problems]
    assert said == [
        "3 of 7 rows do not meet it",
        "4 of 7 rows share their `day` and `flight` with others",
        "7 rows, and there must be at least 100",
        "2 of 7 rows (28.6%) fulfil it, and at most 0.1 of them may",
    ]
    assert raised.value.expectations["plausible"] == {"failed": 3, "rows": 7, "action": "failed"}
    assert tables.version == before
    assert set(tables.path.rglob("*.parquet")) == files
    assert tables.flights("bad") == [5]


@writers
def test_a_first_write_that_fails_makes_no_table(tables: Tables, options: Any) -> None:
    """Neither with rows nor without."""
    with pytest.raises(RunError, match='the expectation "d" failed: 3 of 6 rows'):
        tables.write(FLIGHTS.lazy(), expect_or_fail={"d": "delay >= 0 AND carrier IS NOT NULL"}, **options)
    assert not (tables.path / "_delta_log").exists()


def test_rows_are_unique_among_those_that_are_there_too(tables: Tables) -> None:
    """`of="table"` reads what earlier writes have stored."""
    rule = {"flight": unique("flight", of="table")}
    tables.write(FLIGHTS.head(2), "1", expect_or_fail=rule)
    with pytest.raises(RunError, match="1 of 2 rows share their `flight` with others"):
        tables.write(FLIGHTS.slice(1, 2), "2", expect_or_fail=rule)
    tables.write(FLIGHTS.slice(2, 2), "3", expect_or_fail=rule)
    assert tables.flights() == [1, 2, 3, 4]


@writers
@pytest.mark.parametrize("other", [1, 7])
def test_rows_that_come_while_others_are_judged_count_for_the_table(
    tables: Tables, options: Any, other: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writes at the same time: the second one sees the rows of the first, and stores its own if it may."""
    rule = {"flight": unique("flight", of="table")}
    tables.write(FLIGHTS.slice(5, 1), "0", **options)
    genuine = Conditions.outcomes
    seen: list[bool] = []

    def meanwhile(conditions: Conditions, *rows: pl.LazyFrame) -> Any:
        found = genuine(conditions, *rows)
        if not seen:
            seen.append(True)
            tables.write(FLIGHTS.head(1).with_columns(flight=pl.lit(other, pl.Int64)), "1", **options)
        return found

    monkeypatch.setattr(Conditions, "outcomes", meanwhile)
    if other == 1:
        with pytest.raises(RunError, match="1 of 2 rows share their `flight` with others"):
            tables.write(FLIGHTS.head(2), "2", expect_or_fail=rule, **options)
        assert tables.flights() == [1, 6]
    else:
        tables.write(FLIGHTS.head(2), "2", expect_or_fail=rule, **options)
        assert tables.flights() == [1, 2, 6, 7]


def test_nulls_and_equal_hashes_do_not_hide_equal_rows(tables: Tables) -> None:
    """Nulls are values; two of them are equal."""
    frame = pl.DataFrame({"flight": [None, None, 1]}, schema={"flight": pl.Int64})
    with pytest.raises(RunError, match="2 of 3 rows share"):
        tables.write(frame, expect_or_fail={"u": unique("flight")})


def test_a_retry_keeps_the_numbers_of_the_write(tables: Tables) -> None:
    """It stores neither rows nor bad rows again."""
    options: dict[str, Any] = {
        "expect_or_drop": {"delay": "delay >= 0"},
        "quarantine": tables.lake.table("bad"),
    }
    first = tables.write(FLIGHTS, **options)
    again = tables.write(FLIGHTS.head(0), attempt=2, **options)
    assert again.expectations == first.expectations
    assert (tables.flights(), tables.flights("bad")) == ([1, 2, 5, 6], [3, 4])


def test_a_death_between_quarantine_and_commit_is_retried(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """The retry finds the bad rows stored, and stores the good ones."""
    from dbxdec.io_managers.delta.polars.direct import commit

    options: dict[str, Any] = {"expect_or_drop": {"delay": "delay >= 0"}, "quarantine": tables.lake.table("bad")}
    tables.write(FLIGHTS.head(1), "0")
    tables.lake.table("bad").write(
        output(tables.bad, receipt("0")),
        FLIGHTS.head(0).with_columns(
            _dbxdec_failed=pl.lit([], pl.List(pl.String)), _dbxdec_run=pl.lit(""), _dbxdec_task=pl.lit("")
        ),
    )

    def die(table: DeltaTable, *rest: Any, append: Any = commit.append) -> None:
        if "bad" not in table.table_uri:
            raise KeyboardInterrupt
        append(table, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(commit, "append", die)
        with pytest.raises(KeyboardInterrupt):
            tables.write(FLIGHTS, **options)
    assert (tables.flights(), tables.flights("bad")) == ([1], [3, 4])
    tables.write(FLIGHTS, attempt=2, **options)
    assert (tables.flights(), tables.flights("bad")) == ([1, 1, 2, 5, 6], [3, 4])


def test_merges_judge_the_rows_of_their_source(tables: Tables) -> None:
    """Bad rows of the source are neither merged nor visible."""
    options: dict[str, Any] = {"expect_or_drop": {"delay": "delay >= 0"}, "expect_or_fail": {"some": rows(at_least=1)}}
    found = tables.write(DeltaMerge(FLIGHTS.lazy(), on="flight"), **options)
    assert tables.flights() == [1, 2, 5, 6]
    assert found.expectations["delay"] == tables.stated["delay"] == {"failed": 2, "rows": 6, "action": "dropped"}
    with pytest.raises(RunError, match="0 rows, and there must be at least 1"):
        tables.write(DeltaMerge(FLIGHTS.slice(2, 1), on="flight"), "2", **options)


@pytest.mark.parametrize(
    ("condition", "kinds"),
    [
        ("flight < day", "Int64 with Date"),
        ("flight IS NULL OR NOT (flight >= :day)", "Int64 with Date"),
        ("day BETWEEN 1 AND 5", "Date with Int"),
        ("day - :day < 5", r"Duration\(.*\) with Int"),
        ("price <> '1.1'", r"Decimal\(.*\) with String"),
        ("flight > 0 <> 'no'", "Boolean with String"),
        ("CASE WHEN flight > 0 THEN price < carrier ELSE TRUE END", r"Decimal\(.*\) with String"),
    ],
)
def test_values_that_polars_compares_as_others_are_refused(tables: Tables, condition: str, kinds: str) -> None:
    """20240101 is more than days since 1970, '10' less than '9', and TRUE is not 'no': each row would pass."""
    priced = FLIGHTS.with_columns(price=pl.lit(Decimal("1.10")))
    with pytest.raises(RunError, match=rf'expectation "it" of .* it compares {kinds}'):
        tables.write(priced, expect={"it": condition})


@pytest.mark.parametrize(
    "condition",
    [
        "EXTRACT(year FROM day) > flight",
        "day - :day >= 0",
        "day - :day < INTERVAL '5 days'",
        "MAX(flight) OVER (PARTITION BY day) > 1",
        "FIRST_VALUE(flight > 0) OVER (PARTITION BY day ORDER BY flight)",
        "CAST(flight AS DATE) < day",
        "price > 1",
        "flight > 0.5",
        "CAST(price AS STRING) <> '1.1'",
        "(flight > 0) = 'true'",
    ],
)
def test_values_of_one_kind_are_compared(tables: Tables, condition: str) -> None:
    """Also where days and numbers stand beside each other."""
    priced = FLIGHTS.with_columns(price=pl.lit(Decimal("1.10")))
    assert tables.write(priced, expect={"it": condition}).expectations["it"]["rows"] == 6


@pytest.mark.parametrize(("condition", "left"), [("delay > 0", [1, 2]), ("gone OR delay > 0", [1])])
def test_a_row_that_tells_of_a_delete_is_judged(tables: Tables, condition: str, left: list[int]) -> None:
    """One that is left out deletes nothing; a condition can let it pass, by a column that no table has."""
    tables.write(FLIGHTS.head(2), "0")
    told = pl.DataFrame({"flight": [2], "delay": [-1], "gone": [True]})
    merge = DeltaMerge(told, on="flight").when_matched_delete(predicate="source.gone")
    tables.write(merge, expect_or_drop={"it": condition})
    assert tables.flights() == left


def test_a_merge_that_deletes_what_is_not_in_its_source_drops_no_rows(tables: Tables) -> None:
    """A row that is left out would be deleted."""
    merge = DeltaMerge(FLIGHTS, on="flight").when_not_matched_by_source_delete()
    with pytest.raises(RunError, match="has a clause for rows that are not in the source"):
        tables.write(merge, expect_or_drop={"delay": "delay >= 0"})


def test_partitions_and_slices_judge_the_rows_of_the_write(tables: Tables) -> None:
    """What is replaced and what stays does not matter."""
    other = FLIGHTS.with_columns(day=pl.lit(dt.date(2023, 1, 1)))
    tables.write(other, "0", partition_by="day")
    ways: list[dict[str, Any]] = [{"partition_by": "day"}, {"replace": {"day": DAY}}]
    for number, options in enumerate(ways):
        tables.write(
            FLIGHTS.lazy(), f"{number + 1}", mode="overwrite", expect_or_drop={"d": "delay >= 0"},
            expect_or_fail={"its day": "day = :day"}, **options,
        )  # fmt: skip
        assert tables.flights() == sorted([1, 2, 3, 4, 5, 6, 1, 2, 5, 6])


@ways
@writers
@pytest.mark.parametrize("parts", [None, "day"])
@pytest.mark.parametrize("drop", ["day = :day", lambda _: (pl.col("day") == DAY) & (pl.col("delay").cum_sum() > 0)])
def test_rows_outside_of_the_slice_may_be_left_out(
    tables: Tables, form: Any, options: Any, parts: Any, drop: Any
) -> None:
    """So they are in tables in memory and through Spark; one that is left is an error."""
    frame = pl.DataFrame({"day": [DAY, dt.date(2024, 1, 2), None, DAY], "delay": 1, "flight": [1, 2, 3, 4]})
    tables.write(frame.head(2).with_columns(flight=pl.lit(9, pl.Int64)), "0", partition_by=parts, **options)
    given: dict[str, Any] = {"mode": "overwrite", "replace": {"day": DAY}, "partition_by": parts, **options}
    for run in "12":
        found = tables.write(
            form(frame), run, **given, expect_or_drop={"its day": drop}, quarantine=tables.lake.table("bad")
        )
        assert found.expectations["its day"] == {"failed": 2, "rows": 4, "action": "quarantined"}
        assert tables.flights() == [1, 4, 9]
    assert tables.flights("bad") == [2, 2, 3, 3]
    with pytest.raises(RunError, match=re.escape("its result has a row with day=datetime.date(2024, 1, 2)")):
        tables.write(form(frame), "3", **given, expect_or_drop={"early": "flight < 3"})
    assert tables.flights() == [1, 4, 9]


@ways
@pytest.mark.parametrize(
    "values",
    [
        ["a b", "ü", "x:y"],
        ["a=b", "a%2Fb", "c/d="],
        [dt.datetime(2024, 1, 1, 12), dt.datetime(2024, 1, 1, 12, 0, 0, 5)],
    ],
    ids=["spaces", "signs", "times"],
)
def test_partitions_may_have_any_value(tables: Tables, form: Any, values: Any) -> None:
    """Files that are not in the log yet are read by their names, in which characters stand for others."""
    frame = pl.DataFrame({"part": [None, *values] * 2, "flight": range(2 * len(values) + 2)})
    found = tables.write(
        form(frame),
        partition_by="part",
        expect={"known": "part IS NOT NULL"},
        expect_or_drop={"later": "flight > 0"},
        expect_or_fail={"one": unique("part", "flight")},
        quarantine=tables.lake.table("bad", partition_by="part"),
    )
    assert [one["failed"] for one in found.expectations.values()] == [2, 1, 0]
    assert tables.flights() == list(range(1, frame.height))
    assert tables.flights("bad") == [0]


def test_parameters_and_variables_are_values(tables: Tables) -> None:
    """`:name` is the job's parameter with its type, also inside of nothing that looks like it."""
    frame = pl.DataFrame({"flight": [1], "text": [":day"], "price": [Decimal("1.50")], "at": [dt.datetime(2024, 1, 1)]})
    found = tables.write(
        frame,
        parameters={"price": Decimal("1.50"), "at": dt.datetime(2024, 1, 1), "text": ":day", "none": None},
        expect={
            "a string": "text = ':day'",
            "a parameter": "text = :text",
            "a decimal": "price = :price",
            "a moment": "at >= :at -- :nobody",
            "null": "flight = :none",
        },
    )
    assert {name: one["failed"] for name, one in found.expectations.items()} == {
        "a string": 0, "a parameter": 0, "a decimal": 0, "a moment": 0, "null": 1,
    }  # fmt: skip
    with using({"most": "5"}, live=True):
        most = "flight < " + bundle_variable("most")
        assert tables.write(frame, "2", expect_or_fail={"few": most}).expectations["few"]["failed"] == 0


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("delay < 5000 BANANA", "is no condition in Polars' SQL"),
        ("delay < 5000 AND", "is no condition in Polars' SQL"),
        ("1=1) OR (1=1", "is no condition in Polars' SQL"),
        ("TRUE", "one value for all rows"),
        ("max(delay) < 1", "one value for all rows"),
        ("delay", "it gives Int64"),
        ("nope > 1", 'unable to find column "nope"'),
        ("day = :dya", "the job has no parameter `dya`"),
        (lambda frame: True, "its function returned a builtins.bool"),
        (lambda frame: pl.col("flight", "delay") > 0, "it gives several columns"),
    ],
)
def test_what_is_no_condition_is_refused_before_the_function_runs(tables: Tables, condition: Any, said: str) -> None:
    """Where the table is there its columns are known; otherwise it is refused by the write."""
    for first in (False, True):
        if first:
            tables.write(FLIGHTS.head(1), "0")
        with pytest.raises(RunError, match=re.escape(said)):
            tables.write(FLIGHTS, expect={"it": condition})
    context = replace(output(tables.path, receipt("2")), parameters={"day": DAY})
    with pytest.raises(RunError, match=re.escape(said)):
        tables.lake.table("flights", expect={"it": condition}).preflight(context)


def test_the_plan_of_polars_is_no_part_of_an_error(tables: Tables) -> None:
    """The column says what is wrong; how Polars came to it would hide that."""
    with pytest.raises(RunError) as caught:
        tables.write(FLIGHTS, expect={"it": "nope > 1"})
    assert "FAILED HERE" not in str(caught.value)
    assert "context stack" not in str(caught.value)


@pytest.mark.parametrize("value", [{"a": 1}, [1, 5], {}])
@pytest.mark.parametrize("condition", ["delay = :x", "delay IN :x", "delay IN (:x)"])
def test_a_parameter_of_several_values_is_none_of_sql(tables: Tables, value: Any, condition: str) -> None:
    """Polars would compare the number with each field of the struct."""
    with pytest.raises(RunError, match=r"the job parameter `x` is a (dict|list), which is no value of SQL"):
        tables.write(FLIGHTS, expect={"same": condition}, parameters={"x": value})


def test_quotes_are_names_and_comments_end_nothing(tables: Tables) -> None:
    """In Polars' SQL double quotes are names; a condition may end with a comment."""
    found = tables.write(
        FLIGHTS, expect={"q": '"carrier" IS NOT NULL', "c": "delay >= 0 -- or so", "s": "carrier <> 'it''s'"}
    )
    assert [one["failed"] for one in found.expectations.values()] == [1, 2, 1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"expect": "delay < 5"}, "give a dict"),
        ({"expect": {"": "delay < 5"}}, "use a string of 1 to 128 characters"),
        ({"expect": {"x" * 129: "delay < 5"}}, "use a string of 1 to 128 characters"),
        ({"expect": {"x": ""}}, "is empty"),
        ({"expect": {"x": 3}}, "give SQL, or a function"),
        ({"expect": {"x": "now() > day"}}, "calls `now`"),
        ({"expect": {"x": "day < CURRENT_DATE"}}, "calls `CURRENT_DATE`"),
        ({"expect": {"x": 'delay < "random" /* */ ()'}}, "calls `random`"),
        ({"expect": {"x": unique("id")}}, "put it into `expect_or_fail`"),
        ({"expect": {"x": "a"}, "expect_or_fail": {"x": "b"}}, "both have 'x'"),
        ({"expect_or_fail": {"x": unique()}}, "name the columns"),
        ({"expect_or_fail": {"x": unique("id", "id")}}, "name each column once"),
        ({"expect": {"two\nlines": "delay < 5"}}, "use a string of 1 to 128 characters on one line"),
        ({"expect_or_fail": {"x": unique("id", of="all")}}, 'write of="write" or of="table"'),  # type: ignore[arg-type]
        ({"expect_or_fail": {"x": unique("id", of="table")}, "mode": "overwrite"}, "only an append"),
        ({"expect_or_fail": {"x": rows()}}, "write rows(at_least=1)"),
        ({"expect_or_fail": {"x": rows(at_least=3, at_most=2)}}, "write rows(at_least=1)"),
        ({"expect_or_fail": {"x": fraction("a", at_most=2)}}, "give a part from 0 to 1"),
        ({"quarantine": PolarsDeltaIoManager("x", mode="append").table("bad")}, "no row is dropped"),
        ({"expect_or_drop": {"x": "a"}, "quarantine": "bad"}, "not a Delta table"),
        ({"expect_or_drop": {"x": "a"}, "quarantine": PolarsDeltaIoManager("x").table("bad")}, 'mode="append"'),
        ({"expect": {f"x{i}": "a" for i in range(101)}}, "a table may have 100"),
        (
            {"expect_or_drop": {"x": "a"}, "quarantine": SparkDeltaIoManager("x", mode="append").table("bad")},
            "name a table of PolarsDeltaIoManager, too",
        ),
        (
            {
                "expect_or_drop": {"x": "a"},
                "quarantine": PolarsDeltaIoManager("x", mode="append").table("bad"),
                "schema": "add-columns",
            },
            "let it grow, too",
        ),
    ],
)
def test_wrong_options_say_what_to_write(tables: Tables, options: dict[str, Any], said: str) -> None:
    """When the table is named."""
    with pytest.raises(DbxdecError, match=re.escape(said)):
        tables.lake.table("flights", **options)


@pytest.mark.slow
def test_a_condition_may_be_long(tables: Tables) -> None:
    """Polars nests it as deep as it has parts."""
    parts = [f"flight + delay = {number}" for number in range(1200)]
    found = tables.write(FLIGHTS, expect={"long": " OR ".join(parts)})
    assert found.expectations["long"]["failed"] == 2


def test_a_column_may_be_called_as_a_function(tables: Tables) -> None:
    """`uuid` and `today` are names where no bracket follows."""
    frame = pl.DataFrame({"flight": [1], "uuid": ["a"], "today": [1]})
    assert tables.write(frame, expect={"x": "uuid IS NOT NULL AND today > 0"}).expectations["x"]["failed"] == 0


@pytest.mark.parametrize(
    "options",
    [
        {"partition_by": "day", "mode": "overwrite", "properties": {"delta.enableChangeDataFeed": True}},
        {"delta_write_options": {"target_file_size": 1_000_000}},
        {"properties": {"delta.enableChangeDataFeed": True}},
    ],
    ids=["partitions", "options", "feed"],
)
def test_what_delta_rs_writes_states_its_numbers_too(tables: Tables, options: dict[str, Any]) -> None:
    """In the first commit with rows and in later ones."""
    for run in ("1", "2"):
        found = tables.write(FLIGHTS.lazy(), run, expect={"late": "delay < 5000"}, **options)
        assert dict(found.expectations) == tables.stated == {"late": {"failed": 2, "rows": 6, "action": "kept"}}


@pytest.mark.parametrize("name", ["bad", "n", "e0", "0"])
@writers
def test_parameters_and_columns_may_have_any_name(tables: Tables, name: str, options: Any) -> None:
    """No name is one of our own."""
    frame = FLIGHTS.with_columns(pl.lit(1).alias(name), own=pl.lit(1), met=pl.lit(1), __bad=pl.lit(1))
    found = tables.write(
        frame,
        parameters={name if name.isidentifier() else "bad": 3},
        expect={"all": lambda frame: pl.all_horizontal(pl.all().is_not_null())},
        expect_or_drop={"not it": f"flight <> :{name if name.isidentifier() else 'bad'}"},
        expect_or_fail={"one": unique("flight", name)},
        quarantine=tables.lake.table("bad"),
        **options,
    )
    assert tables.flights() == [1, 2, 4, 5, 6]
    assert found.expectations["all"]["failed"] == 2
    assert pl.read_delta(str(tables.bad)).columns[:-3] == frame.columns


@ways
@writers
def test_functions_see_the_columns_of_the_rows_alone(tables: Tables, form: Any, options: Any) -> None:
    """Neither values of parameters nor our own columns, whatever `pl.all()` asks of them."""
    found = tables.write(
        form(pl.DataFrame({"flight": [1, 2, -1]})),
        parameters={"none": None},
        expect={"positive": lambda frame: pl.all_horizontal(pl.all() > 0), "null": "flight = :none"},
        expect_or_drop={"more": "flight > 1"},
        **options,
    )
    assert [one["failed"] for one in found.expectations.values()] == [1, 3, 2]


@pytest.mark.parametrize("kind", ["files", "delta-rs", "merge"])
def test_conditions_see_the_types_of_the_table(tables: Tables, kind: str) -> None:
    """Unsigned numbers have a sign there, categories are strings: `3 - 5 >= 0` is false for all writers."""
    frame = pl.DataFrame({"flight": [3, 9], "c": ["a", "b"], "e": ["x", "y"]}).cast(
        {"flight": pl.UInt8, "c": pl.Categorical, "e": pl.Enum(["x", "y"])}
    )
    options: dict[str, Any] = {"properties": {"delta.enableChangeDataFeed": True}} if kind == "delta-rs" else {}
    value = DeltaMerge(frame, on="flight") if kind == "merge" else frame
    found = tables.write(value, expect={"n": "flight - 5 >= 0", "c": "c = 'a'", "e": "e IN ('x', 'y')"}, **options)
    assert [one["failed"] for one in found.expectations.values()] == [1, 1, 0]


def test_outcomes_have_the_order_of_the_expectations(tables: Tables) -> None:
    """In a retry, too, which reads them from the commit."""
    for attempt in (1, 2):
        found = tables.write(FLIGHTS, attempt=attempt, expect={"z": "flight > 0", "a": "flight > 1"})
        assert list(found.expectations) == ["z", "a"]


def test_a_retry_that_drops_other_rows_loses_none(tables: Tables) -> None:
    """The quarantine has the same rows once, and those of an attempt with others again."""
    options: dict[str, Any] = {"expect_or_drop": {"delay": "delay >= 0"}, "quarantine": tables.lake.table("bad")}
    for attempt in (1, 2):
        with pytest.raises(RunError, match="at least 100"):
            tables.write(FLIGHTS.reverse(), attempt=attempt, expect_or_fail={"many": rows(at_least=100)}, **options)
    assert tables.flights("bad") == [3, 4]
    more = pl.concat([FLIGHTS, FLIGHTS.slice(2, 1).with_columns(flight=pl.lit(33, pl.Int64))])
    tables.write(more, attempt=3, **options)
    assert (tables.flights(), tables.flights("bad")) == ([1, 2, 5, 6], [3, 3, 4, 4, 33])


def test_a_repair_with_another_build_is_not_stopped_by_the_quarantine(tables: Tables) -> None:
    """What failed is mended, deployed and repaired in the same run: the same bad rows are there once."""
    options: dict[str, Any] = {"expect_or_drop": {"delay": "delay >= 0"}, "quarantine": tables.lake.table("bad")}
    with pytest.raises(RunError, match="at least 100"):
        tables.write(FLIGHTS, expect_or_fail={"many": rows(at_least=100)}, **options)
    mended = receipt("1", attempt=2)
    context = replace(output(tables.path, replace(mended, build="c" * 64)), parameters={"day": DAY})
    tables.lake.table("flights", **options).write(context, FLIGHTS)
    assert (tables.flights(), tables.flights("bad")) == ([1, 2, 5, 6], [3, 4])


@pytest.mark.parametrize("condition", ['"^flight$" > 1', "`^flight$` > 1"])
def test_a_name_that_polars_takes_for_a_pattern_is_refused(tables: Tables, condition: str) -> None:
    """It would judge the columns that the pattern finds; in a string and in a function it is what it is."""
    frame = FLIGHTS.with_columns(pl.lit(9).alias("^flight$"))
    with pytest.raises(RunError, match=r"names `\^flight\$`, which Polars' SQL takes for a pattern of names"):
        tables.write(frame, expect={"it": condition})
    found = tables.write(
        frame,
        expect={
            "string": "carrier <> '\"^flight$\"'",
            "function": lambda _: pl.selectors.by_name("^flight$").as_expr() > 8,
        },
    )
    assert [one["failed"] for one in found.expectations.values()] == [1, 0]


def test_a_merge_that_nobody_sees_is_refused(tables: Tables) -> None:
    """A TableMerger has its rows already; before the function is called where it is annotated so."""
    tables.write(FLIGHTS.head(1), "0")
    handle = DeltaTable(str(tables.path))
    merger = handle.merge(FLIGHTS, "target.flight = source.flight", source_alias="source", target_alias="target")
    options: dict[str, Any] = {"expect_or_fail": {"plausible": "delay < 5000"}}
    with pytest.raises(RunError, match="returns a TableMerger, whose rows dbxdec doesn't see"):
        tables.write(merger.when_not_matched_insert_all(), **options)
    assert tables.flights() == [1]
    with pytest.raises(RunError, match="return a DeltaMerge"):
        tables.lake.table("flights", **options).preflight(output(tables.path, returns=("deltalake.TableMerger",)))


def test_a_merge_is_not_unique_over_the_table(tables: Tables) -> None:
    """The rows that it updates are there."""
    with pytest.raises(RunError, match='leave `of="table"` out'):
        tables.write(DeltaMerge(FLIGHTS, on="flight"), expect_or_fail={"one": unique("flight", of="table")})


def test_a_column_that_is_new_to_the_table_is_null_in_its_rows(tables: Tables) -> None:
    """`of="table"` asks for no column that is not there."""
    tables.write(FLIGHTS, "0")
    rule = {"new": unique("new", of="table")}
    tables.write(FLIGHTS.with_columns(new=pl.int_range(6)), "1", schema="add-columns", expect_or_fail=rule)
    with pytest.raises(RunError, match="6 of 6 rows share"):
        tables.write(FLIGHTS.with_columns(new=pl.lit(None, pl.Int64)), "2", expect_or_fail=rule)


def test_writes_that_store_nothing_say_that_nothing_was_checked(tables: Tables) -> None:
    """None, and a table that is kept."""
    tables.write(FLIGHTS, "0")
    rule = {"some": rows(at_least=1)}
    kept: dict[str, Any] = {"mode": "ignore"}
    for value, options in ((None, {}), (FLIGHTS, kept)):
        found = tables.write(value, "1", expect_or_fail=rule, **options)
        assert found.note.endswith("no expectation was checked")
        assert not found.expectations


def test_an_error_of_a_function_says_whose_it_is(tables: Tables) -> None:
    """It is the author's, and passes as it is."""
    with pytest.raises(ZeroDivisionError) as raised:
        tables.write(FLIGHTS, expect={"broken": lambda frame: pl.col("flight") > 1 / 0})
    assert raised.value.__notes__ == ['raised by the expectation "broken"']


@ways
@writers
@pytest.mark.parametrize("option", ["expect", "expect_or_drop", "expect_or_fail"])
@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (lambda _: pl.col("carrier").filter(pl.col("carrier").is_null()).is_null(), "1 value for 6 rows"),
        (lambda _: pl.col("flight").head(2) > 0, "2 values for 6 rows"),
        (lambda _: pl.col("flight").map_batches(lambda rows: rows.filter(rows.is_null() | (rows > 5)) > 0), "1 value"),
        ("unnest(string_to_array(carrier || ',x', ',')) = 'x'", "11 values for 6 rows"),
    ],
    ids=["filter", "head", "python", "sql"],
)
def test_a_condition_gives_one_value_for_each_row(
    tables: Tables, form: Any, option: str, condition: Any, said: str, options: Any
) -> None:
    """One that is left of a filter would count for all rows."""
    with pytest.raises(RunError, match=f'the expectation "it" of .* can\'t be evaluated: it gives {said}'):
        tables.write(form(FLIGHTS), **{**options, option: {"it": condition}})
    assert not tables.path.exists()


def test_a_condition_of_another_height_may_give_one_value_for_each_row(tables: Tables) -> None:
    """What Polars can't tell before is counted."""
    found = tables.write(
        FLIGHTS,
        expect={"number": lambda _: pl.int_range(pl.len()) < 4, "window": "ROW_NUMBER() OVER () > 1"},
        expect_or_drop={"sorted": lambda _: pl.col("flight").slice(0, pl.len()) > 2},
    )
    assert [one["failed"] for one in found.expectations.values()] == [2, 1, 2]


@pytest.mark.parametrize("name", ["*", "^.*$"])
def test_a_column_that_is_called_as_a_pattern_may_be_unique(tables: Tables, name: str) -> None:
    """It is that column alone."""
    with pytest.raises(RunError, match="2 of 3 rows share their"):
        tables.write(pl.DataFrame({name: [1, 1, 2], "flight": [1, 2, 3]}), expect_or_fail={"u": unique(name)})


CODES = pl.DataFrame({"flight": [1, 2, 3], "code": ["1", "secret", None]})
INTEGER: list[Any] = ["code::BIGINT > 0", lambda _: pl.col("code").cast(pl.Int64) > 0]


@ways
@writers
@pytest.mark.parametrize("condition", INTEGER, ids=["sql", "function"])
@pytest.mark.parametrize("option", ["expect", "expect_or_fail", "expect_or_drop"])
def test_a_condition_that_values_break_is_named_without_them(
    tables: Tables, form: Any, option: str, condition: Any, options: Any
) -> None:
    """The query of a task runs once: an error in it might be one of a condition that drops rows."""
    expected = {**options, option: {"fine": "flight > 0", "number": condition}}
    if option == "expect_or_drop" and form(CODES) is not CODES:
        with pytest.raises(pl.exceptions.InvalidOperationError) as raised:
            tables.write(form(CODES), **expected)
        assert raised.value.__notes__[0].endswith("or by the expectations that drop rows: `fine` and `number`")
    else:
        with pytest.raises(RunError, match=r'"number" of .* for each row: conversion from .* in column') as error:
            tables.write(form(CODES), **expected)
        assert "secret" not in str(error.value)
        assert "fine" not in str(error.value)
    assert not DeltaTable.is_deltatable(str(tables.path))
    assert not list(tables.folder.rglob("*.parquet"))


TWICE = pl.DataFrame({"flight": [1, 1, 2, 2, 2, 3], "delay": [1, 2, 1, 3, 2, 5], "day": ["a", "b"] * 3})
among_others = pytest.mark.parametrize(
    ("condition", "bad"),
    [
        (lambda _: pl.col("flight").is_first_distinct(), [(1, 2), (2, 2), (2, 3)]),
        (lambda _: pl.col("delay") >= pl.col("delay").shift(1).fill_null(0), [(2, 1), (2, 2)]),
        (lambda _: pl.col("delay").max().over("flight") == pl.col("delay"), [(1, 1), (2, 1), (2, 2)]),
        ("delay < avg(delay) + 2", [(3, 5)]),
        ("delay < avg(delay) + 2 AND flight IN (1, 2, 3)", [(3, 5)]),
    ],
    ids=["first", "order", "over", "average", "average and one"],
)


@ways
@writers
@among_others
@pytest.mark.parametrize("parts", [None, "day"])
def test_rows_that_are_judged_among_others_say_what_they_do_not_meet(
    tables: Tables, form: Any, options: Any, condition: Any, bad: Any, parts: Any
) -> None:
    """In quarantine they are without these, and files of partitions have another order: neither counts."""
    found = tables.write(
        form(TWICE),
        expect={"same": condition},
        expect_or_drop={"it": condition, "early": "delay < 5"},
        quarantine=tables.lake.table("bad"),
        partition_by=parts,
        **options,
    )
    rejected = pl.read_delta(str(tables.bad)).filter(pl.col("_dbxdec_failed").list.contains("it"))
    assert sorted(rejected.select("flight", "delay").rows()) == bad
    assert found.expectations["it"] == {"failed": len(bad), "rows": 6, "action": "quarantined"}
    assert found.expectations["same"] == {"failed": len(bad), "rows": 6, "action": "kept"}
    assert found.expectations["early"]["failed"] == 1
    assert sorted(
        pl.concat([pl.read_delta(str(one)).select("flight", "delay") for one in (tables.path, tables.bad)]).rows()
    ) == sorted(TWICE.select("flight", "delay").rows())


def test_the_log_tells_which_rule_has_failed_a_write(tables: Tables, caplog: pytest.LogCaptureFixture) -> None:
    """Of a number of rows, and of a part, the numbers alone do not."""
    caplog.set_level("INFO")
    rules = {
        "few": rows(at_most=5),
        "some": rows(at_least=1),
        "late": fraction("delay > 60", at_most=0),
        "none": rows(at_most=6),
    }
    with pytest.raises(RunError) as raised:
        tables.write(FLIGHTS, expect_or_fail=rules)
    lines = [
        'expect "few": 6 rows (failed)',
        'expect "some": 6 rows',
        'expect "late": 1 of 6 rows fulfil it (failed)',
        'expect "none": 6 rows',
    ]
    assert [line for line in caplog.messages if line.startswith("expect ")] == lines
    assert isinstance(raised.value, ExpectationError)
    assert list(raised.value.expectations) == list(rules)


def test_a_fraction_is_met_by_the_very_part(tables: Tables) -> None:
    """0.29 * 100 is less than 29, as floating-point numbers are."""
    frame = pl.DataFrame({"flight": range(100)})
    for number in (0, 7, 29, 57, 58, 100):
        tables.write(frame, f"{number}", expect_or_fail={"few": fraction(f"flight < {number}", at_most=number / 100)})
    third = fraction("flight < 33", at_most=1 / 3)
    tables.write(frame.head(99), "third", expect_or_fail={"few": third})
    with pytest.raises(RunError, match="33 of 98 rows"):
        tables.write(frame.head(98), "more", expect_or_fail={"few": third})


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_frames_without_rows_are_judged(tables: Tables, mode: str) -> None:
    """Also where partitions or a slice are replaced; a quarantine is made when there is a row for it."""
    ways: list[dict[str, Any]] = [{}, {"partition_by": "day"}]
    ways += [{"replace": {"day": DAY}}] if mode == "overwrite" else []
    for i, way in enumerate(ways):
        for run in "ab":
            found = tables.write(
                FLIGHTS.head(0).lazy(),
                f"{i}{run}",
                mode=mode,
                expect_or_drop={"delay": "delay > 0"},
                expect_or_fail={"one": unique("flight"), "late": fraction("delay > 0", at_most=0)},
                quarantine=tables.lake.table("bad"),
                schema="strict",
                **way,
            )
            assert [one["rows"] for one in found.expectations.values()] == [0, 0, 0]
        shutil.rmtree(tables.path)
    assert not tables.bad.exists()


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(-3, 3)), st.integers(0, 3)), max_size=40))
@settings(deadline=None, max_examples=25)
def test_counts_are_those_of_python(rows_: list[tuple[int | None, int]]) -> None:
    """Dropped, kept and equal rows are counted exactly, whatever they are."""
    import tempfile

    frame = pl.DataFrame(rows_, schema={"delay": pl.Int64, "flight": pl.Int64}, orient="row")
    good = [row for row in rows_ if row[0] is not None and row[0] >= 0]
    shared = sum(1 for _, flight in good if [other for _, other in good].count(flight) > 1)
    with tempfile.TemporaryDirectory() as folder:
        tables = Tables(Path(folder))
        options: dict[str, Any] = {
            "expect": {"small": "delay < 2"},
            "expect_or_drop": {"delay": "delay >= 0"},
            "expect_or_fail": {"one": unique("flight")},
        }
        if shared:
            with pytest.raises(RunError, match=f"{shared} of {len(good)} rows share"):
                tables.write(frame.lazy(), **options)
        else:
            found = tables.write(frame.lazy(), **options).expectations
            assert found["delay"]["failed"] == len(rows_) - len(good)
            assert found["small"]["failed"] == sum(1 for delay, _ in rows_ if delay is None or delay >= 2)
            assert tables.flights() == sorted(flight for _, flight in good)
