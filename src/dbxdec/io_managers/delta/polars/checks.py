"""Checks of a frame's rows on their way into a Delta table. For a LazyFrame they run while its query runs.

Those that take a frame return it with a check that raises RunError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError, listed
from dbxdec.io_managers import columns
from dbxdec.io_managers.delta import exact, folder_names
from dbxdec.io_managers.delta.polars import features, scan, spellings, storage, wide_timestamps
from dbxdec.io_managers.polars_frames import cast, named, watched

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import polars as pl
    from deltalake import DeltaTable


def for_delta_rs(
    frame: pl.DataFrame | pl.LazyFrame, partitions: Sequence[str], *, uri: str
) -> pl.DataFrame | pl.LazyFrame:
    """Return `frame` with checks for all that delta-rs' own writer would store wrongly by `partitions`.

    Raises RunError for names of columns that delta-rs can't turn into folders.
    """
    _refuse_names(partitions, uri)
    return refuse_lost(refuse_negative_decimals(frame, partitions), partitions)


def refuse_lost(frame: pl.DataFrame | pl.LazyFrame, partitions: Sequence[str]) -> pl.DataFrame | pl.LazyFrame:
    """Return `frame` with a check that no string in a partition column would come back as null."""
    import polars as pl

    schema = frame.collect_schema()
    texts = [name for name in partitions if schema.get(name) == pl.String]

    def check(data: pl.DataFrame) -> pl.DataFrame:
        for text in columns.LOST:
            if lost := [name for name in texts if data.select((named(name) == text).any()).item()]:
                raise lost_texts(lost, text)
        return data

    return watched(frame, check) if texts else frame


def lost_texts(columns: Sequence[str], text: str) -> RunError:
    """Return the error of partition columns that have the string `text`, one of `columns.LOST`."""
    what = f"the string {text}" if text else "empty strings"
    return RunError(
        f"the partition column {listed(columns)} has {what}, which Delta stores as null",
        hint="replace them in the task: with null, or with a name such as 'none'",
    )


def signed(
    frame: pl.DataFrame | pl.LazyFrame, stored: Mapping[str, pl.DataType], *, uri: str
) -> pl.DataFrame | pl.LazyFrame:
    """Return `frame` with the types `stored`, and a check that its unsigned integers fit.

    For a LazyFrame it runs while the query runs. The check raises RunError.
    """
    import polars as pl

    schema = frame.collect_schema()
    unsigned = [name for name, dtype in schema.items() if dtype.is_unsigned_integer()]
    casts: dict[Any, pl.DataType] = {name: stored[name] for name, dtype in schema.items() if dtype != stored[name]}

    def check(data: pl.DataFrame) -> pl.DataFrame:
        for name in unsigned:
            limit = pl.select(stored[name].max()).item()  # type: ignore[attr-defined]
            if (over := data.filter(named(name) > limit).head(1)).height:
                raise storage.too_large(uri, name, over[name][0], str(stored[name]))
        return data

    checked = watched(frame, check) if unsigned else frame
    return cast(checked, casts)


def refuse_negative_decimals(
    frame: pl.DataFrame | pl.LazyFrame, partitions: Sequence[str]
) -> pl.DataFrame | pl.LazyFrame:
    """Return `frame` with a check of its decimal partition columns, which raises RunError.

    delta-rs 1.6 writes the partition value -1.50 as "-1.-50" into the log. Then nobody can open the table any more.
    """
    import polars as pl

    schema = frame.collect_schema()
    decimals = [name for name in partitions if isinstance(schema[name], pl.Decimal)]

    def check(data: pl.DataFrame) -> pl.DataFrame:
        for name in decimals:
            if data.select((named(name) < 0).any()).item():
                raise RunError(
                    f"the partition column `{name}` has negative decimals, which delta-rs writes wrongly",
                    hint="partition by another column, or cast it to Int64 or String in the task",
                )
        return data

    return watched(frame, check) if decimals else frame


def refuse_rewrites(table: DeltaTable, uri: str) -> None:
    """Raise RunError if delta-rs can't rewrite rows of `table`.

    It would write wrong partitions or timestamps, or leave old rows.
    """
    import polars as pl

    features.refuse_paths(table, uri)

    schema, partitions = pl.Schema(table.schema()), table.metadata().partition_columns
    _refuse_names(partitions, uri)
    spellings.refuse_rewrite(scan.spellings_of(table, schema), uri)
    places = [scan.place_of(table, path) for path in wide_timestamps.doubtful(table, schema)]
    wide_timestamps.refuse_rewrite(table, schema, places, uri)
    decimals = [name for name in partitions if isinstance(schema[name], pl.Decimal)]
    if not decimals:
        return
    files = scan.files_of(table)
    if negative := [name for name in decimals if files.height and (files[f"partition.{name}"] < 0).any()]:
        raise RunError(
            f"{uri} has partitions with negative decimals in {listed(negative)}, and this write rewrites single rows: "
            "delta-rs would damage the table's log",
            hint="replace whole partitions (`partition_by=`), or write it through Spark (SparkDeltaIoManager)",
        )


def _refuse_names(partitions: Sequence[str], uri: str) -> None:
    if odd := folder_names.unwritable(partitions):
        raise RunError(
            f"delta-rs can't partition {uri} by the columns {', '.join(map(repr, odd))}: it reads their names as parts "
            "of paths",
            hint="partition by a column whose name has neither colons nor control characters",
        )


def refuse_missing(schema: Sequence[str], slice_: Collection[str], *, task: str) -> None:
    """Raise RunError if a result with the columns `schema` lacks a column of the slice that it replaces."""
    if missing := [name for name in slice_ if name not in schema]:
        raise RunError(
            f"the result of the task `{task}` has no column {listed(missing)}, which `replace` names",
            hint=f"its columns are {listed(schema) or 'none'}",
        )


def exact_slice(
    slice_: Mapping[str, Any], schema: Mapping[str, pl.DataType], partitions: Collection[str]
) -> dict[str, Any]:
    """Return the values of `slice_` as the columns of a table, given by `schema`, have them.

    Raises RunError for values that no row can have.
    """
    return exact.exact(slice_, {name: _kind(schema[name]) for name in slice_}, partitions)


def _kind(dtype: pl.DataType) -> exact.Kind:
    import polars as pl

    text = str(dtype)
    families: list[tuple[Any, exact.Family]] = [
        (pl.Boolean, "flag"),
        (pl.Float32, "single"),
        (pl.Float64, "double"),
        (pl.String, "text"),
        (pl.Date, "day"),
        (pl.Binary, "binary"),
    ]
    if isinstance(dtype, pl.Decimal):
        return exact.Kind(text, "decimal", precision=dtype.precision or 38, scale=dtype.scale)
    if isinstance(dtype, pl.Datetime):
        return exact.Kind(text, "zoned" if dtype.time_zone else "moment")
    if dtype.is_integer():
        return exact.whole(text, int(text.removeprefix("Int")))
    return exact.Kind(text, next((family for kind, family in families if isinstance(dtype, kind)), "nested"))


def refuse_rows_outside(
    frame: pl.DataFrame | pl.LazyFrame, slice_: Mapping[str, Any], *, task: str, but: str | None = None
) -> pl.DataFrame | pl.LazyFrame:
    """Return `frame` with a check that each row is in the slice that the write replaces.

    The values of the slice must be values of its columns. Rows for which the column `but` holds may be elsewhere.
    """
    import polars as pl

    schema = frame.collect_schema()
    inside = pl.lit(True)
    for name, value in slice_.items():
        try:
            wanted = pl.Series([value], dtype=schema[name], strict=True)
        except (OverflowError, pl.exceptions.PolarsError):  # a negative value for an unsigned column
            inside = pl.lit(False)
        else:
            inside &= named(name).eq_missing(pl.lit(wanted).first())

    if but is not None:
        inside |= pl.col(but)

    def check(data: pl.DataFrame) -> pl.DataFrame:
        if (others := data.filter(~inside).head(1)).height:
            row = ", ".join(f"{name}={others[name][0]!r}" for name in slice_)
            said = ", ".join(f"{name}={value!r}" for name, value in slice_.items())
            raise RunError(
                f"the task `{task}` replaces {said}, but its result has a row with {row}",
                hint="filter the result, or use `partition_by=` to replace all partitions in the data",
            )
        return data

    return watched(frame, check)
