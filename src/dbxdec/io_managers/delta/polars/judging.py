"""Judges the rows of a write by the expectations of its table, through Polars.

The frame of the task runs once: its rows are stored first, those that are dropped apart, and what was stored is counted
before the commit. Running a query twice could give other rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, listed
from dbxdec.io_managers.delta import judging
from dbxdec.io_managers.delta.expectations import FAILED, Expectation, Fraction, Rows, Unique
from dbxdec.io_managers.delta.polars import comparing, counting
from dbxdec.io_managers.delta.polars.spilling import once_only
from dbxdec.io_managers.delta.sql import POLARS_SQL
from dbxdec.io_managers.polars_frames import named
from dbxdec.records import dataclass

if TYPE_CHECKING:
    import polars as pl

    from dbxdec.io_managers.contracts.structure import RuleOutcome
    from dbxdec.io_managers.delta.judging import Outcome
    from dbxdec.model.contracts import Contract


_VALUES = re.compile(r":? \[.*")
"""The values that an error of Polars' shows at its end."""
_OF_EACH = "compare columns, as in `delay < 5000`"


@dataclass(frozen=True)
class Judge(judging.Judge):
    """The expectations of one write through Polars. `contract` is that of the task's result, or None."""

    contract: Contract | None = None

    def for_schema(self, schema: pl.Schema, returned: Mapping[str, pl.DataType] | None = None) -> Conditions:
        """Return the conditions for rows of these columns. Raises RunError, with all mistakes in them.

        `returned` are the columns that the task returned, where it has a contract.
        """
        import polars as pl

        problems = self.without(list(schema), schema.__contains__)
        found: dict[str, pl.Expr] = {}
        values: dict[str, pl.Expr] = {}
        free = "_" * (max(map(len, schema), default=0) + 1)

        def write(name: str, value: Any) -> str:
            if isinstance(value, list | dict):  # Polars compares a number with the fields of a struct
                raise RunError(
                    f"the job parameter `{name}` is a {type(value).__name__}, which is no value of SQL",
                    hint="compare with a string, a number, a date or a time, or give a function of the frame",
                )
            values[f"{free}:{name}"] = pl.lit(value)
            return f'"{free}:{name}"'

        two = pl.DataFrame({name: pl.Series([None, None], dtype=kind) for name, kind in schema.items()})
        for one in self.expectations:
            if one.condition is None:
                continue
            try:
                with judging.told_of(one):
                    found[one.name] = self._expression(one.condition, two, values, write)
            except RunError as error:
                problems.append(self.unfit(one, error.problems[0]))
        if problems:
            raise RunError(problems)
        whole = {
            one.name for one in self.expectations if one.name in found and self._may_be_uneven(one, found[one.name])
        }
        together = bool(whole) or any(
            not self._is_of_one_row(one, found[one.name]) for one in self.expectations if one.name in found
        )
        found = {name: self._even(name, met, list(schema)) if name in whole else met for name, met in found.items()}
        return Conditions(self, found, values, self._comparisons(found, schema), free, returned or {}, together)

    def _is_of_one_row(self, one: Expectation, condition: pl.Expr) -> bool:
        """Return whether a condition of a row looks at no other row, as `delay < avg(delay)` does."""
        import polars as pl

        if isinstance(one.condition, str) and POLARS_SQL.comparison(one.condition) is not None:
            return True

        def is_separable(node: pl.Expr) -> bool:
            try:
                return node.meta.is_row_separable()
            except AttributeError:  # an older Polars
                return False
            except pl.exceptions.PolarsError:  # it lacks the columns; in SQL that is `IN`, not a Python function
                return isinstance(one.condition, str)

        return all(map(is_separable, comparing.nodes(condition)))

    def _may_be_uneven(self, one: Expectation, condition: pl.Expr) -> bool:
        """Return whether a condition may give other than one value for each row, as `head(2)` or a filter does."""
        import polars as pl

        try:
            return not condition.meta.is_length_preserving()
        except AttributeError:  # an older Polars
            return not self._is_of_one_row(one, condition)
        except pl.exceptions.PolarsError:  # as in `_is_of_one_row`
            return not isinstance(one.condition, str)

    def _even(self, name: str, condition: pl.Expr, columns: Sequence[str]) -> pl.Expr:
        """Return a condition that raises RunError unless it gives a value for each row: one alone would be for all."""
        import polars as pl

        def of_each(series: Sequence[pl.Series]) -> pl.Series:
            met, rows = series
            if met.len() != rows.len():
                raise RunError(
                    f'the expectation "{name}" of {self.uri} can\'t be evaluated: '
                    f"{_number_of_values(met.len())} for {rows.len():,} rows",
                    hint=_OF_EACH,
                )
            return met

        return pl.map_batches([condition, named(columns[0])], of_each, return_dtype=pl.Boolean())

    def _comparisons(self, conditions: Mapping[str, pl.Expr], schema: pl.Schema) -> dict[str, str]:
        """Return the columns of conditions that compare nothing but one column with constants of its kind."""
        import polars as pl

        found = {}
        for one in self.expectations:
            told = POLARS_SQL.comparison(one.condition) if isinstance(one.condition, str) else None
            if told is None or set(conditions[one.name].meta.root_names()) != {told.column}:
                continue
            kind = schema[told.column]
            # delta-rs writes the bounds of decimals into the log as floating-point numbers, which may be others.
            is_number = kind.is_integer() or kind.is_float()
            if {"strings": kind == pl.String, "numbers": is_number, None: not kind.is_nested()}[told.constants]:
                found[one.name] = told.column
        return found

    def _expression(
        self, condition: Any, two: pl.DataFrame, values: Mapping[str, pl.Expr], write: Callable[[str, Any], str]
    ) -> pl.Expr:
        """Return a condition as an expression that is true, false or null for each row."""
        import polars as pl

        rows = two.lazy()
        if isinstance(condition, str):
            found = parsed(condition, POLARS_SQL.filled(condition, self.parameters, write))
            rows = rows.with_columns(**values)
        else:
            found = condition(rows)
            if not isinstance(found, pl.Expr):
                raise RunError(
                    f"its function returned a {type(found).__module__}.{type(found).__qualname__}",
                    hint='return a pl.Expr, as in `lambda frame: pl.col("delay") < 5000`',
                )
        try:
            tried = rows.select(found.alias("met")).collect()
        except pl.exceptions.DuplicateError as error:
            raise RunError(
                "it gives several columns, not one that is true or false for each row",
                hint="make one of them, as by `pl.all_horizontal(...)`",
            ) from error
        except pl.exceptions.PolarsError as error:
            columns = listed(two.columns) or "none"
            raise RunError(_first(error), hint=f"the columns of the rows are {columns}") from error
        if tried.height not in (1, two.height):
            raise RunError(f"{_number_of_values(tried.height)} for {two.height} rows", hint=_OF_EACH)
        if tried.schema["met"] != pl.Boolean or tried.height != two.height:
            what = f"it gives {tried.schema['met']}" if tried.height == two.height else "it is one value for all rows"
            raise RunError(f"{what}, not true or false for each row", hint=_OF_EACH)
        if isinstance(condition, str):
            comparing.refuse_mixed(found, rows)
        return found


