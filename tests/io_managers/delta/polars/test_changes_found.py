"""What a tester has found in readers of what is new: each once wrong in silence, or with a wrong error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from test_changes import FEED, Tables, news

from consumers import Consumer, run
from dbxdec import DeltaMerge, bundle_variable, job, task
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import InputContext
from dbxdec.model import beginnings
from dbxdec.model.changes import Changes
from dbxdec.testing import Lake, run_job

lake = PolarsDeltaIoManager(bundle_variable("root"), mode="append")


@task(outputs={"good": lake.table("good"), "bad": lake.table("bad")})
def split(source: pl.DataFrame) -> dict[str, pl.DataFrame | None]:
    bad = source.filter(pl.col("id") < 0)
    return {"good": source.filter(pl.col("id") >= 0), "bad": bad if bad.height else None}


@job
def splits() -> None:
    split(lake.table("source").changes())


@task(io_manager=lake.table("known", mode="overwrite"))
def wrong(source: pl.DataFrame) -> DeltaMerge:
    return source  # type: ignore[return-value]


@job
def wrongs() -> None:
    wrong(lake.table("source").changes())


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


@pytest.mark.parametrize("in_memory", [False, True])
def test_an_output_that_never_had_rows_holds_no_other_back(tables: Tables, in_memory: bool) -> None:
    """It has no table that could say how far it is; the commits of the others say that it got nothing."""
    memory = Lake()
    for ids in ([1], [2], [3, -3], [4]):
        if in_memory:
            there = memory["source"] if "source" in memory else pl.DataFrame(schema={"id": pl.Int64})
            memory["source"] = pl.concat([there, pl.DataFrame({"id": ids})])
            run_job(splits, tables=memory)
        else:
            tables.add(*ids)
            run_job(splits, variables={"root": str(tables.folder)}, in_memory=False)
    found = [memory[name]["id"].to_list() if in_memory else tables.ids(name) for name in ("good", "bad")]
    assert [sorted(ids) for ids in found] == [[1, 2, 3, 4], [-3]]


def test_a_frame_in_place_of_a_merge_does_not_replace_the_table(tables: Tables) -> None:
    """The build allows any mode for a task that says it returns a merge."""
    tables.add(1)
    with pytest.raises(RunError, match='returned a frame, which mode="overwrite" would not add'):
        run_job(wrongs, variables={"root": str(tables.folder)}, in_memory=False)


@pytest.mark.parametrize("other", ["clean_orders", "clea", "cleaner"])
def test_another_name_of_the_task_is_never_a_first_run(tables: Tables, other: str) -> None:
    """Also one that begins as the earlier one, or the reverse."""
    tables.add(1)
    run(tables.consumer(), "a")
    with pytest.raises(RunError, match="has rows, and nothing in its log says up to where"):
        run(tables.consumer(None, task=other), "b")


def test_another_name_of_an_output_is_never_a_first_run(tables: Tables) -> None:
    """Neither a single result that gets a name, nor two outputs that change places."""
    tables.add(1)
    run(tables.consumer(), "a")
    places = {name: (tables.manager, tables.folder / name) for name in ("target", "other")}
    source = {"source": (tables.manager, tables.source)}
    with pytest.raises(RunError, match="has rows, and nothing in its log says up to where"):
        run(Consumer({"named": places["target"]}, source), "b")
    both = Consumer({"x": places["other"], "y": (tables.manager, tables.folder / "third")}, source)
    run(both, "c")
    swapped = Consumer({"y": places["other"], "x": (tables.manager, tables.folder / "third")}, source)
    with pytest.raises(RunError, match="has rows, and nothing in its log says up to where"):
        run(swapped, "d")


def test_an_undone_position_does_not_come_back_from_the_checkpoint(tables: Tables) -> None:
    """The commit that counts has been cleaned up, a later one was undone: the identifiers are those of the later."""
    for i in range(2):
        tables.add(i)
        run(tables.consumer(), f"run-{i}")
    target = DeltaTable(str(tables.target))
    target.restore(0)
    target.create_checkpoint()
    DeltaTable(str(tables.target)).alter.set_table_description("since then")
    (tables.target / "_delta_log" / f"{0:020}.json").unlink()
    with pytest.raises(RunError, match="no longer tells how far the task `clean` has read"):
        run(tables.consumer(), "after")


def test_an_update_of_a_key_deletes_the_old_one(tables: Tables) -> None:
    """Only the image of before the update has it. Several rows of a key that one commit deletes are one change."""
    tables.add(1, 2, 3, 3, feed=True)
    consumer = tables.consumer(Changes("latest", by=("id",), starting="latest"), optional=True)
    run(consumer, "a")
    table = DeltaTable(str(tables.source))
    table.update(updates={"id": "10"}, predicate="id = 1")
    table.delete("id = 3")
    found = consumer.attempt("b").read()["source"].collect()
    assert sorted(found.rows()) == [(1, "delete"), (3, "delete"), (10, "update_postimage")]


def test_names_of_keys_are_no_patterns(tables: Tables) -> None:
    """A column may be called `^k.*$`."""
    pl.DataFrame({"^k.*$": [1, 2], "k": [1, 1]}).write_delta(str(tables.source))
    found = tables.consumer(Changes("latest", by=("^k.*$",))).attempt("a").read()["source"].collect()
    assert found.height == 2


def test_an_output_begins_where_the_others_are(tables: Tables) -> None:
    """A beginning after their position would be noted nowhere."""
    tables.add(1)
    run(tables.consumer(), "a")
    tables.add(2)
    tables.add(9, to="other")
    source = {"source": (tables.manager, tables.source)}
    both = Consumer({"result": (tables.manager, tables.target), "o": (tables.manager, tables.folder / "other")}, source)
    with pytest.raises(RunError, match="another output of the task has `source` only up to version 0"):
        run(both, "b", adopt="latest")
    run(both, "b", adopt="0")
    assert (tables.ids(), tables.ids("other")) == ([1, 2], [2, 9])


def test_what_is_not_there_can_not_be_begun(tables: Tables) -> None:
    """A beginning in a source that does not exist yet is not ignored, nor one that is given twice."""
    with pytest.raises(RunError, match=r"there is nothing at .* yet, so `--adopt` can't say"):
        run(tables.consumer(optional=True), "a", adopt="latest")

    @job
    def splits() -> None:
        split(lake.table("source").changes())

    found = list(beginnings.mistakes("split=1,split=latest", "", splits.build(__name__).dag))
    assert [problem.message for problem in found] == ["`--adopt split` is given twice: 1 and latest"]


def test_an_attempt_of_before_the_table_does_not_commit_after_a_restore(tables: Tables) -> None:
    """It began when there was no target; another program has made, changed and restored it since."""
    tables.add(1)
    late = tables.consumer().attempt("late")
    rows = late.read()["source"].collect()
    pl.DataFrame(schema={"id": pl.Int64}).write_delta(str(tables.target))
    tables.add(7, to="target")
    DeltaTable(str(tables.target)).restore(0)
    with pytest.raises(RunError, match="was restored"):
        late.commit(rows)


def test_a_table_by_another_name_is_not_its_own_source(tables: Tables) -> None:
    """Its own rows would be new in the next run."""
    tables.add(1, to="target")
    alias = tables.folder / ".." / tables.folder.name / "target"
    consumer = Consumer({"result": (tables.manager, tables.target)}, {"source": (tables.manager, alias)})
    with pytest.raises(RunError, match="is the table that it writes"):
        run(consumer, "a", adopt="latest")


def test_rows_that_are_all_gone_are_nothing_new(tables: Tables) -> None:
    """A feed may tell of whole files that were deleted."""
    tables.add(1, feed=True)
    run(tables.consumer(), "a")
    DeltaTable(str(tables.source)).delete()
    run(tables.consumer(), "b")
    assert tables.ids() == [1]


def test_a_target_that_is_replaced_begins_anew(tables: Tables) -> None:
    """The engine knows the identifiers of the earlier table still."""
    tables.add(1)
    run(tables.consumer(), "a")
    schema = DeltaTable(str(tables.target)).schema()
    DeltaTable.create(str(tables.target), schema, mode="overwrite")
    tables.add(2)
    run(tables.consumer(), "b")
    run(tables.consumer(), "c")
    assert tables.ids() == [1, 2]


def test_a_merge_into_another_table_keeps_no_position(tables: Tables) -> None:
    """It would be sought in the task's own table."""
    tables.add(1)
    tables.add(5, to="elsewhere")

    def merge(_: dict[str, Any]) -> Any:
        new = pl.DataFrame({"id": [1]})
        merger = DeltaTable(str(tables.folder / "elsewhere")).merge(new, "s.id = t.id", "s", "t")
        return merger.when_not_matched_insert_all()

    with pytest.raises(RunError, match="returned a merge into"):
        run(tables.consumer(), "a", merge)


