"""Encoding of Polars frames as Parquet, CSV and NDJSON so that they are read back equal, types included."""

from __future__ import annotations

import base64
import glob
import io
import itertools
import os
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.files.stores import LocalStore, is_local, refused
from dbxdec.io_managers.polars_frames import field_at, named, with_keys
from dbxdec.support.boundary import hint_of_full

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

_MOMENT = "%Y-%m-%dT%H:%M:%S%.f"


def schema_to_text(schema: Mapping[str, pl.DataType]) -> str:
    """Return a schema as a string for the receipt beside the files."""
    import polars as pl

    buffer = io.BytesIO()
    pl.DataFrame(schema=dict(schema)).write_ipc(buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def schema_from_text(text: str) -> dict[str, pl.DataType]:
    """Return the schema in a string of `schema_to_text`."""
    import polars as pl

    return dict(pl.read_ipc(io.BytesIO(base64.b64decode(text))).schema)


def is_partition(kind: pl.DataType) -> bool:
    """Return whether values of this type can name folders and be read back from those names."""
    import polars as pl

    return kind.is_integer() or isinstance(kind, pl.String | pl.Boolean | pl.Date)


def is_flat(kind: pl.DataType) -> bool:
    """Return whether a single string can hold values of this type."""
    import polars as pl

    return not (kind.is_nested() or isinstance(kind, pl.Binary | pl.Object | pl.Null))


def is_plain_nested(kind: pl.DataType) -> bool:
    """Return whether JSON can represent values of this type: lists and structs of strings, numbers and booleans."""
    import polars as pl

    if isinstance(kind, pl.List | pl.Array):
        return isinstance(kind, pl.List) and is_plain_nested(_typed(kind.inner))
    if isinstance(kind, pl.Struct):
        return all(is_plain_nested(_typed(field.dtype)) for field in kind.fields)
    return kind.is_integer() or kind.is_float() or isinstance(kind, pl.String | pl.Boolean)


def is_in_parquet(kind: pl.DataType) -> bool:
    """Return whether Parquet can hold values of this type: it has no structs without fields."""
    import polars as pl

    if isinstance(kind, pl.List | pl.Array):
        return is_in_parquet(_typed(kind.inner))
    if isinstance(kind, pl.Struct):
        return bool(kind.fields) and all(is_in_parquet(_typed(field.dtype)) for field in kind.fields)
    return not isinstance(kind, pl.Object)


def _typed(kind: Any) -> pl.DataType:
    found: pl.DataType = kind() if isinstance(kind, type) else kind
    return found


def _schema(facts: Mapping[str, Any] | None) -> dict[str, pl.DataType] | None:
    """Return the types as they were written; None for files of another engine or another program."""
    text = (facts or {}).get("polars")
    return None if text is None else schema_from_text(text)


def scan_parquet(
    place: str | list[str], facts: Mapping[str, Any] | None, options: dict[str, str] | None
) -> pl.LazyFrame:
    """Return the Parquet files at `place`: a file, or a folder of files, also in folders of partitions."""
    import polars as pl

    if facts is None:
        # Of a folder, Polars takes the partitions in its paths by itself.
        parted = True if isinstance(place, list) and any("=" in os.path.dirname(path) for path in place) else None
        return pl.scan_parquet(place, storage_options=options, hive_partitioning=parted)
    schema = _schema(facts)
    if schema is None:  # Spark keeps other files there as well
        return pl.scan_parquet(
            f"{glob.escape(str(place))}/**/*.parquet", storage_options=options, hive_partitioning=True
        )
    # All columns are in the files, so the names of folders don't matter.
    frame = pl.scan_parquet(
        f"{place}/",
        glob=False,  # on object storage its patterns don't match umlauts
        storage_options=options,
        hive_partitioning=False,
    )
    return frame.select(map(named, schema))


def sink_parquet(
    frame: pl.DataFrame | pl.LazyFrame, folder: str, partitions: Sequence[str], options: dict[str, str] | None
) -> int:
    """Write Parquet files below `folder` and return the number of rows. An empty frame is one file without rows."""
    import polars as pl

    counted, rows = _counted(frame)
    if not partitions:
        place = f"{folder}/0.parquet"
        _sink(lambda: counted.sink_parquet(place, mkdir=True, storage_options=options), place)
        return rows()
    if is_local(folder):
        LocalStore(folder).folder.mkdir(parents=True, exist_ok=True)
    places = itertools.count()
    # Not every value can name a folder, so readers find the values in the files.
    parted, keys = with_keys(counted, partitions)
    target = pl.PartitionBy(
        folder, key=keys, include_key=False, file_path_provider=lambda _: f"{next(places):05}.parquet"
    )
    _sink(lambda: parted.sink_parquet(target, mkdir=True, storage_options=options), folder)
    if rows() == 0:  # a folder without files has no schema
        empty = pl.LazyFrame(schema=frame.collect_schema())
        _sink(lambda: empty.sink_parquet(f"{folder}/00000.parquet", mkdir=True, storage_options=options), folder)
    return rows()


def sink_text(
    frame: pl.DataFrame | pl.LazyFrame,
    folder: str,
    schema: Mapping[str, pl.DataType],
    suffix: str,
    options: dict[str, str] | None,
) -> int:
    """Write one CSV or NDJSON file below `folder`, with values that `scan_*` reads back equal."""
    checked = _without_nan(frame.lazy(), schema) if suffix == "ndjson" else frame.lazy()
    counted, rows = _counted(checked)
    texts = counted.select(_encode(name, kind) for name, kind in schema.items())
    sink: Callable[[], Any]
    place = f"{folder}/0.{suffix}"
    if suffix == "csv":
        # Readers treat a byte order mark at the beginning as the file's, not as a part of the name.
        mark = next(iter(schema), "").startswith("\ufeff")
        sink = lambda: texts.sink_csv(place, include_bom=mark, mkdir=True, storage_options=options)  # noqa: E731
    else:
        _pattern(folder)
        sink = lambda: texts.sink_ndjson(place, mkdir=True, storage_options=options)  # noqa: E731
    _sink(sink, place)
    return rows()


def _sink(sink: Callable[[], Any], place: str) -> None:
    """Write to `place`. Raises RunError if the storage refuses; errors of the query pass as they are."""
    import polars as pl

    try:
        sink()
    except (OSError, pl.exceptions.ComputeError) as error:
        if hint_of_full(str(error)) is None and type(error) not in (OSError, PermissionError):
            raise
        raise refused(place, "written", error) from error


def scan_csv(place: str | list[str], facts: Mapping[str, Any] | None, options: dict[str, str] | None) -> pl.LazyFrame:
    """Return the CSV at `place`. Without a schema Polars guesses the types."""
    import polars as pl

    schema = _schema(facts)
    if schema is None:
        return pl.scan_csv(place, storage_options=options, try_parse_dates=True)
    raw = {name: _stored_type(kind) for name, kind in schema.items()}
    if not raw:
        return pl.LazyFrame()
    # By position: Polars reads names in a header with doubled quotes and without a byte order mark.
    frame = pl.scan_csv(
        f"{place}/0.csv",
        has_header=False,
        skip_rows=1,
        schema=raw,
        glob=False,
        raise_if_empty=False,
        storage_options=options,
    )
    return frame.select(_decode(name, kind) for name, kind in schema.items())


def scan_ndjson(
    place: str | list[str], facts: Mapping[str, Any] | None, options: dict[str, str] | None
) -> pl.LazyFrame:
    """Return the NDJSON at `place`. Without a schema Polars guesses the types."""
    import polars as pl

    schema = _schema(facts)
    if schema is None:
        return pl.scan_ndjson(place, storage_options=options, infer_schema_length=None)
    raw = {name: _stored_type(kind) for name, kind in schema.items()}
    if not raw:
        return pl.LazyFrame()
    frame = pl.scan_ndjson(f"{_pattern(str(place))}/0.ndjson", schema=raw, storage_options=options)
    return frame.select(_decode(name, kind) for name, kind in schema.items())


def _pattern(place: str) -> str:
    """Return the pattern that matches only `place`: Polars' reader of NDJSON treats every path as a pattern.

    Raises RunError without one: on object storage its patterns have no escapes.
    """
    if "[" in place and not is_local(place):
        raise RunError(
            f"NDJSON can't be read from {place}: Polars reads `[` as a pattern", hint="use a path without `[`"
        )
    return glob.escape(place)


def _counted(frame: pl.DataFrame | pl.LazyFrame) -> tuple[pl.LazyFrame, Callable[[], int]]:
    """Return `frame` and a function that gives the number of its rows once it has run."""
    import polars as pl

    if isinstance(frame, pl.DataFrame):
        return frame.lazy(), lambda: frame.height
    heights: list[int] = []

    def count(data: pl.DataFrame) -> pl.DataFrame:
        heights.append(data.height)
        return data

    return frame.map_batches(count, streamable=True), lambda: sum(heights)


def _without_nan(frame: pl.LazyFrame, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """Return `frame`, which then fails on numbers that JSON can't represent, also inside lists and structs."""
    floats = {name: finite for name, kind in schema.items() if (finite := _finite(kind, named(name))) is not None}
    if not floats:
        return frame

    def check(data: pl.DataFrame) -> pl.DataFrame:
        for name, finite in floats.items():
            if not data.select(finite.all()).item():
                raise RunError(
                    f"the column {name!r} has NaN or infinity, which JSON can't represent",
                    hint="make it null (`fill_nan(None)`), or store the result with PolarsParquetIoManager",
                )
        return data

    return frame.map_batches(check, streamable=True)


def _finite(kind: Any, value: pl.Expr) -> pl.Expr | None:
    """Return an expression for whether all floats in `value` are finite; None if it has no floats."""
    import polars as pl

    kind = _typed(kind)
    if kind.is_float():
        return value.is_finite().fill_null(value=True)
    if isinstance(kind, pl.List):
        inner = _finite(kind.inner, pl.element())
        return None if inner is None else value.list.eval(inner).list.all().fill_null(value=True)
    if isinstance(kind, pl.Struct):
        types = [one.dtype for one in kind.fields]
        fields = [_finite(inner, field_at(value, number, len(types))) for number, inner in enumerate(types)]
        found = [one for one in fields if one is not None]
        return pl.all_horizontal(found) if found else None
    return None


def _stored_type(kind: pl.DataType) -> pl.DataType:
    """Return the type of a column in the file."""
    import polars as pl

    if isinstance(kind, pl.Int8 | pl.Int16 | pl.UInt8 | pl.UInt16):
        return pl.Int32()  # Polars panics when it reads smaller ones from JSON
    if kind.is_nested() or kind.is_integer() or kind.is_float() or isinstance(kind, pl.Boolean | pl.String):
        return kind
    return pl.Int64() if isinstance(kind, pl.Duration) else pl.String()


def _encode(name: str, kind: pl.DataType) -> pl.Expr:
    import polars as pl

    column = named(name)
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is not None:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return column.dt.to_string(_MOMENT)
    if isinstance(kind, pl.Date):
        return column.dt.to_string("%Y-%m-%d")
    if isinstance(kind, pl.Time):
        return column.dt.to_string("%H:%M:%S%.f")
    return column.cast(_stored_type(kind))


def _decode(name: str, kind: pl.DataType) -> pl.Expr:
    import polars as pl

    column = named(name)
    if isinstance(kind, pl.Datetime):
        column = column.str.to_datetime(_MOMENT, time_unit=kind.time_unit)
        if kind.time_zone is not None:
            column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(kind.time_zone)
        return column
    if isinstance(kind, pl.Date):
        return column.str.to_date("%Y-%m-%d")
    if isinstance(kind, pl.Time):
        return column.str.to_time("%H:%M:%S%.f")
    return column.cast(kind)
