"""Refuses what Spark can't store, without it: Spark takes seconds to start, and says some of this in its own words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta.merge import DeltaMerge
from dbxdec.io_managers.spark_session import is_frame, is_merge
from dbxdec.model import places

if TYPE_CHECKING:
    from dbxdec.io_managers.contexts import OutputContext


def refuse_value(context: OutputContext, value: Any, *, manager: str) -> None:
    """Raise RunError for what is no DataFrame, merge or None; `manager` is the name of the class that stores it."""
    task = context.receipt.id.task
    if isinstance(value, DeltaMerge):
        if not is_frame(value.source):
            raise RunError(
                f"the source of the DeltaMerge of the task `{task}` is a {_kind(value.source)}",
                hint="give it a pyspark.sql.DataFrame",
            )
    elif value is not None and not is_merge(value) and not is_frame(value):
        raise RunError(
            f"the task `{task}` returned a {_kind(value)}, which {manager} can't store",
            hint="return a pyspark.sql.DataFrame, a DeltaMerge or a DeltaMergeBuilder",
        )


def refuse_file(uri: str, path: str) -> None:
    """Raise RunError where a file of this machine is in the way of a new table at `path`: Spark sees no table there."""
    place = Path(places.path_of(path))
    if any(one.is_file() for one in (place, *place.parents)):
        raise RunError(
            f"{uri} can't be a table, since there is a file where its folder should be",
            hint="check `base_path` and the table's name",
        )


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