@pytest.mark.parametrize("read", [{"source": ["x", None, None]}, {"source": ["x", 0, "0"]}, {"source": "x"}, 3])
def test_a_damaged_receipt_is_an_error_in_one_sentence(tables: Tables, read: Any) -> None:
    """Whatever stands there."""
    tables.add(1)
    run(tables.consumer(), "a")
    path = tables.target / "_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if "commitInfo" in line:
            stated = json.loads(line["commitInfo"]["userMetadata"])
            stated["dbxdec"]["read"] = read
            line["commitInfo"]["userMetadata"] = json.dumps(stated)
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with pytest.raises(RunError, match="in another form than this dbxdec writes"):
        run(tables.consumer(), "b")


def test_a_new_column_in_memory_is_null_in_older_rows() -> None:
    """As in a table; so is another order of the columns."""
    memory = Lake({"source": pl.DataFrame({"id": [1], "n": [1]})})
    run_job(splits, tables=memory)
    memory["source"] = pl.DataFrame({"x": [None, "a"], "n": [1, 2], "id": [1, 2]})
    found = run_job(splits, tables=memory)["split"].reads["source"]
    assert found.select("id", "n", "x").rows() == [(2, 2, "a")]


def put_back(tables: Tables, path: str = "source") -> None:
    """Put a copy of a table in its place that was made before (`copied`)."""
    shutil.rmtree(tables.folder / path)
    shutil.copytree(tables.folder / f"{path}-copy", tables.folder / path)


