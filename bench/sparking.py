"""Delta tables through Spark: what dbxdec's writes and reads take over the plain calls, in time and in jobs.

One local Spark runs both in turn. `ROWS` sets the size, 1,000,000 by default.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import measure
from measure import Budget, Line, Pair

from dbxdec import DeltaMerge, unique
from dbxdec.io_managers import SparkDeltaIoManager
from spark_tools import MISSING, output, receipt, start, wanted

ROUNDS = 7
_FIVE = {
    "k": "k >= 0",
    "part": "part BETWEEN 0 AND 99",
    "amount": "amount IS NOT NULL",
    "sum": "k + part >= part",
    "short": "LENGTH(CAST(part AS STRING)) < 3",
}
_MORE = 10  # times the rows, for expectations
_FILES = 100  # of the table that an append is read from
_runs = map(str, itertools.count())


def through_spark(scratch: Path) -> Iterator[Pair | Line]:
    if MISSING:
        yield Line(f"left out: {MISSING}")
        return
    spark = start(scratch / "warehouse", once=False)
    rows = int(os.environ.get("ROWS", "1000000"))
    frame = _frame(spark, rows)
    changed = frame.where("k % 10 = 0").localCheckpoint()
    ours, plain = str(scratch / "ours"), str(scratch / "plain")
    for place in (ours, plain):
        frame.write.format("delta").save(place)

    def merge() -> None:
        changed.createOrReplaceTempView("changed")
        spark.sql(
            f"MERGE INTO delta.`{plain}` AS t USING changed AS s ON s.k = t.k "
            "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
        ).collect()

    def written(mode: Any, value: Any, **options: Any) -> Callable[[], None]:
        def write() -> None:
            io = SparkDeltaIoManager("unused", mode=mode, **options)
            context = output(ours, receipt(next(_runs)))
            io.preflight(context)
            io.write(context, value)

        return write

    kinds: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "append": (written("append", frame), lambda: frame.write.format("delta").mode("append").save(plain)),
        "overwrite": (written("overwrite", frame), lambda: frame.write.format("delta").mode("overwrite").save(plain)),
        "merge": (written("append", DeltaMerge(changed, on="k")), merge),
    }
    for name, (one, other) in kinds.items():
        yield from _compared(spark, name, one, other)
    yield from _reads(spark, frame, scratch)
    yield from _expected(spark, _frame(spark, _MORE * rows), scratch)


def _frame(spark: Any, rows: int) -> Any:
    columns = "id AS k", "id % 100 AS part", "CAST(id AS DOUBLE) AS amount"
    return spark.range(rows).selectExpr(*columns).localCheckpoint()


def _reads(spark: Any, frame: Any, scratch: Path) -> Iterator[Pair | Line]:
    """A read of the rows that one append has stored in a table of many files, over a table that holds nothing else."""
    io = SparkDeltaIoManager("unused", mode="append")
    many, alone = str(scratch / "many"), str(scratch / "alone")
    frame.repartition(_FILES).write.format("delta").save(many)
    few = frame.limit(1000).localCheckpoint()
    run = receipt(next(_runs))
    io.write(output(many, run), few)
    few.write.format("delta").save(alone)
    yield from _compared(
        spark,
        f"read an append, {_FILES} other files",
        lambda: io.read(wanted(many, run)).agg({"amount": "sum"}).collect(),
        lambda: spark.read.format("delta").load(alone).agg({"amount": "sum"}).collect(),
    )


def _expected(spark: Any, frame: Any, scratch: Path) -> Iterator[Pair | Line]:
    """The cost of a table's expectations: an overwrite of ten times the rows with them over the same without."""

    def written(name: str, **expectations: Any) -> Callable[[], None]:
        def write() -> None:
            io = SparkDeltaIoManager("unused", mode="overwrite", **expectations)
            context = output(str(scratch / name), receipt(next(_runs)))
            io.preflight(context)
            io.write(context, frame)

        return write

    plain = written("plain-expected")
    for name, budget, expectations in (
        ("five conditions", 1.2, {"expect": _FIVE}),
        ("rows dropped", None, {"expect": _FIVE, "expect_or_drop": {"odd": "k % 100 <> 0"}}),
        ("unique", None, {"expect_or_fail": {"one": unique("k")}}),
    ):
        ours = written(name.replace(" ", "-"), **expectations)
        yield from _compared(spark, f"overwrite, {name}", ours, plain, budget, "the same without")


def _compared(
    spark: Any,
    name: str,
    ours: Callable[[], Any],
    plain: Callable[[], Any],
    budget: float | None = 1.5,
    over: str = "the plain call",
) -> Iterator[Pair | Line]:
    one, other = measure.in_turn(ROUNDS, ours, plain)
    walls = [sample.wall for sample in one], [sample.wall for sample in other]
    yield Pair(f"Spark: {name}", over, None if budget is None else Budget("ratio", budget), *walls)
    yield Line(f"Spark: {name}: {_jobs(spark, ours)} jobs, {_jobs(spark, plain)} of {over}")


def _jobs(spark: Any, act: Callable[[], Any]) -> int:
    store = spark.sparkContext._jsc.sc().statusStore()
    before = int(store.jobsList(None).size())
    act()
    return int(store.jobsList(None).size()) - before
