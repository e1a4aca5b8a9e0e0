"""What is wrong with a frame's columns, whatever the engine: names, partitions, differences to a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def compare(frame: Mapping[str, Any], table: Mapping[str, Any], *, policy: str, uri: str, whole: bool = True) -> None:
    """Raise RunError with every difference that `policy` ("strict", "add-columns", "replace") does not allow.

    Without `whole` the write leaves rows of the table as they are, which "replace" can't.
    """
    if policy == "replace" and whole:
        return
    rows = []
    for name in [*table, *(name for name in frame if name not in table)]:
        here, there = table.get(name), frame.get(name)
        allowed = here == there or (policy == "add-columns" and (here is None or there is None))
        if not allowed:
            rows.append((name, str(here) if here is not None else "-", str(there) if there is not None else "-"))
    if not rows:
        return
    rows.insert(0, ("column", "table", "result"))
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    lines = "".join(f"\n    {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}" for row in rows)
    changed = any("-" not in row[1:] for row in rows[1:])
    raise RunError(
        f"the result does not have the columns of the table {uri}:{lines}",
        hint="cast or rename in the task"
        + ("" if changed else ', or let the table grow with schema="add-columns"')
        + ('; mode="overwrite" with schema="replace" gives the table a new schema' if whole else ""),
    )


def names_alike(names: Iterable[str]) -> list[Problem]:
    """Delta's column names are the same if they differ only in case (Delta protocol, "Schema Serialization")."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(name.lower(), []).append(name)
    return [
        Problem(f"the columns {listed(group)} are one name to a Delta table", hint="rename all but one in the task")
        for group in alike.values()
        if len(group) > 1
    ]


def check_partitions(
    columns: Sequence[str],
    missing: Sequence[str],
    unfit: Mapping[str, object],
    *,
    alone: bool,
    task: str,
    fit: str = "texts, numbers, booleans, dates or timestamps",
) -> None:
    """Raise RunError, with everything that is wrong, where a frame with `columns` can't be stored by partitions.

    It lacks the columns `missing`; those in `unfit` are of types that can't part a table, unlike those named by `fit`;
    `alone` says that there are no columns besides the partitions.
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
                hint=f"partition by {fit}",
            )
        )
    if alone:
        problems.append(
            Problem(
                f"the result of the task `{task}` has no column" + (" besides those of `partition_by`" * bool(columns)),
                hint="partition values are not in the files: a data file needs at least one other column",
            )
        )
    if problems:
        raise RunError(problems)
