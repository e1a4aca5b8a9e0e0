"""What the rows of a table are expected to be: conditions that are counted, that drop rows, or that fail the write.

A condition is SQL of the table's engine, or a function that makes an expression of the engine: engines differ in what
the same SQL means, so none is ever carried to another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dbxdec.errors import Problem, RunError, did_you_mean, listed, on_one_line
from dbxdec.model import outcomes
from dbxdec.model.variables import BundleVariable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

OPTIONS = ("expect", "expect_or_drop", "expect_or_fail", "quarantine")
"""The options of a manager that say what is expected."""
MOST, LONGEST = 100, 128
"""How many expectations a table may have, and how many characters their names."""
FAILED, RUN, TASK = "_dbxdec_failed", "_dbxdec_run", "_dbxdec_task"
"""The columns that a row has in quarantine besides its own: the expectations that it does not meet, who wrote it."""

Condition = str | Callable[[Any], Any]
Action = Literal["kept", "dropped", "quarantined", "failed"]
_ACTIONS: dict[str, Action] = {"expect": "kept", "expect_or_drop": "dropped", "expect_or_fail": "failed"}


@dataclass(frozen=True, slots=True)
class Unique:
    """No two rows have the same values in `columns`; made by `unique(...)`."""

    columns: tuple[str, ...]
    of: Literal["write", "table"] = "write"


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows a write stores; made by `rows(...)`."""

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

    @property
    def writes(self) -> Collection[str] | None:
        """The kinds of results that it stores."""

    @property
    def merges(self) -> Collection[str]:
        """Those of them that are merges."""


def problems(manager: Expecting) -> Iterator[Problem]:
    """Yield what is wrong with the options."""
    names: dict[str, str] = {}
    for option in _ACTIONS:
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
            yield from _of_condition(what, condition)
        case _:
            yield from _of_condition(what, rule)


def _of_condition(what: str, condition: Any) -> Iterator[Problem]:
    if isinstance(condition, str | BundleVariable):
        text = str(condition)
        if not text.strip():
            yield Problem(f"{what} is empty", hint="give it an SQL condition, as in `n < 9`")
        for name in moving(text):
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
    if place is None:
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
    elif manager.schema != "strict" and place.schema == "strict":
        yield Problem(
            f'the columns may change (`schema="{manager.schema}"`), but the table of `quarantine` takes no others',
            hint='let it grow, too: `lake.table("bad/flights", mode="append", schema="add-columns")`',
        )


def described(manager: Expecting) -> dict[str, Any]:
    """Return what is expected, for the manifest."""
    found: dict[str, Any] = {
        option: {name: _form(rule) for name, rule in getattr(manager, option).items()}
        for option in _ACTIONS
        if getattr(manager, option)
    }
    if manager.quarantine is not None:
        root = manager.quarantine.base_path
        place = root.template if isinstance(root, BundleVariable) else str(root)  # its string is a value in a run
        found["quarantine"] = f"{place.rstrip('/')}/{manager.quarantine._table}"
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


def _shown(rule: Rows) -> str:
    return f"rows(at_least={rule.at_least!r:.20}, at_most={rule.at_most!r:.20})"


# SQL with holes

