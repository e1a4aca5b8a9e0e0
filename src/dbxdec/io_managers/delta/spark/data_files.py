"""The rows of files that commits have added or removed, each with facts of its own, in one read of all files."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.delta.spark.reader import metadata_of
from dbxdec.io_managers.spark_frames import escaped, quoted
from dbxdec.io_managers.spark_session import condition, text_of
from dbxdec.model.changes import CHANGE, MOMENT, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class File:
    """A file whose rows are new: its URI, the values of its partition as the log has them, and what happened to it."""

    uri: str
    partition: Mapping[str, str | None]
    version: int
    moment: int | None
    """In milliseconds since the epoch."""

    @property
    def name(self) -> str:
        return self.uri.rpartition("/")[2]


def read(spark: Any, files: Sequence[File], schema: Any, partitions: Sequence[str], *, kind: str | None) -> Any:
    """Return the rows of the files with the columns of `schema`, and those of the feed where `kind` is their change.

    Raises the engine's error if a file is gone, before the query runs; `missing` tells which.
    """
    from pyspark.sql.types import StructType

    inside = StructType([field for field in schema if field.name not in partitions])
    frames = [
        labelled(
            spark.read.schema(inside).parquet(*(escaped(file.uri) for file in layer)),
            layer,
            schema,
            partitions,
            kind=kind,
        )
        for layer in _layers(files)
    ]
    found = functools.reduce(lambda one, other: one.unionAll(other), frames)
    _ = found.schema  # only this looks a Connect frame up
    return found


def labelled(frame: Any, files: Sequence[File], schema: Any, partitions: Sequence[str], *, kind: str | None) -> Any:
    """Return the rows of `frame`, which come from `files` with names of their own, with what is known of each file."""
    from pyspark.sql import functions

    columns = {name: _typed(schema[name].dataType) for name in partitions}
    values = [[file.partition.get(name) for name in partitions] for file in files]
    if kind is not None:
        columns |= {VERSION: "CAST({} AS BIGINT)", MOMENT: "timestamp_millis(CAST({} AS BIGINT))"}
        values = [
            [*given, *(None if one is None else str(one) for one in (file.version, file.moment))]
            for given, file in zip(values, files, strict=True)
        ]
    free = "_" * (max(map(len, [*schema.names, *columns]), default=0) + 1)  # the beginning of no column
    labels = [f"{free}{number}" for number in range(len(columns))]
    if len({tuple(given) for given in values}) == 1:
        for label, value in zip(labels, values[0], strict=True):
            frame = frame.withColumn(label, functions.lit(value).cast("string"))
    else:
        # A join, since a union of thousands of reads takes Spark minutes to plan.
        name = f"{free}f"
        kinds = ", ".join(f"{label} STRING" for label in [name, *labels])
        rows = [(file.name, *given) for file, given in zip(files, values, strict=True)]
        known = frame.sparkSession.createDataFrame(rows, kinds)
        named = frame.withColumn(name, metadata_of(frame)["file_name"])
        frame = named.join(functions.broadcast(known), on=name, how="inner")
    made = dict(zip(columns, labels, strict=True))
    chosen = [
        f"{columns[name].format(made[name])} AS {quoted(name)}" if name in made else quoted(name)
        for name in schema.names
    ]
    if kind is not None:
        chosen.append(f"'{kind}' AS {CHANGE}")
        chosen += [f"{columns[name].format(made[name])} AS {name}" for name in (VERSION, MOMENT)]
    return frame.selectExpr(*chosen)


def _typed(kind: Any) -> str:
    """Return the SQL of a partition's value, made of its string in the log as Delta makes it."""
    return "{}" if kind.typeName() == "string" else f"CAST({{}} AS {kind.simpleString()})"


def _layers(files: Sequence[File]) -> list[list[File]]:
    """Return the files in lists in which names are unique, nearly always one: other writers may use a name again."""
    layers: list[list[File]] = []
    seen: list[set[str]] = []
    for file in files:
        at = next((number for number, names in enumerate(seen) if file.name not in names), len(layers))
        if at == len(layers):
            layers.append([])
            seen.append(set())
        layers[at].append(file)
        seen[at].add(file.name)
    return layers


def missing(error: BaseException, files: Iterable[File]) -> File | None:
    """Return the file that is gone, if `error` says so of one of them."""
    if not condition(error).startswith("PATH_NOT_FOUND"):
        return None
    text = text_of(error)
    return next((file for file in files if file.name in text), None)


def refuse_missing(spark: Any, files: Sequence[File]) -> None:
    """Raise the engine's error, without a query, if one of the files is gone."""
    if files:
        _ = spark.read.schema("x int").parquet(*(escaped(file.uri) for file in files)).schema
