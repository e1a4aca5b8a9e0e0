"""What tables expect of their rows, through Spark: bad rows never become visible."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec import DeltaMerge, bundle_variable, fraction, unique
from dbxdec import rows as number_of_rows
from dbxdec.errors import RunError, TargetExistsError
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.delta import key_log
from dbxdec.io_managers.delta.expectations import Expectation
from dbxdec.io_managers.delta.receipts import Found
from dbxdec.io_managers.delta.spark import observing, staging, store, write
from dbxdec.io_managers.delta.spark.judging import Judge
from dbxdec.io_managers.delta.spark.log import History, SparkTable
from dbxdec.model.variables import using
from spark_consumers import Consumer, Table
from spark_tools import MAKES_COLUMNS, Place, needs_spark, output, receipt, rows_of

pytestmark = needs_spark
spark, path, table, place = spark_tools.spark, spark_tools.path, spark_tools.table, spark_tools.place

DAY = dt.date(2024, 1, 1)
ROWS = [
    (DAY, 1, 1, "a"),
    (DAY, 2, 6000, "b"),
    (DAY, 3, -1, "c"),
    (DAY, 4, None, "d"),
    (DAY, 5, 5, None),
    (DAY, 6, 5, "f"),
]


class Flights:
    """A table of flights, and its quarantine."""

    def __init__(self, place: Place) -> None:
        self.place, self.spark = place, place.spark
        self.bad = f"{place.uri}_bad"

    def frame(self, *numbers: int) -> Any:
        rows = [row for row in ROWS if row[1] in numbers or not numbers]
        return self.spark.createDataFrame(rows, "day date, flight bigint, delay bigint, carrier string")

    @property
    def quarantine(self) -> Any:
        head, _, name = self.bad.rpartition("/" if "/" in self.bad else ".")
        return self.place.kind(head, mode="append").table(name)

    def write(
        self, value: Any, run: str = "1", *, attempt: int = 1, mode: Any = "append", **options: Any
    ) -> WriteResult:
        """Store a result in a table with these expectations."""
        parameters = options.pop("parameters", {"day": DAY})
        given = options.pop("receipt", receipt(run, attempt=attempt))
        io = self.place.manager(mode, **options)
        context = output(self.place.uri, given, ("pyspark.DataFrame", "dbxdec.DeltaMerge"))
        context = replace(context, parameters=parameters)
        io.preflight(context)
        return io.write(context, value)

    def stored(self, uri: str | None = None) -> list[int]:
        return sorted(flight for (flight,) in rows_of(replace(self.place, uri=uri or self.place.uri), "flight"))

    def rejected(self) -> list[tuple[Any, ...]]:
        return rows_of(replace(self.place, uri=self.bad), "flight", "_dbxdec_failed", "_dbxdec_run", "_dbxdec_task")

    @property
    def stated(self) -> dict[str, Any]:
        """What the newest commits say of expectations."""
        found = map(Found.of_commit, History(self.spark_table).back())
        return next((dict(one.expectations) for one in found if one is not None and one.expectations), {})

    @property
    def spark_table(self) -> SparkTable:
        return self.place.manager()._at(self.place.uri)

    def left_behind(self) -> list[str]:
        """Rows that were stored apart and are still there."""
        if "/" in self.place.uri:
            return [str(path) for path in Path(self.place.uri).parent.glob("_dbxdec*")]
        return [row["tableName"] for row in self.spark.sql("SHOW TABLES LIKE 'dbxdec_staged*'").collect()]


@pytest.fixture
def flights(path: Place) -> Flights:
    return Flights(path)


@pytest.fixture
def anywhere(place: Place) -> Any:
    found = Flights(place)
    yield found
    if "/" not in found.bad:
        place.spark.sql(f"DROP TABLE IF EXISTS {found.bad}")


DROPS: dict[str, Any] = {"carrier": "carrier IS NOT NULL", "delay": lambda frame: frame["delay"] >= 0}


def test_rows_are_counted_and_kept(anywhere: Flights) -> None:
    """`expect` stores all rows, of a new table and of one that is there; its numbers are in result and commit."""
    for run in ("1", "2"):
        found = anywhere.write(anywhere.frame(), run, expect={"plausible": "delay < 5000", "any": "flight > 0"})
        wanted = {
            "plausible": {"failed": 2, "rows": 6, "action": "kept"},  # null is a violation
            "any": {"failed": 0, "rows": 6, "action": "kept"},
        }
        assert dict(found.expectations) == anywhere.stated == wanted
    assert anywhere.stored() == sorted([1, 2, 3, 4, 5, 6] * 2)
    assert not anywhere.left_behind()


@pytest.mark.connect
def test_rows_are_dropped_in_the_query_that_stores_them(
    anywhere: Flights, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is stored twice for it, and the numbers are logged."""
    anywhere.write(anywhere.frame(1), "0")
    monkeypatch.setattr("dbxdec.io_managers.delta.spark.judged_rows.staged", lambda *_: pytest.fail("stored apart"))
    with caplog.at_level(logging.INFO):
        found = anywhere.write(
            anywhere.frame(), expect_or_drop=DROPS, expect_or_fail={"its day": "day = :day"}, expect={"x": "delay > 5"}
        )
    assert anywhere.stored() == [1, 1, 2, 6]
    assert dict(found.expectations) == {
        "x": {"failed": 5, "rows": 6, "action": "kept"},
        "carrier": {"failed": 1, "rows": 6, "action": "dropped"},
        "delay": {"failed": 2, "rows": 6, "action": "dropped"},
        "its day": {"failed": 0, "rows": 3, "action": "failed"},
    }
    assert 'expect "delay": 2 of 6 rows failed (dropped)' in [one.getMessage() for one in caplog.records]
    assert found.rows == 3


