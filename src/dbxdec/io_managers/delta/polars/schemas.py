"""A Polars frame's columns in the types in which the Delta table stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError
from dbxdec.io_managers import columns
from dbxdec.io_managers.polars_frames import cast, nodes, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl


def storable(
    frame: pl.DataFrame | pl.LazyFrame, table: Mapping[str, pl.DataType] | None = None, *, policy: str = "strict"
) -> tuple[pl.DataFrame | pl.LazyFrame, dict[str, pl.DataType]]:
    """Return `frame` in a form that delta-rs can write, and its columns with the types that the table gives back.

    Categories and enums become strings, since delta-rs panics on them. Arrays become lists, since files that hold
    arrays can't be read together. Timestamps count microseconds, since delta-rs rounds them differently than Polars.

    `table` has the columns of an existing table. It gives columns of only nulls their types, and the fields of structs
    their order; fields that a struct lacks are null in it. With the `policy` "replace" it gives only types.

    Raises RunError, naming every such column, for types that Delta can't store, and for names that it can't have.
    """
    schema = frame.collect_schema()
    fitted = {
        name: _fitted(dtype, (table or {}).get(name), whole=policy != "replace") for name, dtype in schema.items()
    }
    problems = columns.unfit_names([*shapes(schema).items()])
    homeless = {name: str(dtype) for name, dtype in fitted.items() if not _has_form(dtype)}
    if homeless:
        lines = "".join(f"\n    {name}: {dtype}" for name, dtype in homeless.items())
        problems.append(
            Problem(
                f"a Delta table can't hold these columns:{lines}",
                hint="cast them in the task: a Null column to its intended type, Time and Duration to Int64, 128-bit "
                "integers to Decimal(38, 0), Float16 to Float32; inside of maps unsigned integers to signed ones, and "
                "timestamps to those with a time zone",
            )
        )
    if problems:
        raise RunError(problems)
    schema_ = stored(fitted)
    casts: dict[Any, pl.DataType] = {
        name: schema_[name] if _needs_cast(fitted[name]) else fitted[name]
        for name, dtype in schema.items()
        if _needs_cast(fitted[name]) or dtype != fitted[name]
    }
    # Older versions of Polars take the numbers behind times and categories when an array becomes another list.
    lists: dict[Any, pl.DataType] = {name: _listed(schema[name]) for name in casts if _has_array(schema[name])}
    return cast(_keep_moments(cast(frame, lists), {**schema, **lists}, casts), casts), schema_


def _keep_moments(
    frame: pl.DataFrame | pl.LazyFrame, schema: Mapping[str, pl.DataType], casts: Mapping[str, pl.DataType]
) -> pl.DataFrame | pl.LazyFrame:
    """Return `frame` with a check that no timestamp loses nanoseconds, which raises RunError."""
    import polars as pl

    fine = {name: dtype for name, dtype in schema.items() if name in casts and _has_unit(dtype, "ns")}

    def check(data: pl.DataFrame) -> pl.DataFrame:
        for name, dtype in fine.items():
            column = data[name]
            changed = column.ne_missing(column.cast(casts[name]).cast(dtype))
            if (lost := column.filter(changed).head(1)).len():
                raise RunError(
                    f"the column `{name}` has a timestamp that Delta can't hold, since its timestamps are whole "
                    f"microseconds: {lost[0] if dtype.is_nested() else lost.cast(pl.String)[0]}",
                    hint=f'round it in the task, such as by `pl.col("{name}").dt.round("1us")`, or keep it as Int64',
                )
        return data

    return watched(frame, check) if fine else frame


def _has_unit(dtype: pl.DataType, *units: str) -> bool:
    import polars as pl

    return any(isinstance(node, pl.Datetime) and node.time_unit in units for node in nodes(dtype))


def shapes(schema: Mapping[str, pl.DataType]) -> dict[str, columns.Shape]:
    """Return the shapes of the types of `schema` as they are stored, by which tables are compared."""
    return {name: _shape(dtype) for name, dtype in stored(schema).items()}


def stored(schema: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """Return the types that a table gives back for those of `schema`."""
    return {name: _stored(dtype) for name, dtype in schema.items()}


def added(schema: Mapping[str, pl.DataType], table: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """Return what `schema` has and `table` lacks: columns, and new fields of the structs in existing columns."""
    parts = {name: _added(dtype, table.get(name)) for name, dtype in schema.items()}
    return {name: part for name, part in parts.items() if part is not None}


def _added(dtype: Any, table: Any) -> pl.DataType | None:
    import polars as pl

    if table is None:
        whole: pl.DataType = dtype
        return whole
    if isinstance(dtype, pl.List) and isinstance(table, pl.List):
        inner = _added(dtype.inner, table.inner)
        return None if inner is None else pl.List(inner)
    if isinstance(dtype, pl.Struct) and isinstance(table, pl.Struct):
        fields = added(_fields(dtype), _fields(table))
        return pl.Struct([pl.Field(name, part) for name, part in fields.items()]) if fields else None
    return None


def grown_lists(schema: Mapping[str, pl.DataType], table: Mapping[str, pl.DataType]) -> list[str]:
    """Return the columns in which structs inside of lists have fields that those of `table` lack."""
    return [name for name, dtype in schema.items() if name in table and _grows_list(dtype, table[name])]


def _grows_list(dtype: Any, table: Any) -> bool:
    import polars as pl

    if isinstance(dtype, pl.List) and isinstance(table, pl.List):
        return _added(dtype.inner, table.inner) is not None
    if isinstance(dtype, pl.Struct) and isinstance(table, pl.Struct):
        return bool(grown_lists(_fields(dtype), _fields(table)))
    return False


def filled(frame: pl.DataFrame | pl.LazyFrame, table: Mapping[str, pl.DataType]) -> pl.DataFrame | pl.LazyFrame:
    """Return `frame` with nulls for the columns of `table` that it lacks."""
    import polars as pl

    there = frame.collect_schema()
    return frame.with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in table.items() if name not in there
    )


def _shape(dtype: Any) -> columns.Shape:
    import polars as pl

    if isinstance(dtype, pl.Struct):
        return columns.Shape(str(dtype), tuple((field.name, _shape(field.dtype)) for field in dtype.fields))
    if isinstance(dtype, pl.List):
        return columns.Shape(str(dtype), parts=(_shape(dtype.inner),))
    return columns.Shape(str(dtype), open=dtype == pl.Null)


def _fitted(dtype: Any, table: Any, *, whole: bool) -> pl.DataType:
    """Return `dtype` with the types of `table` in place of nulls, and with `whole` with the fields of its structs."""
    import polars as pl

    fitted: pl.DataType = dtype
    if table is None:
        return fitted
    if isinstance(dtype, pl.Null):
        fitted = table
    elif isinstance(dtype, pl.List | pl.Array) and isinstance(table, pl.List):
        fitted = pl.List(_fitted(dtype.inner, table.inner, whole=whole))
    elif isinstance(dtype, pl.Struct) and isinstance(table, pl.Struct):
        own, there = _fields(dtype), _fields(table)
        # A field whose name differs only in case is named by the comparison with the table.
        alike = {name.lower() for name in own}
        others = [name for name in there if name in own or name.lower() not in alike]
        names = dict.fromkeys([*others, *own]) if whole else own
        fitted = pl.Struct(
            [pl.Field(n, _fitted(own[n], there.get(n), whole=whole) if n in own else there[n]) for n in names]
        )
    return fitted


def is_for_delta_rs(schema: Mapping[str, pl.DataType]) -> bool:
    """Return whether only delta-rs stores such columns: maps, and unsigned integers in lists or structs.

    The groups in Polars' Parquet files of maps lack the names that the format prescribes.
    """
    nested = [[*nodes(dtype)] for dtype in schema.values() if dtype.is_nested()]
    return any(_is_map(node) or node.is_unsigned_integer() for inner in nested for node in inner)


def unsigned_field(schema: Mapping[str, pl.DataType], name: str) -> str:
    """Return the name of a field of unsigned integers with the columns that it is in, as in `s.a`.

    It is `name` alone where several fields may be meant. Items of lists have the name of their list.
    """
    found = [
        path for column, dtype in schema.items() for last, path in _unsigned(dtype, column, column) if last == name
    ]
    return found[0] if len(found) == 1 else name


def _unsigned(dtype: Any, last: str, path: str) -> Iterator[tuple[str, str]]:
    """Yield the last name and the path of each field of unsigned integers, as delta-rs names them."""
    if dtype.is_unsigned_integer():
        yield last, path
    for part in getattr(dtype, "fields", ()):
        yield from _unsigned(part.dtype, part.name, f"{path}.{part.name}")
    if (inner := getattr(dtype, "inner", None)) is not None:
        yield from _unsigned(inner, "item", path)


def _is_map(dtype: pl.DataType) -> bool:
    import polars as pl

    kind = getattr(pl, "Map", None)  # Polars 2; older versions have maps as lists of structs
    return kind is not None and isinstance(dtype, kind)


def _map_of(dtype: Any, change: Callable[[Any], pl.DataType]) -> pl.DataType:
    """Return the type of a map with other types of its keys and values."""
    return type(dtype)(change(dtype.key), change(dtype.value))  # type: ignore[no-any-return]


def check_partitions(schema: Mapping[str, pl.DataType], partitions: Sequence[str], *, task: str) -> None:
    """Raise RunError with all problems if a frame of `schema` can't be stored by `partitions`."""
    missing = [name for name in partitions if name not in schema]
    unfit = {name: schema[name] for name in partitions if name in schema and not _can_part(schema[name])}
    columns.check_partitions(list(schema), missing, unfit, alone=not set(schema) - set(partitions), task=task)


