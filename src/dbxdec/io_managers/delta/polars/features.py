"""Features of a Delta table that the installed Polars and delta-rs can't handle (Delta protocol, "Table Features").

Each of their versions handles more. So they are asked, with an empty table that has the same features.
"""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta.polars import storage
from dbxdec.support import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deltalake import DeltaTable
    from deltalake.table import ProtocolVersions

# No need to ask: all versions of delta-rs that dbxdec admits can write these.
_PLAIN = frozenset(
    {"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns", "timestampNtz"}
)
_PLAIN_WRITER_VERSION = 4
_FEATURE_WRITER_VERSION = 7
# Characters that delta-rs encodes in a path that it writes.
_UNENCODED = r"""[^!-~]|[{}|^`\[\]"<>]"""
_SCHEMA = '{"type":"struct","fields":[{"name":"x","type":"long","nullable":true,"metadata":{}}]}'


def refuse_write(table: DeltaTable, uri: str, *, mode: str) -> None:
    """Raise RunError if delta-rs can't write `table` at all, or can't write it in `mode`."""
    protocol = table.protocol()
    if features := unwritable(protocol):
        raise storage.unsupported(uri, features, "write", _delta_rs())
    append_only = (table.metadata().configuration or {}).get("delta.appendOnly") == "true"
    if append_only and mode == "overwrite":
        raise RunError(
            f'the table {uri} is append-only (`delta.appendOnly`), but its task has mode="overwrite"',
            hint='use mode="append", or set the table\'s property to false',
        )


def refuse_paths(table: DeltaTable, uri: str) -> None:
    """Raise RunError if the log has paths that delta-rs spells differently, for a write that removes files.

    Spark keeps letters such as `ü`, but delta-rs encodes them when it removes a file. To the log that is another file,
    so its rows would stay (Delta protocol, "Add File and Remove File").
    """
    import polars as pl

    paths = pl.DataFrame(table.get_add_actions(flatten=False))["path"]
    if odd := paths.filter(paths.str.contains(_UNENCODED)).to_list():
        raise RunError(
            f"the log of {uri} has the path {odd[0]}, which delta-rs can't remove: its rows would stay beside the new "
            "ones",
            hint="write the table through Spark (SparkDeltaIoManager)",
        )


def refuse_read(table: DeltaTable, uri: str) -> None:
    """Raise RunError if Polars can't read `table`."""
    protocol = table.protocol()
    if protocol.min_reader_version == 1:
        return
    # Version 2 of readers is column mapping alone.
    asked = protocol.reader_features or ("columnMapping",)
    if unread := [name for name in asked if not _is_read(name)]:
        raise storage.unsupported(uri, unread, "read", "Polars")
    columns = [field.name for field in table.schema().fields if '"variant"' in field.to_json()]
    if columns:
        raise storage.unsupported(uri, ["variantType"], "read", "Polars")


def unwritable(protocol: ProtocolVersions) -> list[str]:
    """Return those features of a table that delta-rs can't write."""
    if protocol.min_writer_version <= _PLAIN_WRITER_VERSION:
        return []
    if protocol.min_writer_version < _FEATURE_WRITER_VERSION:
        version = {"minReaderVersion": protocol.min_reader_version, "minWriterVersion": protocol.min_writer_version}
        refused = _refused(version)
        return re.findall(r"\w+", refused) if refused is not None else []
    asked = [name for name in protocol.writer_features or () if name not in _PLAIN]
    return [name for name in asked if _refused(_with_feature(name, protocol)) is not None]


def _with_feature(name: str, protocol: ProtocolVersions) -> dict[str, Any]:
    action: dict[str, Any] = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": [name]}
    if name in (protocol.reader_features or ()):
        return {**action, "minReaderVersion": 3, "readerFeatures": [name]}
    if name == "columnMapping":  # older than reader features
        return {**action, "minReaderVersion": 2}
    return action


def _refused(protocol: dict[str, Any]) -> str | None:
    """Return delta-rs' names for the features that keep it from writing a table of `protocol`; None if it can write."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    with _empty(protocol) as folder:
        try:
            table = DeltaTable(folder)
            table.create_write_transaction([], "append", table.schema())
        except DeltaError as error:
            named = re.search(r"\[(.*)\]", str(error))
            return named[1] if named else ""
    return None


@cache
def _is_read(feature: str) -> bool:
    """Return whether Polars reads tables with a feature: by their place, for it looks at no table that is open."""
    import polars as pl

    both = {"readerFeatures": [feature], "writerFeatures": [feature]}
    with _empty({"minReaderVersion": 3, "minWriterVersion": 7, **both}) as folder:
        try:
            pl.scan_delta(folder).collect()
        except Exception as error:
            # Polars has no public name for its type of this error.
            if type(error).__name__ != "DeltaProtocolError":
                raise
            return False
    return True


@contextmanager
def _empty(protocol: dict[str, Any]) -> Iterator[str]:
    """Yield the folder of a table of `protocol` that has no rows."""
    meta = {"id": "0", "format": {"provider": "parquet", "options": {}}, "schemaString": _SCHEMA}
    actions = [{"protocol": protocol}, {"metaData": {**meta, "partitionColumns": [], "configuration": {}}}]
    with tempfile.TemporaryDirectory(prefix="dbxdec-") as folder:
        log = Path(folder, "_delta_log")
        log.mkdir()
        files.write(log / f"{0:020}.json", "\n".join(map(json.dumps, actions)) + "\n")
        yield folder


def _delta_rs() -> str:
    import deltalake

    return f"delta-rs (deltalake {deltalake.__version__})"
