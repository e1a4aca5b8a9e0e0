"""What becomes of a write or a read, as all managers say it, whatever the engine and the format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import NotWrittenError, RunError, TargetExistsError
from dbxdec.io_managers.base import WriteResult

if TYPE_CHECKING:
    from dbxdec.io_managers.base import InputContext, OutputContext, Receipt


def already(
    found: Receipt,
    own: Receipt,
    uri: str,
    version: int | None = None,
    rows: int | None = None,
    *,
    is_newest: bool = False,
) -> WriteResult:
    """Return what an earlier attempt of this same write has done: `found` is its receipt, in `version` of a table.

    `is_newest` says that nobody has committed since. Raises RunError where it was done by another build or with other
    parameters: dropping the new result would lose it in silence, and adding it would double the rows.
    """
    if (found.build, found.parameters) != (own.build, own.parameters):
        other = "build" if found.build != own.build else "set of parameters"
        there = "" if version is None else f" (version {version})"
        raise RunError(
            f"the task `{own.id.task}` of this run has already written {uri}{there} with another {other}",
            hint=_mend(version, is_newest=is_newest),
        )
    return WriteResult(version, rows, f"already written by attempt {found.attempt}")


def _mend(version: int | None, *, is_newest: bool) -> str:
    """Return how to take back an earlier result; never one that takes other commits back as well."""
    if version is None or (version == 0 and is_newest):
        return "remove what is there and repair again, or start a new run"
    if is_newest:
        return f"restore the table to version {version - 1} and repair again, or start a new run"
    return f"start a new run; later commits rest on version {version}, so delete by hand the rows that it added"


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
    """Return the error of a read that finds nothing: of a write of this run, or of a table that doesn't exist yet."""
    if context.producer is None:
        return NotWrittenError(
            f"there is nothing at {context.uri}, which `{context.parameter}` reads",
            hint=f"check the place, and that whoever writes it has run; or annotate `{context.parameter}` with "
            "`| None` if it may not be there yet",
        )
    return NotWrittenError(
        f"the task `{context.producer.task}` wrote nothing to {context.uri} in this run, and `{context.parameter}` "
        "needs it",
        hint=f"annotate `{context.parameter}` with `| None` if that may happen, or read the newest version, whoever "
        "wrote it: `latest(x)`, or the table itself (`io.table(...)`)",
    )


def unstorable(manager: object, value: object, *, task: str, wanted: str) -> RunError:
    """The error of a result of a type that the manager does not take; `wanted` names those that it does."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return RunError(
        f"the task `{task}` returned a {kind}, which {type(manager).__name__} can't store",
        hint=f"return {wanted}",
    )
