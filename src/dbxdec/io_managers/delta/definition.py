"""The definition of a Delta table besides rows and types: clustering, properties, comments, column rules, constraints.

A table gets them when it is made. On a table that is there, each write changes what can be changed in place.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from dbxdec.errors import Problem, RunError, did_you_mean, listed
from dbxdec.io_managers.delta import properties
from dbxdec.model.variables import BundleVariable
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

AUTO = "auto"
CONSTRAINT = "delta.constraints."
"""The prefix of the property that keeps a constraint (Delta protocol, "CHECK constraints")."""
COMPUTED = "delta.generationExpression"
"""The metadata of a column that is computed from others (Delta protocol, "Generated Columns")."""
_MAX_CLUSTERING = 4  # docs.databricks.com, "Use liquid clustering for tables"
_IDENTITIES = (False, True, "always", "by default")
_PARTS = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|[^'"`]+|['"`]""")  # quoted or not
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_LITERALS = (str, bool, int, float, Decimal, dt.date)


@dataclass(frozen=True, slots=True)
class Column:
    """The rules of one column, made by `column(...)`."""

    comment: str | None = None
    not_null: bool | None = None
    identity: bool | str = False
    generated: str | None = None
    default: Any = None

    @property
    def is_computed(self) -> bool:
        """True if the table itself can fill the column."""
        return bool(self.identity) or self.generated is not None or self.default is not None

    @property
    def sql_default(self) -> str | None:
        """The default as an SQL expression."""
        value = self.default
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, dt.datetime):
            return f"TIMESTAMP'{value.isoformat(sep=' ')}'"
        return f"DATE'{value.isoformat()}'" if isinstance(value, dt.date) else str(value)

    def described(self) -> dict[str, Any]:
        """Return the rules that are set, for the manifest."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**{name: value for name, value in given.items() if value not in (None, False)}, **self._exact()}

    def _exact(self) -> dict[str, Any]:
        exact = {} if self.not_null is None else {"not_null": self.not_null}
        return exact if self.default is None else {**exact, "default": self.sql_default}


def column(
    *,
    comment: str | None = None,
    not_null: bool | None = None,
    identity: bool | Literal["always", "by default"] = False,
    generated: str | None = None,
    default: str | float | Decimal | dt.date | None = None,
) -> Column:
    """Describe a column of a Delta table, for `io.table(..., columns={"id": column(...)})`.

    The table fills columns with `identity`, `generated` or `default` itself where a result lacks them.

    Args:
        comment: The column's comment.
        not_null: True: the table refuses nulls in it; only of a table that is made. False: it may hold nulls again.
        identity: The table numbers its rows, from 1 on. `True` or `"always"`: no result may have the column.
            `"by default"`: a result may. Spark only.
        generated: An SQL expression over other columns, whose value the column always has: `"CAST(ts AS DATE)"`.
        default: The value where a result lacks the column: an SQL expression such as `"'new'"` or
            `"current_timestamp()"`, or a number, boolean, date or moment. Spark only.

    Raises:
        DbxdecError: `io.table(...)` raises it, with all that is wrong.

    Example:
        ```python
        from dbxdec import bundle_variable, column
        from dbxdec.io_managers import SparkTableIoManager

        gold = SparkTableIoManager(bundle_variable("catalog") + ".gold", mode="append")
        orders = gold.table(
            "orders",
            comment="One row for each order",
            cluster_by="day",
            columns={
                "id": column(identity=True, comment="numbered by the table"),
                "day": column(generated="CAST(ordered_at AS DATE)"),
                "amount": column(not_null=True),
            },
            constraints={"positive": "amount > 0"},
        )
        ```
    """
    return Column(comment, not_null, identity, generated, default)


@dataclass(frozen=True, slots=True)
class Definition:
    """A table as it is wanted, with the values of this run. Nothing is said of what is left out."""

    cluster_by: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    comment: str | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))

    @property
    def has_rules(self) -> bool:
        """True if rows may be refused, or get columns."""
        return bool(self.constraints) or any(one.not_null or one.is_computed for one in self.columns.values())

    def refuse_unknown(
        self, known: Iterable[str], where: str, *, task: str, one: Callable[[str], str] = str, new: bool = True
    ) -> None:
        """Raise RunError for rules of columns that are not in `known`; a `new` table has those that it fills, too."""
        there = {one(name): name for name in known}
        if problems := [
            Problem(
                f"`columns` of the task `{task}` has rules for `{name}`, but {where} has no such column",
                hint=did_you_mean(name, there.values()) or f"its columns are {listed(list(there.values()))}",
            )
            for name, rules in self.columns.items()
            if one(name) not in there and not (new and rules.is_computed)
        ]:
            raise RunError(problems)


class Defined(Protocol):
    """The options of a manager that define its tables.

    `engine_lacks` are those that its engine can't give a table, and properties that it can't.
    """

    cluster_by: Any
    properties: Any
    comment: Any
    columns: Any
    constraints: Any
    mode: Any
    schema: Any
    partition_by: Any
    engine_lacks: ClassVar[Mapping[str, str]]


OPTIONS = ("cluster_by", "properties", "comment", "columns", "constraints")


def described(manager: Defined) -> dict[str, Any]:
    """Return what is wanted of a table, for the manifest."""
    found = {
        "cluster_by": manager.cluster_by and list(manager.cluster_by),
        "properties": properties.texts(manager.properties or {}),
        "comment": manager.comment and str(manager.comment),
        "columns": {name: one.described() for name, one in (manager.columns or {}).items()},
        "constraints": dict(manager.constraints or {}),
    }
    return {name: value for name, value in found.items() if value}


def resolved(manager: Defined, resolve: Callable[[Any], Any]) -> Definition:
    """Return what is wanted of a table, with the values of bundle variables."""
    return Definition(
        tuple(manager.cluster_by or ()),
        resolve(properties.texts(manager.properties or {})),
        None if manager.comment is None else resolve(manager.comment),
        {
            name: Column(**{part.name: resolve(getattr(one, part.name)) for part in fields(one)})
            for name, one in (manager.columns or {}).items()
        },
        resolve(dict(manager.constraints or {})),
    )


def strings(manager: Defined) -> list[Any]:
    """Return the strings in the rules of columns, in which bundle variables may be."""
    return [getattr(one, part.name) for one in (manager.columns or {}).values() for part in fields(one)]


def constraint_instead(column: str) -> str:
    """Return what to write for a `not_null` that an existing column can't get."""
    plain = _NAME.fullmatch(column) is not None
    name = f"{column}_is_there" if plain else "is_there"
    identifier = column if plain else f"`{column.replace('`', '``')}`"
    return f"give the table a constraint: constraints={{{name!r}: {f'{identifier} IS NOT NULL'!r}}}"


