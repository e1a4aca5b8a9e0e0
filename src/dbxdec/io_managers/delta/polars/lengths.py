"""Lengths that strings of a column may have: of `VARCHAR(n)` and `CHAR(n)`, which are Spark's alone.

To Delta these columns are strings. Spark keeps the type in the metadata of the column, and looks at each row.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbxdec.errors import RunError, listed
from dbxdec.io_managers.polars_frames import named, watched

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from deltalake import DeltaTable

_TYPE = "__CHAR_VARCHAR_TYPE_STRING"
_LENGTH = re.compile(r"(?:var)?char\((\d+)\)", re.IGNORECASE)


def of_table(table: DeltaTable) -> dict[str, str]:
    """Return the types of the columns that limit strings, such as "varchar(3)" or "array<char(2)>"."""
    return {field.name: str(field.metadata[_TYPE]) for field in table.schema().fields if _TYPE in field.metadata}


def refuse_longer(
    frame: pl.DataFrame | pl.LazyFrame, types: Mapping[str, str], *, uri: str
) -> pl.DataFrame | pl.LazyFrame:
    """Return `frame` with a check of its strings, which raises RunError. `types` are by the names of its columns.

    Raises RunError for columns that have strings with such types inside of them, at which nobody would look.
    """
    asked = {name: kind for name, kind in types.items() if name in frame.collect_schema()}
    if nested := [name for name, kind in asked.items() if not _LENGTH.fullmatch(kind)]:
        raise RunError(
            f"{uri} limits the strings inside of {listed(nested)} ({asked[nested[0]]}), at which Polars does not look",
            hint="write the table through Spark (SparkDeltaIoManager)",
        )
    most = {name: int(found[1]) for name, kind in asked.items() if (found := _LENGTH.fullmatch(kind)) is not None}

    def check(data: pl.DataFrame) -> pl.DataFrame:
        for name, length in most.items():
            if (longer := data.filter(named(name).str.len_chars() > length).head(1)).height:
                raise RunError(
                    f"the column `{name}` of {uri} is a {asked[name].upper()}, but the result has "
                    f"{longer[name][0]!r:.80}",
                    hint="shorten it in the task, or give the column another type in Spark",
                )
        return data

    return watched(frame, check) if most else frame
