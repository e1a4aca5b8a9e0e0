"""Tables as they are wanted, through Spark: made so, changed in place, their own columns filled by the table."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec import DeltaMerge, column
from dbxdec.errors import RunError, TargetExistsError
from dbxdec.io_managers.delta.spark import computed, definition
from spark_tools import MAKES_COLUMNS, Place, needs_made_columns, needs_spark, output, receipt, wanted

pytestmark = needs_spark
spark, place, table, path = spark_tools.spark, spark_tools.place, spark_tools.table, spark_tools.path

ROW = "CAST(1.5 AS DOUBLE) AS amount, TIMESTAMP'2024-01-02 03:04:05' AS ts, named_struct('b-c', 1) AS s"
WANTED: dict[str, Any] = {
    "comment": "it's \\ one",
    "properties": {"delta.enableChangeDataFeed": True, "my.own": 1},
    "cluster_by": "day",
    "columns": {
        "amount": column(not_null=True, comment="in EUR"),
        "id": column(identity=True),
        "day": column(generated="CAST(ts AS DATE)", comment="of ts"),
        "state": column(default="'new'"),
        "n": column(default=3),
    },
    "constraints": {"positive": "amount > 0"},
}


def sql(place: Place) -> str:
    return place.manager()._at(place.uri).sql


def detail(place: Place) -> dict[str, Any]:
    [row] = place.spark.sql(f"DESCRIBE DETAIL {sql(place)}").collect()
    found: dict[str, Any] = row.asDict()
    return found


def columns(place: Place) -> dict[str, tuple[bool, Any]]:
    schema = place.spark.table(sql(place)).schema
    return {field.name: (field.nullable, field.metadata.get("comment")) for field in schema}


def stored(place: Place, *names: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in place.spark.table(sql(place)).select(*names).collect())


@needs_made_columns
@pytest.mark.slow
def test_a_table_is_made_and_changed_as_it_is_wanted(place: Place) -> None:
    """Its own columns are filled, rows that violate a rule are refused, and what has not changed makes no commit."""
    assert place.write("append", "1", place.sql(ROW), **WANTED).rows == 1
    found = detail(place)
    properties = {name: value for name, value in found["properties"].items() if name != "dbxdec.created"}
    assert (found["description"], found["clusteringColumns"]) == ("it's \\ one", ["day"])
    assert properties == {
        "delta.enableChangeDataFeed": "true",
        "my.own": "1",
        "delta.constraints.positive": "amount > 0",
    }
    assert next(iter(columns(place).items())) == ("amount", (False, "in EUR"))
    assert columns(place)["day"] == (True, "of ts")
    day = dt.date(2024, 1, 2)
    assert stored(place, "id", "day", "state", "n") == [(1, day, "new", 3)]
    for wrong in ("CAST(-1 AS DOUBLE)", "CAST(NULL AS DOUBLE)"):
        with pytest.raises(RunError, match="rows of the result violate a rule of") as error:
            place.write("append", "2", place.sql(f"{wrong} AS amount, ts, s FROM (SELECT {ROW})"), **WANTED)
        assert "\tat " not in str(error.value)
    other: dict[str, Any] = {
        "comment": "other",
        "properties": {"my.own": "2"},
        "cluster_by": ("state", "day"),
        "columns": {"amount": column(not_null=False), "state": column(default="'old'", comment="which")},
        "constraints": {"positive": "amount>1"},
    }
    place.write("append", "3", place.sql(ROW), **other)
    found = detail(place)
    assert (found["description"], found["clusteringColumns"]) == ("other", ["state", "day"])
    assert found["properties"]["my.own"] == "2"
    assert found["properties"]["delta.constraints.positive"].replace(" ", "") == "amount>1"
    assert (columns(place)["amount"], columns(place)["state"]) == ((True, "in EUR"), (True, "which"))
    assert [row[0] for row in stored(place, "state")] == ["new", "old"]
    version = place.manager()._at(place.uri).version()
    assert place.write("append", "4", place.sql(ROW), **other).version == version + 1
    reader = place.manager().read(wanted(place.uri, receipt("4")))
    assert reader.count() == 1


@needs_made_columns
@pytest.mark.slow
def test_columns_that_a_table_fills_are_known_however_its_log_is_written(path: Place) -> None:
    """Another writer puts spaces into a line of the log."""
    path.write("append", "1", path.sql(ROW), **WANTED)
    for file in sorted(Path(path.uri, "_delta_log").glob("*.json")):
        text = file.read_text(encoding="utf-8")
        file.write_text("\n".join(f"{{ {line[1:]}" for line in text.splitlines()), encoding="utf-8")
        file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
    at = path.manager()._at(path.uri)
    assert (found := at.detail()) is not None
    assert (rules := computed._rules(at, found)) is not None
    assert rules["day"]["delta.generationExpression"] == "CAST(ts AS DATE)"


@needs_made_columns
@pytest.mark.slow
def test_a_constraint_that_rows_violate_leaves_the_one_before(place: Place) -> None:
    place.write("append", "1", place.sql(ROW), **WANTED)
    with pytest.raises(RunError, match="rows of the table violate a rule of"):
        place.write("append", "2", place.sql(ROW), constraints={"positive": "amount > 100"})
    assert detail(place)["properties"]["delta.constraints.positive"] == "amount > 0"
    assert len(stored(place, "id")) == 1


@pytest.mark.skipif(MAKES_COLUMNS, reason="spark before 4.2: the test above has all of it, and more")
def test_what_an_older_spark_can(place: Place) -> None:
    """All but identity and generated columns, which are refused with what they need."""
    own = {name: rules for name, rules in WANTED["columns"].items() if name not in ("id", "day")}
    older = {**WANTED, "columns": own, "cluster_by": "ts"}
    place.write("append", "1", place.sql(ROW), **older)
    place.write(
        "append", "2", place.sql(ROW), **{**older, "comment": "other", "constraints": {"positive": "amount > 1"}}
    )
    found = detail(place)
    assert (found["description"], found["clusteringColumns"]) == ("other", ["ts"])
    assert found["properties"]["delta.constraints.positive"] == "amount > 1"
    assert stored(place, "amount", "state", "n") == [(1.5, "new", 3)] * 2
    with pytest.raises(RunError, match="violate a rule of"):
        place.write("append", "3", place.sql(f"CAST(-1 AS DOUBLE) AS amount, ts, s FROM (SELECT {ROW})"), **older)
    with pytest.raises(RunError, match=r"`identity=` and `generated=` need Spark 4\.2 or Databricks"):
        Place(place.spark, f"{place.uri}_other", place.kind).write("append", "1", place.sql(ROW), **WANTED)


@needs_made_columns
@pytest.mark.slow
def test_overwrites_keep_what_is_wanted(place: Place) -> None:
    """Of all rows, of a slice and with a new schema: clustering and comments stay, and own columns are filled."""
    place.write("append", "1", place.sql(ROW), **WANTED)
    day = dt.date(2024, 1, 2)
    place.write("overwrite", "2", place.sql(ROW))
    place.write("overwrite", "3", place.sql(ROW), replace={"day": day})
    assert stored(place, "day", "state", "n") == [(day, "new", 3)]
    assert detail(place)["clusteringColumns"] == ["day"]
    new = place.sql(f"{ROW}, DATE'2024-01-02' AS day")
    place.write("overwrite", "4", new, schema="replace")
    assert detail(place)["clusteringColumns"] == ["day"]
    assert columns(place) == {"amount": (True, "in EUR"), "ts": (True, None), "s": (True, None), "day": (True, "of ts")}
    with pytest.raises(RunError, match="rows of the result violate a rule of"):  # it still names `amount`
        place.write("overwrite", "5", place.sql("1 AS other"), schema="replace")
    place.spark.sql(f"ALTER TABLE {sql(place)} DROP CONSTRAINT positive")
    place.write("overwrite", "5", place.sql("1 AS other"), schema="replace")
    assert (detail(place)["clusteringColumns"], stored(place, "other")) == ([], [(1,)])


def test_what_can_not_be_changed_is_told_before_the_function_runs(path: Place) -> None:
    path.write("append", "1", path.sql(ROW), partition_by="amount")
    later: dict[str, Any] = {"cluster_by": "ts", "columns": {"ts": column(not_null=True), "s": column(identity=True)}}
    with pytest.raises(RunError) as error:
        path.manager("append", **later).preflight(output(path.uri, receipt("2")))
    assert [one.message.split(path.uri)[0] for one in error.value.problems] == [
        "the column `ts` of ",
        "the column `s` of ",
        "the table ",
    ]
    with pytest.raises(RunError, match=r"(?s)rules for `tss`.*did you mean `ts`"):
        path.write("append", "2", path.sql(ROW), columns={"tss": column(comment="x")})


@needs_made_columns
@pytest.mark.parametrize("mode", ["error", pytest.param("append", marks=pytest.mark.slow)])
def test_a_kill_between_the_table_and_its_rows_is_mended(
    table: Place, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retry fills the table, and completes what it lacks; with "error" no other write does."""

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(definition, "adjust", die)
        with pytest.raises(KeyboardInterrupt):
            table.write(mode, "1", table.sql(ROW), **WANTED)
    if mode == "error":
        with pytest.raises(TargetExistsError):
            table.write(mode, "2", table.sql(ROW), **WANTED)
    for attempt in (2, 3):
        table.write(mode, "1", table.sql(ROW), attempt, **WANTED)
    assert len(stored(table, "id")) == 1
    assert detail(table)["properties"]["delta.constraints.positive"] == "amount > 0"


