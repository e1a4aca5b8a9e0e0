"""`DeltaMerge` through Polars and delta-rs: what its clauses say, exactly once, on tables that may not be there yet."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers import DeltaMerge, PolarsDeltaIoManager
from delta_tools import output, receipt, wanted
from thorough import examples

MERGE = ("dbxdec.DeltaMerge",)


def rows(table: Path) -> list[tuple[Any, ...]]:
    return sorted(pl.read_delta(str(table)).rows(), key=repr)


def merge(table: Path, what: DeltaMerge, run: str = "1", attempt: int = 1, **options: Any) -> str:
    given = receipt(run, attempt=attempt)
    return PolarsDeltaIoManager(table.parent, **options).write(output(table, given, MERGE), what).note


def people(*values: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame(values, schema={"id": pl.Int64, "name": pl.String, "n": pl.Int64}, orient="row")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    people((1, "a", 1), (2, "b", 2), (3, "c", 3)).write_delta(tmp_path / "people")
    return tmp_path / "people"


def test_without_clauses_it_is_an_upsert(table: Path) -> None:
    """Rows that match are updated, others inserted; its counts are in the log's line."""
    note = merge(table, DeltaMerge(people((2, "B", 20), (9, "z", 9)), on="id"))
    assert rows(table) == [(1, "a", 1), (2, "B", 20), (3, "c", 3), (9, "z", 9)]
    assert note == "merged: 1 inserted, 1 updated, 0 deleted"


@pytest.mark.parametrize("lazy", [False, True])
def test_on_a_missing_table_the_clauses_say_what_there_is(tmp_path: Path, lazy: bool) -> None:
    """Only what an insert clause takes is inserted, with its columns; updates and deletes find nothing."""
    frame = people((1, "a", 1), (2, "b", -2), (3, "c", 3))
    wanted = (
        DeltaMerge(frame.lazy() if lazy else frame, on=["id"])
        .when_matched_delete()
        .when_not_matched_insert({"id": "source.id", "n": "source.n * 10"}, predicate="source.id = 3")
        .when_not_matched_insert_all(predicate="source.n > 0", except_cols=["name"])
        .when_not_matched_by_source_delete()
    )
    merge(tmp_path / "t", wanted, partition_by="id")
    assert rows(tmp_path / "t") == [(1, None, 1), (3, None, 30)]
    assert DeltaTable(tmp_path / "t").metadata().partition_columns == ["id"]
    merge(tmp_path / "u", DeltaMerge(frame, on="id").when_matched_update_all())
    assert rows(tmp_path / "u") == []
    assert pl.read_delta(str(tmp_path / "u")).schema == frame.schema


def test_every_clause_does_what_it_says(table: Path) -> None:
    """The first clause that applies to a row decides, in the author's order, with conditions and chosen columns."""
    new = people((1, "A", 100), (2, "B", -1), (4, "D", 4), (5, "E", -5))
    merge(
        table,
        DeltaMerge(new, on="target.id = source.id")
        .when_matched_delete(predicate="source.n < 0")
        .when_matched_update_all(predicate="source.n > 50", except_cols=["name"])
        .when_not_matched_insert_all(predicate="source.n > 0")
        .when_not_matched_by_source_update({"name": "'gone'"}, predicate="target.n < 10"),
    )
    assert rows(table) == [(1, "a", 100), (3, "gone", 3), (4, "D", 4)]
    merge(table, DeltaMerge(people((1, "x", 1)), on="id").when_matched_update({"n": "target.n + source.n"}), run="2")
    merge(table, DeltaMerge(people((1, "x", 1)), on="id").when_not_matched_by_source_delete(), run="3")
    assert rows(table) == [(1, "a", 101)]


def test_a_retry_or_repair_does_nothing_and_another_run_merges(table: Path) -> None:
    """The merge's own commit carries the write's transaction identifier; other code or parameters fail loudly."""
    adding = DeltaMerge(people((1, "x", 5)), on="id").when_matched_update({"n": "target.n + source.n"})
    assert merge(table, adding).startswith("merged")
    assert merge(table, adding, attempt=2) == "already written by attempt 1"
    assert rows(table)[0] == (1, "a", 6)
    merge(table, adding, run="2")
    assert rows(table)[0] == (1, "a", 11)
    io = PolarsDeltaIoManager(table.parent)
    with pytest.raises(RunError, match="with another build"):
        io.write(output(table, receipt("2", build="other"), MERGE), adding)