@dataclass(frozen=True)
class Conditions:
    """The conditions of a judge for rows of some columns; names that begin with `free` are those of no column."""

    judge: Judge
    met: Mapping[str, pl.Expr]
    values: Mapping[str, pl.Expr]
    comparisons: Mapping[str, str]
    """The column of each condition that compares nothing but one column with constants."""
    free: str
    returned: Mapping[str, pl.DataType] = field(default_factory=dict)
    together: bool = False
    """True if a condition may look at other rows: then each row is judged among all of them, in the task's order."""

    @property
    def bad(self) -> str:
        """The name of a column that says which rows are dropped."""
        return f"{self.free}bad"

    def flagged(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return `frame` with the column `bad`."""
        return self._with_reasons(frame).drop(list(self._reasons.values()))

    def _with_reasons(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return `frame` with the column `bad`, and whether a row meets each of the expectations that drop rows."""
        import polars as pl

        told, met = self._told(frame, self.judge.droppers)
        return told.with_columns((~pl.all_horizontal(met.values())).alias(self.bad))

    @property
    def _reasons(self) -> dict[str, str]:
        """The columns of `_with_reasons`, by the names of the expectations."""
        return self._names(self.judge.droppers)

    def _names(self, some: Sequence[Expectation]) -> dict[str, str]:
        return {one.name: f"{self.free}{i}" for i, one in enumerate(some)}

    def _told(self, frame: pl.LazyFrame, some: Sequence[Expectation]) -> tuple[pl.LazyFrame, dict[str, str]]:
        """Return `frame` with a column for each of some expectations, whether a row meets it; and their names.

        The functions of an author see no other columns than those of the rows.
        """
        met = self._names(some)
        of_functions: list[pl.Expr] = []
        of_sql: list[pl.Expr] = []
        for one in some:
            told = counting.holds(self.met[one.name]).alias(met[one.name])
            (of_sql if isinstance(one.condition, str) else of_functions).append(told)
        found = frame.with_columns(of_functions)
        if not self.values:
            return found.with_columns(of_sql), met
        return found.with_columns(**self.values).with_columns(of_sql).drop(list(self.values)), met

    def rejected(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return dropped rows, which have their reasons, with the names of the expectations that they don't meet."""
        import polars as pl

        names = [
            pl.when(~pl.col(column)).then(pl.lit(name)).otherwise(pl.lit(None, pl.String()))
            for name, column in self._reasons.items()
        ]
        return frame.with_columns(pl.concat_list(names).list.drop_nulls().alias(FAILED)).drop(
            list(self._reasons.values())
        )

    @contextmanager
    def spilled(self, frame: pl.DataFrame | pl.LazyFrame) -> Iterator[pl.DataFrame | pl.LazyFrame]:
        """Yield what runs `frame` once, with whether each row is left out, and why, where rows may be left out."""
        with ExitStack() as kept:
            with self.blamed(frame):
                found = kept.enter_context(once_only(self._with_reasons(frame.lazy()) if self.judge.drops else frame))
            yield found

    @contextmanager
    def blamed(self, frame: pl.DataFrame | pl.LazyFrame) -> Iterator[None]:
        """Say which of the expectations that drop rows of `frame` has failed its query, as far as that is known.

        The query of a LazyFrame doesn't run again for that.
        """
        import polars as pl

        with self._blamed(frame.lazy(), self.judge.droppers if isinstance(frame, pl.DataFrame) else []):
            try:
                yield
            except pl.exceptions.PolarsError as error:
                if self.judge.drops and isinstance(frame, pl.LazyFrame):
                    names = listed([one.name for one in self.judge.droppers])
                    error.add_note(f"raised by the query of the task, or by the expectations that drop rows: {names}")
                raise

    @contextmanager
    def _blamed(self, frame: pl.LazyFrame, some: Sequence[Expectation]) -> Iterator[None]:
        """Raise RunError in place of an error of Polars' that some expectations have raised over rows of `frame`.

        Polars tells the values, and not whose condition it is.
        """
        import polars as pl

        try:
            yield
        except pl.exceptions.PolarsError as error:
            problems = []
            for one in some:
                told, _ = self._told(frame, [one])
                try:
                    told.select(pl.last().sum()).collect(engine="streaming")
                except pl.exceptions.PolarsError as own:
                    problems.append(self._failing(one, own))
            if not problems:
                raise
            raise RunError(problems) from error

    def _failing(self, one: Expectation, error: Exception) -> Problem:
        reason = _VALUES.sub("", str(error).partition("\n")[0])
        return Problem(
            f'the expectation "{one.name}" of {self.judge.uri} can\'t be evaluated for each row: {reason}',
            hint="let a value that does not fit be null, as by `TRY_CAST(code AS INT)`, or by `.cast(pl.Int64, "
            "strict=False)` in a function",
        )

    def accepted(self, frame: pl.DataFrame | pl.LazyFrame) -> tuple[pl.LazyFrame, list[Outcome | RuleOutcome]]:
        """Return the rows of `spilled` that a table expects, and how expectations and the contract's rules came out.

        Rows that are left out go into quarantine. Raises RunError if rows are not what they must be.
        """
        import polars as pl

        rows = frame.lazy()
        if not self.judge.drops:
            return rows, self.settled(rows, rows, None)
        reasons = list(self._reasons.values())
        columns = [name for name in frame.collect_schema() if name not in (self.bad, *reasons)]
        kept = rows.filter(~pl.col(self.bad)).select(map(named, columns))
        dropped = rows.filter(self.bad).select(map(named, [*columns, *reasons]))
        counts = rows.select((~pl.col(reasons)).sum()).collect(engine="streaming").row(0)
        told = dict(zip(self._reasons, map(int, counts), strict=True))
        outcomes = self._outcomes(rows.select(map(named, columns)), kept, told)
        return kept, self._settle(outcomes, kept, dropped if any(counts) else None)

    def settled(
        self, everything: pl.LazyFrame, kept: pl.LazyFrame, dropped: pl.LazyFrame | None
    ) -> list[Outcome | RuleOutcome]:
        """Return the same, for expectations none of which looks at other rows, and store the dropped rows.

        Raises RunError if rows are not what they must be: then nothing of the write is to be committed.
        """
        outcomes = self.outcomes(everything, kept)
        return self._settle(outcomes, kept, None if dropped is None else self._told(dropped, self.judge.droppers)[0])

    def _settle(
        self, outcomes: Sequence[Outcome], kept: pl.LazyFrame, dropped: pl.LazyFrame | None
    ) -> list[Outcome | RuleOutcome]:
        """Store the dropped rows, which have their reasons. Raises RunError if rows are not what they must be."""
        return self.judge.settle(
            outcomes, None if dropped is None else self.rejected(dropped), lambda: self._of_contract(kept)
        )

    def refuse_shared(self, kept: pl.LazyFrame) -> None:
        """Raise RunError if rows that were judged before have values that the table has by now."""
        import polars as pl

        def shared(rule: Unique) -> tuple[int, int]:
            return self._shared(kept, rule), int(kept.select(pl.len()).collect(engine="streaming").item())

        self.judge.refuse_shared(shared)

    def _of_contract(self, kept: pl.LazyFrame) -> tuple[list[RuleOutcome], list[Problem]]:
        """Return how the rules of the contract came out, and what is wrong by them."""
        contract = self.judge.contract
        if contract is None:
            return [], []
        from dbxdec.io_managers.contracts import frames  # few tasks have any

        found = frames.outcomes(kept, contract, self.returned)
        frames.log_outcomes(found, contract)
        return found, frames.problems(found, contract, task=self.judge.task, uri=self.judge.uri)

    def outcomes(self, everything: pl.LazyFrame, kept: pl.LazyFrame) -> list[Outcome]:
        """Return how all expectations came out: those that fail a write, for the rows that are kept."""
        return self._outcomes(everything, kept, {})

    def _outcomes(self, everything: pl.LazyFrame, kept: pl.LazyFrame, told: Mapping[str, int]) -> list[Outcome]:
        """Return the same, where it is `told` already how many rows don't meet some of them."""
        if not self.judge.expectations:
            return []
        before = [one for one in self.judge.expectations if one.action != "failed"]
        after = [one for one in self.judge.expectations if one.action == "failed"]
        asked = [one for one in before if one.name not in told]
        all_, counts = self._counted(everything, asked) if before else (0, {})
        total, stored = self._counted(kept, [one for one in after if not isinstance(one.rule, Unique | Rows)])
        return self.judge.came_out(all_, total, {**counts, **told, **stored}, lambda rule: self._shared(kept, rule))

    def _counted(self, frame: pl.LazyFrame, some: Sequence[Expectation]) -> tuple[int, dict[str, int]]:
        """Return the number of rows, and of those that don't meet each expectation; for a fraction, that fulfil it."""
        import polars as pl

        conditions = {one.name: self.met[one.name] for one in some}
        counts, names = counting.compared(frame, conditions, self.comparisons)
        rest = [one for one in some if one.name in names]
        told, met = self._told(frame, rest)
        asked = [pl.len().alias(f"{self.free}n"), *((~pl.col(met[one.name])).sum() for one in rest)]
        with self._blamed(frame, rest):
            *found, whole = counting.together([*(count.frame for count in counts), told.select(asked)])
        rows, *of_rest = map(int, whole.row(0))
        broken = dict(zip((one.name for one in rest), of_rest, strict=True))
        for count, numbers in zip(counts, found, strict=True):
            broken.update(zip(count.names, map(int, numbers.row(0)), strict=True))
        return rows, {
            one.name: rows - broken[one.name] if isinstance(one.rule, Fraction) else broken[one.name] for one in some
        }

    def _shared(self, kept: pl.LazyFrame, rule: Unique) -> int:
        """Return how many rows have values that other rows have, too."""
        import polars as pl

        columns = list(map(named, rule.columns))
        there = self.judge.there() if rule.of == "table" else None
        parts = [kept.select(columns)]
        if there is not None:
            known = there.collect_schema()  # a column that is new to the table is null in the rows that are there
            new = [pl.lit(None).alias(name) for name in rule.columns if name not in known]
            parts += [there.with_columns(new).select(columns)]  # selected alone, they would be one row
        # That takes little memory, and grouping is not needed where no rows share anything.
        if counting.are_distinct(pl.concat(parts, how="vertical_relaxed"), rule.columns):
            return 0
        return counting.sharing(parts, rule.columns)


def parsed(condition: str, text: str) -> pl.Expr:
    """Return the condition whose SQL is `text`. Raises RunError for something else than one condition."""
    import polars as pl

    if patterns := [name for name in POLARS_SQL.in_quotes(text) if name.startswith("^") and name.endswith("$")]:
        raise RunError(
            f"{condition!r:.80} names {listed(patterns)}, which Polars' SQL takes for a pattern of names",
            hint="give a function, `lambda frame: polars.selectors.by_name(...).as_expr() > 0`, or rename the column",
        )
    try:
        pl.sql_expr(text)  # in brackets, `1=1) OR (1=1` would be one
        return pl.sql_expr(f"(\n{text}\n)")  # without, `delay < 5000 BANANA` would be one
    except pl.exceptions.PolarsError as error:
        raise RunError(
            f"{condition!r:.80} is no condition in Polars' SQL: {_first(error)}",
            hint="write one condition, as in `delay < 5000`; names with other characters in double quotes",
        ) from error


def _number_of_values(number: int) -> str:
    return f"it gives {number:,} value{'' if number == 1 else 's'}"


def _first(error: BaseException) -> str:
    """Return what an error of Polars says, on one line, without the plan and the steps that it adds."""
    said = str(error).partition("\n\nResolved plan until failure")[0].partition("\n\nThis error occurred")[0]
    return " ".join(said.split()) or type(error).__name__
