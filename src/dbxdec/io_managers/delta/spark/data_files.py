"""The rows of files that commits have added or removed, each with facts of its own, in one read of all files."""

from __future__ import annotations

import functools
import string
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dbxdec.io_managers.delta.spark.column_names import Stored
from dbxdec.io_managers.delta.spark.reader import metadata_of
from dbxdec.io_managers.spark_frames import escaped, quoted
from dbxdec.io_managers.spark_session import condition, text_of
from dbxdec.model.changes import CHANGE, MOMENT, VERSION
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

AS_IT_IS = Stored()
_LEGAL = frozenset(string.ascii_letters + string.digits + "_-!.~'()*,;:$&+=@")


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

    @property
    def told(self) -> str:
        """The name as `_metadata.file_name` has it: encoded as the path of a URI by Java (java.net.URI, "quoted")."""
        return "".join(map(_encoded, self.name))


def _encoded(character: str) -> str:
    is_kept = character in _LEGAL if character.isascii() else character.isprintable()
    return character if is_kept else quote(character, safe="")


def read(
    spark: Any,
    files: Sequence[File],
    schema: Any,
    *,
    kind: str | None,
    stored: Stored = AS_IT_IS,
) -> Any:
    """Return the rows of the files with the columns of `schema`, and those of the feed where `kind` is their change.

    Raises the engine's error if a file is gone, before the query runs; `missing` tells which.
    """
    from pyspark.sql.types import StructField, StructType

    frames = []
    for partitions, alike in _by_partitions(files, schema, stored):
        inside = StructType(
            [
                StructField(stored.name(field.name), stored.kind(field.name, field.dataType))
                for field in schema
                if field.name not in partitions
            ]
        )
        for layer in _layers(alike):
            frame = spark.read.schema(inside).parquet(*(escaped(file.uri) for file in layer))
            frames.append(labelled(frame, layer, schema, partitions, kind=kind, stored=stored))
    found = functools.reduce(lambda one, other: one.unionAll(other), frames)
    _ = found.schema  # only this looks a Connect frame up
    return found


def _by_partitions(files: Iterable[File], schema: Any, stored: Stored) -> Iterator[tuple[list[str], list[File]]]:
    """Yield the columns by which files are partitioned, with these files: other ones for those of before a change."""
    alike: dict[frozenset[str], list[File]] = {}
    for file in files:
        alike.setdefault(frozenset(file.partition), []).append(file)
    for names, group in alike.items():
        yield [name for name in schema.names if stored.name(name) in names], group


def labelled(
    frame: Any,
    files: Sequence[File],
    schema: Any,
    partitions: Sequence[str],
    *,
    kind: str | None,
    stored: Stored = AS_IT_IS,
) -> Any:
    """Return the rows of `frame`, which come from `files` with names of their own, with what is known of each file."""
    from pyspark.sql import functions

    columns = {name: _typed(schema[name].dataType) for name in partitions}
    values = [[file.partition.get(stored.name(name)) for name in partitions] for file in files]
    if kind is not None:
        columns |= {VERSION: "CAST({} AS BIGINT)", MOMENT: "timestamp_millis(CAST({} AS BIGINT))"}
        values = [
            [*given, *(None if one is None else str(one) for one in (file.version, file.moment))]
            for given, file in zip(values, files, strict=True)
        ]
    free = "_" * (max(map(len, [*frame.columns, *schema.names, *columns]), default=0) + 1)  # the beginning of no name
    labels = [f"{free}{number}" for number in range(len(columns))]
    if len({tuple(given) for given in values}) == 1:
        for label, value in zip(labels, values[0], strict=True):
            frame = frame.withColumn(label, functions.lit(value).cast("string"))
    else:
        # A join, since a union of thousands of reads takes Spark minutes to plan.
        name = f"{free}f"
        kinds = ", ".join(f"{label} STRING" for label in [name, *labels])
        rows = [(file.told, *given) for file, given in zip(files, values, strict=True)]
        known = frame.sparkSession.createDataFrame(rows, kinds)
        named = frame.withColumn(name, metadata_of(frame)["file_name"])
        frame = named.join(functions.broadcast(known), on=name, how="inner")
    made = {
        column: functions.expr(columns[column].format(label)) for column, label in zip(columns, labels, strict=True)
    }
    chosen = [made[field.name] if field.name in made else _own(field, stored) for field in schema]
    chosen = [column.alias(name) for column, name in zip(chosen, schema.names, strict=True)]
    if kind is not None:
        chosen += [functions.lit(kind).alias(CHANGE), made[VERSION].alias(VERSION), made[MOMENT].alias(MOMENT)]
    return frame.select(*chosen)


def _own(field: Any, stored: Stored) -> Any:
    """Return a column of the files as the table has it: the fields of a struct keep their places."""
    from pyspark.sql import functions

    column = functions.col(quoted(stored.name(field.name)))
    return column.cast(field.dataType) if field.name in stored.columns else column


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