def _can_part(dtype: pl.DataType) -> bool:
    """Return whether delta-rs writes partitions of this type so that Polars can read them back."""
    import polars as pl

    return not (dtype.is_nested() or isinstance(dtype, pl.Binary))


def _has_form(dtype: pl.DataType) -> bool:
    import polars as pl

    whole = pl.Int8 | pl.Int16 | pl.Int32 | pl.Int64 | pl.UInt8 | pl.UInt16 | pl.UInt32 | pl.UInt64
    plain = whole | pl.Float32 | pl.Float64 | pl.Decimal | pl.Boolean | pl.Date | pl.Datetime
    texts = pl.String | pl.Categorical | pl.Enum | pl.Binary
    lists = pl.List | pl.Array
    # A Parquet file can't hold a Struct without fields.
    return all(
        bool(node.fields) if isinstance(node, pl.Struct) else isinstance(node, plain | texts | lists) or _is_map(node)
        for node in nodes(dtype)
    ) and not _spoils_map(dtype)


def _spoils_map(dtype: pl.DataType) -> bool:
    """Return whether a map has types inside of which delta-rs makes tables that nobody can read."""
    import polars as pl

    inside = [node for outer in nodes(dtype) if _is_map(outer) for node in nodes(outer)]
    return any(
        node.is_unsigned_integer() or (isinstance(node, pl.Datetime) and node.time_zone is None) for node in inside
    )