def copied(tables: Tables, path: str = "source") -> None:
    shutil.copytree(tables.folder / path, tables.folder / f"{path}-copy")


def grown(tables: Tables) -> None:
    """Read up to version 2 of a source, put its version 0 back, and let that grow beyond version 2."""
    tables.add(1)
    copied(tables)
    tables.add(2)
    tables.add(3)
    run(tables.consumer(), "a")
    put_back(tables)
    for number in range(10, 14):
        tables.add(number)


def test_an_older_copy_of_a_source_that_has_grown_is_an_error(tables: Tables) -> None:
    """It has the id of the table and as many versions, but other commits: their rows would be left out."""
    grown(tables)
    with pytest.raises(RunError, match=r"version 2 of .*source is another commit than the one up to which") as raised:
        run(tables.consumer(), "b")
    assert "--adopt clean.source=VERSION" in str(raised.value)
    assert "--restart clean" in str(raised.value)
    assert tables.ids() == [1, 2, 3]


@pytest.mark.parametrize(("adopt", "expected"), [("0", [1, 2, 3, 10, 11, 12, 13, 20]), ("latest", [1, 2, 3, 20])])
def test_a_person_says_where_a_task_goes_on_in_an_older_copy(tables: Tables, adopt: str, expected: list[int]) -> None:
    """After any of its versions, also one that is older than the position; later runs go on from there."""
    grown(tables)
    run(tables.consumer(), "b", adopt=adopt)
    tables.add(20)
    run(tables.consumer(), "c")
    assert tables.ids() == expected


def test_a_person_goes_on_in_an_older_copy_that_has_fewer_versions(tables: Tables) -> None:
    """That the copy is meant is said by a beginning in it."""
    tables.add(1)
    copied(tables)
    tables.add(2)
    run(tables.consumer(), "a")
    put_back(tables)
    with pytest.raises(RunError, match=r"has only 1 versions, but `source` of the task `clean` has read up to"):
        run(tables.consumer(), "b")
    run(tables.consumer(), "b", adopt="0")
    tables.add(3)
    run(tables.consumer(), "c")
    assert tables.ids() == [1, 2, 3]


def test_a_source_whose_log_no_longer_has_the_position_goes_on(tables: Tables) -> None:
    """Nobody can tell then whether that commit is another one; later ones are there."""
    tables.add(1)
    tables.add(2)
    run(tables.consumer(), "a")
    tables.add(3)
    DeltaTable(str(tables.source)).create_checkpoint()
    for version in range(2):
        (tables.source / "_delta_log" / f"{version:020}.json").unlink()
    run(tables.consumer(), "b")
    assert tables.ids() == [1, 2, 3]


