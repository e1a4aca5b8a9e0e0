"""Rows that a table does not expect, kept in another one, by a commit before that of the write which drops them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.contexts import OutputContext
from dbxdec.model import places
from dbxdec.support import digests

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import WriteId

_ANY = "any"


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
        uri = places.resolved(table.template(write.job, write.task) or "")
        told = marked(rows, write)
        digest = digests.of_text(str(content(told)))
        parts = [*([write.output] if write.output else []), "quarantine", digest[:16]]
        # Whatever build drops these rows, and for which parameters: they are there once.
        receipt = replace(
            context.receipt,
            id=replace(write, output="/".join(parts), key="", slot=""),
            build=_ANY,
            parameters=_ANY,
            progress=None,
            facts={"dropped_by": {"build": context.receipt.build, "parameters": context.receipt.parameters}},
        )
        table.write(OutputContext(uri, receipt, (kind,), context.parameters, has_readers=False), told)

    return keep
