"""Rows that a table does not expect, kept in another one, by a commit before that of the write which drops them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.contexts import OutputContext
from dbxdec.model import places, storage_paths
from dbxdec.model.checks import place
from dbxdec.support import digests

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import WriteId

_ANY = "any"


def refuse(table: IoManager, context: OutputContext, kind: str) -> None:
    """Raise RunError for a `table` that can only fail to get dropped rows, frames of this `kind`.

    It is the preflight of a quarantine: a write finds it out after the function has run.
    """
    table.check_name()
    table.setup()
    uri = _place(table, context)
    if places.is_databricks() and storage_paths.is_relative(uri):
        raise RunError(
            f"the rows that the task `{context.receipt.id.task}` leaves out would be in {uri}, a relative path: they "
            "would be on the disk of this machine and lost with it",
            hint="give `quarantine=` a table on cloud storage (s3://, abfss://, gs://) or in a volume",
        )
    if place(places.absolute(uri)) == place(places.absolute(context.uri)):
        raise RunError(
            f"the result of the task `{context.receipt.id.task}` goes into {context.uri}, the table that is its own "
            "quarantine",
            hint='name another table for rows that are left out: `quarantine=lake.table("bad/flights")`',
        )
    table.preflight(_context(table, context, kind, []))


def into(
    table: IoManager,
    context: OutputContext,
    kind: str,
    marked: Callable[[Any, WriteId], Any],
    content: Callable[[Any], object],
) -> Callable[[Any], None]:
    """Return what stores dropped rows of the write of `context` in `table`: the same ones once in a run.

    They are frames of this `kind`. `marked` adds who would have stored them, and `content` gives what is the same for
    the same rows in any order. They stay when the write itself fails: these are the rows that tell why. An attempt that
    drops other rows than one before stores its own: a row that is dropped is never lost.
    """
    write = context.receipt.id

    def keep(rows: Any) -> None:
        table.check_name()
        table.setup()
        told = marked(rows, write)
        digest = digests.of_text(str(content(told)))
        table.write(_context(table, context, kind, [digest[:16]]), told)

    return keep


def _place(table: IoManager, context: OutputContext) -> str:
    write = context.receipt.id
    return places.resolved(table.template(write.job, write.task) or "")


def _context(table: IoManager, context: OutputContext, kind: str, which: list[str]) -> OutputContext:
    """Return what is told of a write into quarantine; `which` tells its rows from others that the task drops."""
    write = context.receipt.id
    parts = [*([write.output] if write.output else []), "quarantine", *which]
    # Whatever build drops these rows, and for which parameters: they are there once.
    receipt = replace(
        context.receipt,
        id=replace(write, output="/".join(parts), key="", slot=""),
        build=_ANY,
        parameters=_ANY,
        progress=None,
        facts={"dropped_by": {"build": context.receipt.build, "parameters": context.receipt.parameters}},
    )
    return OutputContext(_place(table, context), receipt, (kind,), context.parameters, has_readers=False)
