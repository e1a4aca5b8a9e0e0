"""Files that spell columns otherwise than their table, for which upper and lower case are one.

Spark finds the column `ID` of such a file where the table says `id`; to Polars and delta-rs it is missing, and so null.
They come from writers that are not Delta's own, and from folders of Parquet files that became a table.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl
    from deltalake import DeltaTable

    Spellings = Mapping[str, Mapping[str, str]]
    """By the places of files: the columns of the table that they spell otherwise, and how. All others are left out."""

_INDEXED = "delta.dataSkippingNumIndexedCols"
_NAMED = "delta.dataSkippingStatsColumns"
_COLUMNS = 32
_AT_ONCE = 16
# A writer that makes a table says that its files are as old as the table, or a little older.
_OLDER_MS = 100


def doubtful(table: DeltaTable, schema: Mapping[str, pl.DataType]) -> list[str]:
    """Return the paths of the files that may spell columns otherwise, by the log.

    Of a file that spells them as the table does, its writer can have counted the nulls of each. Files that are older
    than their table were not made for it.
    """
    import polars as pl

    files = pl.DataFrame(table.get_add_actions(flatten=False))
    if not files.height:
        return []
    known = table.metadata()
    asked = files["modification_time"].cast(pl.Int64()) < (known.created_time or 0) - _OLDER_MS
    if "num_records" in files.columns:
        asked |= files["num_records"].is_null()
    for path in _counted(schema, known.partition_columns, known.configuration or {}):
        counts = _count_of(files, path)
        if counts is None:
            return files["path"].to_list()
        asked |= counts.is_null()
    return files.filter(asked)["path"].to_list()


def is_doubtful(action: Mapping[str, Any], schema: Mapping[str, pl.DataType], properties: Mapping[str, str]) -> bool:
    """Return whether the file of an action of a log (`add`, `remove`, `cdc`) may spell columns otherwise."""
    if str(action["path"]).startswith("_change_data/"):
        return False  # only Delta's own writers make them
    nulls = json.loads(action.get("stats") or "{}").get("nullCount") or {}
    return any(
        _within(nulls, path) is None for path in _counted(schema, action.get("partitionValues") or {}, properties)
    )


def of_files(
    places: Iterable[str], schema: Mapping[str, pl.DataType], storage_options: dict[str, str] | None
) -> Spellings:
    """Return how the files at `places` spell columns, by their footers.

    Raises RunError where fields inside of columns are spelled otherwise, which Polars can't be told.
    """
    import polars as pl

    def read(place: str) -> tuple[str, dict[str, str]]:
        scanned = pl.scan_parquet(place, glob=False, hive_partitioning=False, storage_options=storage_options)
        try:
            stored = scanned.collect_schema()
        except FileNotFoundError:
            return place, {}  # the query says so
        return place, _differing(place, schema, stored)

    places = list(places)
    if not places:
        return {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return {place: differing for place, differing in pool.map(read, places) if differing}


def refuse_rewrite(found: Spellings, uri: str) -> None:
    """Raise RunError if there is such a file, of which delta-rs would keep nulls where it rewrites rows."""
    for place, differing in found.items():
        name, spelled = next(iter(differing.items()))
        raise RunError(
            f"the file {place} of {uri} has the column `{name}` as `{spelled}`, and this write rewrites single rows: "
            "delta-rs would make it null in them",
            hint="write the table through Spark (SparkDeltaIoManager), or let Spark store it once more",
        )


def _differing(place: str, schema: Mapping[str, pl.DataType], stored: Mapping[str, pl.DataType]) -> dict[str, str]:
    spelled: dict[str, list[str]] = {}
    for name in stored:
        spelled.setdefault(name.lower(), []).append(name)
    found = {}
    for name, kind in schema.items():
        own = [name] if name in stored else spelled.get(name.lower(), [])
        if len(own) > 1:
            raise RunError(
                f"the file {place} has the column `{name}` several times, as {' and '.join(own)}",
                hint="let its writer store one column for each name: upper and lower case are one in Delta",
            )
        if not own:
            continue
        if (inside := _inside(kind, stored[own[0]])) is not None:
            raise RunError(
                f"the file {place} has the field `{inside[0]}` of the column `{name}` as `{inside[1]}`, which Polars "
                "would read as null",
                hint="annotate the parameter as a Spark DataFrame, or let Spark store the table once more",
            )
        if own != [name]:
            found[name] = own[0]
    return found


def _inside(kind: Any, stored: Any) -> tuple[str, str] | None:
    """Return a field that a stored type spells otherwise than `kind`, with its spelling; None if all are alike."""
    import polars as pl

    if isinstance(kind, pl.Struct) and isinstance(stored, pl.Struct):
        there = {field.name: field.dtype for field in stored.fields}
        lowered = {name.lower(): name for name in there}
        for field in kind.fields:
            if field.name in there:
                if (found := _inside(field.dtype, there[field.name])) is not None:
                    return found
            elif (other := lowered.get(field.name.lower())) is not None:
                return field.name, other
    for part in ("inner", "key", "value"):
        pair = getattr(kind, part, None), getattr(stored, part, None)
        if None not in pair and (found := _inside(*pair)) is not None:
            return found
    return None


def _counted(
    schema: Mapping[str, pl.DataType], partitions: Iterable[str], properties: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the columns whose nulls every writer of Delta counts, unless it has no statistics at all."""
    import polars as pl

    parts = set(partitions)
    leaves = [leaf for name, kind in schema.items() if name not in parts for leaf in _leaves((name,), kind)]
    if (only := properties.get(_NAMED)) is not None:
        chosen = {name.strip().strip("`").lower() for name in only.split(",")}
        leaves = [(path, kind) for path, kind in leaves if ".".join(path).lower() in chosen]
    elif (count := int(properties.get(_INDEXED, _COLUMNS))) >= 0:
        leaves = leaves[:count]
    yield from (path for path, kind in leaves if not kind.is_nested() and not isinstance(kind, pl.Binary))


def _leaves(path: tuple[str, ...], kind: Any) -> Iterator[tuple[tuple[str, ...], pl.DataType]]:
    import polars as pl

    if not isinstance(kind, pl.Struct):
        yield path, kind
        return
    for field in kind.fields:
        yield from _leaves((*path, field.name), field.dtype)


def _count_of(files: pl.DataFrame, path: tuple[str, ...]) -> pl.Series | None:
    """Return the numbers of nulls of a column in each file; None if no file has it."""
    import polars as pl

    if "null_count" not in files.columns:
        return None
    found = files["null_count"]
    for name in path:
        if not isinstance(found.dtype, pl.Struct) or name not in {field.name for field in found.dtype.fields}:
            return None
        fields = found.struct.unnest()
        found = fields.to_series(fields.columns.index(name)).rename("")  # its name may be a pattern to Polars
    return found


def _within(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree
