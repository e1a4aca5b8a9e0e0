"""Arrow's tables, and its readers, which are batches that come one after another."""

from __future__ import annotations

import weakref
from collections import Counter
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError
from dbxdec.io_managers.frames import arrow_values, batches
from dbxdec.io_managers.polars_frames import nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import polars as pl
    import pyarrow as pa

_read: weakref.WeakSet[pa.RecordBatchReader] = weakref.WeakSet()
"""The readers of which it is known that their rows are gone, or will be: one does not tell that itself."""


def reader(frame: pl.LazyFrame) -> pa.RecordBatchReader:
    """Return the rows of `frame` as a reader, which runs the query as it is read."""
    import polars as pl
    import pyarrow as pa

    def rows() -> Iterator[pa.RecordBatch]:
        note_begin()  # no variable here may hold the reader, which holds this generator
        for batch in batches.of(frame):
            yield from batch.to_arrow().to_batches()

    def note_begin() -> None:
        if (own := made[0]()) is not None:
            _read.add(own)

    made: list[weakref.ref[pa.RecordBatchReader]] = []
    schema = pl.DataFrame(schema=frame.collect_schema()).to_arrow().schema
    found = pa.RecordBatchReader.from_batches(schema, rows())
    made.append(weakref.ref(found))
    return found


def refuse_unknown(
    schema: pl.Schema, parameter: str, library: str, has: Callable[[pl.DataType], bool] = lambda _: True
) -> None:
    """Raise RunError, naming them all, for columns of types that Arrow lacks, or that a library does not have."""
    import polars as pl

    lacking = pl.Int128 | pl.UInt128 | pl.Object
    wrong = {
        name: str(kind)
        for name, kind in schema.items()
        if not all(has(one) and not isinstance(one, lacking) for one in nodes(kind))
    }
    if wrong:
        lines = "".join(f"\n    {name}: {kind}" for name, kind in wrong.items())
        raise RunError(
            f"the parameter `{parameter}` has columns of types that {library} does not have:{lines}",
            hint="cast them where they are written, or annotate a pl.LazyFrame",
        )


def of_table(table: pa.Table, what: str) -> pl.DataFrame:
    """Return a table as a Polars frame. `what` describes the table in errors."""
    schema_of(table.schema, what)
    arrow_values.refuse_lost(table, what)
    arrow_values.refuse_broken(table, what)
    return frame_of(table)


def of_reader(found: pa.RecordBatchReader, what: str) -> pl.LazyFrame:
    """Return a LazyFrame of what a reader yields; it can be run once.

    Raises RunError for a reader that is known to have been read: it would yield nothing.
    """
    begun = False
    schema = schema_of(found.schema, what)
    if found in _read:
        raise RunError(
            f"{what} is a pa.RecordBatchReader that has been read, by the task or for another output",
            hint="return another reader for each output, or a pa.Table, which can be read again",
        )
    _read.add(found)

    def run() -> Iterator[pl.DataFrame]:
        nonlocal begun
        if begun:
            raise RunError(
                f"{what} can be read once, but its rows are needed again",
                hint="another writer has changed the table in between: run the task again, or return a pa.Table",
            )
        begun = True
        for batch in found:
            arrow_values.refuse_lost(batch, what)
            arrow_values.refuse_broken(batch, what)
            refuse_other(frame := frame_of(batch), schema, what)
            yield frame

    return batches.lazily(schema, run)


def refuse_other(batch: pl.DataFrame, schema: pl.Schema, what: str) -> None:
    """Raise RunError for a batch of other columns than its reader has said: nothing compares them before."""
    if dict(batch.schema) != dict(schema):
        batch_has, said = (", ".join(f"{name}: {kind}" for name, kind in one.items()) for one in (batch.schema, schema))
        raise RunError(
            f"{what} yields a batch of other columns than its schema has: {batch_has}",
            hint=f"its schema is {said}",
        )


def frame_of(data: pa.Table | pa.RecordBatch) -> pl.DataFrame:
    """Return the Polars frame of a table or batch."""
    import polars as pl

    found = pl.from_arrow(_unsliced(data), rechunk=False)
    assert isinstance(found, pl.DataFrame)  # noqa: S101 - only an array becomes a Series
    return found


def _unsliced(data: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
    """Return `data` with copies of lists of a fixed size, of which Polars 2.1 can't read a part of an array."""
    import pyarrow as pa

    fixed = [
        i for i, field in enumerate(data.schema) if _holds(field, lambda one: pa.types.is_fixed_size_list(one.type))
    ]
    if not fixed:
        return data
    if isinstance(
        data, pa.Table
    ):  # Polars reads its batches, which are parts of arrays where columns are cut elsewhere
        return pa.Table.from_batches(map(_unsliced, data.to_batches()), data.schema)
    every = pa.array(range(len(data)), pa.int64())
    for i in fixed:
        data = data.set_column(i, data.schema.field(i), data.column(i).take(every))
    return data


def schema_of(schema: pa.Schema, what: str) -> pl.Schema:
    """Return the types that Polars has for the columns of `schema`.

    Raises RunError, with all problems, for names that are there twice and types that Polars does not have.
    """
    import polars as pl
    import pyarrow as pa

    refuse_repeated(schema.names, what)
    found, wrong = {}, {}
    for field in schema:
        try:
            if _holds(field, _is_unknown):
                raise TypeError
            found[field.name] = frame_of(pa.schema([field]).empty_table()).schema[field.name]
        except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - whatever Polars raises, it can't take the type
            wrong[field.name] = str(field.type) + _extension(field)
    if wrong:
        raise unfit(wrong, what)
    return pl.Schema(found)


def _is_unknown(field: pa.Field) -> bool:
    """Return whether Polars does not take values of this type as what they are: it panics, or takes their storage."""
    import pyarrow as pa

    kind = field.type
    return (
        isinstance(kind, pa.BaseExtensionType)
        or _extension(field) != ""
        or pa.types.is_interval(kind)
        or pa.types.is_decimal256(kind)
        or (pa.types.is_dictionary(kind) and pa.types.is_dictionary(kind.value_type))
        or (pa.types.is_fixed_size_list(kind) and not kind.list_size)
    )


def _extension(field: pa.Field) -> str:
    """Return the name, in brackets, of an extension type that pyarrow does not know: its storage is the type then."""
    name = (field.metadata or {}).get(b"ARROW:extension:name", b"")
    return f" ({name.decode(errors='replace')})" if name else ""


def _holds(field: pa.Field, is_one: Callable[[pa.Field], bool]) -> bool:
    """Return whether a field, or one inside of it, is one of those that `is_one` tells."""
    import pyarrow as pa

    if is_one(field):
        return True
    if pa.types.is_dictionary(field.type):
        return _holds(pa.field("", field.type.value_type), is_one)
    return any(_holds(field.type.field(i), is_one) for i in range(field.type.num_fields))


def refuse_repeated(names: Iterable[str], what: str) -> None:
    """Raise RunError, naming them all, for columns of the same name."""
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise RunError(
            Problem(f"{what} has columns of the same name: {', '.join(map(repr, repeated))}", hint="rename them")
        )


def unfit(wrong: dict[str, str], what: str) -> RunError:
    """Return the error of columns whose types can't be stored."""
    lines = "".join(f"\n    {name}: {kind}" for name, kind in wrong.items())
    return RunError(f"{what} has columns that can't be stored:{lines}", hint="cast them in the task")
