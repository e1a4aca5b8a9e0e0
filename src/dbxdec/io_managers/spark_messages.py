"""What readers and writers of Delta tables say, whatever the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError, listed
from dbxdec.io_managers import delta_once
from dbxdec.io_managers.base import WriteResult
from dbxdec.io_managers.spark_session import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.io_managers.base import InputContext, OutputContext, Receipt
    from dbxdec.io_managers.delta_log import Found


def conflict(context: OutputContext, error: BaseException) -> RunError:
    """The error of a commit that another writer's has made impossible, without the Java stack under it."""
    return delta_once.conflict(context, RuntimeError(first_line(error)))


def no_table(context: InputContext) -> RunError:
    return RunError(
        f"there is no Delta table at {context.uri}, which `{context.parameter}` reads",
        hint="check the path, and that whoever writes the table has run",
    )


def already(found: Found, receipt: Receipt, uri: str) -> WriteResult:
    """What an earlier attempt of a write has committed.

    Raises RunError where it was done by another build or with other parameters: dropping the new result would lose it
    in silence, and adding it would double the rows.
    """
    if (found.receipt.build, found.receipt.parameters) != (receipt.build, receipt.parameters):
        what = "build" if found.receipt.build != receipt.build else "set of parameters"
        raise RunError(
            f"the task `{receipt.id.task}` of this run has already written {uri} (version {found.version}) with "
            f"another {what}",
            hint=f"restore the table to version {found.version - 1} and repair again, or start a new run",
        )
    return WriteResult(found.version, note=f"already written by attempt {found.receipt.attempt}")


def other_partitions(uri: str, there: Sequence[str], said: Sequence[str]) -> RunError:
    is_ = f"is partitioned by {listed(there)}" if there else "is not partitioned"
    return RunError(
        f"the table {uri} {is_}, and its task says partition_by={list(said)}",
        hint="write it with the partitions it has, or write another table",
    )


def partition_problems(
    columns: Sequence[str], missing: Sequence[str], unfit: Mapping[str, object], *, alone: bool, task: str
) -> list[Problem]:
    """What is wrong with storing a frame with `columns` by partitions, of which it lacks `missing`.

    `unfit` are those of types that can't part a table; `alone` says that there are no columns besides them.
    """
    problems = []
    if missing:
        problems.append(
            Problem(
                f"the result of the task `{task}` has no column {listed(missing)}, by which its table is partitioned",
                hint=f"its columns are {listed(columns) or 'none'}",
            )
        )
    if unfit:
        lines = "".join(f"\n    {name}: {dtype}" for name, dtype in unfit.items())
        problems.append(
            Problem(
                f"the table of the task `{task}` can't be partitioned by these columns:{lines}",
                hint="partition by texts, numbers, booleans, dates or timestamps",
            )
        )
    if alone:
        problems.append(
            Problem(
                f"the result of the task `{task}` has no column" + (" besides those of `partition_by`" * bool(columns)),
                hint="partition values are kept in the log: a data file needs at least one other column",
            )
        )
    return problems