def is_same(one: str | None, other: str | None) -> bool:
    """Return whether two SQL expressions differ in nothing but spaces: engines keep them with other ones."""
    return one == other or (one is not None and other is not None and _squeezed(one) == _squeezed(other))


def _squeezed(expression: str) -> str:
    return "".join(part if part[0] in "'\"`" else "".join(part.split()) for part in _PARTS.findall(expression))


def clustering(value: Any) -> Any:
    """Return `cluster_by` as a tuple of names; what is no list of names stays as it is."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) or None if isinstance(value, Sequence) and all(isinstance(n, str) for n in value) else value


def problems(manager: Defined, *, one: Callable[[str], str]) -> Iterator[Problem]:
    """Yield what is wrong with the options that define a table. `one` gives the same string for the same names."""
    yield from _clustering(manager, one)
    yield from _texts("properties", manager.properties, 'properties={"delta.enableChangeDataFeed": True}')
    yield from _properties(manager)
    if manager.comment is not None and not isinstance(manager.comment, str | BundleVariable):
        yield Problem(f"`comment` is {manager.comment!r:.60}", hint="give a string")
    yield from _columns(manager, one)
    yield from _texts("constraints", manager.constraints, 'constraints={"positive": "amount > 0"}')
    if isinstance(manager.constraints, Mapping):
        for name, condition in manager.constraints.items():
            if isinstance(name, str) and not _NAME.fullmatch(name):
                yield Problem(f"`constraints` has the name {name!r:.60}", hint="use letters, digits and `_`")
            if not isinstance(condition, str) or not condition.strip():
                yield Problem(f"the constraint {name!r:.60} is {condition!r:.60}", hint="give it an SQL condition")


def _clustering(manager: Defined, one: Callable[[str], str]) -> Iterator[Problem]:
    names = manager.cluster_by
    if names is None:
        return
    if not isinstance(names, tuple):
        yield Problem(f"`cluster_by` is {names!r:.60}", hint='name columns: cluster_by=["day", "country"], or "auto"')
        return
    if "cluster_by" in manager.engine_lacks:
        yield Problem("`cluster_by` is given", hint=manager.engine_lacks["cluster_by"])
    if "" in names or len({one(name) for name in names}) < len(names) or len(names) > _MAX_CLUSTERING:
        yield Problem(f"`cluster_by` is {list(names)}", hint=f"name up to {_MAX_CLUSTERING} columns, each once")
    if manager.partition_by:
        yield Problem(
            "`cluster_by` and `partition_by` are both given", hint="a table has partitions or clusters, never both"
        )


def _texts(name: str, value: Any, example: str) -> Iterator[Problem]:
    if value is not None and not (isinstance(value, Mapping) and all(isinstance(key, str) and key for key in value)):
        yield Problem(f"`{name}` is {value!r:.60}", hint=f"give a dict: {example}")


def _properties(manager: Defined) -> Iterator[Problem]:
    lacks = {option.lower(): instead for option, instead in manager.engine_lacks.items()}
    for name, value in manager.properties.items() if isinstance(manager.properties, Mapping) else ():
        if not isinstance(name, str):
            continue  # `_texts` says so
        lower = name.lower()
        if lower.startswith("delta.constraints."):
            yield Problem(f"`properties` has `{name}`", hint="give it as a constraint: `constraints=`")
        elif lower.startswith("dbxdec."):
            yield Problem(f"`properties` has `{name}`, which dbxdec sets", hint="use another name")
        elif not isinstance(value, str | bool | int | float | BundleVariable):
            yield Problem(f"the property {name!r:.60} is {value!r:.60}", hint="give a string, a number or a boolean")
        elif (instead := properties.wanted(name, value)) is not None:
            yield Problem(f"the property {name!r:.60} is {value!r:.60}", hint=instead)
        elif (lack := lacks.get(lower)) is not None and properties.texts({name: value})[name] not in ("false", "none"):
            yield Problem(f"`properties` has `{name}`", hint=lack)
        elif (lower, properties.texts({name: value})[name], manager.mode) == ("delta.appendonly", "true", "overwrite"):
            yield Problem(f'`properties` has `{name}`, but the mode is "overwrite"', hint='use mode="append"')


def _columns(manager: Defined, one: Callable[[str], str]) -> Iterator[Problem]:
    columns = manager.columns
    if columns is None:
        return
    yield from _texts("columns", columns, 'columns={"id": column(not_null=True)}')
    if not isinstance(columns, Mapping):
        return
    if len({one(str(name)) for name in columns}) < len(columns):
        yield Problem(f"`columns` is {list(columns)}", hint="name each column once")
    for name, rules in columns.items():
        if not isinstance(rules, Column):
            yield Problem(
                f"the column {name!r:.60} is {rules!r:.60}",
                hint="describe it: `column(comment=..., not_null=...)`, with `column` from dbxdec",
            )
            continue
        yield from (
            Problem(f"the column {name!r:.60} has {message}", hint=hint) for message, hint in _of_column(rules, manager)
        )


def _of_column(rules: Column, manager: Defined) -> Iterator[tuple[str, str]]:
    given: dict[str, Any] = {part.name: getattr(rules, part.name) for part in fields(rules)}
    if not isinstance(given["comment"], str | None):
        yield f"the comment {rules.comment!r:.60}", "give a string"
    if rules.not_null not in (None, True, False):
        yield f"not_null={rules.not_null!r:.60}", "give True or False"
    if rules.identity not in _IDENTITIES:
        near = did_you_mean(str(rules.identity), ("always", "by default"))
        yield f"identity={rules.identity!r:.60}", near or 'give True, "always" or "by default"'
    if rules.generated is not None and not (isinstance(rules.generated, str) and rules.generated.strip()):
        yield f"generated={rules.generated!r:.60}", 'give an SQL expression: generated="CAST(ts AS DATE)"'
    if rules.default is not None and not isinstance(rules.default, _LITERALS):
        yield f"default={rules.default!r:.60}", "give an SQL expression, a number, a boolean, a date or a moment"
    ways = [name for name in ("identity", "generated", "default") if getattr(rules, name) not in (None, False)]
    if len(ways) > 1:
        yield " and ".join(f"`{name}=`" for name in ways), "the table fills a column in one way"
    yield from ((f"`{name}=`", manager.engine_lacks[name]) for name in ways if name in manager.engine_lacks)
    if manager.schema == "replace" and (ways or rules.not_null):
        lost = ways[0] if ways else "not_null"
        yield f'`{lost}=`, and schema="replace"', "a new schema drops such rules: use another `schema=`"
