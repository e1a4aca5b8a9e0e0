"""`DeltaMerge`: an upsert as data, the same for every engine, which the IoManager executes exactly once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from dbxdec.errors import DbxdecError, Problem, RunError, did_you_mean, listed
from dbxdec.model.changes import FEED
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from dbxdec.io_managers.contexts import OutputContext

SOURCE, TARGET = "source", "target"
"""The names of the new rows and of the table in predicates and expressions."""

Kind = Literal["matched", "not matched", "not matched by source"]
Action = Literal["update", "delete", "insert"]


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause: the rows that it applies to, its condition, and its action.

    `values` maps columns to SQL expressions; None means all columns of the source except `except_cols`.
    """

    kind: Kind
    action: Action
    values: Mapping[str, str] | None = None
    except_cols: tuple[str, ...] = ()
    predicate: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DeltaMerge:
    """A merge of rows into the task's table: return it from a task whose IoManager stores Delta tables.

    Without clauses it updates the rows that match and inserts the others. With clauses the first one that applies to a
    row decides, as in Delta's MERGE. Their methods and arguments are called as in delta-rs, and each returns a new
    DeltaMerge. If the table does not exist yet, it is made with the columns of the source, and the clauses apply to an
    empty table. A retry of a merge that was committed does nothing. The columns that `.changes()` adds, such as
    `_change_type`, are for the conditions: clauses for all columns leave them out, unless the table has them.

    Args:
        source: The new rows: a frame of the IoManager's engine. Keys must be unique in it.
        on: The key columns, `"id"` or `["id", "day"]`, or a condition in SQL over `source` and `target`. Nulls match
            nothing.
        clauses: The clauses so far; call the methods instead.

    Raises:
        DbxdecError: An argument can't be merged by; all mistakes at once.

    Example:
        ```python
        import polars as pl
        from dbxdec import DeltaMerge

        frame = pl.DataFrame({"id": [1], "version": [2], "deleted": [False]})
        DeltaMerge(frame, on="id")
        DeltaMerge(frame, on="id").when_matched_update_all("source.version > target.version")
        DeltaMerge(frame, on="id").when_matched_delete("source.deleted").when_not_matched_insert_all()
        ```
    """

    source: Any
    on: str | Sequence[str]
    clauses: tuple[Clause, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        if self.source is None:
            problems.append(Problem("the source of a DeltaMerge is None", hint="give it the frame with the new rows"))
        if isinstance(self.on, str):
            if not self.on.strip():
                problems.append(Problem("`on` of a DeltaMerge is empty", hint=_ON))
        elif not self.on or not all(isinstance(name, str) and name for name in self.on):
            problems.append(Problem(f"`on` of a DeltaMerge is {self.on!r:.60}", hint=_ON))
        else:
            object.__setattr__(self, "on", tuple(self.on))
        if problems:
            raise DbxdecError(problems)

    def when_matched_update_all(
        self, predicate: str | None = None, except_cols: str | Iterable[str] = ()
    ) -> DeltaMerge:
        """Update a row that matches with the source's columns.

        Args:
            predicate: A condition in SQL over `source` and `target`.
            except_cols: Columns of the source that are left out, or the name of one.
        """
        return self._with(Clause("matched", "update", None, _names(except_cols), predicate))

    def when_matched_update(self, updates: Mapping[str, str], predicate: str | None = None) -> DeltaMerge:
        """Update columns of a row that matches.

        Args:
            updates: SQL expressions over `source` and `target`, by column of the table.
            predicate: A condition in SQL over `source` and `target`.
        """
        return self._with(Clause("matched", "update", _values(updates), (), predicate))

    def when_matched_delete(self, predicate: str | None = None) -> DeltaMerge:
        """Delete a row that matches.

        Args:
            predicate: A condition in SQL over `source` and `target`.
        """
        return self._with(Clause("matched", "delete", predicate=predicate))

    def when_not_matched_insert_all(
        self, predicate: str | None = None, except_cols: str | Iterable[str] = ()
    ) -> DeltaMerge:
        """Insert a row of the source that matches nothing.

        Args:
            predicate: A condition in SQL over `source`.
            except_cols: Columns of the source that are left out, or the name of one: they are null in the new row.
        """
        return self._with(Clause("not matched", "insert", None, _names(except_cols), predicate))

    def when_not_matched_insert(self, updates: Mapping[str, str], predicate: str | None = None) -> DeltaMerge:
        """Insert chosen values for a row of the source that matches nothing. Other columns are null.

        Args:
            updates: SQL expressions over `source`, by column of the table.
            predicate: A condition in SQL over `source`.
        """
        return self._with(Clause("not matched", "insert", _values(updates), (), predicate))

    def when_not_matched_by_source_update(self, updates: Mapping[str, str], predicate: str | None = None) -> DeltaMerge:
        """Update columns of a row of the table that no row of the source matches.

        Args:
            updates: SQL expressions over `target`, by column of the table.
            predicate: A condition in SQL over `target`.
        """
        return self._with(Clause("not matched by source", "update", _values(updates), (), predicate))

    def when_not_matched_by_source_delete(self, predicate: str | None = None) -> DeltaMerge:
        """Delete a row of the table that no row of the source matches.

        Args:
            predicate: A condition in SQL over `target`. Without it every such row is deleted.
        """
        return self._with(Clause("not matched by source", "delete", predicate=predicate))

    @property
    def keys(self) -> tuple[str, ...]:
        """The key columns; none where `on` is a condition."""
        if not isinstance(self.on, str):
            return tuple(self.on)
        # A condition may be a column of truth values: `source.changed`.
        may_be_name = self.on.partition(".")[0].strip() not in (SOURCE, TARGET)
        is_name = _NAME.fullmatch(self.on) or (may_be_name and self.on in _columns(self.source))
        return (self.on,) if is_name else ()

    @property
    def steps(self) -> tuple[Clause, ...]:
        """The clauses, or those of an upsert where the author gave no clause."""
        return self.clauses or (Clause("matched", "update"), Clause("not matched", "insert"))

    def condition(self, quote: str) -> str:
        """`on` as SQL; `quote` is the engine's quote around names. Nulls match nothing, as `=` has it."""
        if not self.keys:
            return str(self.on)
        names = [quote + name.replace(quote, quote * 2) + quote for name in self.keys]
        return " AND ".join(f"{TARGET}.{name} = {SOURCE}.{name}" for name in names)

    def without_feed(self, table: Collection[str], *, one: Callable[[str], str] = str) -> DeltaMerge:
        """Return the merge whose clauses for all columns leave out those of `.changes()` that the table lacks.

        `_change_type` says what to do with a row, and is not a part of it.
        """
        there = {one(name) for name in table}
        own = tuple(name for name in feed_columns(_columns(self.source), one=one) if one(name) not in there)
        if not own:
            return self
        steps = (
            replace(clause, except_cols=(*clause.except_cols, *own))
            if clause.values is None and clause.action != "delete"
            else clause
            for clause in self.steps
        )
        return replace(self, clauses=tuple(steps))

    def refuse_unknown(
        self, source: Iterable[str], table: Iterable[str], *, task: str, one: Callable[[str], str] = str
    ) -> None:
        """Raise RunError, with all of them, for columns of clauses that the source or the table does not have.

        delta-rs would leave them out in silence. `one` gives the same text for names that are one name to the engine.
        """
        here, there = ({one(name): name for name in names} for names in (source, table))
        wrong = [
            (name, what, known)
            for names, what, known in (
                (self.keys, "the table", there),
                *((clause.except_cols, "the source", here) for clause in self.steps),
                *((clause.values or (), "the table", there) for clause in self.steps),
            )
            for name in names
            if one(name) not in known
        ]
        if wrong:
            raise RunError(
                Problem(
                    f"the DeltaMerge of the task `{task}` names the column `{name}`, which {what} does not have",
                    hint=did_you_mean(name, known.values()) or f"its columns are {listed(list(known.values()))}",
                )
                for name, what, known in wrong
            )

    def refuse_without_keys(self, source: Sequence[str], *, task: str, one: Callable[[str], str] = str) -> None:
        """Raise RunError if the source does not have the key columns."""
        there = set(map(one, source))
        if missing := [name for name in self.keys if one(name) not in there]:
            raise RunError(
                f"the source of the DeltaMerge of the task `{task}` has no column {listed(missing)}, which it merges "
                "on",
                hint=f"its columns are {listed(source) or 'none'}",
            )

    def copied(self, source: Iterable[str], *, one: Callable[[str], str] = str) -> set[tuple[str, str]]:
        """Return pairs (column of the table, column of the source) that are copied or compared unchanged.

        What an expression makes of columns has a type that only the engine knows.
        """
        names = {one(name): name for name in source}
        pairs = {(name, names[one(name)]) for name in self.keys if one(name) in names}
        for clause in self.steps:
            but = {one(name) for name in clause.except_cols}
            if clause.values is not None:
                plain = {column: _PLAIN.fullmatch(value) for column, value in clause.values.items()}
                given = {column: next(filter(None, match.groups())) for column, match in plain.items() if match}
                pairs |= {(column, names[one(name)]) for column, name in given.items() if one(name) in names}
            elif clause.action != "delete":
                pairs |= {(name, name) for key, name in names.items() if key not in but}
        return pairs

    def _with(self, clause: Clause) -> DeltaMerge:
        if clause.predicate is not None and not isinstance(clause.predicate, str):
            raise DbxdecError(
                f"a predicate of a DeltaMerge is {clause.predicate!r:.80}",
                hint="give a condition in SQL over `source` and `target`, such as `source.n > target.n`",
            )
        return replace(self, clauses=(*self.clauses, clause))


_BIND = "bind its IoManager to the table that it merges into (`io_manager=io.table(...)`)"


def refuse_elsewhere(context: OutputContext, uri: str) -> None:
    """Raise RunError for a merge into another table than the task's own, where that one is read or keeps a position."""
    if context.has_readers:
        raise RunError(
            f"the task `{context.receipt.id.task}` returned a merge into {uri}, but the tasks that read its result "
            f"read {context.uri}",
            hint=f"{_BIND}, or let the readers take that table as an input (`io.table(...)`)",
        )
    refuse_unnoted(context, uri)


def refuse_unnoted(context: OutputContext, uri: str) -> None:
    """Raise RunError for a merge into another table than the task's own by a task that reads what is new."""
    if context.receipt.progress is not None:
        raise RunError(
            f"the task `{context.receipt.id.task}` returned a merge into {uri}, but how far it has read what is new is "
            f"kept in its own table, {context.uri}",
            hint=_BIND,
        )


def feed_columns(columns: Iterable[str], *, one: Callable[[str], str] = str) -> list[str]:
    """Return those of the columns that `.changes()` adds: a merge makes no table with them."""
    return [name for name in columns if one(name) in FEED]


def _columns(frame: Any) -> Collection[str]:
    """Return the names of a frame's columns; none for a value that is no frame, which the engine refuses."""
    # A frame of Spark Connect takes any other attribute for a column.
    is_polars = hasattr(type(frame), "collect_schema")
    names = frame.collect_schema().names() if is_polars else getattr(frame, "columns", ())
    return names if isinstance(names, list) else ()


_NAME = re.compile(r"[^\W\d]\w*")
# A column of the source and nothing else, in the quotes of any engine.
_PLAIN = re.compile(rf'\s*{SOURCE}\.(?:"([^"]+)"|`([^`]+)`|([^\W\d]\w*))\s*')
_ON = 'name the key columns, `on="id"` or `on=["id", "day"]`, or give a condition such as "target.id = source.id"'


def _names(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return names of columns; a string is one, not its letters."""
    names = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    if not all(isinstance(name, str) for name in names):
        raise DbxdecError(f"`except_cols` of a DeltaMerge is {given!r:.80}", hint="give names of columns of the source")
    return names


def _values(given: Mapping[str, str]) -> Mapping[str, str]:
    if (
        not isinstance(given, Mapping)
        or not given
        or not all(isinstance(part, str) and part for item in given.items() for part in item)
    ):
        raise DbxdecError(
            f"the values of a clause of a DeltaMerge are {given!r:.80}",
            hint='give SQL expressions by column: {"n": "target.n + source.n"}',
        )
    return dict(given)