def _has_array(dtype: pl.DataType) -> bool:
    import polars as pl

    return any(isinstance(node, pl.Array) for node in nodes(dtype))


def _listed(dtype: Any) -> pl.DataType:
    """Return the type with a list in the place of each array."""
    import polars as pl

    match dtype:
        case pl.List() | pl.Array():
            return pl.List(_listed(dtype.inner))
        case pl.Struct():
            return pl.Struct([pl.Field(field.name, _listed(field.dtype)) for field in dtype.fields])
        case _ if _is_map(dtype):
            return _map_of(dtype, _listed)
        case _:
            return dtype  # type: ignore[no-any-return]


def _needs_cast(dtype: pl.DataType) -> bool:
    import polars as pl

    others = any(isinstance(node, pl.Categorical | pl.Enum | pl.Array) for node in nodes(dtype))
    return others or _has_unit(dtype, "ms", "ns")


def _fields(dtype: pl.Struct) -> dict[str, pl.DataType]:
    return {field.name: field.dtype for field in dtype.fields}  # type: ignore[misc]


def _stored(dtype: pl.DataType) -> pl.DataType:
    """Return the type that comes back: Delta has no unsigned integers, categories, fixed lists, or other time units."""
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
        case _ if _is_map(dtype):
            return _map_of(dtype, _stored)
        case _:
            return dtype