@pytest.mark.slow
@needs_made_columns
def test_a_merge_makes_and_changes_its_table_too(path: Place) -> None:
    merge = DeltaMerge(path.sql(ROW), on="ts")
    own = {"id": column(identity=True), "state": column(default="'new'")}
    path.write("append", "1", merge, cluster_by="ts", columns=own, comment="first")
    path.write("append", "2", merge, comment="second")
    assert (detail(path)["description"], detail(path)["clusteringColumns"]) == ("second", ["ts"])
    assert stored(path, "amount", "id", "state") == [(1.5, 1, "new")]


@needs_made_columns
class TestTablesOfOthers:
    """Columns that a table fills itself may be left out, whoever made the table; all others may not."""

    RULES = (
        "id BIGINT GENERATED ALWAYS AS IDENTITY, k INT, plain INT, ts TIMESTAMP, "
        "day DATE GENERATED ALWAYS AS (CAST(ts AS DATE)), state STRING DEFAULT 'new'"
    )
    GIVEN = "1 AS k, 2 AS plain, TIMESTAMP'2024-01-02 03:04:05' AS ts"

    def make(self, place: Place, more: str = "") -> None:
        place.spark.sql(
            f"CREATE TABLE {sql(place)} ({self.RULES}) USING DELTA {more} "
            "TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')"
        )

    @pytest.mark.slow
    def test_its_own_columns_are_left_to_it(self, place: Place) -> None:
        self.make(place, "PARTITIONED BY (day)")
        io, given = place.manager("append"), place.sql(self.GIVEN)
        io.preflight(output(place.uri, receipt("1")))
        place.write("append", "1", given)
        assert place.write("append", "1", given, 2).note == "already written by attempt 1"
        with pytest.raises(RunError, match=r"plain +int +-") as error:
            place.write("append", "2", place.sql("1 AS k, TIMESTAMP'2024-01-02 03:04:05' AS ts"))
        assert "id " not in str(error.value)
        assert "state" not in str(error.value)
        assert stored(place, "day", "state") == [(dt.date(2024, 1, 2), "new")]

    @pytest.mark.slow
    def test_overwrites_and_receipts_too(self, place: Place) -> None:
        self.make(place, "PARTITIONED BY (day)")
        given = place.sql(self.GIVEN)
        place.write("append", "1", given)
        place.write("overwrite", "2", given, partition_by="day")
        place.write("overwrite", "3", given, replace={"day": dt.date(2024, 1, 2)})
        place.write("append", "4", None)
        place.write("overwrite", "5", given.limit(0), partition_by="day")
        assert stored(place, "k", "day", "state") == [(1, dt.date(2024, 1, 2), "new")]
        place.write("overwrite", "6", given)
        assert len(stored(place, "id")) == 1
