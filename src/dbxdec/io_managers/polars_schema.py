"""Compares a frame with the Delta table it is written to, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError
from dbxdec.io_managers import columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl


def storable(frame: pl.DataFrame | pl.LazyFrame) -> tuple[pl.DataFrame | pl.LazyFrame, dict[str, pl.DataType]]:
    """`frame` in a form that delta-rs can write, and its columns with the types that the table gives back for them.

    Categories and enums become texts, since delta-rs panics on them, arrays lists, since files that hold arrays can't
    be read together, and timestamps count microseconds, since delta-rs rounds them another way than Polars. Raises
    RunError, naming every such column, for types that Delta has no form for, and for names that differ only in case.
    """
    schema = frame.collect_schema()
    problems = columns.names_alike(schema)
    homeless = {name: str(dtype) for name, dtype in schema.items() if not _has_form(dtype)}
    if homeless:
        lines = "".join(f"\n    {name}: {dtype}" for name, dtype in homeless.items())
        problems.append(
            Problem(
                f"a Delta table can't hold these columns:{lines}",
                hint="cast them in the task: a Null column to the type it is meant to have, Time and Duration to Int64",
            )
        )
    if problems:
        raise RunError(problems)
    stored = {name: _stored(dtype) for name, dtype in schema.items()}
    casts: dict[Any, pl.DataType] = {name: stored[name] for name, dtype in schema.items() if _needs_cast(dtype)}
    return (frame.cast(casts) if casts else frame), stored


def has_nested_unsigned(schema: Mapping[str, pl.DataType]) -> bool:
    """Whether unsigned integers are inside lists or structs."""
    return any(
        dtype.is_nested() and any(node.is_unsigned_integer() for node in _nodes(dtype)) for dtype in schema.values()
    )


def check_partitions(schema: Mapping[str, pl.DataType], partitions: Sequence[str], *, task: str) -> None:
    """Raise RunError where a frame of `schema` can't be stored by `partitions`, with everything that is wrong."""
    missing = [name for name in partitions if name not in schema]
    unfit = {name: schema[name] for name in partitions if name in schema and not _can_part(schema[name])}
    columns.check_partitions(list(schema), missing, unfit, alone=not set(schema) - set(partitions), task=task)


def _can_part(dtype: pl.DataType) -> bool:
    """Whether delta-rs writes partitions by this type that Polars can read back."""
    import polars as pl

    return not (dtype.is_nested() or isinstance(dtype, pl.Binary))


def _has_form(dtype: pl.DataType) -> bool:
    import polars as pl

    whole = pl.Int8 | pl.Int16 | pl.Int32 | pl.Int64 | pl.UInt8 | pl.UInt16 | pl.UInt32 | pl.UInt64
    plain = whole | pl.Float32 | pl.Float64 | pl.Decimal | pl.Boolean | pl.Date | pl.Datetime
    texts = pl.String | pl.Categorical | pl.Enum | pl.Binary
    lists = pl.List | pl.Array
    # A file of Parquet can't hold a Struct without fields.
    return all(
        bool(node.fields) if isinstance(node, pl.Struct) else isinstance(node, plain | texts | lists)
        for node in _nodes(dtype)
    )


def _needs_cast(dtype: pl.DataType) -> bool:
    import polars as pl

    return any(
        isinstance(node, pl.Categorical | pl.Enum | pl.Array)
        or (isinstance(node, pl.Datetime) and node.time_unit != "us")
        for node in _nodes(dtype)
    )


def _nodes(dtype: Any) -> Iterator[pl.DataType]:
    """The type and those inside it."""
    yield dtype
    if (inner := getattr(dtype, "inner", None)) is not None:
        yield from _nodes(inner)
    for field in getattr(dtype, "fields", ()):
        yield from _nodes(field.dtype)


def _stored(dtype: pl.DataType) -> pl.DataType:
    """The type that comes back: Delta has no unsigned integers, categories, fixed lists, or other time units."""
    import polars as pl

    match dtype:
        case pl.UInt8():
            return pl.Int8()
        case pl.UInt16():
            return pl.Int16()
        case pl.UInt32():
            return pl.Int32()
        case pl.UInt64():
            return pl.Int64()
        case pl.Categorical() | pl.Enum():
            return pl.String()
        case pl.Datetime():
            return pl.Datetime("us", "UTC" if dtype.time_zone else None)
        case pl.List() | pl.Array():
            return pl.List(_stored(dtype.inner))  # type: ignore[arg-type]
        case pl.Struct():
            return pl.Struct([pl.Field(field.name, _stored(field.dtype)) for field in dtype.fields])  # type: ignore[arg-type]
        case _:
            return dtype
