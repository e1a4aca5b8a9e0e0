"""Options of `write_deltalake` that an author gives a table."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, did_you_mean, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN = {
    "mode": "`mode=`",
    "partition_by": "`partition_by=`",
    "schema_mode": "`schema=`",
    "storage_options": "`storage_options=`",
    "predicate": '`mode="overwrite"` with `partition_by=`',
    "commit_properties": "nothing: the commit carries the receipt of the task",
}
"""Options that dbxdec sets itself, and what to write instead."""


def refuse_unknown(given: Mapping[str, Any] | None) -> None:
    """Raise RunError, naming them all, for options that delta-rs does not have."""
    if not given:
        return
    from deltalake import write_deltalake

    known = [name for name in inspect.signature(write_deltalake).parameters if name not in OWN][2:]
    if problems := [
        Problem(
            f"`delta_write_options` has `{name}`, which write_deltalake does not know",
            hint=did_you_mean(name, known) or f"it knows {listed(known)}",
        )
        for name in given
        if name not in known
    ]:
        raise RunError(problems)