def test_a_quarantine_that_can_not_be_written_is_told_before_the_function_runs(flights: Flights) -> None:
    """Otherwise the first dropped row would tell it, after the function has run."""
    folder = Path(flights.place.uri).parent
    folder.mkdir()
    (folder / "file").write_text("")
    context = output(flights.place.uri, receipt("1"), ("pyspark.DataFrame",))
    flights.frame(1).write.format("delta").partitionBy("carrier").save(str(folder / "parted"))
    for place, wrong in [
        (str(folder / "file"), "file"),
        (f"file:{flights.place.uri}", "the table that is its own quarantine"),
        (str(folder / "parted"), "is partitioned by"),
    ]:
        root, _, name = place.rpartition("/")
        bad = flights.place.kind(root, mode="append").table(name, partition_by="day")
        io = flights.place.manager("append", expect_or_drop=DROPS, quarantine=bad)
        with pytest.raises(RunError, match=wrong):
            io.preflight(context)


@pytest.mark.connect
def test_a_hundred_expectations_are_evaluated(flights: Flights) -> None:
    """Over Connect an expression may be a hundred levels deep, and a plan takes Spark a hundred rounds at most."""
    drops = [Expectation(f"at least {i}", f"flight > {i - 70}", "dropped") for i in range(70)]
    musts = [Expectation(f"at most {i}", f"flight < {i + 50}", "failed") for i in range(30)]
    frame = flights.frame(1, 2)
    marked = Judge((*drops, *musts), {}, "task", "uri").marked(frame)
    assert len(marked.frame.columns) == len(frame.columns) + 3  # a row does not grow by a column for each of them
    assert [one.flight for one in marked.guarded().collect()] == [1, 2]
    assert {(one.failed, one.total) for one in marked.outcomes()} == {(0, 2)}


@pytest.mark.slow
@pytest.mark.connect
def test_rows_are_dropped_into_quarantine(anywhere: Flights) -> None:
    """Good and bad rows are all rows; a bad one says what it does not meet, and who would have stored it."""
    found = anywhere.write(anywhere.frame(), expect_or_drop=DROPS, quarantine=anywhere.quarantine)
    assert anywhere.stored() == [1, 2, 6]
    assert anywhere.rejected() == [
        (3, ["delay"], "1", "task"),
        (4, ["delay"], "1", "task"),
        (5, ["carrier"], "1", "task"),
    ]
    assert found.expectations["delay"] == anywhere.stated["delay"] == {"failed": 2, "rows": 6, "action": "quarantined"}
    assert not anywhere.left_behind()


def test_a_random_frame_loses_no_row(flights: Flights) -> None:
    """Its query runs once: good and bad rows are all rows."""
    frame = flights.spark.range(10_000).selectExpr("id AS flight", "rand() AS chance")
    flights.write(frame, expect_or_drop={"even": "chance < 0.5"}, quarantine=flights.quarantine)
    assert sorted([*flights.stored(), *flights.stored(flights.bad)]) == list(range(10_000))


@pytest.mark.connect
def test_a_row_that_must_not_be_there_fails_the_write(anywhere: Flights) -> None:
    """All that it does not meet is named, nothing is committed, and dropped rows need not meet it."""
    anywhere.write(anywhere.frame(1), "0")
    with pytest.raises(RunError) as raised:
        anywhere.write(
            anywhere.frame(3, 6),
            expect_or_drop={"carrier": "carrier <> 'f'"},
            expect_or_fail={"its; instead: day": "day <> :day", "plausible": "delay >= 0", "any": "flight > 0"},
        )
    assert [re.findall(r'"(.*)" failed: (.*)', one.message) for one in raised.value.problems] == [
        [(name, "a row does not meet it; Spark stopped there, so nobody has counted how many don't")]
        for name in ("its; instead: day", "plausible")
    ]
    assert anywhere.stored() == [1]


RULES: dict[str, Any] = {
    "its day": "day = :day",
    "plausible": "delay < 5000",
    "one row a flight": unique("day", "flight"),
    "many": number_of_rows(at_least=100),
    "late": fraction("delay > 60", at_most=0.1),
}


def test_rules_over_all_rows_fail_the_write_with_their_numbers(anywhere: Flights) -> None:
    """All that failed are named, and the rows that were stored apart are gone."""
    twice = anywhere.frame().unionAll(anywhere.frame(1, 2))
    drops: dict[str, Any] = {"expect_or_drop": {"carrier": "carrier IS NOT NULL"}, "quarantine": anywhere.quarantine}
    with pytest.raises(RunError) as raised:
        anywhere.write(twice, expect_or_fail=RULES, **drops)
    assert [problem.message.partition("failed: ")[2] for problem in raised.value.problems] == [
        "3 of 7 rows do not meet it",
        "4 of 7 rows share their `day` and `flight` with others",
        "7 rows, and there must be at least 100",
        "2 of 7 rows (28.6%) fulfil it, and at most 0.1 of them may",
    ]
    assert [row[0] for row in anywhere.rejected()] == [5]
    assert not anywhere.left_behind()
    found = anywhere.write(anywhere.frame(1, 6), "2", expect_or_fail={**RULES, "many": number_of_rows(at_least=2)})
    assert anywhere.stored() == [1, 6]
    assert found.expectations["one row a flight"] == {"failed": 0, "rows": 2, "action": "failed", "rule": "unique"}
    assert not anywhere.left_behind()


