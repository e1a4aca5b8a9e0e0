"""The expectations of a table's rows: conditions that are counted, that drop rows, or that fail the write.

A condition is SQL of the table's engine, or a function that makes an expression of the engine: engines differ in what
the same SQL means, so none is ever carried to another one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from dbxdec.model.variables import BundleVariable
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dbxdec.io_managers.delta.sql import Sql

OPTIONS = ("expect", "expect_or_drop", "expect_or_fail", "quarantine")
"""The options of a manager that say what is expected."""
OF_QUARANTINE = FAILED, RUN, TASK = "_dbxdec_failed", "_dbxdec_run", "_dbxdec_task"
"""The columns that a row has in quarantine besides its own: the expectations that it does not meet, who wrote it."""

EXPECT = "expect"
"""The name under which a commit states how the expectations of its rows came out."""
UNJUDGED = "; no expectation was checked"
"""The end of the note of a write that stores no rows: nothing was expected of it."""

Condition = str | Callable[[Any], Any]
Action = Literal["kept", "dropped", "quarantined", "failed"]
ACTIONS: dict[str, Action] = {"expect": "kept", "expect_or_drop": "dropped", "expect_or_fail": "failed"}
"""The options that have expectations, with what they do to a row that is not as expected."""
DROPPING = ("dropped", "quarantined")


@dataclass(frozen=True, slots=True)
class Unique:
    """No two rows have the same values in `columns`; made by `unique(...)`."""

    columns: tuple[str, ...]
    of: Literal["write", "table"] = "write"


@dataclass(frozen=True, slots=True)
class Rows:
    """Bounds of the number of rows that a write stores; made by `rows(...)`."""

    at_least: int | None = None
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Fraction:
    """A condition that at most a part of the rows may fulfil; made by `fraction(...)`."""

    condition: Condition
    at_most: float


Rule = Condition | Unique | Rows | Fraction


def unique(*columns: str, of: Literal["write", "table"] = "write") -> Unique:
    """Expect that no two rows have the same values in some columns, for `expect_or_fail=`. Nulls are values.

    Args:
        *columns: The names of the columns.
        of: `"write"`: among the rows of one write. `"table"`: also against those that are there, of an append.

    Returns:
        What `expect_or_fail` takes.

    Raises:
        DbxdecError: There is no column, or something else than names; raised by the table that gets it.

    Example:
        ```python
        from dbxdec import unique

        assert unique("day", "flight").columns == ("day", "flight")
        ```
    """
    return Unique(columns, of)


def rows(*, at_least: int | None = None, at_most: int | None = None) -> Rows:
    """Expect a number of rows of each write, after rows were dropped, for `expect_or_fail=`.

    Args:
        at_least: How many rows there must be.
        at_most: How many rows there may be.

    Returns:
        What `expect_or_fail` takes.

    Raises:
        DbxdecError: Neither is given, or one is no number from 0 on; raised by the table that gets it.

    Example:
        ```python
        from dbxdec import rows

        assert rows(at_least=1).at_most is None
        ```
    """
    return Rows(at_least, at_most)


def fraction(condition: Condition, *, at_most: float) -> Fraction:
    """Expect that at most a part of the rows fulfils a condition, for `expect_or_fail=`.

    Args:
        condition: SQL of the table's engine, or a function of the frame that gives an expression of the engine.
        at_most: The part, from 0 to 1.

    Returns:
        What `expect_or_fail` takes.

    Raises:
        DbxdecError: The part is not between 0 and 1; raised by the table that gets it.

    Example:
        ```python
        from dbxdec import fraction

        assert fraction("delay > 60", at_most=0.5).at_most == 0.5
        ```
    """
    return Fraction(condition, at_most)


class Expecting(Protocol):
    """The options of a manager that say what is expected."""

    expect: Any
    expect_or_drop: Any
    expect_or_fail: Any
    quarantine: Any
    mode: Any
    schema: Any
    sql: ClassVar[Sql]

    @property
    def writes(self) -> Collection[str] | None:
        """The kinds of results that it stores."""

    @property
    def merges(self) -> Collection[str]:
        """The kinds of results that are merges."""


def described(manager: Expecting) -> dict[str, Any]:
    """Return what is expected, for the manifest."""
    found: dict[str, Any] = {
        option: {name: _form(rule) for name, rule in getattr(manager, option).items()}
        for option in ACTIONS
        if getattr(manager, option)
    }
    if manager.quarantine is not None:
        root = manager.quarantine.base_path
        place = root.template if isinstance(root, BundleVariable) else str(root)  # its string is a value in a run
        found["quarantine"] = manager.quarantine.place_of(place, manager.quarantine._table)
    return found


def _form(rule: Rule) -> Any:
    match rule:
        case Unique(columns, of):
            return {"unique": list(columns), **({"of": of} if of != "write" else {})}
        case Rows():
            return {
                "rows": {name: value for name in ("at_least", "at_most") if (value := getattr(rule, name)) is not None}
            }
        case Fraction(condition, part):
            return {"fraction": _form(condition), "at_most": part}
        case str() | BundleVariable():
            return str(rule)
        case _:
            return {"function": f"{rule.__module__}:{rule.__qualname__}"}


def conditions_of(rules: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the conditions among `rules`, by the names of their expectations."""
    for name, rule in rules.items():
        if not isinstance(rule, Unique | Rows):
            yield name, str(found) if isinstance(found := _condition_of(rule), BundleVariable) else found


def _condition_of(rule: Any) -> Any:
    return rule.condition if isinstance(rule, Fraction) else rule


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation of a table in a run: its condition or rule, with the values of bundle variables."""

    name: str
    rule: Rule
    action: Action

    @property
    def condition(self) -> Condition | None:
        """The condition of a row; for a fraction, that of the rows that are counted; None for a rule of all rows."""
        return None if isinstance(self.rule, Unique | Rows) else _condition_of(self.rule)

    @property
    def is_of_rows(self) -> bool:
        """True if it is a condition of single rows: each row meets it or not."""
        return not isinstance(self.rule, Unique | Rows | Fraction)


def of(manager: Expecting, resolve: Callable[[Any], Any]) -> tuple[Expectation, ...]:
    """Return the expectations of a manager, with the values of bundle variables in this run."""
    found = []
    for option, action in ACTIONS.items():
        told: Action = "quarantined" if action == "dropped" and manager.quarantine is not None else action
        for name, rule in (getattr(manager, option) or {}).items():
            if isinstance(rule, Fraction):
                rule = Fraction(_resolved(rule.condition, resolve), rule.at_most)
            found.append(Expectation(name, _resolved(rule, resolve), told))
    return tuple(found)


def _resolved(rule: Any, resolve: Callable[[Any], Any]) -> Any:
    return resolve(rule) if isinstance(rule, str | BundleVariable) else rule


def strings(manager: Expecting) -> list[Any]:
    """Return what may hold bundle variables."""
    return [_condition_of(rule) for option in ACTIONS for rule in (getattr(manager, option) or {}).values()]
