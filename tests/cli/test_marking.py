"""`dbxdec keys mark` and `dbxdec keys forget`: what a person knows better than the logs."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from projects import Project
from running import Said, dbxdec, define, empty

HOME = """
import datetime as dt
from dbxdec import daily, key

@task(io_manager=lake.table("bronze", mode="append"))
def bronze(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day], "n": [1]})

@task(io_manager=lake.table("gold", mode="overwrite", partition_by="day"))
def gold(bronze: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    return bronze

@job
def delays(day: dt.date = daily(since=dt.date(2024, 1, 1), until=dt.date(2024, 1, 5))) -> None:
    gold(bronze(day), day)
"""
BEFORE = HOME.replace("= daily(since=dt.date(2024, 1, 1), until=dt.date(2024, 1, 5))", "= dt.date(2024, 1, 1)")


def bare(folder: Path) -> Project:
    """A project whose job has a key, and no table."""
    project = empty(folder / "repository")
    define(project, HOME)
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose tables have two days of before the job had keys."""
    project = bare(tmp_path)
    define(project, BEFORE)
    for day in ("2024-01-01", "2024-01-02"):
        assert dbxdec(project, "run", "delays", "-p", f"day={day}").code == 0
    define(project, HOME)
    return project


def keys(project: Project, *arguments: str) -> Said:
    return dbxdec(project, "keys", *arguments)


def missing(project: Project) -> list[str]:
    """The days that are missing or partly there."""
    (job,) = json.loads(dbxdec(project, "missing", "--json").out)["jobs"]
    return sorted(one["day"] for one in [*job["missing"], *job["partial"]])


def test_tables_that_were_filled_before_are_adopted(tmp_path: Path) -> None:
    """A backfill refuses them until their days are marked; then it runs only the others."""
    project = bare(tmp_path)
    define(project, BEFORE)
    assert dbxdec(project, "run", "delays").code == 0
    define(project, HOME.replace("2024, 1, 5", "2024, 1, 2"))
    refused = dbxdec(project, "backfill", "delays", "--yes")
    assert (refused.code, "dbxdec keys mark delays" in refused.err) == (2, True), refused.err
    said = keys(project, "mark", "delays", "day=2024-01-01", "--yes")
    assert (said.code, "2 keys marked" in said.out) == (0, True), said.err
    assert missing(project) == ["2024-01-02"]
    assert dbxdec(project, "backfill", "delays", "--yes").code == 0
    (table,) = project.root.rglob("bronze/_delta_log")
    assert sorted(map(str, pl.read_delta(str(table.parent))["day"])) == ["2024-01-01", "2024-01-02"]


@pytest.mark.slow
def test_the_tables_of_one_task_are_marked_alone(project: Project) -> None:
    """Where only one of them was filled by another program."""
    said = keys(project, "mark", "delays", "day=2024-01-01", "--task", "bronze", "--yes")
    assert (said.code, "gold" in said.out, "1 key marked" in said.out) == (0, False, True), said.err
    (job,) = json.loads(dbxdec(project, "missing", "--json").out)["jobs"]
    assert [one["day"] for one in job["partial"]] == ["2024-01-01"]
    wrong = keys(project, "mark", "delays", "day=2024-01-01", "--task", "bronz", "--yes")
    assert (wrong.code, "did you mean `bronze`" in wrong.err) == (2, True), wrong.err


@pytest.mark.slow
def test_marking_twice_changes_nothing(project: Project) -> None:
    """A key that a table has is left alone."""
    assert keys(project, "mark", "delays", "day=2024-01-01", "--yes").code == 0
    said = keys(project, "mark", "delays", "day=2024-01-01", "--yes")
    assert (said.code, said.out) == (0, "nothing to change\n")


@pytest.mark.slow
def test_the_partitions_tell_which_days_are_there(project: Project) -> None:
    """A table without partitions is left as it is, and said."""
    said = keys(project, "mark", "delays", "--from-partitions", "--yes")
    assert said.code == 1
    assert "gold  2024-01-01 to 2024-01-02 (2)" in said.out
    assert "bronze is left as it is: its partitions, [], are not the keys" in said.err
    states = json.loads(dbxdec(project, "missing", "--json").out)["jobs"][0]["partial"]
    assert [one["day"] for one in states] == ["2024-01-01", "2024-01-02"]


MONTHLY = """
import datetime as dt
from dbxdec import monthly

@task(io_manager=lake.table("bills", mode="overwrite", partition_by="day"))
def bills(month: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [month + dt.timedelta(9)], "n": [1]})

@job
def billing(month: dt.date = monthly(since=dt.date(2024, 1, 1), until=dt.date(2024, 3, 1))) -> None:
    bills(month)
"""


@pytest.mark.slow
def test_partitions_of_days_do_not_tell_which_months_are_there(tmp_path: Path) -> None:
    """One day of a month is not the month."""
    project = empty(tmp_path / "repository")
    define(project, MONTHLY)
    assert dbxdec(project, "run", "billing", "-p", "month=2024-01-01").code == 0
    (bills,) = project.root.rglob("bills/_delta_log")
    for forgotten in ("2024-02-01", "2024-03-04"):
        more = pl.DataFrame({"day": [dt.date.fromisoformat(forgotten)], "n": [1]})
        more.write_delta(str(bills.parent), mode="append")
    said = keys(project, "mark", "billing", "--from-partitions", "--yes")
    assert said.code != 0
    assert "its partition 2024-01-10 is no key of" in said.err + said.out


RATES = """
import datetime as dt
from decimal import Decimal
from dbxdec import key

MOMENT = dt.datetime(2024, 10, 27, 2, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
RATE = key(Decimal("1.50"), values=[Decimal("1.5")])

@task(io_manager=lake.table("rates", mode="overwrite", partition_by=["rate", "at"]))
def rates(rate: Decimal, at: dt.datetime) -> pl.DataFrame:
    frame = pl.DataFrame({"rate": [rate], "at": [at], "n": [1]})
    return frame.with_columns(pl.col("rate").cast(pl.Decimal(10, 2)))

@job
def rated(rate: Decimal = RATE, at: dt.datetime = key(MOMENT, values=[MOMENT])) -> None:
    rates(rate, at)
"""


@pytest.mark.slow
def test_partitions_have_their_own_spelling_of_a_key(tmp_path: Path) -> None:
    """Those of a Decimal have all digits of the column, and moments are in UTC."""
    project = empty(tmp_path / "repository")
    define(project, RATES)
    assert dbxdec(project, "run", "rated").code == 0
    assert keys(project, "forget", "rated", "rate=1.500", "--yes").code == 0
    said = keys(project, "mark", "rated", "--from-partitions", "--yes")
    assert (said.code, "1 key marked" in said.out) == (0, True), said.out + said.err


@pytest.mark.slow
def test_a_run_of_before_a_key_was_forgotten_is_not_resumed(project: Project) -> None:
    """Its receipt would say that it has written rows that are gone."""
    dates = ("2024-01-01", "2024-01-02")
    assert keys(project, "mark", "delays", "day=2024-01-01..2024-01-02", "--yes").code == 0
    define(project, HOME.replace("return bronze\n", "raise SystemExit(3)\n"))
    assert dbxdec(project, "backfill", "delays", "day=2024-01-03", "--yes").code == 1
    define(project, HOME)
    (bronze,) = project.root.rglob("bronze/_delta_log")
    DeltaTable(str(bronze.parent)).delete("day = '2024-01-03'")
    assert keys(project, "forget", "delays", "day=2024-01-03", "--yes").code == 0
    again = dbxdec(project, "backfill", "delays", "day=2024-01-03", "--yes")
    assert again.code == 0, again.err
    there = pl.read_delta(str(bronze.parent))["day"].cast(pl.String).sort().to_list()
    assert there == [*dates, "2024-01-03"]


@pytest.mark.slow
def test_what_was_forgotten_is_missing_until_it_is_written_again(project: Project) -> None:
    """A mark or a run that follows counts."""
    assert keys(project, "mark", "delays", "day=2024-01-01..2024-01-05", "--yes").code == 0
    assert missing(project) == []
    assert keys(project, "forget", "delays", "day=2024-01-02,2024-01-03", "--yes").code == 0
    assert missing(project) == ["2024-01-02", "2024-01-03"]
    assert keys(project, "mark", "delays", "day=2024-01-02", "--yes").code == 0
    assert dbxdec(project, "run", "delays", "-p", "day=2024-01-03").code == 0
    assert missing(project) == []
    assert keys(project, "forget", "delays", "day=2024-01-03", "--yes").code == 0
    for log in project.root.rglob("_delta_log"):
        from deltalake import DeltaTable

        DeltaTable(str(log.parent)).create_checkpoint()
        for file in sorted(log.glob("*.json"))[:-1]:
            os.unlink(file)
    assert missing(project) == ["2024-01-03"]


@pytest.mark.slow
def test_nothing_is_changed_without_agreement(project: Project) -> None:
    """Without a terminal `--yes` agrees; `--dry-run` only shows."""
    said = keys(project, "mark", "delays", "day=2024-01-01")
    assert (said.code, "`--yes` agrees" in said.err) == (2, True)
    said = keys(project, "mark", "delays", "day=2024-01-01", "--dry-run")
    assert (said.code, "2024-01-01" in said.out) == (0, True)
    assert len(missing(project)) == 5


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("mark", "delays"), "say which keys"),
        (("forget", "delays"), "say which keys"),
        (("mark", "delays", "month=1"), "its keys are"),
        (("mark", "delays", "day=2024-01-99"), "2024-01-99"),
    ],
)
def test_what_can_not_be_marked_says_why(tmp_path: Path, arguments: tuple[str, ...], hint: str) -> None:
    """With what to write instead."""
    said = keys(bare(tmp_path), *arguments, "--yes")
    assert (said.code, hint in said.err) == (2, True), said.err


