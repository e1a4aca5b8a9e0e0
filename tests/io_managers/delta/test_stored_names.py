"""The names that files have for the columns of a table with column mapping, and for those of one that has lost it."""

from __future__ import annotations

import json
from typing import Any

from dbxdec.io_managers.delta import stored_names
from dbxdec.io_managers.delta.source_commits import SourceCommit

MAPPED = {stored_names.MODE: "name"}


def field(name: str, stored: str = "", kind: Any = "integer") -> dict[str, Any]:
    return {"name": name, "type": kind, "nullable": True, "metadata": {stored_names.PHYSICAL: stored} if stored else {}}


def struct(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "struct", "fields": list(fields)}


def schema(*fields: dict[str, Any]) -> str:
    return json.dumps(struct(*fields))


def commit(version: int, metadata: dict[str, Any] | None = None) -> SourceCommit:
    return SourceCommit(version, None, "WRITE", (), (), (), frozenset(), metadata)


def test_fields_of_structs_lists_and_maps_have_names_too() -> None:
    """By their paths; without a mapping the names are the table's own, whatever the schema still says."""
    array = {"type": "array", "elementType": struct(field("a", "c-3"))}
    pairs = {"type": "map", "keyType": "string", "valueType": struct(field("a", "c-5"))}
    text = schema(field("s", "c-1", struct(field("a", "c-2"))), field("l", "c-4", array), field("m", "c-6", pairs))
    assert stored_names.of_definition(text, MAPPED) == {
        ("s",): "c-1",
        ("s", "a"): "c-2",
        ("l",): "c-4",
        ("l", "elementType", "a"): "c-3",
        ("m",): "c-6",
        ("m", "valueType", "a"): "c-5",
    }
    assert set(stored_names.of_definition(text, {}).values()) == {"s", "a", "l", "m"}


def test_commits_of_before_a_mapping_was_taken_away_are_told_apart() -> None:
    """New columns and a mapping that keeps the names are no difference."""
    plain = schema(field("k"), field("new"))
    redefined = {"schemaString": plain, "configuration": {stored_names.MODE: "none"}}
    commits = [commit(1), commit(2), commit(3, redefined), commit(4)]
    end = stored_names.of_definition(plain, {})
    before = stored_names.of_definition(schema(field("k", "c-1")), MAPPED)
    assert stored_names.of_other_names(commits, before, end) == {1, 2}
    kept = stored_names.of_definition(schema(field("k", "k")), MAPPED)
    assert stored_names.of_other_names(commits, kept, end) == frozenset()