def test_writers_at_once_all_merge(table: Path) -> None:
    """A conflict merges again into what is there then: no increment is lost, none counted twice."""

    def add(run: int) -> None:
        increment = DeltaMerge(people((1, "x", 1), (run, "new", run)), on="id")
        counted = increment.when_matched_update({"n": "target.n + source.n"}).when_not_matched_insert_all()
        for attempt in (1, 2):
            merge(table, counted, run=str(run), attempt=attempt)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(100, 106)))
    assert rows(table) == sorted(
        [(1, "a", 7), (2, "b", 2), (3, "c", 3), *((run, "new", run) for run in range(100, 106))], key=repr
    )


def test_two_that_make_the_table_at_once_both_merge(tmp_path: Path) -> None:
    """Whoever is second finds the table of the first."""
    with ThreadPoolExecutor(4) as pool:
        frames = [people((i, "x", i)) for i in range(8)]
        list(pool.map(lambda i: merge(tmp_path / "t", DeltaMerge(frames[i], on="id"), run=str(i)), range(8)))
    assert [row[0] for row in rows(tmp_path / "t")] == list(range(8))


def test_equal_keys_of_the_source_are_refused(table: Path) -> None:
    """Which of two rows counts is for the author to say; nothing is merged."""
    before = rows(table)
    for frame in (people((2, "x", 1), (2, "y", 2)), people((7, "x", 1), (7, "y", 2)).lazy()):
        with pytest.raises(RunError, match="has 2 rows with the key id="):
            merge(table, DeltaMerge(frame, on="id"))
    merge(table, DeltaMerge(people((None, "x", 1), (None, "y", 2)), on="id"), run="2")
    assert len(rows(table)) == len(before) + 2


@pytest.mark.parametrize("lazy", [False, True])
def test_a_column_with_an_odd_name_is_a_key(tmp_path: Path, lazy: bool) -> None:
    """As a string too: it is a column of the source, and so no condition."""
    for run, v in (("1", 1), ("2", 2)):
        source = pl.DataFrame({"a b": [1], "v": [v]})
        merge = DeltaMerge(source.lazy() if lazy else source, on="a b")
        PolarsDeltaIoManager("unused").write(output(tmp_path / "t", receipt(run)), merge)
    assert pl.read_delta(str(tmp_path / "t")).rows() == [(1, 2)]


def test_fields_that_differ_only_in_case_are_told_as_such(tmp_path: Path) -> None:
    """The message names the field of the source and the one of the table."""
    io = PolarsDeltaIoManager("unused", mode="append", schema="add-columns")
    io.write(output(tmp_path / "t", receipt("1")), pl.DataFrame({"k": [1], "s": [{"A": 1}]}))
    source = DeltaMerge(pl.DataFrame({"k": [1], "s": [{"a": 1}]}), on="k").when_matched_update_all()
    for written in (source, source.source):
        with pytest.raises(RunError, match=r"`s\.a`, but the table .*`s\.A`"):
            io.write(output(tmp_path / "t", receipt("2")), written)


def test_columns_that_differ_are_shown(table: Path) -> None:
    """Types and new columns by the schema's policy; columns that the source lacks are null, or stay."""
    with pytest.raises(RunError, match=r"n +Int64 +String"):
        merge(table, DeltaMerge(people((1, "a", 1)).cast({"n": pl.String}), on="id"))
    wider = people((1, "A", 1), (7, "Z", 7)).with_columns(more=pl.lit(True))
    with pytest.raises(RunError, match=r"more +- +Boolean"):
        merge(table, DeltaMerge(wider, on="id"))
    merge(table, DeltaMerge(wider, on="id"), run="2", schema="add-columns")
    assert rows(table)[0] == (1, "A", 1, True)
    merge(table, DeltaMerge(people((8, "y", 8)).drop("n"), on="id").when_not_matched_insert_all(), run="3")
    assert (8, "y", None, None) in rows(table)