def test_a_receipt_without_a_stamp_goes_on(tables: Tables) -> None:
    """As an earlier dbxdec has written it, or where the source's log did not say when its commit was made."""
    tables.add(1)
    run(tables.consumer(), "a")
    path = tables.target / "_delta_log" / f"{0:020}.json"
    text = path.read_text(encoding="utf-8")
    stamps = json.dumps({"stamps": tables.facts()["stamps"]})[1:-1].replace('"', '\\"')
    assert stamps in text
    path.write_text(text.replace(f"{stamps}, ", "").replace(f", {stamps}", ""), encoding="utf-8")
    tables.add(2)
    run(tables.consumer(), "b")
    assert tables.ids() == [1, 2]


def cleaned(tables: Tables, *, keep: int = 1) -> None:
    """Clean the log of the target up to its newest `keep` commits, behind a checkpoint."""
    table = DeltaTable(str(tables.target))
    table.create_checkpoint()
    for number in range(keep):
        DeltaTable(str(tables.target)).alter.set_table_description(f"since then {number}")
    for file in (tables.target / "_delta_log").glob("*.json"):
        if int(file.stem) <= table.version():
            file.unlink()


def test_a_restore_that_no_log_tells_of_is_not_passed_over(tables: Tables) -> None:
    """The checkpoint has the position of the newest commit, although its rows are gone: the error says which."""
    for number in range(3):
        tables.add(number)
        run(tables.consumer(), f"run-{number}")
    DeltaTable(str(tables.target)).restore(0)
    cleaned(tables)
    with pytest.raises(RunError, match=r"no longer tells whether version 3 took that back with a RESTORE") as raised:
        run(tables.consumer(), "after")
    assert "--adopt clean.source=2" in str(raised.value)
    run(tables.consumer(), "after", adopt="0")
    assert tables.ids() == [0, 1, 2]


def test_the_number_of_a_commit_does_not_hide_a_position(tables: Tables) -> None:
    """Identifiers have only its last bits: after any number of runs the position outlives the log."""
    for number in range(18):
        tables.add(number)
        run(tables.consumer(), f"run-{number}")
    cleaned(tables)
    tables.add(18)
    run(tables.consumer(), "after")
    assert (tables.ids(), tables.facts()["n"]) == (list(range(19)), 19)


def test_the_number_of_a_commit_does_not_bring_back_the_source_of_before(tables: Tables) -> None:
    """Its identifier stays when another source takes its place, and its number may end in the same bits."""

    def merge(read: dict[str, Any]) -> DeltaMerge:
        return DeltaMerge(next(iter(read.values())), on="id").when_not_matched_insert_all()

    consumer = tables.consumer(returns=("dbxdec.DeltaMerge",))
    tables.add(0)
    run(consumer, "old", merge)
    shutil.rmtree(tables.source)
    for number in range(1, 17):
        tables.add(number)
        run(consumer, f"run-{number}", merge, restart=number == 1)
    assert tables.facts()["n"] == 17
    cleaned(tables)
    tables.add(17)
    run(consumer, "after", merge)
    assert (tables.ids(), tables.facts()["n"]) == (list(range(18)), 18)


shared = lake.table("shared", shared=True)


@task(io_manager=shared)
def first(source: pl.LazyFrame) -> pl.LazyFrame:
    return source


@task(io_manager=shared)
def second(other: pl.LazyFrame) -> pl.LazyFrame:
    return other


@task(io_manager=shared)
def renamed(other: pl.LazyFrame) -> pl.LazyFrame:
    return other


@job
def sharing() -> None:
    first(lake.table("source").changes())
    second(lake.table("other").changes())


@pytest.mark.parametrize("in_memory", [False, True])
def test_two_tasks_that_share_a_table_begin_without_a_word(tables: Tables, in_memory: bool) -> None:
    """Whichever is first: all rows that the other one finds are of a task of the project that shares the table."""
    memory = Lake({name: pl.DataFrame({"id": [i]}) for i, name in enumerate(("source", "other"))})
    for i, name in enumerate(("source", "other")):
        tables.add(i, to=name)
    for _ in range(2):
        if in_memory:
            run_job(sharing, tables=memory)
        else:
            run_job(sharing, variables={"root": str(tables.folder)}, in_memory=False)
    found = memory["shared"]["id"].to_list() if in_memory else tables.ids("shared")
    assert sorted(found) == [0, 1]


@pytest.mark.parametrize("how", ["another program", "another name"])
def test_rows_of_strangers_in_a_shared_table_are_of_unknown_origin(tables: Tables, how: str) -> None:
    """Also those of the task itself, by another name: its rows would be there twice."""

    @job
    def later() -> None:
        first(lake.table("source").changes())
        renamed(lake.table("other").changes())

    for i, name in enumerate(("source", "other")):
        tables.add(i, to=name)
    tables.add(7, to="shared") if how == "another program" else None
    variables = {"root": str(tables.folder)}
    if how == "another name":
        run_job(sharing, variables=variables, in_memory=False)
    with pytest.raises(RunError, match="has rows, and nothing in its log says up to where the task"):
        run_job(later, variables=variables, in_memory=False)


