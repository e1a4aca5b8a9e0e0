"""What tables expect of their rows, in a job's body: what the manifest and people see, and what a build refuses."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import polars as pl
import pytest

from dbxdec import bundle_variable, fraction, job, rows, task, unique
from dbxdec.authoring.jobs import BuiltJob
from dbxdec.authoring.recording import collecting
from dbxdec.errors import DbxdecError, Problem
from dbxdec.io_managers import PolarsDeltaIoManager, SparkDeltaIoManager, SparkTableIoManager
from dbxdec.model import checks
from dbxdec.model.job_forms import decode_job, encode_jobs
from dbxdec.model.manifest import Manifest
from dbxdec.model.warning_checks import warn
from dbxdec.views import diff, texts

lake = PolarsDeltaIoManager(bundle_variable("root"), mode="append")


def positive(frame: pl.LazyFrame) -> pl.Expr:
    return pl.col("id") > 0


def load(day: dt.date) -> pl.DataFrame:
    raise NotImplementedError


def of_any_engine(day: dt.date) -> Any:
    raise NotImplementedError


def of(io: Any, function: Any = load) -> BuiltJob:
    """A job with one task that writes this table."""
    loads = task(io_manager=io)(function)

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


@pytest.mark.parametrize("manager", [PolarsDeltaIoManager, SparkDeltaIoManager])
@pytest.mark.parametrize(("kind", "named"), [(list[int], "list"), (dict[str, int] | None, "dict")])
def test_a_parameter_of_several_values_is_none_of_sql(manager: Any, kind: Any, named: str) -> None:
    """Its type tells it."""
    loads = task(io_manager=manager("lake", mode="append").table("orders", expect={"it": "id = :some"}))(of_any_engine)

    def daily(day: dt.date, some: Any, other: list[int]) -> None:
        loads(day)

    daily.__annotations__["some"] = kind
    assert said(job(daily).build(__name__)).count("`:some`, and the job parameter `some` is a " + named) == 1


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


def test_a_quarantine_by_another_spelling_of_the_table_is_refused() -> None:
    """The same place is the same table, however it is written."""
    drops: dict[str, Any] = {"expect_or_drop": {"it": "id > 0"}}
    other = PolarsDeltaIoManager("s3a://bucket/lake", mode="append").table("load")
    own = PolarsDeltaIoManager("s3://bucket//lake/", mode="append").table("load", quarantine=other, **drops)
    assert "goes into the table that is its own quarantine" in said(of(own))


@pytest.mark.parametrize(
    ("table", "quarantine", "wrong"),
    [
        ("orders", "orders/bad", "/orders/bad, which is in the folder of the table ${var.root}/orders of daily.load"),
        ("bad/orders", "bad", "/bad/orders, which is in the folder of the table ${var.root}/bad of daily.load"),
        ("orders", "bad_orders", ""),
    ],
)
def test_a_quarantine_in_the_folder_of_a_table_is_refused(table: str, quarantine: str, wrong: str) -> None:
    """VACUUM of the one would remove the other."""
    io = lake.table(table, expect_or_drop={"it": "id > 0"}, quarantine=lake.table(quarantine))
    found = [problem.message for problem in checks.check([of(io).dag])]
    assert found == ([f"daily.load writes ${{var.root}}{wrong}"] if wrong else [])


def test_the_place_of_a_quarantine_is_checked_as_that_of_a_table() -> None:
    """Its scheme, and what stands in braces."""
    for root, wrong in [("s3:/bucket", "has one slash after `s3:`"), ("s3://b/{day}", "{day} is not a placeholder")]:
        bad = PolarsDeltaIoManager(root, mode="append").table("bad")
        built = of(lake.table("orders", expect_or_drop={"it": "id > 0"}, quarantine=bad))
        (problem,) = checks.check([built.dag])
        assert wrong in problem.message
    of_job = PolarsDeltaIoManager("s3://b/{job}/{task}", mode="append").table("bad")
    assert not checks.check([of(lake.table("orders", expect_or_drop={"it": "id > 0"}, quarantine=of_job)).dag])


SPARK: Any = SparkTableIoManager(bundle_variable("catalog") + ".silver", mode="append")


def spark(**options: Any) -> BuiltJob:
    return of(SPARK.table("orders", **options), of_any_engine)


def test_tables_through_spark_have_the_same_options() -> None:
    """The quarantine is named as tables of a catalog are."""
    built = spark(**{**FULL, "quarantine": SPARK.table("bad_orders")})
    assert not built.problems
    settings: Any = built.dag.task("of_any_engine").outputs["result"].settings
    assert settings["quarantine"] == "${var.catalog}.silver.bad_orders"
    assert settings["expect_or_fail"]["one"] == {"unique": ["id"], "of": "table"}


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("day = :dya", "has `:dya`, but the job has no parameter `dya`"),
        ("id IN (SELECT 1)", "has a query inside"),
        ("id IN (VALUES 1)", "has a query inside"),
        ('"id" IS NOT NULL', "names no column, so it is the same for all rows"),
        ("TRUE", "names no column"),
        (":day IS NOT NULL", "names no column"),
    ],
)
def test_conditions_of_spark_are_checked_as_far_as_their_text_shows_it(condition: str, message: str) -> None:
    """No build starts Spark."""
    assert message in said(spark(expect={"it": condition}))


@pytest.mark.parametrize(
    ("condition", "called"),
    [
        ("day <= DATE 'today'", "DATE 'today'"),
        ('at < timestamp_ltz/* */"Now CET"', 'timestamp_ltz "Now CET"'),
        ("`rand`() < id", "rand"),
        ("id < rand -- of SQL\n ()", "rand"),
        ("name = current_user", "current_user"),
        ("id < unix_timestamp( /* now */ )", "unix_timestamp"),
        ("id > length(java_method('java.util.UUID', 'randomUUID'))", "java_method"),
    ],
)
def test_what_is_something_else_in_a_retry_is_refused(condition: str, called: str) -> None:
    """However it is written."""
    with pytest.raises(DbxdecError, match=re.escape(f"calls `{called}`, which gives something else in a retry")):
        SparkDeltaIoManager("lake", expect={"it": condition})


@pytest.mark.parametrize(
    "condition",
    [
        "day = :day",
        "`rand` < 5 AND now > at -- now()",
        "day > DATE '2024-01-01' AND text <> 'today' AND date <> 'now'",
        r"text <> 'it\'s :nobody' AND text <> r'\' AND day = :day",
        'text <> ":nobody"',
        "`:nobody` > 0 -- :nobody",
        "id::BIGINT > 0 AND raw:owner IS NOT NULL AND list[0]:name > ''",
        "`select` > 0 AND `from` > 0",
        "unix_timestamp(day) > 0 AND unix_timestamp(text, 'y') > 0",
        "EXTRACT(year FROM day) > 0 AND (id) > 0",
        "id < 5 BANANA",
        "id < " + bundle_variable("most"),
        positive,
    ],
)
def test_what_only_spark_can_tell_is_left_to_the_run(condition: Any) -> None:
    """Strings have backslashes, and a colon behind a name leads into a document."""
    assert not said(spark(expect={"it": condition}))


def test_a_quarantine_is_a_table_of_the_same_engine() -> None:
    """Frames of Polars can't go into a table of Spark."""
    with pytest.raises(DbxdecError, match="can't store the rows of PolarsDeltaIoManager"):
        lake.table("orders", expect_or_drop={"it": "id > 0"}, quarantine=SPARK.table("bad"))