@pytest.mark.parametrize(
    ("source", "on", "said"),
    [
        (None, "id", "source of a DeltaMerge is None"),
        (people(), "", "`on` of a DeltaMerge is empty"),
        (people(), [], "`on` of a DeltaMerge is []"),
        (people(), [3], "`on` of a DeltaMerge is [3]"),
    ],
)
def test_wrong_arguments_are_refused_where_they_stand(source: Any, on: Any, said: str) -> None:
    """A merge that can't be is an error when it is described."""
    with pytest.raises(DbxdecError) as error:
        DeltaMerge(source, on=on)
    assert said in str(error.value)
    with pytest.raises(DbxdecError, match="values of a clause"):
        DeltaMerge(people(), on="id").when_matched_update({})


def test_wrong_sources_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    """Another kind of source, and keys that it lacks."""
    with pytest.raises(RunError, match=r"is a builtins\.list"):
        merge(tmp_path / "t", DeltaMerge([1], on="id"))
    with pytest.raises(RunError, match="has no column `day`, which it merges on"):
        merge(tmp_path / "t", DeltaMerge(people((1, "a", 1)), on=["id", "day"]))
    assert not (tmp_path / "t").exists()


def test_columns_that_are_not_there_are_named(tmp_path: Path, table: Path) -> None:
    """delta-rs would leave out what it doesn't find; a clause that names it is an error, on a missing table as well."""
    new = people((1, "A", 1))
    for wrong, said in (
        (DeltaMerge(new, on="id").when_matched_update({"nam": "'x'"}), "`nam`, which the table does not have"),
        (DeltaMerge(new, on="id").when_not_matched_insert({"id": "source.id", "m": "1"}), "`m`, which the table"),
        (DeltaMerge(new, on="id").when_not_matched_by_source_update({"N": "1"}), "`N`, which the table"),
        (DeltaMerge(new, on="id").when_matched_update_all(except_cols=["name", "m"]), "`m`, which the source"),
    ):
        for there in (table, tmp_path / "new"):
            with pytest.raises(RunError, match=f"DeltaMerge of the task `task` names the column {said}"):
                merge(there, wrong)
    assert not (tmp_path / "new").exists()
    assert rows(table) == [(1, "a", 1), (2, "b", 2), (3, "c", 3)]


def test_one_column_that_is_left_out_may_be_a_string(table: Path) -> None:
    """It is a name, not the names of its letters."""
    merge(table, DeltaMerge(people((1, "A", 9)), on="id").when_matched_update_all(except_cols="name"))
    assert rows(table)[0] == (1, "a", 9)


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        (lambda merge: merge.when_matched_update_all(pl.col("n") > 1), "a predicate of a DeltaMerge is"),
        (lambda merge: merge.when_not_matched_insert_all(except_cols=[1]), r"`except_cols` of a DeltaMerge is \[1\]"),
        (lambda merge: merge.when_not_matched_insert_all(except_cols=None), "`except_cols` of a DeltaMerge is None"),
        (lambda merge: merge.when_matched_update(["n"]), r"the values of a clause of a DeltaMerge are \['n'\]"),
    ],
)
def test_what_is_no_sql_and_no_name_is_refused_where_it_is_written(clause: Any, said: str) -> None:
    """An expression of Polars, a number, a list of columns."""
    with pytest.raises(DbxdecError, match=said):
        clause(DeltaMerge(people((1, "A", 1)), on="id"))


def test_a_table_grows_by_a_column_that_a_clause_names(table: Path) -> None:
    """With schema="add-columns" a column of the source is added where a clause fills it."""
    new = people((1, "A", 1)).with_columns(more=pl.lit(7))
    what = DeltaMerge(new, on="id").when_matched_update({"more": "source.more"})
    with pytest.raises(RunError, match="`more`, which the table"):
        merge(table, what)
    merge(table, what, schema="add-columns")
    assert rows(table) == [(1, "a", 1, 7), (2, "b", 2, None), (3, "c", 3, None)]


