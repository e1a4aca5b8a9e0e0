"""Exactly once: what an earlier attempt of a write has left in a Delta table, and what a write reports of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import NotWrittenError, RunError, TargetExistsError
from dbxdec.io_managers import delta_log, delta_storage
from dbxdec.io_managers.base import WriteResult

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from dbxdec.io_managers.base import InputContext, OutputContext, Receipt


def done_before(table: DeltaTable, receipt: Receipt, *, own: bool = False) -> WriteResult | None:
    """What an earlier attempt of this same write has committed, None where there is none.

    With `own` a commit with the manager's `commit_properties()` counts: the write is a merge made with them. Raises
    RunError where it was done by another build or with other parameters: dropping the new result would lose it in
    silence, and adding it would double the rows.
    """
    if not delta_log.committed(table, receipt.id, own=own):
        return None
    found = delta_log.find_receipt(table, receipt.id)
    if found is None:  # the log has been cleaned since; the transaction identifier remains
        return WriteResult(note="written by an earlier attempt")
    if (found.receipt.build, found.receipt.parameters) != (receipt.build, receipt.parameters):
        other = "build" if found.receipt.build != receipt.build else "set of parameters"
        raise RunError(
            f"the task `{receipt.id.task}` of this run has already written {table.table_uri} (version "
            f"{found.version}) with another {other}",
            hint=f"restore the table to version {found.version - 1} and repair again, or start a new run",
        )
    return WriteResult(found.version, note=f"already written by attempt {found.receipt.attempt}")


def result_of(table: DeltaTable | None, receipt: Receipt) -> WriteResult:
    """What the write that has just been committed did."""
    found = delta_log.find_receipt(table, receipt.id) if table is not None else None
    return WriteResult(found.version, found.metrics.get("num_added_rows")) if found else WriteResult()


def exists(context: OutputContext, others: str = '"overwrite", "append" or "ignore"') -> TargetExistsError:
    """The error of mode="error" where something is there that this write has not made; `others` are other modes."""
    return TargetExistsError(
        f"the target of the task `{context.receipt.id.task}`, {context.uri}, exists already",
        hint=f'mode="error" never touches what is there: use {others}, or remove what is there',
    )


def conflict(context: OutputContext, error: Exception) -> RunError:
    """The error of a commit that another writer's has made impossible."""
    return RunError(
        f"another writer changed {context.uri} while the task `{context.receipt.id.task}` wrote it: "
        f"{delta_storage.said(error)}",
        hint="nothing was written; a retry (`max_retries=`) starts from the table as it is then",
    )


def not_written(context: InputContext) -> NotWrittenError:
    """The error of a read whose producer has written nothing in this run."""
    assert context.producer is not None  # noqa: S101 - only reads with a producer come here
    return NotWrittenError(
        f"the task `{context.producer.task}` wrote nothing to {context.uri} in this run, and `{context.parameter}` "
        "needs it",
        hint=f"annotate `{context.parameter}` with `| None` if that may happen, or pass the table itself "
        "(`io.table(...)`) to read its newest version",
    )
