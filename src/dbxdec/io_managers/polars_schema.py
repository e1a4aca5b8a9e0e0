"""Compares a frame with the Delta table it is written to, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl


def storable(frame: pl.DataFrame | pl.LazyFrame) -> tuple[pl.DataFrame | pl.LazyFrame, dict[str, pl.DataType]]:
    """`frame` in a form that delta-rs can write, and its columns with the types that the table gives back for them.

    Categories and enums become texts, since delta-rs panics on them, and arrays lists, since files that hold arrays
    can't be read together. Raises RunError, naming every such column, for types that Delta has no form for.
    """
    schema = frame.collect_schema()
    homeless = {name: str(dtype) for name, dtype in schema.items() if not _has_form(dtype)}
    if homeless:
        columns = "".join(f"\n    {name}: {dtype}" for name, dtype in homeless.items())
        raise RunError(
            f"a Delta table can't hold these columns:{columns}",
            hint="cast them in the task: a Null column to the type it is meant to have, Time and Duration to Int64",
        )
    stored = {name: _stored(dtype) for name, dtype in schema.items()}
    casts: dict[Any, pl.DataType] = {name: stored[name] for name, dtype in schema.items() if _needs_cast(dtype)}
    return (frame.cast(casts) if casts else frame), stored


def check(frame: Mapping[str, pl.DataType], table: Mapping[str, pl.DataType], *, policy: str, uri: str) -> None:
    """Raise RunError with every difference that `policy` ("strict", "add-columns", "replace") does not allow."""
    if policy == "replace":
        return
    rows = []
    for name in [*table, *(name for name in frame if name not in table)]:
        here, there = table.get(name), frame.get(name)
        allowed = here == there or (policy == "add-columns" and (here is None or there is None))
        if not allowed:
            rows.append((name, str(here) if here is not None else "-", str(there) if there is not None else "-"))
    if not rows:
        return
    rows.insert(0, ("column", "table", "result"))
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    lines = "".join(f"\n    {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}" for row in rows)
    changed = any("-" not in row[1:] for row in rows[1:])
    raise RunError(
        f"the result does not have the columns of the table {uri}:{lines}",
        hint="cast or rename in the task"
        + ("" if changed else ', or let the table grow with schema="add-columns"')
        + '; mode="overwrite" with schema="replace" gives the table a new schema',
    )


def refuse_negative_decimals(
    frame: pl.DataFrame | pl.LazyFrame, partitions: Sequence[str]
) -> pl.DataFrame | pl.LazyFrame:
    """`frame`, with a check of its decimal partition columns; of a LazyFrame's while it runs.

    delta-rs 1.6 writes the partition value -1.50 as "-1.-50" into the log, after which nobody can open the table.
    The check raises RunError.
    """
    import polars as pl

    schema = frame.collect_schema()
    decimals = [name for name in partitions if isinstance(schema[name], pl.Decimal)]

    def check(data: pl.DataFrame) -> pl.DataFrame:
        for name in decimals:
            if data.select((pl.col(name) < 0).any()).item():
                raise RunError(
                    f"the partition column `{name}` has negative decimals, which delta-rs writes wrongly",
                    hint="partition by another column, or cast it to Int64 or String in the task",
                )
        return data

    if not decimals:
        return frame
    return check(frame) if isinstance(frame, pl.DataFrame) else frame.map_batches(check, streamable=True)


def _has_form(dtype: pl.DataType) -> bool:
    import polars as pl

    return not any(isinstance(node, pl.Null | pl.Time | pl.Duration | pl.Int128 | pl.Object) for node in _nodes(dtype))


def _needs_cast(dtype: pl.DataType) -> bool:
    import polars as pl

    return any(isinstance(node, pl.Categorical | pl.Enum | pl.Array) for node in _nodes(dtype))


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