def test_nothing_is_cast_in_silence(table: Path) -> None:
    """Keys, and columns that a clause takes over as they are, must have the table's type."""
    what = DeltaMerge(people((1, "A", 1)).with_columns(x=1.9, t=pl.lit("5"), i=pl.lit("1")), on="id")
    for value, kind in (("source.x", "Float64"), ('source."t"', "String"), (" source.`t` ", "String")):
        with pytest.raises(RunError, match=rf"n +Int64 +{kind}"):
            merge(table, what.when_matched_update({"n": value}))
    with pytest.raises(RunError, match=r"id +Int64 +String"):
        merge(table, DeltaMerge(people().cast({"id": pl.String}), on="id").when_matched_delete())
    merge(table, what.when_matched_update({"n": "CAST(source.x AS BIGINT)"}))
    assert rows(table)[0] == (1, "a", 1)


def test_what_replaces_a_schema_is_no_leave_to_drop_columns(table: Path) -> None:
    """schema="replace" is for writes that replace the whole table: a merge with other columns is refused."""
    wider = people((1, "A", 1)).with_columns(more=True)
    with pytest.raises(RunError, match=r"more +- +Boolean") as refused:
        merge(table, DeltaMerge(wider, on="id"), mode="overwrite", schema="replace")
    assert 'schema="replace"' not in str(refused.value)


@pytest.mark.parametrize("there", [True, False])
def test_sql_that_is_wrong_is_one_sentence_and_makes_no_table(tmp_path: Path, table: Path, there: bool) -> None:
    """What delta-rs says of conditions and values is told without its wrappers, before a table is made."""
    place = table if there else tmp_path / "new"
    new = people((1, "A", 1))
    for wrong, said in (
        (DeltaMerge(new, on="target.id = source.nope"), "No field named source.nope"),
        (DeltaMerge(new, on="id").when_matched_update_all("source.n >>> 1 (("), "sql parser error"),
        (DeltaMerge(new, on="id").when_matched_update({"n": "nope(1)"}), "nope"),
    ):
        with pytest.raises(RunError, match=f"can't execute the DeltaMerge of the task `task`: .*{said}"):
            merge(place, wrong)
    assert place.exists() == there


def test_a_wrong_name_is_told_with_those_that_a_merge_has(table: Path) -> None:
    """Not with the names that delta-rs gives to its own columns meanwhile."""
    new = people((1, "A", 1))
    valid = r"Valid fields are source\.id, source\.name, source\.n, target\.id, target\.name, target\.n\.\n"
    for wrong in (
        DeltaMerge(new, on="target.id = source.nope"),
        DeltaMerge(new, on="id").when_matched_update_all("source.nope > 1"),
    ):
        with pytest.raises(RunError, match=rf"No field named source\.nope\. .*{valid}"):
            merge(table, wrong)


def test_rows_that_can_not_be_merged_are_one_sentence(table: Path) -> None:
    """Values that don't fit, and several source rows for one of the table, are told as what the task has done wrong."""
    with pytest.raises(RunError, match=r"can't execute the DeltaMerge of the task `task`: .*'A'"):
        merge(table, DeltaMerge(people((1, "A", 1)), on="id").when_matched_update({"n": "CAST(source.name AS INT)"}))
    with pytest.raises(RunError, match=r"can't execute the DeltaMerge of the task `task`: .*multiple source rows"):
        merge(table, DeltaMerge(people((1, "A", 1), (1, "B", 1)), on="target.id = source.id"))


def test_a_merge_that_changes_nothing_has_been_done(table: Path) -> None:
    """delta-rs makes no commit of it: the receipt is one of its own, so readers go on and a repair does not merge."""
    before = rows(table)
    note = merge(table, DeltaMerge(people(), on="id"))
    assert note == "merged: 0 inserted, 0 updated, 0 deleted"
    found = PolarsDeltaIoManager("unused").read(wanted(table, receipt("1")))
    assert sorted(found.lazy().collect().rows()) == before
    assert "already written" in merge(table, DeltaMerge(people((9, "z", 9)), on="id"), attempt=2)
    assert rows(table) == before


def test_values_are_given_to_columns_of_any_name(tmp_path: Path) -> None:
    """Names with dots, quotes and spaces are names, not SQL."""
    names = ["a.b", 'a "q"', "a b", "Key", "key.sub"]
    one = pl.DataFrame({"id": [1], **{name: [0] for name in names}})
    one.write_delta(tmp_path / "t")
    what = DeltaMerge(one, on="id").when_matched_update({name: str(i) for i, name in enumerate(names, 1)})
    merge(tmp_path / "t", what)
    assert rows(tmp_path / "t") == [(1, 1, 2, 3, 4, 5)]


