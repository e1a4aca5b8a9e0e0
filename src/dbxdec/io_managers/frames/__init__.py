"""Frames of other libraries, which a task may ask for and return beside those of Polars.

Their names are those of annotations (`typehints.type_name`). A library is imported when a task asks for its frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TABLE, READER = "pyarrow.Table", "pyarrow.RecordBatchReader"
PANDAS = "pandas.DataFrame"
RELATION = "duckdb.DuckDBPyRelation"
NARWHALS, NARWHALS_LAZY = "narwhals.DataFrame", "narwhals.LazyFrame"

NEEDS: Mapping[str, tuple[str, ...]] = {
    TABLE: ("pyarrow",),
    READER: ("pyarrow",),
    PANDAS: ("pandas", "pyarrow"),
    RELATION: ("duckdb", "pyarrow"),
    NARWHALS: ("narwhals",),
    NARWHALS_LAZY: ("narwhals",),
}
"""The libraries that each kind of frame needs. Its own is the first, which is an extra of dbxdec as well."""
KINDS = frozenset(NEEDS)
LAZY = frozenset({READER, RELATION, NARWHALS_LAZY})
"""The kinds that have no rows before they are read."""


def require(kinds: Iterable[str]) -> None:
    """Raise RunError where libraries are missing or too old that frames of these kinds need."""
    from dbxdec.io_managers import requirements

    for kind in kinds:
        if (modules := NEEDS.get(kind)) is not None:
            requirements.require(modules[0], *modules)