dies: list[str] = []


@task(outputs={"good": lake.table("good"), "bad": lake.table("bad")})
def halves(source: pl.DataFrame) -> dict[str, Any]:
    broken = pl.LazyFrame({"id": [1]}).select(pl.col("id").map_batches(lambda _: 1 / 0, return_dtype=pl.Int64))
    return {"good": source, "bad": broken if dies else source.select(-pl.col("id"))}


@task
def count(good: pl.DataFrame, bad: pl.DataFrame) -> list[int]:
    return [*good["id"], *bad["id"]]


@job
def halving() -> None:
    both = halves(lake.table("source").changes())
    count(both["good"], both["bad"])


def test_a_reader_gets_what_an_earlier_run_has_stored_for_this_one(tables: Tables) -> None:
    """A run died between two outputs; the next one writes the second alone, and returns the same for the first."""
    variables = {"root": str(tables.folder)}
    tables.add(1)
    assert run_job(halving, variables=variables, in_memory=False)["count"].value == [1, -1]
    tables.add(2)
    dies.append("now")
    try:
        with pytest.raises(Exception, match="division by zero"):
            run_job(halving, variables=variables, in_memory=False)
    finally:
        dies.clear()
    tables.add(3)
    assert run_job(halving, variables=variables, in_memory=False)["count"].value == [2, -2]
    assert run_job(halving, variables=variables, in_memory=False)["count"].value == [3, -3]
    assert (tables.ids("good"), tables.ids("bad")) == ([1, 2, 3], [-3, -2, -1])


def test_a_retry_of_a_run_that_shares_an_output_is_done(tables: Tables) -> None:
    """It does not store what is new by then in the output that it has not written itself."""
    outputs = {name: (tables.manager, tables.folder / name) for name in ("good", "bad")}
    consumer = Consumer(outputs, {"source": (tables.manager, tables.source)})
    tables.add(1)
    run(consumer, "a")
    tables.add(2)
    died = consumer.attempt("b")
    died.commit(died.read()["source"], "good")
    attempt = consumer.attempt("c")
    assert (list(attempt.plan.progress), attempt.plan.same) == (["bad"], {"good": 1})
    tables.manager.share(attempt.outputs["good"].context, 1)
    assert consumer.attempt("c", 2).plan.progress.keys() == {"bad"}
    attempt.commit(attempt.read()["source"])
    tables.add(3)
    assert consumer.attempt("c", 3).plan.is_done
    assert (tables.ids("good"), tables.ids("bad")) == ([1, 2], [1, 2])


def _spaced(action: dict[str, Any]) -> str:
    return json.dumps(action, separators=(" , ", " : ")).replace("{", "{ ", 1)


def _nulled(action: dict[str, Any]) -> str:
    kinds = ("txn", "add", "remove", "metaData", "protocol", "cdc", "commitInfo")
    return json.dumps({kind: action.get(kind) for kind in kinds})


@pytest.mark.parametrize("written", [_spaced, _nulled])
def test_lines_of_the_log_are_read_however_another_writer_forms_them(tables: Tables, written: Any) -> None:
    """By their JSON: with spaces, and with null for the actions that they are not."""
    tables.add(1, feed=True)
    run(tables.consumer(), "a")
    tables.add(2)
    DeltaTable(str(tables.source)).delete("id = 1")
    tables.add(3)
    for path in (tables.source / "_delta_log").glob("*.json"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join(written(json.loads(line)) for line in lines) + "\n")
    run(tables.consumer(), "b")
    assert tables.ids() == [1, 2, 3]


def _known_rows(tables: Tables, **options: Any) -> int | None:
    """How many rows a run would get, as far as its reader knows; 0 is None for an optional parameter."""
    attempt = tables.consumer(**options).attempt("probe")
    (source,) = attempt.sources
    context = source.context(attempt.plan.spans["source"])
    source.manager.read(context)
    return context.facts.rows


def test_a_source_without_rows_has_nothing_new(tables: Tables) -> None:
    """In the first run too."""
    tables.add()
    assert _known_rows(tables) == 0