_TOKENS = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|--[^\n]*|/\*.*?\*/|::|:(?P<name>[^\W\d]\w*)|(?P<word>[^\W\d]\w*)|.""",
    re.DOTALL,
)
# SQL calls these without brackets; the others are names of columns where none follow.
_BARE = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
_MOVING = _BARE | frozenset(
    {
        "current_timezone",
        "gen_random_uuid",
        "now",
        "rand",
        "randn",
        "random",
        "shuffle",
        "today",
        "unix_timestamp",
        "uuid",
    }
)


def moving(text: str) -> list[str]:
    """Return the functions in a condition that give something else each time."""
    found = [
        token["word"]
        for token in _TOKENS.finditer(text)
        if (word := (token["word"] or "").lower()) in _MOVING
        and (word in _BARE or text[token.end() :].lstrip().startswith("("))
    ]
    return list(dict.fromkeys(found))


def filled(text: str, parameters: Mapping[str, Any], write: Callable[[str, Any], str]) -> str:
    """Return a condition with each `:name` replaced by what `write` makes of the job parameter of that name.

    Raises RunError for a name that the job does not have.
    """
    unknown = [found["name"] for found in _TOKENS.finditer(text) if found["name"] and found["name"] not in parameters]
    if unknown:
        raise RunError(
            Problem(
                f"the condition {text!r:.80} has `:{name}`, but the job has no parameter `{name}`",
                hint=did_you_mean(name, parameters) or f"its parameters are {listed(list(parameters)) or 'none'}",
            )
            for name in unknown
        )

    def one(found: re.Match[str]) -> str:
        return write(found["name"], parameters[found["name"]]) if found["name"] else found[0]

    return _TOKENS.sub(one, text)


def unknown_parameters(manager: Expecting, parameters: Collection[str]) -> Iterator[Problem]:
    """Yield a problem for each `:name` in a condition that is no parameter of the job."""
    for name, condition in conditions(manager):
        if isinstance(condition, str):
            for hole in holes(condition):
                if hole not in parameters:
                    yield Problem(
                        f'the expectation "{name}" has `:{hole}`, but the job has no parameter `{hole}`',
                        hint=did_you_mean(hole, parameters)
                        or f"its parameters are {listed(list(parameters)) or 'none'}",
                    )


def conditions(manager: Expecting) -> Iterator[tuple[str, Any]]:
    """Yield the conditions of a manager, by the names of their expectations."""
    for option in _ACTIONS:
        for name, rule in (getattr(manager, option) or {}).items():
            if not isinstance(rule, Unique | Rows):
                yield name, str(found) if isinstance(found := _condition_of(rule), BundleVariable) else found


def _condition_of(rule: Any) -> Any:
    return rule.condition if isinstance(rule, Fraction) else rule


def holes(text: str) -> list[str]:
    """Return the names of the job parameters that a condition has, as `:name`."""
    return list(dict.fromkeys(found["name"] for found in _TOKENS.finditer(text) if found["name"]))


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
        """Whether each row meets it or not."""
        return not isinstance(self.rule, Unique | Rows | Fraction)


def of(manager: Expecting, resolve: Callable[[Any], Any]) -> tuple[Expectation, ...]:
    """Return the expectations of a manager, with the values of bundle variables in this run."""
    found = []
    for option, action in _ACTIONS.items():
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
    return [_condition_of(rule) for option in _ACTIONS for rule in (getattr(manager, option) or {}).values()]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one expectation came out: how many of `total` rows do not meet it; `why` where the write fails by it.

    Of `rows` it is no row, of `unique` those whose values are not theirs alone, of `fraction` those that fulfil it.
    """

    expectation: Expectation
    failed: int
    total: int
    why: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return what stands in the receipt."""
        found = {"failed": self.failed, "rows": self.total, "action": self.expectation.action}
        return found if self.expectation.is_of_rows else {**found, "rule": type(self.expectation.rule).__name__.lower()}

    def text(self) -> str:
        """Return it for the log: `"plausible delay": 3 of 842 rows failed (kept)`."""
        return outcomes.text(self.expectation.name, self.facts())


def judged(expectation: Expectation, failed: int, total: int) -> Outcome:
    """Return the outcome of an expectation by its numbers."""
    why = None
    match expectation.rule:
        case Rows(least, most):
            bounds = [f"at least {least:,}"] if least is not None and total < least else []
            bounds += [f"at most {most:,}"] if most is not None and total > most else []
            why = f"{total:,} rows, and there must be {bounds[0]}" if bounds else None
        case Fraction(_, part):
            if failed > part * total:
                share = failed / total if total else 0.0
                why = f"{failed:,} of {total:,} rows ({share:.1%}) fulfil it, and at most {part:.4g} of them may"
        case Unique(columns):
            why = f"{failed:,} of {total:,} rows share their {listed(list(columns))} with others" if failed else None
        case _:
            why = f"{failed:,} of {total:,} rows do not meet it" if failed and expectation.action == "failed" else None
    return Outcome(expectation, failed, total, why)


def refuse_failed(found: Sequence[Outcome], *, task: str, uri: str) -> None:
    """Raise RunError, with all of them, if rows are not what they must be."""
    failed = [one for one in found if one.why is not None]
    if failed:
        raise RunError(
            Problem(
                f'the task `{task}` can\'t write {uri}: the expectation "{one.expectation.name}" failed: {one.why}',
                hint="nothing was written to it; mend the rows in the task, or let the rule only count or drop them "
                "(`expect`, `expect_or_drop`)",
            )
            for one in failed
        )