def test_a_quarantine_that_leaves_rows_out_is_refused() -> None:
    """It would lose them, such as those that break the expectations that it inherits."""
    drops: dict[str, Any] = {"expect_or_drop": {"it": "id > 0"}}
    every = lake.table("every", **drops)
    with pytest.raises(DbxdecError, match="a table that leaves rows out itself"):
        every.table("orders", quarantine=every.table("bad"))
    every.table("orders", quarantine=every.table("bad", expect_or_drop=None))
    few = lake.table("bad", expect_or_fail={"few": rows(at_most=5)})
    lake.table("orders", **drops, quarantine=few)


def test_a_quarantine_that_is_a_mistake_is_told_once() -> None:
    """What is wrong with its name is all that is."""

    def daily(day: dt.date) -> None:
        bad = lake.table("bad/{task}")
        task(io_manager=lake.table("orders", expect_or_drop={"it": "id > 0"}, quarantine=bad))(load)(day)

    (problem,) = job(daily).build(__name__).problems
    assert "the table name 'bad/{task}' has braces" in str(problem)


def maybe(day: dt.date) -> pl.DataFrame | None:
    raise NotImplementedError


def both(day: dt.date) -> dict[str, pl.DataFrame | None]:
    raise NotImplementedError


def warnings_of(function: Any, **options: Any) -> list[str]:
    loads = task(**options)(function)

    def daily(day: dt.date) -> None:
        loads(day)

    return [warning.message for warning in warn([job(daily).build(__name__).dag]) if "holds only" in warning.message]


