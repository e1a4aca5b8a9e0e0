"""What one commit has added to a Delta table: the files that it lists, without those that were there before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.io_managers import delta_log, polars_delta_scan
from dbxdec.io_managers.delta import ADDS_ONLY

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable


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
    if operation not in ADDS_ONLY:
        return _changes(table, version, str(operation), parameter)
    wanted = {action["add"]["path"] for action in actions if "add" in action}
    return polars_delta_scan.scan_files(table, pl.scan_delta(table).collect_schema(), wanted)


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
