"""Outcomes of writes and reads, and their errors, in the same words for all engines and formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import NotWrittenError, RunError, TargetExistsError, listed
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.support.masking import hide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbxdec.io_managers.contexts import InputContext, ItemWrite, OutputContext, Receipt

_SHOWN, _LONGEST = 5, 40
_ALREADY = "already written by"
_NO_PARAMETER = ("value", "the table")  # what a context says that no task's parameter has made: `.read()` by hand


def already(
    found: Receipt,
    own: Receipt,
    uri: str,
    version: int | None = None,
    rows: int | None = None,
    *,
    is_newest: bool = False,
) -> WriteResult:
    """Return the result of an earlier attempt of the same write; `found` is its receipt, in `version` of a table.

    `is_newest` says that nothing was committed since. Raises RunError if another build, or a run with other parameters,
    made it: dropping the new result would silently lose it, and adding it would double the rows.
    """
    if (found.build, found.parameters) != (own.build, own.parameters):
        other = "build" if found.build != own.build else "set of parameters"
        if found.lock != own.lock:
            other += ", whose lock has other versions of packages"
        there = "" if version is None else f" (version {version})"
        raise RunError(
            f"the task `{own.id.task}` of this run has already written {uri}{there} with another {other}",
            hint=_mend(version, is_newest=is_newest),
        )
    return WriteResult(version, rows, f"{_ALREADY} attempt {found.attempt}")


def already_without_receipt() -> WriteResult:
    """Return the result of an earlier attempt of the same write that only its transaction identifier proves.

    Nobody knows its build and its parameters any more; adding the rows again could double them.
    """
    return WriteResult(
        note=f"{_ALREADY} an earlier attempt, whose receipt has been cleaned from the log: check the rows if "
        "this repair has another build or other parameters"
    )


def is_earlier(result: WriteResult) -> bool:
    """Return whether a result is that of an earlier attempt, in place of the one that was given."""
    return result.note.startswith(_ALREADY)


def _mend(version: int | None, *, is_newest: bool) -> str:
    """Return how to undo an earlier result, in a way that never undoes other commits."""
    if version is None or (version == 0 and is_newest):
        return "remove what is there and repair again, or start a new run"
    if is_newest:
        return f"restore the table to version {version - 1} and repair again, or start a new run"
    return f"start a new run; later commits build on version {version}, so delete the rows that it added by hand"


def exists(context: OutputContext, others: str = '"overwrite", "append" or "ignore"') -> TargetExistsError:
    """Return the error of mode="error" for a target that another write made; `others` are the other modes."""
    return TargetExistsError(
        f"the target of the task `{context.receipt.id.task}`, {context.uri}, already exists",
        hint=f'mode="error" never touches existing data: use {others}, or remove it',
    )


def conflict(context: OutputContext, said: str) -> RunError:
    """Return the error of a commit that lost against another writer's; `said` is the engine's message."""
    return RunError(
        f"another writer changed {context.uri} while the task `{context.receipt.id.task}` wrote it: {said}",
        hint="nothing was written; a retry (`max_retries=`) starts from the table as it is by then",
    )


def not_written(context: InputContext) -> NotWrittenError:
    """Return the error of a read that finds nothing: no write in this run, or no table yet."""
    if context.producer is None and not context.started and context.parameter in _NO_PARAMETER:
        return NotWrittenError(
            f"there is nothing at {context.uri}", hint="check the path, and that a run has written the table"
        )
    if context.producer is None:
        return NotWrittenError(
            f"there is nothing at {context.uri}, which the parameter `{context.parameter}` reads",
            hint=f"check the path, and that its producer has run; or annotate the parameter `{context.parameter}` "
            "with `| None` if it may not exist yet",
        )
    return NotWrittenError(
        f"the task `{context.producer.task}` wrote nothing to {context.uri} in this run, but the parameter "
        f"`{context.parameter}` needs it",
        hint=f"annotate the parameter `{context.parameter}` with `| None` if that may happen; else let "
        f"`{context.producer.task}` return a result, or read the newest version of any run: `latest(x)`, or the table "
        "itself (`io.table(...)`)",
    )


def refuse_missing(context: InputContext, missing: Sequence[ItemWrite]) -> None:
    """Raise RunError if one of the items that stored nothing should have: a part of the rows is no result."""
    if required := [item.label for item in missing if item.required]:
        raise items_missing(context, required)


def items_missing(context: InputContext, labels: Sequence[str]) -> RunError:
    """Return the error of a reader that needs the results of all items; those with these labels stored nothing."""
    task = context.producer.task if context.producer else ""
    items = listed([hide(label)[:_LONGEST] for label in labels[:_SHOWN]])
    items += f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    name = context.parameter
    return RunError(
        f"the task `{task}` has results of this run for other items, but none for {items}, and `{name}` needs them all",
        hint=f"run `{task}` again for {'it' if len(labels) == 1 else 'them'}; or annotate `{name}` as "
        "`list[... | None]` or `dict[..., ... | None]`, where an item without a result is None",
    )


def refuse_as_new(context: OutputContext, mode: str) -> None:
    """Raise RunError for a frame of a task that reads what is new, where it would replace or double earlier rows.

    The build allows any mode for a task that says it returns a merge.
    """
    progress, task = context.receipt.progress, context.receipt.id.task
    if progress is None:
        return
    if mode != "append":
        raise RunError(
            f"the task `{task}` reads what is new and returned a frame, which "
            f'mode="{mode}" would not add to the rows of {context.uri}',
            hint='return a DeltaMerge, as its annotation says, or append: `mode="append"`',
        )
    if progress.again:
        raise RunError(
            f"the task `{task}` has read all again (`--restart`) and returned a frame, which would be appended to the "
            f"rows of {context.uri}",
            hint="delete the rows of that table first, or return a DeltaMerge, as its annotation says",
        )


def unstorable(manager: object, value: object, *, task: str, wanted: str) -> RunError:
    """Return the error of a result whose type the manager can't store; `wanted` names the types that it can."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return RunError(
        f"the task `{task}` returned a {kind}, which {type(manager).__name__} can't store",
        hint=f"return {wanted}",
    )
