"""The names that the files of a table have for its columns: others than its own with column mapping, for all engines.

A table can lose its mapping, or the names that it has given, behind a commit: the files of that commit keep the names
of their own time (Delta protocol, "Column Mapping").
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dbxdec.io_managers.delta.source_commits import SourceCommit

PHYSICAL = "delta.columnMapping.physicalName"
MODE = "delta.columnMapping.mode"
UNMAPPED = "none"


def of_definition(schema: str, properties: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    """Return the names in the files by the paths of columns and fields; `schema` is in JSON, as the log has it."""
    return dict(_names(json.loads(schema), (), is_mapped=properties.get(MODE, UNMAPPED) != UNMAPPED))


def _names(kind: Any, path: tuple[str, ...], *, is_mapped: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    if not isinstance(kind, dict):
        return
    for part in ("elementType", "keyType", "valueType"):
        yield from _names(kind.get(part), (*path, part), is_mapped=is_mapped)
    for field in kind.get("fields", ()):
        own = str(field["name"])
        name = (field.get("metadata") or {}).get(PHYSICAL, own) if is_mapped else own
        yield (*path, own), str(name)
        yield from _names(field["type"], (*path, own), is_mapped=is_mapped)


def of_other_names(
    commits: Sequence[SourceCommit],
    before: Mapping[tuple[str, ...], str],
    end: Mapping[tuple[str, ...], str],
) -> frozenset[int]:
    """Return the versions of commits whose files have other names for a column than the files of the end.

    `before` are the names before the first of the commits, whose versions rise.
    """
    names, found = before, set()
    for commit in commits:
        if commit.metadata is not None:
            given = commit.metadata
            names = of_definition(str(given["schemaString"]), given.get("configuration") or {})
        if any(end.get(path, name) != name for path, name in names.items()):
            found.add(commit.version)
    return frozenset(found)
