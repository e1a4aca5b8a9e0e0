"""The names that columns have in the files of a table, which differ from its own with column mapping."""

from __future__ import annotations

import json
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.delta.stored_names import PHYSICAL
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Stored:
    """The columns of a table as its files have them, by the table's own names; none where they are the same."""

    columns: Mapping[str, tuple[str, Any]] = field(default_factory=dict)

    def name(self, column: str) -> str:
        """Return the name of a column in the files."""
        return self.columns[column][0] if column in self.columns else column

    def kind(self, column: str, own: Any) -> Any:
        """Return the type of a column in the files; `own` is that in the table."""
        return self.columns[column][1] if column in self.columns else own


def of_schema(text: str) -> Stored:
    """Return the columns of a schema in JSON (Delta protocol, "Schema Serialization Format")."""
    from pyspark.sql.types import StructType

    own = json.loads(text)["fields"]
    stored = StructType.fromJson({"type": "struct", "fields": [_field(one) for one in own]})
    return Stored({one["name"]: (kind.name, kind.dataType) for one, kind in zip(own, stored, strict=True)})


def _field(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field as the files have it."""
    name = (own.get("metadata") or {}).get(PHYSICAL, own["name"])
    return {"name": name, "type": _kind(own["type"]), "nullable": own["nullable"], "metadata": {}}


def _kind(own: Any) -> Any:
    """Return a type whose fields have the names of the files."""
    if not isinstance(own, dict):
        return own
    inside = {part: _kind(own[part]) for part in ("elementType", "keyType", "valueType") if part in own}
    fields = {"fields": [_field(one) for one in own["fields"]]} if "fields" in own else {}
    return {**own, **inside, **fields}
