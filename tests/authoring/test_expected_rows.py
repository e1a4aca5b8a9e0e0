"""What tables expect of their rows, in a job's body: what the manifest and people see, and what a build refuses."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from dbxdec import bundle_variable, fraction, job, rows, task, unique
from dbxdec.authoring.jobs import BuiltJob
from dbxdec.errors import DbxdecError
from dbxdec.io_managers import PolarsDeltaIoManager, SparkDeltaIoManager, SparkTableIoManager
from dbxdec.model.job_forms import decode_job, encode_jobs
from dbxdec.model.manifest import Manifest
from dbxdec.views import diff, texts

lake = PolarsDeltaIoManager(bundle_variable("root"), mode="append")


def positive(frame: pl.LazyFrame) -> pl.Expr:
    return pl.col("id") > 0


def load(day: dt.date) -> pl.DataFrame:
    raise NotImplementedError


def of(io: Any) -> BuiltJob:
    """A job with one task that writes this table."""
    loads = task(io_manager=io)(load)

    def daily(day: dt.date) -> None:
        loads(day)

    return job(daily).build(__name__)


def expecting(**options: Any) -> BuiltJob:
    return of(lake.table("orders", **options))


def said(built: BuiltJob) -> str:
    return "\n".join(map(str, built.problems))


FULL: dict[str, Any] = {
    "expect": {"few": "id < " + bundle_variable("most")},
    "expect_or_drop": {"positive": positive},
    "expect_or_fail": {
        "its day": "day = :day",
        "one": unique("id", of="table"),
        "some": rows(at_least=1),
        "share": fraction("id > 9", at_most=0.5),
    },
    "quarantine": lake.table("bad/orders"),
}


def test_the_manifest_has_all_that_is_expected() -> None:
    """It comes back as it was; a function is named; the variables of conditions are those of the job."""
    built = expecting(**FULL)
    assert not built.problems
    settings = built.dag.task("load").outputs["result"].settings
    assert {name: settings[name] for name in FULL} == {
        "expect": {"few": "id < ${var.most}"},
        "expect_or_drop": {"positive": {"function": f"{__name__}:positive"}},
        "expect_or_fail": {
            "its day": "day = :day",
            "one": {"unique": ["id"], "of": "table"},
            "some": {"rows": {"at_least": 1}},
            "share": {"fraction": "id > 9", "at_most": 0.5},
        },
        "quarantine": "${var.root}/bad/orders",
    }
    assert {"root", "most"} <= set(built.dag.variables)
    assert decode_job("daily", encode_jobs([built.dag])["daily"]) == built.dag


def test_a_table_that_expects_nothing_says_nothing() -> None:
    """Manifests of other projects stay as they are."""
    assert set(expecting().dag.task("load").outputs["result"].settings) == {"mode", "schema"}


def test_show_and_diff_have_it() -> None:
    """As one line of the output."""
    built = expecting(**FULL).dag
    line = dict(texts.facts(built.task("load"), built))["->"]
    assert 'expect={"few": id < ${var.most}}' in line
    assert "quarantine=${var.root}/bad/orders" in line
    before, after = (
        Manifest("shop", "1", "0" * 64, "dbxdec 0", encode_jobs([expecting(expect={"few": text}).dag]))
        for text in ("id < 5", "id < 6")
    )
    found = str(diff.difference(before, after, {}, {}))
    assert "id < 5" in found
    assert "id < 6" in found


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("day = :dya", 'the expectation "it" has `:dya`, but the job has no parameter `dya`'),
        ("id < 5 BANANA", "'id < 5 BANANA' is no condition in Polars' SQL"),
        ("1=1) OR (1=1", "is no condition in Polars' SQL"),
        ("id <", "is no condition in Polars' SQL"),
        (fraction("id > :nothing", at_most=0.5), "has `:nothing`"),
    ],
)
def test_conditions_that_no_run_could_evaluate_are_errors_at_the_call(condition: Any, message: str) -> None:
    """A parameter that the job does not have, and what is no condition."""
    built = expecting(expect_or_fail={"it": condition})
    assert "the result of the task `load` can't be checked: " in said(built)
    assert message in said(built)


@pytest.mark.parametrize(
    "condition",
    [
        "day = :day",
        "text <> ':nobody'",
        "id::BIGINT > 0",
        "id < " + bundle_variable("most"),
        "id > 0 -- :nobody",
        positive,
    ],
)
def test_conditions_that_a_run_can_evaluate_are_none(condition: Any) -> None:
    """Strings, casts and comments have no parameters; what a bundle variable holds is not known yet."""
    assert not said(expecting(expect={"it": condition}))


def test_a_table_is_not_its_own_quarantine() -> None:
    """By its name, and as the task's own table."""
    for io in (lake.table("load"), lake):
        own: Any = {"expect_or_drop": {"it": "id > 0"}, "quarantine": lake.table("load")}
        bound = (
            io.table("load", **own)
            if io.is_table
            else PolarsDeltaIoManager(bundle_variable("root"), mode="append", **own)
        )
        assert "goes into the table that is its own quarantine" in said(of(bound))


@pytest.mark.parametrize("manager", [SparkDeltaIoManager, SparkTableIoManager])
def test_tables_through_spark_have_no_such_options_yet(manager: Any) -> None:
    """They are refused by name, not ignored."""
    place = "lake" if manager is SparkDeltaIoManager else "catalog.schema"
    with pytest.raises(DbxdecError, match="expect"):
        manager(place).table("orders", expect={"few": "id < 5"})
