"""Checks of a frame's columns for all engines: names, partitions, and differences from a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, listed
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

NULL = "__HIVE_DEFAULT_PARTITION__"
LOST = ("", NULL)
"""Strings that would come back as null from a partition column.

The empty string is null in any log (Delta protocol, "Partition Value Serialization"). The other is the name of the
folder for null, and the writers of Spark and delta-rs treat it as null.
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """A type, as far as tables are compared by it. `text` is the engine's name for the type.

    A struct has `fields`. A list has the type of its elements in `parts`, and a map has the types of its keys and
    values. An `open` type consists of nulls only and fits any other type.
    """

    text: str
    fields: tuple[tuple[str, Shape], ...] = ()
    parts: tuple[Shape, ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class _Difference:
    """A difference between a frame and a table; `table` or `frame` is None if that side lacks the column or field."""

    path: str
    table: str | None
    frame: str | None
    inside: bool


def compare(
    frame: Mapping[str, Shape],
    table: Mapping[str, Shape],
    *,
    policy: str,
    uri: str,
    whole: bool = True,
    fills: bool = True,
    one: Callable[[str], str] = str,
) -> None:
    """Raise RunError with every difference that `policy` ("strict", "add-columns", "replace") does not allow.

    Fields of structs count like columns, in any order. Without `whole` the write keeps rows of the table, which
    "replace" can't do. Without `fills` a field that a struct lacks would take its value from existing rows. `one` maps
    names that are the same to the engine to the same string.
    """
    if policy == "replace" and whole:
        return
    problems = [] if one("A") == one("a") else list(_alike(frame, table, uri))
    found = [
        difference
        for difference in _differences(frame, table, one)
        if policy != "add-columns"
        or (difference.table is not None and difference.frame is not None)
        or (difference.frame is None and difference.inside and not fills)
    ]
    if not problems and not found:
        return
    if found:
        rows = [("column", "table", "result"), *((d.path, d.table or "-", d.frame or "-") for d in found)]
        grows = policy == "strict" and all(d.frame is None or d.table is None for d in found)
        grows &= fills or not any(d.frame is None and d.inside for d in found)
        problems.append(
            Problem(
                f"the columns of the result don't match the table {uri}:{lines(rows)}",
                hint="cast or rename in the task"
                + (', or let the table grow with schema="add-columns"' if grows and not problems else "")
                + ('; mode="overwrite" with schema="replace" gives the table a new schema' if whole else ""),
            )
        )
    raise RunError(problems)


def lines(rows: Sequence[tuple[str, str, str]]) -> str:
    """Return a table of three columns as lines of a message, the first of which is its head."""
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return "".join(f"\n    {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}" for row in rows)


def spelled_as(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return `values` by the column names of `names`: Delta has no two that differ only in their case."""
    exact = {name.lower(): name for name in names}
    exact.update({name: name for name in exact.values()})
    return {exact.get(name, exact.get(name.lower(), name)): value for name, value in values.items()}


def named_as(some: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return `some` names of columns as `names` spell them."""
    return tuple(spelled_as(dict.fromkeys(some), names))


def lacks(frame: Mapping[str, Shape], table: Mapping[str, Shape], *, one: Callable[[str], str]) -> bool:
    """Return whether `frame` has columns, or fields in its structs, that `table` does not have."""
    return any(difference.table is None for difference in _differences(frame, table, one))


def _differences(
    frame: Mapping[str, Shape], table: Mapping[str, Shape], one: Callable[[str], str], above: str = ""
) -> Iterator[_Difference]:
    """Yield differences by column, and by field for structs. Names that differ only in case are left out."""
    given, alike = {one(name): shape for name, shape in frame.items()}, {name.lower() for name in frame}
    known, taken = {one(name) for name in table}, {name.lower() for name in table}
    inside = bool(above)
    for name, there in table.items():
        here = given.get(one(name))
        if here is not None:
            yield from _inside(here, there, one, above + name, inside)
        elif name.lower() not in alike:
            yield _Difference(above + name, there.text, None, inside)
    for name, here in frame.items():
        if one(name) not in known and name.lower() not in taken:
            yield _Difference(above + name, None, here.text, inside)


def _inside(here: Shape, there: Shape, one: Callable[[str], str], path: str, inside: bool) -> Iterator[_Difference]:
    if here.open:
        return
    if here.fields and there.fields:
        yield from _differences(dict(here.fields), dict(there.fields), one, f"{path}.")
    elif here.parts and len(here.parts) == len(there.parts):
        parts = zip(here.parts, there.parts, strict=True)
        found = [difference for pair in parts for difference in _inside(*pair, one, path, inside)]
        # Elements have no name, so report the whole types if they differ.
        whole = [_Difference(path, there.text, here.text, inside)]
        yield from whole if any(difference.path == path for difference in found) else found
    elif here.text != there.text:
        yield _Difference(path, there.text, here.text, inside)


def _alike(frame: Mapping[str, Shape], table: Mapping[str, Shape], uri: str, above: str = "") -> Iterator[Problem]:
    """Yield a problem for each name of a frame that differs from a name of the table only in case."""
    known = {name.lower(): name for name in table}
    for name, here in frame.items():
        if name in table:
            yield from _alike(dict(_fields(here)), dict(_fields(table[name])), uri, f"{above}{name}.")
        elif (other := known.get(name.lower())) is not None:
            yield Problem(
                f"the result has the column `{above}{name}`, but the table {uri} has `{above}{other}`, and Delta "
                "ignores case in names",
                hint=f"rename it to `{other}` in the task",
            )


def _fields(shape: Shape) -> tuple[tuple[str, Shape], ...]:
    """Return the fields of a struct, or of the structs in a list."""
    return shape.fields or tuple(field for part in shape.parts for field in _fields(part))


def unfit_names(columns: Sequence[tuple[str, Shape]], above: str = "") -> list[Problem]:
    """Return the problems of column names, including fields of structs.

    Delta treats names that differ only in case as the same (Delta protocol, "Schema Serialization Format").
    """
    problems: list[Problem] = []
    alike: dict[str, list[str]] = {}
    for name, _ in columns:
        alike.setdefault(name.lower(), []).append(above + name)
        if "\0" in name:
            problems.append(
                Problem(
                    f"the column name {above + name!r} has a NUL, which no table can store",
                    hint="rename it in the task",
                )
            )
    problems += [
        Problem(
            f"the columns {listed(group)} have the same name to Delta, which ignores case",
            hint="rename all but one in the task",
        )
        for group in alike.values()
        if len(group) > 1
    ]
    for name, shape in columns:
        problems += unfit_names(_fields(shape), f"{above}{name}.")
    return problems


def check_partitions(
    columns: Sequence[str],
    missing: Sequence[str],
    unfit: Mapping[str, object],
    *,
    alone: bool,
    task: str,
    fit: str = "strings, numbers, booleans, dates or timestamps",
) -> None:
    """Raise RunError with all problems if a frame with `columns` can't be stored by its partitions.

    The frame lacks the columns `missing`. Those in `unfit` have types that can't partition a table; `fit` names the
    types that can. `alone` says that there are no columns besides the partitions.
    """
    problems = []
    if missing:
        problems.append(
            Problem(
                f"the result of the task `{task}` has no column {listed(missing)}, which its table is partitioned by",
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
                f"the result of the task `{task}` has no column"
                + (" other than those of `partition_by`" * bool(columns)),
                hint="partition values are not stored in the files, which need at least one other column"
                if columns
                else "a table needs at least one: give an empty result a schema, or return None for no result",
            )
        )
    if problems:
        raise RunError(problems)


def refuse_other_partitions(there: Sequence[str], said: Sequence[str], uri: str) -> None:
    """Raise RunError if a table has other partition columns than its task states."""
    if said and tuple(there) != tuple(named_as(said, there)):
        is_ = f"is partitioned by {listed(there)}" if there else "is not partitioned"
        raise RunError(
            f"the table {uri} {is_}, but its task has partition_by={list(said)}",
            hint="use the partitions of the table, or write another table",
        )
