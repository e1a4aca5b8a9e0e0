"""The problems of a table's expectations, as far as they can be told without the engine and the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, on_one_line
from dbxdec.io_managers.base import Mistaken
from dbxdec.io_managers.delta.expectations import ACTIONS, Fraction, Rows, Unique, conditions_of
from dbxdec.model.variables import BundleVariable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.io_managers.delta.expectations import Expecting
    from dbxdec.io_managers.delta.sql import Sql
    from dbxdec.model.values import ValueType

MOST, LONGEST = 100, 128
"""The most expectations that a table may have, and the most characters of their names."""


def problems(manager: Expecting) -> Iterator[Problem]:
    """Yield what is wrong with the options."""
    names: dict[str, str] = {}
    for option in ACTIONS:
        given = getattr(manager, option)
        if given is None:
            continue
        if not isinstance(given, Mapping):
            yield Problem(
                f"`{option}` is {on_one_line(given):.60}", hint=f'give a dict: {option}={{"plausible": "n < 9"}}'
            )
            continue
        for name, rule in given.items():
            yield from _of_name(option, name, names)
            yield from _of_rule(option, name, rule, manager)
    if len(names) > MOST:
        yield Problem(f"the table has {len(names)} expectations", hint=f"a table may have {MOST}")
    yield from _of_quarantine(manager)


def sound(manager: Expecting) -> list[tuple[str, Any]]:
    """Return the conditions of which `problems` says nothing, by the names of their expectations."""
    found: list[tuple[str, Any]] = []
    for option in ACTIONS:
        given = getattr(manager, option)
        if isinstance(given, Mapping):
            right = {name: rule for name, rule in given.items() if not [*_of_rule(option, name, rule, manager)]}
            found += conditions_of(right)
    return found


def _of_name(option: str, name: Any, names: dict[str, str]) -> Iterator[Problem]:
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST or not name.isprintable():
        yield Problem(
            f"`{option}` has the name {on_one_line(name):.60}",
            hint=f"use a string of 1 to {LONGEST} characters on one line",
        )
    elif name in names:
        yield Problem(f"`{option}` and `{names[name]}` both have {name!r}", hint="give each expectation its own name")
    else:
        names[name] = option


def _of_rule(option: str, name: Any, rule: Any, manager: Expecting) -> Iterator[Problem]:
    what = f"the expectation {name!r:.60}"
    if isinstance(rule, Unique | Rows | Fraction) and option != "expect_or_fail":
        kind = type(rule).__name__.lower()
        yield Problem(f"{what} of `{option}` is about all rows ({kind}(...))", hint="put it into `expect_or_fail`")
        return
    match rule:
        case Unique(columns, of):
            if not columns or not all(isinstance(column, str) and column for column in columns):
                yield Problem(f"{what} is unique{columns!r:.60}", hint='name the columns: unique("day", "flight")')
            elif len(set(columns)) < len(columns):
                yield Problem(f"{what} is unique{columns!r:.60}", hint="name each column once")
            if of not in ("write", "table"):
                yield Problem(f"{what} has of={of!r:.40}", hint='write of="write" or of="table"')
            elif of == "table" and manager.mode != "append":
                yield Problem(
                    f'{what} has of="table", but the mode is "{manager.mode}"',
                    hint="only an append adds to rows that stay: leave `of=` out",
                )
        case Rows(least, most):
            wrong = [
                number for number in (least, most) if number is not None and (type(number) is not int or number < 0)
            ]
            if wrong or (least is None and most is None) or (least is not None and most is not None and least > most):
                yield Problem(f"{what} is {_shown(rule)}", hint="write rows(at_least=1), rows(at_most=1_000), or both")
        case Fraction(condition, part):
            if type(part) not in (int, float) or not 0 <= part <= 1:
                yield Problem(f"{what} has at_most={part!r:.40}", hint="give a part from 0 to 1: at_most=0.05")
            yield from _of_condition(what, condition, manager.sql)
        case _:
            yield from _of_condition(what, rule, manager.sql)


def _of_condition(what: str, condition: Any, sql: Sql) -> Iterator[Problem]:
    if isinstance(condition, str | BundleVariable):
        text = str(condition)
        if not text.strip():
            yield Problem(f"{what} is empty", hint="give it an SQL condition, as in `n < 9`")
        for name in sql.moving(text):
            yield Problem(
                f"{what} calls `{name}`, which gives something else in a retry",
                hint="compare with a parameter of the job, `:day`",
            )
    elif not callable(condition):
        yield Problem(
            f"{what} is {on_one_line(condition):.60}",
            hint="give SQL, or a function of the frame: `lambda frame: ...`",
        )


def _of_quarantine(manager: Expecting) -> Iterator[Problem]:
    place = manager.quarantine
    if place is None or isinstance(place, Mistaken):
        return
    if not manager.expect_or_drop:
        yield Problem("`quarantine` is given, but no row is dropped", hint="say which are: `expect_or_drop={...}`")
    if not getattr(place, "is_table", False) or not getattr(place, "reads_changes", False):
        yield Problem(
            f"`quarantine` is {on_one_line(place):.60}, not a Delta table", hint='name one: `lake.table("bad/flights")`'
        )
    elif not set(manager.writes or ()) & set(place.writes or ()) - set(manager.merges):
        yield Problem(
            f"`quarantine` is a table of {type(place).__name__}, which can't store the rows of "
            f"{type(manager).__name__}",
            hint=f"name a table of {type(manager).__name__}, too",
        )
    elif getattr(place, "mode", None) != "append":
        yield Problem(
            f'`quarantine` is a table with mode="{getattr(place, "mode", None)}": each write would lose earlier rows',
            hint='`lake.table("bad/flights", mode="append")`',
        )
    elif place.expect_or_drop:
        yield Problem(
            "`quarantine` is a table that leaves rows out itself (`expect_or_drop`): they would be lost",
            hint="give expectations to tables, not to the manager that both are from, or take them from this one: "
            '`lake.table("bad/flights", expect_or_drop=None)`',
        )
    elif manager.schema != "strict" and place.schema == "strict":
        yield Problem(
            f'the columns may change (`schema="{manager.schema}"`), but the table of `quarantine` takes no others',
            hint='let it grow, too: `lake.table("bad/flights", mode="append", schema="add-columns")`',
        )


def _shown(rule: Rows) -> str:
    return f"rows(at_least={rule.at_least!r:.20}, at_most={rule.at_most!r:.20})"


def of_parameters(manager: Expecting, parameters: Mapping[str, ValueType]) -> Iterator[Problem]:
    """Yield a problem for each `:name` in a condition that is no parameter of the job, or one of several values."""
    for name, condition in sound(manager):
        if not isinstance(condition, str):
            continue
        for said, hint in manager.sql.unknown_holes(condition, parameters):
            yield Problem(f'the expectation "{name}" {said}', hint=hint)
        for parameter in manager.sql.holes(condition):
            kind = parameters[parameter].kind if parameter in parameters else ""
            if kind in ("list", "dict"):
                yield Problem(
                    f'the expectation "{name}" has `:{parameter}`, and the job parameter `{parameter}` is a {kind}, '
                    "which is no value of SQL",
                    hint="compare with a string, a number, a date or a time, or let the task make a column of it",
                )