ODD = ["order by", 'a "quoted" one', "größe", "UPPER"]


@pytest.mark.parametrize("name", ODD)
def test_key_columns_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Names are quoted, also those that SQL has another use for."""
    for run, value in enumerate((1, 2)):
        merge(
            tmp_path / "t",
            DeltaMerge(pl.DataFrame({name: [1, value], "v": [run, 5]}).unique(name), on=[name]),
            str(run),
        )
    assert {row[0] for row in rows(tmp_path / "t")} == {1, 2}


@pytest.mark.parametrize("name", ["a.b", "a.b.c", "a b", "Ünö", 'a"b', "a\\b"])
def test_one_key_column_of_any_name_is_no_condition(tmp_path: Path, name: str) -> None:
    """It is a column of the source, also where the source has a column `a` with a field `b`."""
    for run, value in (("1", 1), ("2", 2)):
        rows_ = pl.DataFrame({name: [7], "v": [value], "a": [{"b": 8}]})
        assert DeltaMerge(rows_, on=name).keys == (name,)
        merge(tmp_path / "t", DeltaMerge(rows_, on=name), run)
    assert rows(tmp_path / "t") == [(7, 2, {"b": 8})]


def test_a_truth_value_of_the_source_is_a_condition() -> None:
    """`source` and `target` are the names of the frames in conditions."""
    assert DeltaMerge(pl.DataFrame({"id": [1], "ok": [True]}), on="source.ok").keys == ()
    assert DeltaMerge(pl.DataFrame({"source.ok": [True]}), on="source.ok").keys == ()


@pytest.mark.parametrize("name", ["a`b", "`ab`"])
@pytest.mark.parametrize("is_key", [True, False])
def test_names_that_delta_rs_takes_for_quoted_ones_are_refused(tmp_path: Path, name: str, *, is_key: bool) -> None:
    """By their name, before the table is made."""
    frame = pl.DataFrame({"id": [1], name: [2]})
    with pytest.raises(RunError, match="columns with backticks in their names, which delta-rs takes for quotes"):
        merge(tmp_path / "t", DeltaMerge(frame, on=[name] if is_key else "id"))
    assert not (tmp_path / "t").exists()


KEYS = st.one_of(st.none(), st.integers(0, 4))
FRAMES = st.dictionaries(st.integers(0, 5), st.integers(-9, 9), max_size=5)


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FRAMES, min_size=1, max_size=3), st.booleans(), st.booleans())
def test_merges_follow_a_plain_model(
    tmp_path: Path, frames: list[dict[int, int]], deletes: bool, by_source: bool
) -> None:
    """Any sequence of merges leaves what dicts, merged by the same rules, hold."""
    table = tmp_path / str(len(list(tmp_path.iterdir())))
    model: dict[int, int] = {}
    for run, new in enumerate(frames):
        frame = pl.DataFrame({"id": list(new), "v": list(new.values())}, schema={"id": pl.Int64, "v": pl.Int64})
        what = DeltaMerge(frame.lazy(), on="id")
        if deletes:
            what = what.when_matched_delete("source.v < 0")
        what = what.when_matched_update_all().when_not_matched_insert_all("source.v <> 0")
        if by_source:
            what = what.when_not_matched_by_source_update({"v": "target.v + 1"})
        merge(table, what, run=str(run))
        after = {key: value + 1 if by_source and key not in new else value for key, value in model.items()}
        for key, value in new.items():
            if key in model and deletes and value < 0:
                del after[key]
            elif key in model or value != 0:
                after[key] = value
        model = after
    assert dict(rows(table)) == model


DAY = dt.date(2024, 1, 1)


class TestReplace:
    """`replace={"day": day}`: the rows with these values are replaced, whatever the result holds."""

    @pytest.fixture
    def days(self, tmp_path: Path) -> Path:
        frame = pl.DataFrame({"day": [DAY, DAY, None, dt.date(2024, 1, 2)], "v": [1, 2, 3, 4]})
        frame.write_delta(tmp_path / "days")
        return tmp_path / "days"

    def write(self, table: Path, frame: pl.DataFrame | pl.LazyFrame, value: Any, **options: Any) -> None:
        io = PolarsDeltaIoManager(table.parent, mode="overwrite", replace={"day": value}, **options)
        io.write(output(table), frame)

    @pytest.mark.parametrize("lazy", [False, True])
    def test_the_slice_is_replaced_and_no_other_row(self, days: Path, lazy: bool) -> None:
        """Rows of the day, of null, and of a day that is not there yet; in one pass of a LazyFrame."""
        for value, left in ((DAY, [3, 4, 9]), (None, [4, 9, 9]), (dt.date(2024, 5, 5), [4, 9, 9, 9])):
            frame = pl.DataFrame({"day": [value], "v": [9]}, schema={"day": pl.Date, "v": pl.Int64})
            self.write(days, frame.lazy() if lazy else frame, value)
            assert sorted(pl.read_delta(str(days))["v"].to_list()) == left

    @pytest.mark.parametrize("through_delta_rs", [False, True])
    def test_a_column_is_found_whatever_its_case(self, tmp_path: Path, through_delta_rs: bool) -> None:
        """Delta has no two names that differ only in case; readers of the run get the slice."""
        options: dict[str, Any] = {"delta_write_options": {"target_file_size": 2**27}} if through_delta_rs else {}
        io = PolarsDeltaIoManager("unused", mode="overwrite", replace={"region": "a"}, **options)
        for run, v in (("1", 1), ("2", 2)):
            context = output(tmp_path, receipt(run))
            io.preflight(context)
            io.write(context, pl.DataFrame({"Region": ["a"], "v": [v]}))
            assert io.read(wanted(tmp_path, receipt(run))).lazy().collect().rows() == [("a", v)]
        assert pl.read_delta(str(tmp_path)).rows() == [("a", 2)]

    @pytest.mark.parametrize("lazy", [False, True])
    def test_an_empty_result_empties_the_slice(self, days: Path, lazy: bool) -> None:
        """The day has no rows any more, the others all of theirs."""
        frame = pl.DataFrame(schema={"day": pl.Date, "v": pl.Int64})
        self.write(days, frame.lazy() if lazy else frame, DAY)
        assert sorted(pl.read_delta(str(days))["v"].to_list()) == [3, 4]

    def test_a_partitioned_table_and_a_new_one(self, tmp_path: Path) -> None:
        """Partition columns are a slice like others; on a missing table the rows are simply written."""
        table = tmp_path / "t"
        for value, v in (("a'b", 1), (None, 2), ("a'b", 3)):
            frame = pl.DataFrame({"day": [value], "v": [v]}, schema={"day": pl.String, "v": pl.Int64})
            self.write(table, frame, value, partition_by="day")
        assert sorted(pl.read_delta(str(table))["v"].to_list()) == [2, 3]

    @pytest.mark.parametrize("lazy", [False, True])
    @pytest.mark.parametrize("there", [False, True])
    def test_rows_outside_the_slice_are_refused(self, days: Path, lazy: bool, there: bool) -> None:
        """Nothing is written, and the message shows one of them."""
        table = days if there else days.parent / "new"
        frame = pl.DataFrame({"day": [DAY, dt.date(2024, 1, 2)], "v": [8, 9]})
        with pytest.raises(RunError, match=r"replaces day=datetime.date\(2024, 1, 1\), but its result has a row with"):
            self.write(table, frame.lazy() if lazy else frame, DAY)
        assert not there or sorted(pl.read_delta(str(table))["v"].to_list()) == [1, 2, 3, 4]

    def test_wrong_slices_are_refused(self, days: Path) -> None:
        """A value of another type, a column that is not there, a mode that replaces nothing."""
        frame = pl.DataFrame({"day": [DAY], "v": [1]})
        with pytest.raises(RunError, match="`replace` has day='x', but the column `day` is Date"):
            self.write(days, frame, "x")
        with pytest.raises(RunError, match="has no column `day`, which `replace` names"):
            self.write(days, frame.drop("day"), DAY)
        with pytest.raises(DbxdecError, match='`replace` is given with mode="append"'):
            PolarsDeltaIoManager(days, mode="append", replace={"day": 1})
        with pytest.raises(DbxdecError, match="can't be passed to a run"):
            PolarsDeltaIoManager(days, mode="overwrite", replace={"day": object})
