"""What one commit has added to a Delta table: the files that it lists, without those that were there before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dbxdec.errors import RunError
from dbxdec.io_managers import delta_log

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable

_PARTITION = "partition."
_ADDS_ONLY = frozenset({"WRITE", "CREATE TABLE AS SELECT", "CREATE OR REPLACE TABLE AS SELECT"})


def scan(table: DeltaTable, version: int, parameter: str) -> pl.LazyFrame:
    """The rows that the commit `version` has added; `table` is loaded at that version.

    A commit of a merge holds rewritten rows beside its own: its rows are known only where the table keeps a change data
    feed (Delta protocol, "Change Data Files"). Raises RunError for one without, and where the log has been cleaned.
    """
    import polars as pl

    actions = delta_log.actions(table, version)
    if not actions:
        raise RunError(
            f"the log of {table.table_uri} no longer holds version {version}, which `{parameter}` asks for",
            hint="it has been cleaned (`delta.logRetentionDuration`): run the producer again",
        )
    operation = next((action["commitInfo"].get("operation") for action in actions if "commitInfo" in action), None)
    if operation not in _ADDS_ONLY:
        return _changes(table, version, str(operation), parameter)
    schema = pl.scan_delta(table).collect_schema()
    wanted = {action["add"]["path"] for action in actions if "add" in action}
    added = list(pl.DataFrame(table.get_add_actions(flatten=True)).iter_rows(named=True))
    groups: dict[tuple[Any, ...], list[str]] = {}
    names = [name.removeprefix(_PARTITION) for name in (added[0] if added else ()) if name.startswith(_PARTITION)]
    for row in added:
        if row["path"] in wanted:
            groups.setdefault(tuple(row[_PARTITION + name] for name in names), []).append(row["path"])
    frames = [
        _scan_files(table, paths, schema, dict(zip(names, values, strict=True))) for values, paths in groups.items()
    ]
    return pl.concat(frames) if frames else pl.LazyFrame(schema=schema)


def _scan_files(table: DeltaTable, paths: list[str], schema: pl.Schema, partition: dict[str, Any]) -> pl.LazyFrame:
    import polars as pl

    root = delta_log.root_of(table).rstrip("/")
    stored = {name: kind for name, kind in schema.items() if name not in partition}
    frame = pl.scan_parquet(
        [path if "://" in path else f"{root}/{unquote(path)}" for path in paths],
        schema=stored,
        missing_columns="insert",
        glob=False,
        hive_partitioning=False,
        storage_options=table._storage_options,
    )
    values = {name: pl.lit(value, dtype=schema[name]) for name, value in partition.items()}
    return frame.with_columns(**values).select(list(schema))


def _changes(table: DeltaTable, version: int, operation: str, parameter: str) -> pl.LazyFrame:
    import polars as pl

    if (table.metadata().configuration or {}).get("delta.enableChangeDataFeed") != "true":
        raise RunError(
            f"`{parameter}` asks for what version {version} of {table.table_uri} has added, and a {operation} rewrites "
            "rows that were there before",
            hint="set the table's property `delta.enableChangeDataFeed` to true, or read the whole result",
        )
    feed = pl.DataFrame(table.load_cdf(starting_version=version, ending_version=version))
    changed = feed.lazy().filter(pl.col("_change_type").is_in(["insert", "update_postimage"]))
    return changed.select(list(pl.scan_delta(table).collect_schema()))