def test_rows_that_are_deleted_are_nothing_new(tables: Tables) -> None:
    """Also single rows of files, of which only the feed tells."""
    tables.add(1, 2, 3, feed=True)
    run(tables.consumer(), "a")
    DeltaTable(str(tables.source)).delete("id = 1")
    assert _known_rows(tables) == 0
    DeltaTable(str(tables.source)).update(updates={"id": "9"}, predicate="id = 2")
    assert _known_rows(tables) is None


@pytest.mark.parametrize(("before", "after"), [(None, "p"), ("p", "id")])
def test_files_of_before_the_table_got_other_partitions_keep_their_values(
    tables: Tables, before: str | None, after: str
) -> None:
    """Each file lacks the columns by which the table was partitioned when it was written."""

    def add(ids: int, **options: Any) -> None:
        rows = pl.DataFrame({"id": [ids], "p": ["a"]})
        write_deltalake(str(tables.source), rows, configuration=FEED["configuration"], **options)

    add(1, partition_by=before)
    run(tables.consumer(), "a")
    add(2, mode="append")
    add(3, mode="overwrite", schema_mode="overwrite", partition_by=after)
    assert sorted(news(tables, tables.consumer()).rows()) == [(2, "a"), (3, "a")]
    changes = news(tables, tables.consumer(Changes(kind="feed"))).select("id", "p", "_change_type")
    assert sorted(changes.rows()) == [(1, "a", "delete"), (2, "a", "delete"), (2, "a", "insert"), (3, "a", "insert")]


def _forget_partitions(commit: Path) -> None:
    """Make a commit as one of a writer that leaves out what is optional of the files that it removes."""
    actions = [json.loads(line) for line in commit.read_text().splitlines()]
    for action in actions:
        action.get("remove", {}).pop("partitionValues", None)
    commit.write_text("\n".join(map(json.dumps, actions)))


def test_a_table_without_partitions_has_none_to_tell(tables: Tables) -> None:
    """A file of it that is gone needs no values."""
    tables.add(1, feed=True)
    run(tables.consumer(), "a")
    DeltaTable(str(tables.source)).delete()
    _forget_partitions(tables.source / "_delta_log" / f"{1:020}.json")
    changes = news(tables, tables.consumer(Changes(kind="feed")))
    assert changes.select("id", "_change_type").rows() == [(1, "delete")]


def test_a_file_that_is_gone_with_its_partition_untold_is_an_error(tables: Tables) -> None:
    """The values are optional in a commit that removes it, and null would be wrong."""
    tables.add(1, feed=True)
    rows = pl.DataFrame({"id": [1], "p": ["a"]})
    write_deltalake(str(tables.source), rows, mode="overwrite", schema_mode="overwrite", partition_by="p")
    run(tables.consumer(), "a")
    DeltaTable(str(tables.source)).delete()
    _forget_partitions(tables.source / "_delta_log" / f"{2:020}.json")
    with pytest.raises(RunError, match="does not say of which partition it is"):
        news(tables, tables.consumer(Changes(kind="feed")))


def test_bytes_of_partitions_are_those_that_were_written(tables: Tables) -> None:
    """delta-rs escapes each byte in the log; Spark has them there as a text."""
    rows = pl.DataFrame({"id": [1, 2, 3], "p": [b"\x00\xff", b"ab", None]})
    write_deltalake(str(tables.source), rows.head(0), partition_by="p")
    run(tables.consumer(), "a", lambda read: next(iter(read.values())).select("id"))
    write_deltalake(str(tables.source), rows, mode="append")
    whole = tables.manager.read(InputContext(str(tables.source), "source")).sort("id").collect()
    assert whole.equals(rows)
    assert news(tables, tables.consumer()).sort("id").equals(rows)
    commit = tables.source / "_delta_log" / f"{1:020}.json"
    commit.write_text(commit.read_text().replace(r'"p":"\\u0061\\u0062"', '"p":"ab"'))
    assert '"p":"ab"' in commit.read_text()
    assert news(tables, tables.consumer()).sort("id").equals(rows)


def test_a_column_that_was_dropped_and_made_again_is_an_error(tables: Tables) -> None:
    """It is another one, by the same name."""
    tables.add(1, feed=True, name=["a"])
    run(tables.consumer(), "a")
    tables.add(2, name=["b"])
    rows = pl.DataFrame({"id": [3]})
    write_deltalake(str(tables.source), rows, mode="overwrite", schema_mode="overwrite")
    tables.add(4, name=["d"])
    with pytest.raises(RunError, match="has lost its columns `name`"):
        news(tables, tables.consumer())
