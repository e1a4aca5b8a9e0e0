"""The definition of a table at its newest version, without its files.

delta-rs loads the names of all files when it opens a table. A reader of what is new needs only those of a few commits,
and a table may have many thousands of others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.delta.polars import storage, table_log
from dbxdec.io_managers.delta.polars.table_log import Log
from dbxdec.records import dataclass

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable

_DEFINES = ("metaData", "protocol")
_PROBED = 8
# Those of which a reader of whole files need not know (Delta protocol, "Valid Feature Names in Table Features").
_HARMLESS = frozenset({"timestampNtz"})


@dataclass(frozen=True)
class Outline:
    """A table: its folder, its newest version, and what its log says of it there. `schema_json` is as in the log."""

    root: str
    version: int
    id: str
    schema_json: str
    partitions: tuple[str, ...]
    properties: Mapping[str, str]
    storage_options: dict[str, str] | None
    log: Log = field(compare=False, repr=False)

    @cached_property
    def schema(self) -> pl.Schema:
        """The columns with their Polars types."""
        import polars as pl
        from deltalake import Schema

        return pl.Schema(Schema.from_json(self.schema_json))

    @classmethod
    def of_table(cls, table: DeltaTable) -> Outline:
        """Return that of the version that a handle has loaded."""
        known = table.metadata()
        return cls(
            table_log.root_of(table),
            table.version(),
            str(known.id),
            table.schema().to_json(),
            tuple(known.partition_columns),
            known.configuration or {},
            table._storage_options,
            Log.of(table),
        )


def of_log(uri: str, storage_options: dict[str, str] | None) -> Outline | None:
    """Return the outline of the table at `uri` by its newest checkpoint and the commits after it.

    None where these don't tell it simply: no or an old checkpoint, one of several parts, a feature that concerns rows.
    """
    import polars as pl

    storage.refuse_path(uri)
    root = table_log.root_of(uri)
    log = Log(root, -1, storage_options)
    try:
        version, actions = _checkpoint(log.root, storage_options)
        log.newest = log.last_after(version, at_once=_PROBED)
        if log.newest == version:
            return None  # it may be an old one, before commits that have been cleaned up
        for number in range(version + 1, log.newest + 1):
            for action in log.actions(number, *_DEFINES):
                actions |= action
        protocol, known = actions["protocol"], actions["metaData"]
        reader, features = protocol["minReaderVersion"], protocol.get("readerFeatures") or ()
        if reader not in (1, 3) or not _HARMLESS.issuperset(features):
            return None
        return Outline(
            root,
            log.newest,
            str(known["id"]),
            str(known["schemaString"]),
            tuple(known["partitionColumns"]),
            _properties(known.get("configuration")),
            storage_options,
            log,
        )
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None  # delta-rs says what is wrong


def _properties(form: Any) -> dict[str, str]:
    """Return the properties of a table; Polars has a map as a list of pairs."""
    if isinstance(form, Mapping):
        return dict(form)
    return {one["key"]: one["value"] for one in form or ()}


def _checkpoint(root: str, options: dict[str, str] | None) -> tuple[int, dict[str, Any]]:
    """Return the version of the newest checkpoint, and the actions in it that define the table.

    Raises KeyError for one of another form than a single file (Delta protocol, "Checkpoints").
    """
    import polars as pl

    lines = table_log.read_lines(f"{root}/_last_checkpoint", options)
    if lines is None:
        raise KeyError("_last_checkpoint")
    last = json.loads("\n".join(lines))
    version = int(last["version"])
    if last.get("parts") is not None or last.get("v2Checkpoint") is not None:
        raise KeyError("parts")
    frame = pl.scan_parquet(f"{root}/{version:020}.checkpoint.parquet", glob=False, storage_options=options)
    wanted = pl.col("metaData").is_not_null() | pl.col("protocol").is_not_null()
    rows = frame.select("metaData", "protocol").filter(wanted).collect()
    actions: dict[str, Any] = {}
    for row in rows.iter_rows(named=True):
        actions |= {kind: action for kind, action in row.items() if action is not None}
    return version, actions
