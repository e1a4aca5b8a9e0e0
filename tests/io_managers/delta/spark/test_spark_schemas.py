"""Columns of Spark frames beside those of Delta tables: structs, nulls and names, as with Polars."""

from __future__ import annotations

from typing import Any

import pytest

import spark_tools
from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from spark_tools import Place, needs_spark, wanted

pytestmark = needs_spark
spark, path = spark_tools.spark, spark_tools.path

FIRST = "1 AS k, named_struct('a', 1, 'b', 'x') AS s, array(named_struct('a', 1)) AS l, 'z' AS n"
BEFORE: dict[str, Any] = {"k": 1, "s": {"a": 1, "b": "x"}, "l": [{"a": 1}], "n": "z"}


def stored(path: Place) -> list[dict[str, Any]]:
    return [row.asDict(recursive=True) for row in path.manager().read(wanted(path.uri)).orderBy("k").collect()]


@pytest.mark.slow
@pytest.mark.parametrize("merge", [False, True], ids=["append", "merge"])
def test_structs_are_compared_field_by_field_and_nulls_fit(path: Place, merge: bool) -> None:
    """Any order and spelling of fields, a column of nulls; with "add-columns" new fields, in lists too."""

    def write(run: str, columns: str, schema: str) -> None:
        frame = path.sql(columns)
        path.write("append", run, DeltaMerge(frame, on="k") if merge else frame, schema=schema)

    path.write("append", "0", path.sql(FIRST))
    write("1", "2 AS k, named_struct('B', 'y', 'a', 2) AS s, array(named_struct('a', 2)) AS l, NULL AS n", "strict")
    grown = "3 AS k, named_struct('c', 4, 'a', 3, 'b', 'q') AS s, array(named_struct('a', 3, 'd', 5)) AS l, NULL AS n"
    with pytest.raises(RunError, match=r"(?s)s\.c +- +int\n +l\.d +- +int\n.*add-columns"):
        write("2", grown, "strict")
    write("3", grown, "add-columns")
    assert stored(path) == [
        {**BEFORE, "s": {**BEFORE["s"], "c": None}, "l": [{"a": 1, "d": None}]},
        {"k": 2, "s": {"a": 2, "b": "y", "c": None}, "l": [{"a": 2, "d": None}], "n": None},
        {"k": 3, "s": {"a": 3, "b": "q", "c": 4}, "l": [{"a": 3, "d": 5}], "n": None},
    ]


@pytest.mark.slow
def test_a_field_that_a_merges_source_lacks_is_not_emptied(path: Place) -> None:
    """A struct is given as a whole; an append, which has no row before, may leave fields null."""
    path.write("append", "0", path.sql(FIRST))
    less = path.sql("1 AS k, named_struct('a', 7) AS s")
    with pytest.raises(RunError, match=r"s\.b +string +-"):
        path.write("append", "1", DeltaMerge(less, on="k"), schema="add-columns")
    assert stored(path) == [BEFORE]


@pytest.mark.slow
def test_names_that_differ_only_in_case_are_told_wherever_they_are(path: Place) -> None:
    """In structs and lists too, all at once; nothing is written."""
    frame = path.sql("1 AS k, named_struct('A', 1, 'a', 2) AS s, array(named_struct('ä', 1, 'Ä', 2)) AS l")
    for result in (frame, DeltaMerge(frame, on="k")):
        with pytest.raises(RunError) as error:
            path.write("append", "0", result)
        assert len(error.value.problems) == 2
        assert "`s.A` and `s.a`" in str(error.value)
        assert "`l.ä` and `l.Ä`" in str(error.value)


@pytest.mark.slow
def test_null_and_an_empty_string_are_two_slices(path: Place) -> None:
    """Outside of partition columns each names its own rows."""
    both = path.sql("1 AS x, '' AS s").unionAll(path.sql("2 AS x, CAST(NULL AS STRING) AS s"))
    path.write("append", "0", both)
    path.write("overwrite", "1", both.limit(0), replace={"s": None})
    assert path.stored == [1]
    path.write("overwrite", "2", both.limit(0), replace={"s": ""})
    assert path.stored == []
