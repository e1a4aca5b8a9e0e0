"""What is wrong with a frame's columns, whatever the engine: names, partitions, differences to a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbxdec.errors import Problem, RunError, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

NULL = "__HIVE_DEFAULT_PARTITION__"
LOST = ("", NULL)
"""Strings that would come back as null from a partition column.

The first is null in any log (Delta protocol, "Partition Value Serialization"). The second is the name of null's folder,
and Spark's and delta-rs' writers take it for null.
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """A type, as far as tables are compared by it; `text` is what the engine calls it.

    A struct has `fields`, a list its elements' type in `parts`, a map those of its keys and values. One that is `open`
    is of nulls alone, which fit any type.
    """

    text: str
    fields: tuple[tuple[str, Shape], ...] = ()
    parts: tuple[Shape, ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class _Difference:
    """Where a frame and a table differ; `table` or `frame` is None where that has no such column or field."""

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

    Fields of structs count as columns do, in any order. Without `whole` the write leaves rows of the table as they are,
    which "replace" can't; without `fills` a field that a struct lacks would take its value from rows that are there.
    `one` gives the same text for names that are one to the engine.
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
        widths = [max(len(row[i]) for row in rows) for i in range(2)]
        lines = "".join(f"\n    {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}" for row in rows)
        grows = policy == "strict" and all(d.frame is None or d.table is None for d in found)
        grows &= fills or not any(d.frame is None and d.inside for d in found)
        problems.append(
            Problem(
                f"the result does not have the columns of the table {uri}:{lines}",
                hint="cast or rename in the task"
                + (', or let the table grow with schema="add-columns"' if grows and not problems else "")
                + ('; mode="overwrite" with schema="replace" gives the table a new schema' if whole else ""),
            )
        )
    raise RunError(problems)


def lacks(frame: Mapping[str, Shape], table: Mapping[str, Shape], *, one: Callable[[str], str]) -> bool:
    """Whether `frame` has columns, or fields in its structs, that `table` does not have."""
    return any(difference.table is None for difference in _differences(frame, table, one))


def _differences(
    frame: Mapping[str, Shape], table: Mapping[str, Shape], one: Callable[[str], str], above: str = ""
) -> Iterator[_Difference]:
    """Differences column by column, those of structs field by field; names that differ only in case are left out."""
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
        # Elements have no name, so the whole types are told where they differ.
        whole = [_Difference(path, there.text, here.text, inside)]
        yield from whole if any(difference.path == path for difference in found) else found
    elif here.text != there.text:
        yield _Difference(path, there.text, here.text, inside)


def _alike(frame: Mapping[str, Shape], table: Mapping[str, Shape], uri: str, above: str = "") -> Iterator[Problem]:
    """Names of a frame that differ from those of a table only in case."""
    known = {name.lower(): name for name in table}
    for name, here in frame.items():
        if name in table:
            yield from _alike(dict(_fields(here)), dict(_fields(table[name])), uri, f"{above}{name}.")
        elif (other := known.get(name.lower())) is not None:
            yield Problem(
                f"the result has the column `{above}{name}`, and the table {uri} `{above}{other}`: to a Delta table "
                "they are one name",
                hint=f"rename it to `{other}` in the task",
            )


def _fields(shape: Shape) -> tuple[tuple[str, Shape], ...]:
    """The fields of a struct, or of a list's structs."""
    return shape.fields or tuple(field for part in shape.parts for field in _fields(part))


def unfit_names(columns: Sequence[tuple[str, Shape]], above: str = "") -> list[Problem]:
    """What is wrong with names, inside structs too.

    Those of Delta are the same if they differ only in case (Delta protocol, "Schema Serialization Format").
    """
    problems: list[Problem] = []
    alike: dict[str, list[str]] = {}
    for name, _ in columns:
        alike.setdefault(name.lower(), []).append(above + name)
        if "\0" in name:
            problems.append(
                Problem(f"no table can hold the column {above + name!r}", hint="rename it in the task: it has a NUL")
            )
    problems += [
        Problem(f"the columns {listed(group)} are one name to a Delta table", hint="rename all but one in the task")
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
                hint="partition values are not in the files: a data file needs at least one other column"
                if columns
                else "a table has at least one: give an empty result a schema, or return None where there is none",
            )
        )
    if problems:
        raise RunError(problems)
