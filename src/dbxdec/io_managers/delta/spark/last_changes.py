"""The last change of each key, of a frame with the columns of a change data feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.delta import source_commits
from dbxdec.io_managers.spark_frames import quoted, string_literal
from dbxdec.io_managers.spark_session import CHECK, INSTEAD
from dbxdec.model.changes import CHANGE, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbxdec.io_managers.contexts import InputContext

# What stands for the key and the version of a row in the message.
_KEY, _NUMBER = "\x00key", "\x00number"


def of(frame: Any, keys: Sequence[str], context: InputContext) -> Any:
    """Return the last change of each key. A row that a commit deletes and adds again is there after it.

    The query fails if one commit has changed a key several times, since none of the changes is the last one.
    """
    columns = frame.columns
    free = "_" * (max(map(len, columns)) + 1)
    order, newest, several, number = f"{free}o", f"{free}n", f"{free}s", f"{free}r"
    by = ", ".join(map(quoted, keys))
    # A row whose key an update has changed is gone under the old one: only the image of before the update has that.
    others = [quoted(name) for name in columns if name != CHANGE]
    told = f"IF({CHANGE} = 'update_preimage', 'delete', {CHANGE}) AS {CHANGE}"
    kept = frame.selectExpr(*others, told)
    ranked = kept.selectExpr("*", f"{VERSION} * 2 + IF({CHANGE} = 'delete', 0, 1) AS {order}")
    counted = ranked.selectExpr(
        "*",
        f"max({order}) OVER (PARTITION BY {by}) AS {newest}",
        f"IF({CHANGE} = 'delete', 1, count(1) OVER (PARTITION BY {by}, {order})) AS {several}",
        f"row_number() OVER (PARTITION BY {by}, {order} ORDER BY {VERSION}) AS {number}",
    )
    fail = f"CAST(raise_error({_said(keys, context)}) AS BOOLEAN)"
    # One expression: Spark may compute the parts of a condition in any order.
    # A commit may delete several rows of a key: it is gone.
    repeated = f"({number} > 1 AND {CHANGE} = 'delete')"
    last = f"CASE WHEN {order} < {newest} OR {repeated} THEN FALSE WHEN {several} > 1 THEN {fail} ELSE TRUE END"
    return counted.where(last).select(*map(quoted, columns))


def _said(keys: Sequence[str], context: InputContext) -> str:
    """Return the SQL of the message, which names the key and the version of the row."""
    parts = [f"concat({string_literal(name + '=')}, coalesce(CAST({quoted(name)} AS STRING), 'null'))" for name in keys]
    error = source_commits.several(context, _KEY, _NUMBER).problems[0]
    made: list[str] = []
    for number, piece in enumerate(f"{CHECK}{error.message}{INSTEAD}{error.hint}".split(_KEY)):
        made += [f"concat_ws(', ', {', '.join(parts)})"] if number else []
        for count, plain in enumerate(piece.split(_NUMBER)):
            made += [f"CAST({VERSION} AS STRING)"] if count else []
            made.append(string_literal(plain))
    return f"concat({', '.join(made)})"
