"""Values of table properties that Delta knows. An engine refuses a wrong one when the task writes, or ignores it.

Sources: delta.io, "Delta table properties reference"; docs.databricks.com, "Delta table properties reference".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbxdec.errors import did_you_mean
from dbxdec.model.variables import names_in

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOOLEANS = frozenset(
    f"delta.{name}".lower()
    for name in (
        "appendOnly", "autoOptimize.optimizeWrite", "checkpoint.writeStatsAsJson", "checkpoint.writeStatsAsStruct",
        "enableChangeDataFeed", "enableDeletionVectors", "enableExpiredLogCleanup", "enableInCommitTimestamps",
        "enableRowTracking", "enableTypeWidening", "randomizeFilePrefixes", "tuneFileSizesForRewrites",
    )
)  # fmt: skip
_LEAST = {
    "delta.checkpointinterval": 1,
    "delta.dataskippingnumindexedcols": -1,
    "delta.minreaderversion": 1,
    "delta.minwriterversion": 1,
    "delta.randomprefixlength": 1,
}
_INTERVALS = frozenset(
    f"delta.{name}".lower()
    for name in ("deletedFileRetentionDuration", "logRetentionDuration", "setTransactionRetentionDuration")
)
_CHOICES = {
    "delta.autooptimize.autocompact": ("true", "false", "auto", "legacy"),
    "delta.checkpointpolicy": ("classic", "v2"),
    "delta.columnmapping.mode": ("none", "name", "id"),
    "delta.isolationlevel": ("Serializable", "WriteSerializable", "SnapshotIsolation"),
}
_SIZE = "delta.targetfilesize"
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
# Months and years have no length, so Delta takes none.
_UNITS = "week|day|hour|minute|second|millisecond|microsecond"
_INTERVAL = re.compile(rf"(interval\s+)?\d+\s+({_UNITS})s?(\s+\d+\s+({_UNITS})s?)*", re.ASCII | re.IGNORECASE)
_BYTES = re.compile(r"\d+\s*([kmgtp]?b?)", re.ASCII | re.IGNORECASE)


def texts(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of properties as strings, as a table has them."""
    return {name: _text(name, value) for name, value in properties.items()}


def _text(name: str, value: Any) -> str:
    text = str(value)
    # Engines compare what is stored with "true".
    return text.lower() if isinstance(value, bool) or (name.lower() in _BOOLEANS and not names_in(value)) else text


def wanted(name: str, value: Any) -> str | None:
    """Return what to write for a property whose value Delta does not take; None for a value that may be right."""
    if names_in(value):
        return None  # a bundle variable has no value yet
    lower, text = name.lower(), _text(name, value)
    if lower in _BOOLEANS:
        return None if text in ("true", "false") else "give True or False"
    if lower in _LEAST:
        least = _LEAST[lower]
        return None if _WHOLE.fullmatch(text) and int(text) >= least else f"give a whole number from {least} on"
    if lower in _INTERVALS:
        return None if _INTERVAL.fullmatch(text) else 'give an interval: "interval 30 days"'
    if lower in _CHOICES:
        choices = _CHOICES[lower]
        return None if text in choices else did_you_mean(text, choices) or f"it may be {', '.join(choices)}"
    if lower == _SIZE:
        return None if _BYTES.fullmatch(text) else 'give a number of bytes, or a string such as "128mb"'
    return None
