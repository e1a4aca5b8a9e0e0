"""Contracts as `show` and `diff` tell them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dbxdec.errors import SourceLocation
from dbxdec.model import dag
from dbxdec.model.contract_forms import Column, Columns
from dbxdec.model.contracts import Contract
from dbxdec.model.job_forms import decode_job, encode_jobs
from dbxdec.model.manifest import Manifest
from dbxdec.views import contracts, texts

FLIGHTS = Contract("shop.flights:Flights")
CLEAN = dag.Task(
    "clean",
    "shop:clean",
    SourceLocation("src/a.py", 3),
    {},
    {"result": dag.Output("dbxdec.io_managers:PolarsDeltaIoManager", "${var.lake}/flights", contract=FLIGHTS)},
)
REPORT = dag.Task(
    "report",
    "shop:report",
    SourceLocation("src/a.py", 9),
    {"flights": dag.TaskOutput("clean")},
    {},
    contracts={"flights": FLIGHTS},
)
OTHER = replace(REPORT, key="far", inputs={"flights": dag.Table("io", "${var.lake}/flights")}, contracts={})


def job(key: str, *tasks: dag.Task) -> dag.Job:
    return dag.Job(key, "shop", "shop:daily", SourceLocation("src/a.py", 20), tasks)


def manifest(*jobs: dag.Job) -> Manifest:
    return Manifest("shop", "1", "0" * 64, "dbxdec 0", encode_jobs(jobs))


def of(*columns: Column, others: str = "refused") -> dict[str, Any]:
    return {FLIGHTS.name: Columns(columns, others, "src/a.py:1")}


DAY, DELAY = Column("day", "Date", False), Column("delay", "Int64", True)
MADE = manifest(job("daily", CLEAN, REPORT), job("other", OTHER))
READERS = ("report, src/a.py:9", "far, src/a.py:9")


def test_a_manifest_has_the_names_of_contracts() -> None:
    """A job that is read again is the job that was written."""
    made = job("daily", CLEAN, REPORT)
    assert decode_job("daily", encode_jobs([made])["daily"]) == made


def test_a_result_and_a_parameter_are_shown_with_their_contracts() -> None:
    """The name of the class alone."""
    made = job("daily", CLEAN, REPORT)
    assert ("->", "${var.lake}/flights (PolarsDeltaIoManager, contract=Flights)") in texts.facts(CLEAN, made)
    assert ("flights <-", "clean (contract Flights)") in texts.facts(REPORT, made)


def test_a_column_that_is_gone_has_its_readers_in_all_jobs() -> None:
    """Those that read the result, and those that read its table."""
    (found,) = contracts.changes(MADE, MADE, of(DAY, DELAY), of(DAY))
    assert found == contracts.ColumnChange("removed", FLIGHTS.name, "delay Int64 or null", None, READERS)
    assert found.title == "Flights"


def test_new_columns_other_types_and_other_columns_are_told() -> None:
    """A column that is new concerns no reader."""
    after = of(DAY, replace(DELAY, nullable=False), Column("tail", "String", True), others="kept")
    assert list(contracts.changes(MADE, MADE, of(DAY, DELAY), after)) == [
        contracts.ColumnChange("changed", FLIGHTS.name, "delay Int64 or null", "delay Int64", READERS),
        contracts.ColumnChange("added", FLIGHTS.name, None, "tail String or null"),
        contracts.ColumnChange("changed", FLIGHTS.name, "other columns refused", "other columns kept"),
    ]


def test_what_a_build_does_not_know_is_not_compared() -> None:
    """A contract of one build alone is no difference; one without columns is unknown."""
    bare = manifest(job("daily", replace(CLEAN, outputs={}), replace(REPORT, inputs={}, contracts={})))
    assert list(contracts.changes(bare, MADE, {}, of(DAY))) == []
    assert list(contracts.changes(MADE, MADE, {}, of(DAY))) == [contracts.ColumnChange("unknown", FLIGHTS.name)]
