"""Tasks that read what is new, in a test: runs over tables in memory go on where the run before has ended."""

from __future__ import annotations

import polars as pl
import pytest

from dbxdec import DeltaMerge, bundle_variable, job, task
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.testing import Lake, run_job

lake = PolarsDeltaIoManager(bundle_variable("lake_root"), mode="append")


@task(io_manager=lake.table("bronze/orders"))
def load(n: int) -> pl.DataFrame:
    return pl.DataFrame({"id": [n]})


@task(io_manager=lake.table("silver/orders"))
def clean(orders: pl.LazyFrame) -> pl.LazyFrame:
    return orders


@job
def hourly(n: int = 1) -> None:
    clean(load(n).changes())


@job
def reads() -> None:
    clean(lake.table("bronze/orders").changes())


@task(io_manager=lake.table("silver/customers"))
def upsert(customers: pl.DataFrame) -> DeltaMerge:
    merge = DeltaMerge(customers, on="id").when_matched_delete("source._change_type = 'delete'")
    return merge.when_matched_update_all().when_not_matched_insert_all("source._change_type <> 'delete'")


@job
def copies() -> None:
    upsert(lake.table("bronze/customers").changes(kind="latest", by="id"))


@task(io_manager=lake.table("audit"))
def audit(customers: pl.DataFrame | None) -> pl.DataFrame | None:
    return None if customers is None else customers.drop("_commit_timestamp")


@job
def audits() -> None:
    audit(lake.table("bronze/customers").changes(kind="feed"))


def test_each_run_reads_what_the_runs_before_have_not() -> None:
    """Over one lake, with rows that the job itself appends."""
    there = Lake()
    for n in (1, 2, 3):
        found = run_job(hourly, n=n, tables=there)
        assert found["clean"].value["id"].to_list() == [n]
    assert there["silver/orders"]["id"].to_list() == [1, 2, 3]


def test_rows_that_a_test_adds_are_new() -> None:
    """A table that is put there again with more rows has got these rows."""
    there = Lake({"bronze/orders": pl.DataFrame({"id": [1, 2]})})
    run_job(reads, tables=there)
    there["bronze/orders"] = pl.DataFrame({"id": [1, 2, 3]})
    assert run_job(reads, tables=there)["clean"].reads["orders"].collect()["id"].to_list() == [3]
    assert there["silver/orders"]["id"].to_list() == [1, 2, 3]


def test_rows_that_a_test_takes_away_are_a_rewrite() -> None:
    """As in a table without a change data feed."""
    there = Lake({"bronze/orders": pl.DataFrame({"id": [1, 2]})})
    run_job(reads, tables=there)
    there["bronze/orders"] = pl.DataFrame({"id": [2]})
    with pytest.raises(RunError, match=r"version 1 of .*bronze/orders deletes or changes rows"):
        run_job(reads, tables=there)


def test_the_last_change_of_each_key_is_merged() -> None:
    """Changed, deleted and new keys."""
    there = Lake({"bronze/customers": pl.DataFrame({"id": [1, 2], "name": ["a", "b"]})})
    run_job(copies, tables=there)
    there["bronze/customers"] = pl.DataFrame({"id": [2, 3], "name": ["c", "d"]})
    run_job(copies, tables=there)
    assert sorted(there["silver/customers"].rows()) == [(2, "c"), (3, "d")]


def test_rows_of_one_key_that_are_gone_at_once_are_one_deletion() -> None:
    """As in a Delta table: a version may delete several rows of a key, but not add several."""

    @job
    def looks() -> None:
        @task(io_manager=lake.table("seen"))
        def look(customers: pl.DataFrame) -> pl.DataFrame:
            return customers

        look(lake.table("bronze/customers").changes(kind="latest", by="id"))

    there = Lake({"bronze/customers": pl.DataFrame({"id": [1]})})
    run_job(looks, tables=there)
    there["bronze/customers"] = pl.DataFrame({"id": [1, 2, 1]})
    with pytest.raises(RunError, match=r"several rows with the key id=1"):
        run_job(looks, tables=Lake({"bronze/customers": there["bronze/customers"]}))
    there = Lake({"bronze/customers": pl.DataFrame({"id": [1, 1, 2]}), "seen": pl.DataFrame({"id": [0]})})
    run_job(looks, tables=there, dbxdec_adopt="look=0")
    there["bronze/customers"] = pl.DataFrame({"id": [2, 3]})
    assert run_job(looks, tables=there)["look"].value.rows() == [(1, "delete"), (3, "insert")]


def test_every_change_is_in_the_feed() -> None:
    """With the version of the table; a run without changes gets None where its parameter takes it."""
    there = Lake({"bronze/customers": pl.DataFrame({"id": [1]})})
    run_job(audits, tables=there)
    there["bronze/customers"] = pl.DataFrame({"id": [2]})
    run_job(audits, tables=there)
    assert run_job(audits, tables=there)["audit"].value is None
    assert there["audit"].rows() == [(1, "insert", 0), (1, "delete", 1), (2, "insert", 1)]


def test_rows_of_unknown_origin_are_refused_in_a_test_too() -> None:
    """A target that the test has filled."""
    there = Lake({"bronze/orders": pl.DataFrame({"id": [1]}), "silver/orders": pl.DataFrame({"id": [0]})})
    with pytest.raises(RunError, match="nothing in its log says up to where the task `clean` has read `orders`"):
        run_job(reads, tables=there)
    run_job(reads, tables=there, dbxdec_adopt="clean=snapshot")
    assert there["silver/orders"]["id"].to_list() == [0, 1]


def test_a_given_result_takes_what_is_new_as_read() -> None:
    """The next run goes on after it."""
    there = Lake({"bronze/orders": pl.DataFrame({"id": [1]})})
    run_job(reads, tables=there, inputs={"clean": pl.DataFrame({"id": [9]})})
    run_job(reads, tables=there)
    assert there["silver/orders"]["id"].to_list() == [9]


def test_an_empty_table_has_nothing_new() -> None:
    """A parameter that may be None is None, in the first run too."""
    lake = Lake()
    lake["customers"] = pl.DataFrame(schema={"id": pl.Int64, "name": pl.String})
    assert run_job(audits, tables=lake)["audit"].reads["customers"] is None


def test_rows_that_a_test_adds_to_what_it_has_looked_at_are_there() -> None:
    """To look at a table before the first run does not part it from the one that the run reads."""
    lake = Lake()
    lake["bronze/orders"] = pl.DataFrame({"id": [1]})
    lake["bronze/orders"] = pl.concat([lake["bronze/orders"], pl.DataFrame({"id": [2]})])
    run_job(reads, tables=lake)
    assert lake["silver/orders"]["id"].to_list() == [1, 2]
    lake["bronze/orders"] = pl.concat([lake["bronze/orders"], pl.DataFrame({"id": [3]})])
    run_job(reads, tables=lake)
    assert lake["silver/orders"]["id"].to_list() == [1, 2, 3]


def test_a_table_that_a_test_has_replaced_is_the_new_one_at_other_places_too() -> None:
    """A name is the end of a place: another job may read it below another path."""

    @job
    def elsewhere() -> None:
        clean(PolarsDeltaIoManager("/other", mode="append").table("bronze/orders").changes())

    lake = Lake()
    lake["bronze/orders"] = pl.DataFrame({"id": [1]})
    run_job(reads, tables=lake)
    lake["bronze/orders"] = pl.DataFrame({"id": [1, 2]})
    found = run_job(elsewhere, tables=lake, dbxdec_adopt="clean=snapshot")
    assert found["clean"].reads["orders"].collect()["id"].to_list() == [1, 2]
