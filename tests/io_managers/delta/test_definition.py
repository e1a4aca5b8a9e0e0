"""What is wanted of a table besides its rows: mistakes are found when it is described, and the manifest has it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from dbxdec import bundle_variable, column
from dbxdec.errors import DbxdecError
from dbxdec.io_managers import (
    IoManager,
    PolarsCsvIoManager,
    PolarsDeltaIoManager,
    PolarsNdjsonIoManager,
    PolarsParquetIoManager,
    SparkDeltaIoManager,
    SparkTableIoManager,
)
from dbxdec.io_managers.delta import definition
from dbxdec.model import variables

SPARK = SparkDeltaIoManager("lake")
POLARS = PolarsDeltaIoManager("lake")


def said(io: Any, **options: Any) -> list[str]:
    with pytest.raises(DbxdecError) as error:
        io.table("x", **options)
    return [f"{one.message} | {one.hint}" for one in error.value.problems]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"cluster_by": 3}, "`cluster_by` is 3"),
        ({"cluster_by": ["a", "A"]}, "`cluster_by` is ['a', 'A'] | name up to 4 columns, each once"),
        ({"cluster_by": list("abcde")}, "name up to 4 columns"),
        ({"cluster_by": "a", "partition_by": "b"}, "`cluster_by` and `partition_by` are both given"),
        ({"properties": {"delta.constraints.x": "a > 0"}}, "give it as a constraint"),
        ({"properties": {"dbxdec.created": "x"}}, "which dbxdec sets"),
        ({"properties": {"a": None}}, "the property 'a' is None"),
        ({"properties": [("a", 1)]}, "`properties` is [('a', 1)] | give a dict"),
        ({"properties": {"delta.appendOnly": True}, "mode": "overwrite"}, 'but the mode is "overwrite"'),
        ({"properties": {3: 1}}, "`properties` is {3: 1} | give a dict"),
        ({"shared": "yes"}, "`shared` is 'yes' | give True or False"),
        ({"keyed": None}, "`keyed` is None | give True or False"),
        ({"mode": bundle_variable("mode")}, "allowed are 'error', 'overwrite', 'append', 'ignore'"),
        ({"comment": 3}, "`comment` is 3 | give a string"),
        ({"columns": ["a"]}, "`columns` is ['a'] | give a dict"),
        ({"columns": {"a": "x"}}, "the column 'a' is 'x' | describe it: `column("),
        ({"columns": {"a": column(), "A": column()}}, "name each column once"),
        ({"columns": {"a": column(comment=3)}}, "the column 'a' has the comment 3"),  # type: ignore[arg-type]
        ({"columns": {"a": column(not_null="yes")}}, "not_null='yes'"),  # type: ignore[arg-type]
        ({"columns": {"a": column(identity="allways")}}, "did you mean `always`?"),  # type: ignore[arg-type]
        ({"columns": {"a": column(generated=" ")}}, "generated=' '"),
        ({"columns": {"a": column(default=b"x")}}, "default=b'x'"),  # type: ignore[arg-type]
        ({"columns": {"a": column(default=1, identity=True)}}, "`identity=` and `default=` | the table fills"),
        ({"columns": {"a": column(not_null=True)}, "mode": "overwrite", "schema": "replace"}, "drops such rules"),
        ({"constraints": {"a b": "x > 0"}}, "the name 'a b' | use letters, digits and `_`"),
        ({"constraints": {"a": ""}}, "the constraint 'a' is '' | give it an SQL condition"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_told_with_what_to_write(options: dict[str, Any], wanted: str) -> None:
    [found] = said(SPARK, **options)
    assert wanted in found


@pytest.mark.parametrize(
    ("name", "right", "wrong", "hint"),
    [
        ("delta.enableChangeDataFeed", [True, "true", "TRUE", "False"], ["yes", 1, "", " true"], "give True or False"),
        ("DELTA.appendonly", [False], ["on"], "give True or False"),
        ("delta.checkpointInterval", [1, "10"], ["ten", 0, 1.5, True, "1 0"], "give a whole number from 1 on"),
        ("delta.dataSkippingNumIndexedCols", [-1, "0"], [-2, "all"], "give a whole number from -1 on"),
        (
            "delta.logRetentionDuration",
            ["interval 30 days", "INTERVAL 1 week", "30 days", "interval 1 day 2 hours"],
            [30, "30", "interval 1 month", "interval -1 days", "interval 1.5 days", "a week"],
            'give an interval: "interval 30 days"',
        ),
        ("delta.columnMapping.mode", ["none", "name", "id"], ["Name"], "did you mean `name`?"),
        ("delta.checkpointPolicy", ["classic", "v2"], ["both"], "it may be classic, v2"),
        ("delta.autoOptimize.autoCompact", [True, "auto"], ["yes"], "it may be true, false, auto, legacy"),
        ("delta.targetFileSize", [1024, "128mb", "1 GB"], ["big", "1e9"], "give a number of bytes"),
        ("delta.ofTomorrow", ["yes", 1], [], ""),
        ("own", ["yes", 1, True], [], ""),
    ],
)
def test_a_property_has_a_value_that_delta_takes(name: str, right: list[Any], wrong: list[Any], hint: str) -> None:
    """Engines refuse another one when the task writes, or ignore it. What a bundle variable holds is not known yet."""
    for value in [*right, bundle_variable("it"), f"{bundle_variable('it')}"]:
        SPARK.table("x", properties={name: value})
    for value in wrong:
        [found] = said(SPARK, properties={name: value})
        assert f"the property {name!r} is {value!r}" in found
        assert hint in found


def test_a_switch_in_capitals_is_stored_as_engines_compare_it() -> None:
    """The same for one that contradicts the mode."""
    assert POLARS.table("x", properties={"delta.appendOnly": "TRUE"}).settings()["properties"] == {
        "delta.appendOnly": "true"
    }
    [found] = said(POLARS, properties={"delta.appendOnly": "TRUE"}, mode="overwrite")
    assert 'but the mode is "overwrite"' in found


def test_all_managers_look_at_their_options() -> None:
    """Those of files, and one of an author."""

    class Own(IoManager):
        def read(self, context: Any) -> None: ...

        def write(self, context: Any, value: Any) -> None: ...

    for io in (PolarsCsvIoManager("x"), PolarsNdjsonIoManager("x"), PolarsParquetIoManager("x"), Own()):
        assert said(io, shared="yes") == ["`shared` is 'yes' | give True or False"]
    assert len(said(PolarsParquetIoManager("x"), shared=None, mode="none", storage_options={"a": 1})) == 3


def test_all_mistakes_are_told_at_once() -> None:
    assert len(said(SPARK, comment=3, cluster_by=4, columns={"a": 1, "b": 2}, constraints={"a b": "x"})) == 5


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"cluster_by": "a"}, "delta-rs can't write clustered tables"),
        ({"columns": {"a": column(identity=True)}}, "delta-rs can't number rows"),
        ({"columns": {"a": column(default=3)}}, "delta-rs has no defaults"),
        ({"properties": {"delta.columnMapping.mode": "name"}}, "can't read tables with column mapping"),
        ({"properties": {"DELTA.enableRowTracking": True}}, "delta-rs makes no such table"),
    ],
)
def test_what_only_spark_can_give_is_refused_for_polars(options: dict[str, Any], wanted: str) -> None:
    [found] = said(POLARS, **options)
    assert wanted in found
    assert "`SparkDeltaIoManager`" in found
    SPARK.table("x", **options)


def test_a_property_that_is_off_asks_nothing_of_the_engine() -> None:
    off = {"delta.columnMapping.mode": "none", "delta.enableTypeWidening": False, "delta.enableDeletionVectors": True}
    assert POLARS.table("x", properties=off).is_table


def test_the_manifest_has_what_is_wanted() -> None:
    table = SparkTableIoManager("main.gold").table(
        "orders",
        cluster_by="day",
        comment="orders",
        properties={"delta.enableChangeDataFeed": True, "n": 3},
        columns={"id": column(identity=True), "n": column(not_null=False, default=Decimal("1.50"))},
        constraints={"positive": "n > 0"},
    )
    assert table.settings() == {
        "mode": "error",
        "schema": "strict",
        "cluster_by": ["day"],
        "comment": "orders",
        "properties": {"delta.enableChangeDataFeed": "true", "n": "3"},
        "columns": {"id": {"identity": True}, "n": {"not_null": False, "default": "1.50"}},
        "constraints": {"positive": "n > 0"},
    }


def test_nothing_is_said_where_nothing_is_wanted() -> None:
    assert SPARK.table("x").settings() == {"mode": "error", "schema": "strict"}
    assert not SPARK.table("x").definition()
    assert SPARK.table("x", cluster_by=[], columns={}).settings() == {"mode": "error", "schema": "strict"}


def test_bundle_variables_have_their_values_in_a_run() -> None:
    owner = bundle_variable("owner")
    table = SPARK.table(
        "x",
        comment=f"of {owner}",
        properties={"owner": owner},
        columns={"a": column(comment=f"by {owner}")},
        constraints={"mine": f"a = '{owner}'"},
    )
    assert table.variables() == {"owner"}
    with variables.using({"owner": "me"}):
        found = table.definition()
    assert (found.comment, found.properties, found.columns["a"].comment, found.constraints) == (
        "of me",
        {"owner": "me"},
        "by me",
        {"mine": "a = 'me'"},
    )


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        ("'new'", "'new'"),
        (3, "3"),
        (1.5, "1.5"),
        (True, "true"),
        (Decimal("1.50"), "1.50"),
        (dt.date(2024, 1, 2), "DATE'2024-01-02'"),
        (dt.datetime(2024, 1, 2, 3, 4, 5), "TIMESTAMP'2024-01-02 03:04:05'"),
    ],
)
def test_a_default_is_sql_or_a_value(value: Any, sql: str) -> None:
    assert column(default=value).sql_default == sql


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a>0", " a  >  0", True),
        ("a = 'x  y'", "a='x  y'", True),
        ("a = 'x  y'", "a = 'x y'", False),
        ("`a b` > 0", "`ab` > 0", False),
        ("a > 0", "a > 1", False),
        (None, "a", False),
        ("it's", "it's", True),
    ],
)
def test_expressions_that_differ_only_in_spaces_are_the_same(one: str | None, other: str, same: bool) -> None:
    assert definition.is_same(one, other) is same