def test_a_number_of_rows_of_a_task_that_may_return_none_is_a_warning() -> None:
    """None stores nothing, and is not checked; an upper bound holds all the same."""
    least, most = ({"some": rows(at_least=1)}, {"few": rows(at_most=9), "none": rows(at_least=0)})
    (found,) = warnings_of(maybe, io_manager=lake.table("orders", expect_or_fail=least))
    assert found.startswith("the task `maybe` may return None, which stores nothing and is not checked")
    assert 'so the expectation "some", rows(at_least=...), holds only' in found
    assert not warnings_of(maybe, io_manager=lake.table("orders", expect_or_fail=most))
    assert not warnings_of(load, io_manager=lake.table("orders", expect_or_fail=least))
    outputs = {"good": lake.table("orders", expect_or_fail=least), "bad": lake.table("bad")}
    (found,) = warnings_of(both, outputs=outputs)
    assert "may return None for the output `good`" in found


@pytest.mark.parametrize("make", [lake.table, lambda _, **given: PolarsDeltaIoManager("s3://lake", **given)])
def test_a_wrong_option_of_a_table_hides_none_of_its_wrong_conditions(make: Any) -> None:
    noted: list[Problem] = []
    with collecting(noted):
        table = make(
            "orders", mode="apend", expect={"now": "now() > id", "known": "id < :most", "whole": "id <", "": 1}
        )
    of_options, of_conditions = [problem.message for problem in noted], [one.message for one in of(table).problems]
    assert len(of_options) == 4
    assert "'apend'" in of_options[0]
    assert len(of_conditions) == 2, "no condition with a mistake in itself is checked further"
    assert '"known" has `:most`' in of_conditions[0]
    assert "'id <' is no condition" in of_conditions[1]


def test_a_table_of_a_wrong_manager_still_has_its_conditions_checked() -> None:
    with collecting([]):
        table = PolarsDeltaIoManager("s3://lake", mode="apend").table("orders", expect={"known": "id < :most"})  # type: ignore[arg-type]
    assert '"known" has `:most`' in said(of(table))


def test_a_parameter_that_is_refused_is_known_to_conditions() -> None:
    """Its type is the mistake; that a condition names it isn't one."""
    loads = task(io_manager=lake.table("orders", **FULL))(load)

    def daily(day: set[dt.date]) -> None:  # a type that no job parameter has
        loads(day)  # type: ignore[arg-type]

    (only,) = job(daily).build(__name__).problems
    assert "has the type `set[dt.date]`" in only.message
