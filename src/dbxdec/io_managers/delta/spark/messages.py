"""Errors and results of writes to Delta tables through Spark."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dbxdec.errors import RunError, listed
from dbxdec.io_managers import outcomes
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.spark_session import first_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbxdec.io_managers.contexts import OutputContext, Receipt
    from dbxdec.io_managers.delta.receipts import Found


_COUNTED = ("inserted", "updated", "deleted")


def conflict(context: OutputContext, error: BaseException) -> RunError:
    """Return the error of a commit that lost against another writer's, without the Java stack trace."""
    return outcomes.conflict(context, first_line(error))


def already(found: Found, receipt: Receipt, uri: str, *, is_newest: bool = False) -> WriteResult:
    """Return the result of an earlier attempt, whose commit is `found`; see `outcomes.already`."""
    done = outcomes.already(found.receipt, receipt, uri, found.version, is_newest=is_newest)
    return replace(done, expectations=found.expectations)


def merged(found: Found, into: str = "") -> str:
    """Return the note of a merge, or of those of a stream: how many rows it inserted, updated and deleted."""
    counts = [
        (sum(part.metrics.get(f"numTargetRows{kind.title()}", 0) for part in found.parts), kind) for kind in _COUNTED
    ]
    return f"merged{into}: " + ", ".join(f"{count:,} {kind}" for count, kind in counts)


def affected(found: Found) -> int:
    """Return how many rows a merge inserted, updated and deleted."""
    return sum(_count(found, kind) for kind in _COUNTED)


def _count(found: Found, kind: str) -> int:
    return sum(part.metrics.get(f"numTargetRows{kind.title()}", 0) for part in found.parts)


def other_partitions(uri: str, there: Sequence[str], said: Sequence[str]) -> RunError:
    is_ = f"is partitioned by {listed(there)}" if there else "is not partitioned"
    return RunError(
        f"the table {uri} {is_}, but its task has partition_by={list(said)}",
        hint="use the partitions of the table, or write another table",
    )
