"""What becomes of a write or a read, as all managers say it, whatever the engine and the format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import NotWrittenError, RunError, TargetExistsError
from dbxdec.io_managers.base import WriteResult

if TYPE_CHECKING:
    from dbxdec.io_managers.base import InputContext, OutputContext, Receipt


def already(found: Receipt, own: Receipt, uri: str, version: int | None = None, rows: int | None = None) -> WriteResult:
    """What an earlier attempt of this same write has done: `found` is its receipt, in `version` of a table.

    Raises RunError where it was done by another build or with other parameters: dropping the new result would lose it
    in silence, and adding it would double the rows.
    """
    if (found.build, found.parameters) != (own.build, own.parameters):
        other = "build" if found.build != own.build else "set of parameters"
        there = "" if version is None else f" (version {version})"
        mend = "remove what is there" if version is None else f"restore the table to version {version - 1}"
        raise RunError(
            f"the task `{own.id.task}` of this run has already written {uri}{there} with another {other}",
            hint=f"{mend} and repair again, or start a new run",
        )
    return WriteResult(version, rows, f"already written by attempt {found.attempt}")


def exists(context: OutputContext, others: str = '"overwrite", "append" or "ignore"') -> TargetExistsError:
    """The error of mode="error" where something is there that this write has not made; `others` are other modes."""
    return TargetExistsError(
        f"the target of the task `{context.receipt.id.task}`, {context.uri}, exists already",
        hint=f'mode="error" never touches what is there: use {others}, or remove what is there',
    )


def conflict(context: OutputContext, said: str) -> RunError:
    """The error of a commit that another writer's has made impossible; `said` is what the engine says."""
    return RunError(
        f"another writer changed {context.uri} while the task `{context.receipt.id.task}` wrote it: {said}",
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


def unstorable(manager: object, value: object, *, task: str, wanted: str) -> RunError:
    """The error of a result of a type that the manager does not take; `wanted` names those that it does."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return RunError(
        f"the task `{task}` returned a {kind}, which {type(manager).__name__} can't store",
        hint=f"return {wanted}",
    )
