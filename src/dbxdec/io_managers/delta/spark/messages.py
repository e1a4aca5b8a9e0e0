"""Errors and results of writes to Delta tables through Spark."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dbxdec.errors import RunError
from dbxdec.io_managers import outcomes
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.spark_session import first_line

if TYPE_CHECKING:
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
    return f"merged{into}: " + ", ".join(f"{_count(found, kind):,} {kind}" for kind in _COUNTED)


def affected(found: Found) -> int:
    """Return how many rows a merge inserted, updated and deleted."""
    return sum(_count(found, kind) for kind in _COUNTED)


def _count(found: Found, kind: str) -> int:
    return sum(part.metrics.get(f"numTargetRows{kind.title()}", 0) for part in found.parts)