@pytest.mark.slow
def test_after_a_restore_to_what_is_gone_a_person_says_which_days_are_there(tmp_path: Path) -> None:
    """Those that are marked are done, and those that are taken back missing: the others can't be told."""
    project = bare(tmp_path)
    for day in ("2024-01-01", "2024-01-02", "2024-01-03"):
        assert dbxdec(project, "run", "delays", "-p", f"day={day}").code == 0
    for name in ("bronze", "gold"):
        (log,) = project.root.rglob(f"{name}/_delta_log")
        DeltaTable(str(log.parent)).restore(1)
        DeltaTable(str(log.parent)).create_checkpoint()
        for file in sorted(log.glob("*.json"))[:-1]:
            file.unlink()
    said = dbxdec(project, "missing")
    assert said.code == 3
    assert "unknown  2024-01-01 to 2024-01-03 (3): " in said.out
    assert "missing  2024-01-04 to 2024-01-05 (2)" in said.out
    assert "`dbxdec keys mark delays KEY=A..B`" in said.err
    assert "`dbxdec keys forget delays KEY=A..B`" in said.err
    refused = dbxdec(project, "backfill", "delays", "--yes")
    assert (refused.code, "`dbxdec keys mark delays KEY=A..B`" in refused.err) == (2, True), refused.err
    assert keys(project, "mark", "delays", "day=2024-01-01", "--yes").code == 0
    found = json.loads(dbxdec(project, "missing", "--json").out)["jobs"][0]
    assert found["done"] == 1
    assert [one["keys"] for one in found["unknown"]] == 2 * [[{"day": "2024-01-02"}, {"day": "2024-01-03"}]]
    assert keys(project, "forget", "delays", "day=2024-01-02..2024-01-03", "--yes").code == 0
    assert missing(project) == ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
    assert dbxdec(project, "missing").code == 1