def test_a_first_write_that_fails_makes_no_table(flights: Flights) -> None:
    """Neither its folder nor its log."""
    with pytest.raises(RunError, match="4 of 6 rows do not meet it"):
        flights.write(flights.frame(), expect_or_fail={"d": "delay BETWEEN 0 AND 100 AND carrier > ''", **RULES})
    assert not Path(flights.place.uri).exists()


@pytest.mark.slow
@pytest.mark.classic
def test_rows_on_a_storage_that_only_spark_sees_are_removed_by_it(
    flights: Flights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those on DBFS, or in a bucket."""
    monkeypatch.setattr(staging, "_is_seen", lambda _: False)
    flights.write(flights.frame(1, 2), expect_or_fail={"u": unique("flight")})
    assert not list(Path(flights.place.uri).parent.glob("_dbxdec/staged/*"))
    assert flights.stored() == [1, 2]


@pytest.mark.slow
@pytest.mark.connect
def test_rows_that_nobody_here_could_remove_are_a_table_of_the_session(
    flights: Flights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over Connect, of a table in a bucket."""
    monkeypatch.setattr(staging, "_is_seen", lambda _: False)
    monkeypatch.setattr(staging, "is_connect", lambda _: True)
    seen: list[str] = []
    genuine = staging.Apart.store

    def watch(apart: Any, frame: Any) -> Any:
        seen.append(apart.sql)
        return genuine(apart, frame)

    monkeypatch.setattr(staging.Apart, "store", watch)
    flights.write(flights.frame(1, 2), expect_or_fail={"u": unique("flight")})
    assert (len(seen), flights.stored()) == (1, [1, 2])
    assert not flights.spark.sql("SHOW TABLES LIKE 'dbxdec_staged*'").collect()


def test_numbers_that_spark_does_not_tell_are_in_no_report(
    flights: Flights, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The rows are judged all the same, and the log says it."""
    monkeypatch.setattr(observing.Observed, "_row", lambda _: {})
    found = flights.write(flights.frame(), expect_or_drop={"delay": "delay >= 0"})
    assert (found.expectations, flights.stored()) == ({}, [1, 2, 5, 6])
    assert "Spark doesn't tell how the expectations" in caplog.text


@pytest.mark.slow
def test_a_new_table_is_made_as_it_is_wanted(anywhere: Flights) -> None:
    """Rows that are stored apart are in nobody's way, of a merge neither."""
    options: dict[str, Any] = {"comment": "All flights.", "expect_or_fail": {"u": unique("flight")}}
    anywhere.write(anywhere.frame(1, 2), **options)
    name = anywhere.spark_table.sql
    (detail,) = anywhere.spark.sql(f"DESCRIBE DETAIL {name}").collect()
    assert (detail["description"], anywhere.stored()) == ("All flights.", [1, 2])
    merged = Flights(replace(anywhere.place, uri=anywhere.bad))
    merged.write(DeltaMerge(anywhere.frame(1, 2), on="flight"), **options)
    (detail,) = anywhere.spark.sql(f"DESCRIBE DETAIL {merged.spark_table.sql}").collect()
    assert (detail["description"], merged.stored()) == ("All flights.", [1, 2])
    assert not anywhere.left_behind()


@pytest.mark.slow
def test_rows_are_unique_among_those_that_are_there_too(flights: Flights) -> None:
    """`of="table"` reads what earlier writes have stored; a column that is new to the table is null there."""
    rule = {"flight": unique("flight", of="table")}
    flights.write(flights.frame(1, 2).drop("carrier"), "1", expect_or_fail=rule)
    with pytest.raises(RunError, match="1 of 2 rows share their `flight` with others"):
        flights.write(flights.frame(2, 3).drop("carrier"), "2", expect_or_fail=rule)
    more = {"both": unique("FLIGHT", "carrier", of="table")}
    flights.write(flights.frame(2, 3), "3", expect_or_fail=more, schema="add-columns")
    assert flights.stored() == [1, 2, 2, 3]


def test_nulls_are_values_and_nan_is_one_value(flights: Flights) -> None:
    """Two nulls are equal, and so are two NaN."""
    frame = flights.spark.sql(
        "SELECT * FROM VALUES (NULL), (NULL), (double('nan')), (double('nan')), (1D) AS t(flight)"
    )
    with pytest.raises(RunError, match="4 of 5 rows share"):
        flights.write(frame, expect_or_fail={"u": unique("flight")})


@pytest.mark.parametrize("quarantined", [True, False])
def test_a_retry_keeps_the_numbers_of_the_write(flights: Flights, quarantined: bool) -> None:
    """It stores neither rows nor bad rows again, whether the numbers are in the commit of the rows or in the next."""
    options: dict[str, Any] = {"expect_or_drop": {"delay": "delay >= 0"}}
    options |= {"quarantine": flights.quarantine} if quarantined else {}
    first = flights.write(flights.frame(), **options)
    again = flights.write(flights.frame().limit(0), attempt=2, **options)
    assert again.note == "already written by attempt 1"
    assert again.expectations == first.expectations
    assert (again.version, flights.stored()) == (first.version, [1, 2, 5, 6])
    if quarantined:
        assert [row[0] for row in flights.rejected()] == [3, 4]


@pytest.mark.slow
def test_another_build_is_told_how_to_undo_the_write_and_its_numbers(flights: Flights) -> None:
    """The commit of the numbers is not one of another writer."""
    flights.write(flights.frame(1), "0")
    flights.write(flights.frame(), expect={"delay": "delay >= 0"})
    with pytest.raises(RunError) as raised:
        flights.write(flights.frame(), receipt=receipt("1", attempt=2, build="c" * 64), expect={"delay": "delay >= 0"})
    assert "restore the table to version 0" in str(raised.value)


def test_a_death_between_quarantine_and_commit_is_retried(flights: Flights, monkeypatch: pytest.MonkeyPatch) -> None:
    """The retry finds the bad rows stored, by another build too, and stores the good ones."""
    options: dict[str, Any] = {"expect_or_drop": {"delay": "delay >= 0"}, "quarantine": flights.quarantine}
    flights.write(flights.frame(1), "0")
    genuine = write.append

    def die(table: Any, *rest: Any) -> None:
        if "bad" not in table.uri:
            raise KeyboardInterrupt
        genuine(table, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(write, "append", die)
        with pytest.raises(KeyboardInterrupt):
            flights.write(flights.frame(), **options)
    assert (flights.stored(), [row[0] for row in flights.rejected()]) == ([1], [3, 4])
    flights.write(flights.frame(), receipt=receipt("1", attempt=2, build="c" * 64), **options)
    assert (flights.stored(), [row[0] for row in flights.rejected()]) == ([1, 1, 2, 5, 6], [3, 4])


@pytest.mark.slow
def test_rows_that_differ_in_microseconds_are_others_in_quarantine(flights: Flights) -> None:
    """A retry that drops another row stores it."""
    for attempt in (1, 2):
        micros = f"00:00:00.00000{attempt}"
        frame = flights.spark.sql(
            f"SELECT 1L AS flight, timestamp'2024-01-01T{micros}Z' AS at, timestamp_ntz'2024-01-01T{micros}' AS plain"
        )
        for columns in (["flight", "at"], ["flight", "plain"]):
            rows = frame.select(*columns)
            flights.bad = f"{flights.place.uri}_bad_{columns[1]}"
            rules: dict[str, Any] = {"expect_or_drop": {"none": "flight > 1"}, "quarantine": flights.quarantine}
            with pytest.raises(RunError, match="0 rows"):
                flights.write(rows, attempt=attempt, expect_or_fail={"some": number_of_rows(at_least=1)}, **rules)
            assert len(flights.rejected()) == attempt


@pytest.mark.slow
@pytest.mark.parametrize("rules", [{}, pytest.param({"one": unique("flight")}, marks=pytest.mark.slow)])
def test_rows_that_are_dropped_are_judged_by_nothing_else(flights: Flights, rules: dict[str, Any]) -> None:
    """Another condition may be an error of theirs."""
    frame = flights.frame(1, 2, 3).selectExpr("*", "flight - 1 AS n")
    must = {"share": "6 / n > 2", "few": fraction("6 / n < 4", at_most=0.5), **rules}
    if rules == {}:
        must.pop("few")
    found = flights.write(frame, expect_or_drop={"some": "n <> 0"}, expect_or_fail=must)
    assert flights.stored() == [2, 3]
    assert {name: (one["failed"], one["rows"]) for name, one in found.expectations.items()} == {
        "some": (1, 3),
        "share": (0, 2),
        **({"few": (1, 2), "one": (0, 2)} if rules else {}),
    }


@pytest.mark.slow
def test_columns_of_quarantine_are_none_of_the_rows(flights: Flights) -> None:
    """It would lose theirs."""
    frame = flights.frame().selectExpr("*", "'x' AS _DBXDEC_run")
    with pytest.raises(RunError, match="have `_DBXDEC_run`, and its quarantine adds columns of these names"):
        flights.write(frame, expect_or_drop=DROPS, quarantine=flights.quarantine)
    flights.write(frame, expect_or_drop=DROPS)
    assert flights.stored() == [1, 2, 6]


@pytest.mark.slow
def test_a_write_that_was_undone_twice_is_done_again(flights: Flights) -> None:
    """The commit of its numbers, which is undone as well, does not hide which number the next one must have."""
    flights.write(flights.frame(2), "0")
    for attempt in (1, 2, 3):
        flights.write(flights.frame(1), "1", attempt=attempt, expect={"it": "flight > 1"})
        assert flights.stored() == [1, 2]
        flights.spark.sql(f"RESTORE TABLE delta.`{flights.place.uri}` TO VERSION AS OF 0")


@pytest.mark.slow
def test_paths_that_look_like_patterns_are_none(flights: Flights) -> None:
    """A table may lie there, so its rows may be stored apart there, too."""
    flights.place = replace(flights.place, uri=f"{flights.place.uri}/a[b]{{c,d}}*?/x=1/table")
    flights.write(flights.frame(), expect_or_drop=DROPS, expect_or_fail={"one": unique("flight")})
    assert flights.stored() == [1, 2, 6]
    assert not flights.left_behind()


@pytest.mark.slow
@pytest.mark.classic  # it makes a setting that serverless compute refuses
def test_an_attempt_whose_rows_were_removed_stores_no_others(flights: Flights) -> None:
    """A later attempt removes them; the settings of a session may let Spark go on without lost files."""
    frame = flights.frame().repartition(4, "flight")
    flights.spark.conf.set("spark.sql.files.ignoreMissingFiles", "true")
    try:
        with staging.staged(flights.spark_table, frame, receipt("1")) as rows:
            next(Path(flights.place.uri).parent.glob("_dbxdec/staged/*/part-*")).unlink()
            with pytest.raises(Exception, match=r"(?i)file.*not.*exist"):
                rows.collect()
    finally:
        flights.spark.conf.unset("spark.sql.files.ignoreMissingFiles")


@pytest.mark.slow
@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("merges", [False, True])
def test_rows_that_a_killed_attempt_stored_apart_go_with_the_next(
    flights: Flights, merges: bool, committed: bool
) -> None:
    """They are nowhere else; the killed attempt may have had nothing left to do but to remove them."""
    options: dict[str, Any] = {"expect_or_fail": {"some": number_of_rows(at_least=1)}}
    frame = flights.frame()
    value: Any = DeltaMerge(frame, on="flight").when_not_matched_insert_all() if merges else frame
    flights.write(flights.frame(1), "0")
    if committed:
        flights.write(value, **options)
    killed = staging.place(flights.spark_table, receipt("1"), 1)
    killed.store(flights.frame())
    assert flights.left_behind()
    again = flights.write(value, attempt=2, **options)
    assert again.note.startswith("already written by attempt 1") == committed
    assert not flights.left_behind()


@pytest.mark.slow
@pytest.mark.connect
def test_merges_judge_the_rows_of_their_source(anywhere: Flights) -> None:
    """Bad rows of the source are neither merged nor visible; the numbers are in the merge's own commit."""
    options: dict[str, Any] = {
        "expect_or_drop": {"delay": "delay >= 0"},
        "expect_or_fail": {"some": number_of_rows(at_least=1)},
    }
    for run in ("1", "2"):
        found = anywhere.write(DeltaMerge(anywhere.frame(), on="flight"), run, **options)
        assert anywhere.stored() == [1, 2, 5, 6]
        assert found.expectations["delay"] == anywhere.stated["delay"] == {"failed": 2, "rows": 6, "action": "dropped"}
    again = anywhere.write(DeltaMerge(anywhere.frame(), on="flight"), "2", attempt=2, **options)
    assert (again.note, again.expectations) == ("already written by attempt 1", found.expectations)
    with pytest.raises(RunError, match="0 rows, and there must be at least 1"):
        anywhere.write(DeltaMerge(anywhere.frame(3), on="flight"), "3", **options)
    assert not anywhere.left_behind()


@pytest.mark.slow
def test_merges_that_are_refused(flights: Flights) -> None:
    """A row that is left out would be deleted; nobody sees the rows of a builder; of the table it is not unique."""
    flights.write(flights.frame(), "0")
    merge = DeltaMerge(flights.frame(), on="flight")
    with pytest.raises(RunError, match="has a clause for rows that are not in the source"):
        flights.write(merge.when_not_matched_by_source_delete(), expect_or_drop={"delay": "delay >= 0"})
    with pytest.raises(RunError, match="returned a DeltaMerge, whose rows may be there"):
        flights.write(merge, expect_or_fail={"delay": unique("flight", of="table")})


@pytest.mark.classic
def test_a_merge_that_nobody_sees_is_refused_before_the_function_runs(flights: Flights) -> None:
    """And one of a function that does not say what it returns, when it is there."""
    flights.place.write("append", "0", flights.place.pairs((1, 1)))
    io = flights.place.manager("append", expect={"x": "x > 0"})
    with pytest.raises(RunError, match="returns a DeltaMergeBuilder, whose rows dbxdec doesn't see"):
        io.preflight(output(flights.place.uri, receipt("1"), ("delta.DeltaMergeBuilder",)))
    with pytest.raises(RunError, match="returns a DeltaMergeBuilder, whose rows dbxdec doesn't see"):
        io.write(output(flights.place.uri, receipt("1"), None), flights.place.merge((1, 2)))


@pytest.mark.slow
def test_a_stream_is_refused(flights: Flights, tmp_path: Path) -> None:
    """By name, before it starts."""
    flights.write(flights.frame(), "0")
    frame = flights.spark.readStream.format("delta").load(flights.place.uri)
    for value in (frame, DeltaMerge(frame, on="flight")):
        with pytest.raises(RunError, match="returned a stream, whose rows are stored batch by batch"):
            flights.write(value, expect={"d": "delay > 0"})


@pytest.mark.slow
@pytest.mark.connect
def test_overwrites_judge_the_rows_of_the_write(anywhere: Flights) -> None:
    """The whole table, its partitions, a slice, and a table that gets another schema."""
    other = anywhere.frame(1, 2).selectExpr("date'2023-01-01' AS day", "flight + 10 AS flight", "delay", "carrier")
    kept = {"positive": "delay >= 0"}
    wanted = {"positive": {"failed": 2, "rows": 6, "action": "dropped"}}
    anywhere.write(other, "0", partition_by="day")
    parts = anywhere.write(anywhere.frame(), "1", mode="overwrite", partition_by="day", expect_or_drop=kept)
    assert anywhere.stored() == [1, 2, 5, 6, 11, 12]
    part = anywhere.write(anywhere.frame(), "2", mode="overwrite", replace={"day": DAY}, expect_or_drop=kept)
    assert anywhere.stored() == [1, 2, 5, 6, 11, 12]
    whole = anywhere.write(anywhere.frame(), "3", mode="overwrite", expect_or_drop=kept)
    new = anywhere.write(anywhere.frame().drop("carrier"), "4", mode="overwrite", schema="replace", expect_or_drop=kept)
    assert anywhere.stored() == [1, 2, 5, 6]
    assert [dict(one.expectations) for one in (parts, part, whole, new)] == [wanted] * 4


@pytest.mark.slow
def test_a_clustered_table_is_judged(table: Place) -> None:
    """Its overwrite is another command of Spark's."""
    flights = Flights(table)
    for run in ("1", "2"):
        found = flights.write(
            flights.frame(), run, mode="overwrite", cluster_by="flight", expect_or_drop={"positive": "delay >= 0"}
        )
        assert dict(found.expectations) == {"positive": {"failed": 2, "rows": 6, "action": "dropped"}}
    assert flights.stored() == [1, 2, 5, 6]


@pytest.mark.slow
def test_partitions_with_empty_strings_are_judged_on_rows_that_are_stored_apart(flights: Flights) -> None:
    """Their overwrite runs the query twice."""
    flights.write(flights.frame(), "0", partition_by="carrier")
    flights.spark.sql(
        f"ALTER TABLE delta.`{flights.place.uri}` SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"
    )
    frame = flights.spark.range(100).selectExpr(
        "date'2024-01-01' AS day", "id AS flight", "CAST(rand() * 100 AS BIGINT) AS delay", "'a' AS carrier"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "_compares_by_type", lambda _: False)
        found = flights.write(
            frame, mode="overwrite", partition_by="carrier", expect_or_drop={"positive": "delay >= 50"}
        )
    assert len(flights.stored()) - 5 == found.rows == 100 - found.expectations["positive"]["failed"]


@pytest.mark.slow
@pytest.mark.connect
def test_frames_without_rows_are_judged(flights: Flights) -> None:
    """As 0 of 0 rows; also where none is left."""
    flights.write(flights.frame(1), "0")
    none = flights.write(flights.frame().limit(0), "1", expect_or_drop={"delay": "delay >= 0"})
    assert none.expectations == {"delay": {"failed": 0, "rows": 0, "action": "dropped"}}
    left = flights.write(flights.frame(3), "2", expect_or_drop={"delay": "delay >= 0"})
    assert left.expectations == {"delay": {"failed": 1, "rows": 1, "action": "dropped"}}
    empty = flights.write(flights.frame().limit(0), "3", mode="overwrite", expect={"delay": "delay >= 0"})
    assert empty.expectations == {"delay": {"failed": 0, "rows": 0, "action": "kept"}}
    assert flights.stored() == []


def test_parameters_and_variables_are_values(flights: Flights) -> None:
    """Of each type; in strings, comments and names a colon is one."""
    values = {
        "day": DAY,
        "at": dt.datetime(2024, 1, 1, 6, tzinfo=dt.UTC),
        "plain": dt.datetime(2024, 1, 1, 6),
        "text": "it's ${x} \\ :day",
        "number": -7,
        "big": 2**70,
        "float": 1.5,
        "exact": Decimal("-12.50"),
        "small": Decimal("1E-3"),
        "flag": False,
    }
    frame = flights.frame(1).selectExpr(
        "flight",
        "date'2024-01-01' AS day",
        "timestamp'2024-01-01T06:00:00Z' AS at",
        "timestamp_ntz'2024-01-01T06:00:00' AS plain",
        f"CAST(X'{values['text'].encode().hex()}' AS STRING) AS text",  # type: ignore[attr-defined]
        "-7 AS number",
        f"{2**70}BD AS big",
        "1.5D AS float",
        "-12.50BD AS exact",
        "0.001BD AS small",
        "false AS flag",
    )
    met: dict[str, Any] = {name: f"{name} = :{name}" for name in values}
    met |= {
        "string": "text <> ':nobody' AND text <> 'it\\'s :nobody'",
        "raw": r"text <> r'\' AND day = :day",
        "comment": "day = :day -- :nobody",
        "cast": f"{'day::STRING' if MAKES_COLUMNS else 'day'} = '2024-01-01' /* :nobody */",  # not in Spark 3.5
        "variable": "flight < " + bundle_variable("most"),
    }
    with using({"most": "5"}):
        found = flights.write(frame, expect=met, parameters=values)
    assert {name: one["failed"] for name, one in found.expectations.items()} == dict.fromkeys(met, 0)


def constant() -> Any:
    from pyspark.sql import functions

    return functions.lit(True)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("delay < 5000 BANANA", "is no condition in Spark's SQL"),
        ("delay < 5000 AND", "is no condition in Spark's SQL"),
        ("1=1) OR (1=1", "names no column"),
        ("delay=1) OR (1=1", "is no condition in Spark's SQL"),
        ('"delay" IS NOT NULL', "names no column, so it is the same for all rows"),
        ("TRUE", "names no column"),
        ("max(delay) < 1", "is no condition in Spark's SQL: .*max"),
        ("explode(array(delay > 1))", "is no condition in Spark's SQL"),
        ("delay > avg(delay) OVER ()", "is no condition in Spark's SQL"),
        ("delay IN (SELECT 1)", "has a query inside"),
        ("delay IN (VALUES 1)", "has a query inside"),
        ("delay", "is no condition in Spark's SQL: .*delay"),
        ("dely < 5", "names no column.*the columns of the rows are `day`"),
        ("dely < delay", "is no condition in Spark's SQL: .*dely"),
        ("day = :date", "has `:date`, but the job has no parameter `date`"),
        ("carrier IN :list", "the job parameter `list` is a list"),
        (lambda frame: "delay", "its function returned a builtins.str"),
        (lambda frame: frame["delay"], "not a boolean"),
        (lambda _: constant(), "its function returned a condition that no column of the rows is in"),
        (unique("nothing"), "names `nothing`, which the rows do not have"),
    ],
)
def test_what_is_no_condition_is_refused_before_the_function_runs(flights: Flights, condition: Any, said: str) -> None:
    """With what is wrong; and where there is no table yet, by the write, which makes none."""
    io = flights.place.manager("append", expect_or_fail={"it": condition}, comment="wanted")
    parameters = {"day": DAY, "list": [1]}
    context = replace(output(flights.place.uri, receipt("1")), parameters=parameters)
    with pytest.raises(RunError, match=f"(?s){said}.*") as written:
        io.write(context, flights.frame())
    assert not Path(flights.place.uri, "_delta_log").exists()
    flights.place.write("append", "0", flights.frame())
    with pytest.raises(RunError) as refused:
        io.preflight(context)
    # Spark counts columns.
    assert re.sub(r"#\d+", "", str(written.value)) == re.sub(r"#\d+", "", str(refused.value))
    assert '"it" of' in str(refused.value)


@pytest.mark.skipif(not MAKES_COLUMNS, reason="spark 3.5: without ANSI a division by zero is null")
@pytest.mark.parametrize("rules", [{}, {"expect_or_fail": {"u": unique("flight")}}])
@pytest.mark.parametrize(
    "condition", ["flight / (flight - 1) > 0", lambda row: row["flight"] / (row["flight"] - 1) > 0]
)
def test_a_condition_without_a_value_for_a_row_is_named(
    flights: Flights, condition: Any, rules: dict[str, Any]
) -> None:
    """And nothing of the row is."""
    with pytest.raises(RunError, match=r'expectation "ratio" has no value for a row: DIVIDE_BY_ZERO\n'):
        flights.write(flights.frame(1, 2), expect={"fine": "flight > 0", "ratio": condition}, **rules)


def test_an_error_of_a_function_says_whose_it_is(flights: Flights) -> None:
    """It is the author's, with a note."""

    def broken(frame: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        flights.write(flights.frame(), expect={"it": broken})
    assert raised.value.__notes__ == ['raised by the expectation "it"']


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a b", "a.b", "ä", "`x`", "_0", "total"])
def test_columns_may_have_any_name(flights: Flights, name: str) -> None:
    """In both ways to judge."""
    quoted = "`" + name.replace("`", "``") + "`"
    options = {"delta.columnMapping.mode": "name"}
    frame = flights.frame().withColumnRenamed("delay", name)
    rules: list[dict[str, Any]] = [{}, {"expect_or_fail": {"u": unique(name, "flight")}}]
    for run, more in enumerate(rules):
        flights.write(frame, str(run), write_options=options, expect_or_drop={"d": f"{quoted} >= 0"}, **more)
    assert flights.stored() == sorted([1, 2, 5, 6] * 2)


@pytest.mark.slow
def test_writes_that_store_nothing_say_that_nothing_was_checked(flights: Flights) -> None:
    """A table that is kept, and no result."""
    expect = {"some": number_of_rows(at_least=1)}
    flights.write(flights.frame(), "0")
    kept = flights.write(flights.frame(), "1", mode="ignore", expect_or_fail=expect)
    assert kept.note == 'kept the existing data (mode="ignore"); no expectation was checked'
    none = flights.write(None, "2", expect_or_fail=expect)
    assert none.note == "nothing to write; no expectation was checked"
    with pytest.raises(TargetExistsError):
        flights.write(flights.frame(), "3", mode="error", expect_or_fail=expect)


@pytest.mark.slow
def test_a_conflict_compares_with_the_table_again(flights: Flights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer may have added the same rows."""
    rule = {"one": unique("flight", of="table")}
    flights.write(flights.frame(1), "0")
    genuine, tries = write.append, []

    def lose(table: Any, *rest: Any) -> None:
        tries.append(table)
        if len(tries) == 1:
            genuine(table, flights.frame(2), {})
            raise type("ConcurrentAppendException", (Exception,), {})("lost")
        genuine(table, *rest)

    monkeypatch.setattr(write, "append", lose)
    monkeypatch.setattr(store, "pause", lambda _: None)
    with pytest.raises(RunError, match="1 of 2 rows share their `flight` with others"):
        flights.write(flights.frame(2, 3), expect_or_fail=rule)
    assert (len(tries), flights.stored()) == (1, [1, 2])


@pytest.mark.slow
def test_a_conflict_judges_again_nothing_that_is_stored_apart(
    flights: Flights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are those of the first query, and the quarantine has them once."""
    flights.write(flights.frame(1), "0")
    genuine, tries = write.append, []

    def lose(table: Any, *rest: Any) -> None:
        if "bad" not in table.uri:
            tries.append(table)
            if len(tries) == 1:
                raise type("ConcurrentAppendException", (Exception,), {})("lost")
        genuine(table, *rest)

    monkeypatch.setattr(write, "append", lose)
    monkeypatch.setattr(store, "pause", lambda _: None)
    frame = flights.spark.range(50).selectExpr(
        "date'2024-01-01' AS day", "id AS flight", "CAST(rand() * 9 AS BIGINT) AS delay", "'a' AS carrier"
    )
    flights.write(frame, expect_or_drop={"d": "delay < 5"}, quarantine=flights.quarantine)
    assert len(tries) == 2
    assert sorted([*flights.stored(), *flights.stored(flights.bad)]) == sorted([1, *range(50)])


@pytest.mark.slow
def test_tasks_that_read_what_is_new_are_judged_and_read_once(flights: Flights) -> None:
    """How far they have read is in the commit of the rows: that of the numbers takes no number, and has no row."""
    source = flights.place
    source.write("append", "0", flights.frame(1, 2, 3))
    judged, after = (replace(source, uri=f"{source.uri}_{name}") for name in ("judged", "after"))
    expecting = Table(judged.manager("append", expect_or_drop={"delay": "delay >= 0"}), judged.uri)
    first = Consumer.of(expecting, Table(source.manager(), source.uri))
    second = Consumer.of(Table(after.manager("append"), after.uri), Table(judged.manager(), judged.uri))
    numbers = []
    for run, new in (("1", ()), ("2", (4, 5)), ("3", (3,))):
        if new:
            source.write("append", f"new-{run}", flights.frame(*new))
        found = first.run(run)
        assert found is not None
        numbers.append(tuple(found.expectations["delay"][name] for name in ("failed", "rows")))
        again = first.plan(run, attempt=2)
        assert again.is_done
        second.run(run)
    assert numbers == [(1, 3), (1, 2), (1, 1)]
    assert flights.stored(judged.uri) == flights.stored(after.uri) == [1, 2, 5]


@pytest.mark.slow
def test_the_commit_of_the_numbers_has_no_key(flights: Flights) -> None:
    """That of the rows has it; nothing has taken keys away in between."""
    for key in ("day=1", "day=2"):
        given = receipt(f"run-{key}")
        given = replace(given, id=replace(given.id, key=key))
        flights.write(flights.frame(1), receipt=given, expect={"delay": "delay >= 0"})
    log = flights.place.manager().key_log(flights.place.uri)
    assert log is not None
    assert key_log.done(log.standing(), "")[0] == {"day=1", "day=2"}


@pytest.mark.slow
@pytest.mark.classic  # it takes a setting that serverless compute refuses
def test_the_commit_of_the_numbers_looks_for_no_transaction(flights: Flights) -> None:
    """Delta would look for its identifier in the whole state of the table, which takes longer than the commit."""
    flights.write(flights.frame(), expect={"delay": "delay >= 0"})
    newest = max((Path(flights.place.uri) / "_delta_log").glob("*.json"))
    assert [list(json.loads(line)) for line in newest.read_text().splitlines()] == [["commitInfo"]]
    assert flights.stated["delay"]["failed"] == 2


@pytest.mark.slow
def test_a_kill_before_the_commit_of_the_numbers_loses_only_them(
    flights: Flights, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The retry finds the rows stored, and says what it doesn't find."""
    with monkeypatch.context() as patched:
        patched.setattr(write, "add_receipt", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            flights.write(flights.frame(), expect={"delay": "delay >= 0"})
    again = flights.write(flights.frame(), attempt=2, expect={"delay": "delay >= 0"})
    assert (again.note, again.expectations) == ("already written by attempt 1", {})
    assert "nobody knows how the expectations of" in caplog.text
    assert flights.stored() == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_a_reader_of_the_run_gets_the_rows_of_the_run(flights: Flights) -> None:
    """The commit of the numbers comes after that which it reads."""
    flights.write(flights.frame(1), "0")
    flights.write(flights.frame(2, 3), "1", expect_or_drop={"delay": "delay >= 0"})
    found = flights.place.manager("append").read(spark_tools.wanted(flights.place.uri, receipt("1")))
    assert [row["flight"] for row in found.collect()] == [2]


@pytest.mark.slow
@pytest.mark.classic
@pytest.mark.parametrize(
    "options",
    [
        {"expect": {"a": "flight > 5", "b": "flight < 90"}, "expect_or_drop": {"c": "flight % 10 <> 0"}},
        {"expect": {"a": "flight > 5"}, "expect_or_fail": {"one": unique("flight"), "some": "flight >= 0"}},
        {"expect": {"a": "flight > 5"}, "mode": "overwrite", "partition_by": "day"},
    ],
    ids=["observed", "apart", "partitions"],
)
def test_the_query_of_the_task_runs_once(flights: Flights, options: dict[str, Any]) -> None:
    """Each row is computed once, whichever way it is judged."""
    from pyspark.sql import functions

    flights.write(flights.frame(1).select("day", "flight"), "0", partition_by="day")
    count = flights.spark.sparkContext.accumulator(0)

    def seen(value: int) -> int:
        count.add(1)
        return value

    column = functions.udf(seen, "bigint", useArrow=False)("id").alias("flight")
    frame = flights.spark.range(100).select(functions.expr("date'2024-01-01'").alias("day"), column)
    flights.write(frame, **options)
    assert count.value == 100
