"""Judges the rows of a write by the expectations of its table, through Spark.

Spark commits itself. So conditions of single rows are judged while it writes: the numbers are observed in passing, and
a row that must not be there fails the query. What needs all rows first is judged on rows that are stored apart.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from dbxdec.errors import ExpectationError, Problem, RunError, listed
from dbxdec.io_managers.delta import judging
from dbxdec.io_managers.delta.expectations import Expectation
from dbxdec.io_managers.delta.spark import marks, predicates, unevaluated
from dbxdec.io_managers.delta.spark.fixed_conditions import refuse
from dbxdec.io_managers.delta.spark.marks import Marked, in_few_levels
from dbxdec.io_managers.delta.sql import SPARK_SQL
from dbxdec.io_managers.spark_errors import first_line
from dbxdec.io_managers.spark_session import said_by_check
from dbxdec.records import dataclass


@dataclass(frozen=True)
class Column:
    """A condition as Spark's column `met`; `bare` is it as the author has written it in SQL, without brackets."""

    condition: Any
    met: Any
    bare: Any = None


@dataclass(frozen=True)
class Judge(judging.Judge):
    """The expectations of one write through Spark."""

    @property
    def is_of_rows(self) -> bool:
        """True if each row can be judged alone, and nobody keeps those that are dropped."""
        return self.quarantine is None and all(one.is_of_rows for one in self.expectations)

    def marked(self, frame: Any, *, drops: bool = True) -> Marked:
        """Return `frame` with marks of what its rows don't meet. Raises RunError, with all mistakes in them.

        Without `drops` no row is left out before the others are judged.
        """
        from pyspark.sql import functions

        known = {name.lower() for name in frame.columns}
        problems = self.without(frame.columns, lambda name: name.lower() in known)
        conditions = [one for one in self.expectations if one.condition is not None]
        found: dict[str, Column] = {}
        for one in conditions:
            try:
                with judging.told_of(one):
                    found[one.name] = self._column(one.condition, frame)
            except RunError as error:
                problems.append(self.unfit(one, error.problems[0]))
        problems += self._unfit(found, conditions, frame)
        if problems:
            raise RunError(problems)
        # Null is a violation, as in a CHECK constraint that asks for it and in the platform's own expectations.
        broken = {name: ~functions.coalesce(one.met, functions.lit(False)) for name, one in found.items()}
        return marks.marked(self, frame, broken, drops=drops and self.drops)

    def _column(self, condition: Any, frame: Any) -> Column:
        """Return a condition as a column, which is to be looked at."""
        from pyspark.errors import AnalysisException
        from pyspark.sql import functions

        if not isinstance(condition, str):
            found = condition(frame)
            if type(found).__name__ != "Column" or not type(found).__module__.startswith("pyspark."):
                raise RunError(
                    f"its function returned a {type(found).__module__}.{type(found).__qualname__}",
                    hint='return a Column, as in `lambda frame: frame["delay"] < 5000`',
                )
            if _is_constant(found, frame):
                raise RunError(
                    "its function returned a condition that no column of the rows is in",
                    hint='compare columns, as in `lambda frame: frame["delay"] < 5000`',
                )
            return Column(condition, found)
        refuse(condition, frame.columns)
        text = self._given(condition)
        try:
            # In brackets, `1=1) OR (1=1` would be one; without, `delay < 5000 BANANA` would be one.
            return Column(condition, functions.expr(f"(\n{text}\n)"), functions.expr(text))
        except AnalysisException as error:
            raise _unfit(condition, error, frame.columns) from error

    def _unfit(self, found: Mapping[str, Column], some: Sequence[Expectation], frame: Any) -> list[Problem]:
        """Return a problem for each column that Spark can't evaluate for each row of `frame`."""
        from pyspark.errors import AnalysisException

        if _are_fit(list(found.values()), frame):
            return []
        problems = []  # Spark tells the first alone, and not whose it is
        for one in (one for one in some if one.name in found):
            try:
                _analyze(found[one.name], frame)
            except AnalysisException as error:
                problems.append(self.unfit(one, _unfit(one.condition, error, frame.columns).problems[0]))
        return problems

    def broken_by(self, error: BaseException) -> RunError | None:
        """Return what an error of Spark's says of expectations; None if it says nothing of them."""
        said = said_by_check(error) or ""
        if not said.startswith(marks.BROKEN):
            return self._unevaluated(error)
        numbers = [int(number) for number in said.removeprefix(marks.BROKEN).split(",") if number.isdecimal()]
        names = [one for i, one in enumerate(self.expectations) if i in numbers]
        why = "a row does not meet it; Spark stopped there, so nobody has counted how many don't"
        return ExpectationError(judging.refusals([(one, why) for one in names], task=self.task, uri=self.uri))

    def _unevaluated(self, error: BaseException) -> RunError | None:
        """Return whose condition has no value for a row; what the row has is left out."""
        conditions = {one.name: one.condition for one in self.expectations if one.condition is not None}
        told = unevaluated.found(error, {name: self._given(one) for name, one in conditions.items()})
        if told is None:
            return None
        kind, names = told
        whose = " or ".join(f'"{name}"' for name in names)
        return RunError(
            f"the task `{self.task}` can't write {self.uri}: the condition of the expectation {whose} has no value for "
            f"a row: {kind}",
            hint="nothing was written to it; let the condition be null there, as in `try_divide(a, b) > 1` or "
            "`try_cast(a AS INT) = 1`, or mend the rows in the task",
        )

    def _given(self, condition: Any) -> Any:
        """Return a condition as Spark is given it."""
        return SPARK_SQL.filled(condition, self.parameters, _literal) if isinstance(condition, str) else condition


def _are_fit(some: Sequence[Column], frame: Any) -> bool:
    """Return whether all conditions are true or false for each row of `frame`; False says nothing.

    A filter for each would take Spark a round of its own, and over Connect it gives up after a hundred.
    """
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions

    if not some:
        return True
    bare = [one.bare for one in some if one.bare is not None]
    met = [one.met for one in some]
    try:
        kinds = [field.dataType.typeName() for field in frame.select(*bare, *met).schema][len(bare) :]
        _ = frame.where(in_few_levels(met, operator.and_)).select(functions.lit(1)).schema
    except AnalysisException:
        return False
    return set(kinds) == {"boolean"}  # `AND` makes a truth of a string


def _is_constant(column: Any, frame: Any) -> bool:
    """Return whether a column has nothing of a row: only such a one may stand beside aggregates of all rows."""
    from pyspark.errors import AnalysisException

    try:
        _ = frame.agg(column).schema
    except AnalysisException:
        return False
    return True


def _analyze(one: Column, frame: Any) -> None:
    """Raise AnalysisException for a condition that is not true, false or null for each row of `frame`."""
    from pyspark.sql import functions

    if one.bare is not None:
        _ = frame.select(one.bare).schema
    # Spark lets nothing stand in a filter that gives other than one truth for each row. Over Connect the filter alone
    # is not looked at: its columns are known.
    _ = frame.where(one.met).select(functions.lit(1)).schema


def _unfit(condition: Any, error: BaseException, columns: Sequence[str]) -> RunError:
    what = f"{condition!r:.80} is no condition in Spark's SQL: " if isinstance(condition, str) else ""
    return RunError(f"{what}{first_line(error)}", hint=f"the columns of the rows are {listed(list(columns)) or 'none'}")


def _literal(name: str, value: Any) -> str:
    """Return the value of a job parameter as a literal of Spark's SQL."""
    written = predicates.literal_of(value)
    if written is None:
        raise RunError(
            f"the job parameter `{name}` is a {type(value).__name__}, which is no value of Spark's SQL",
            hint="compare with a string, a number, a date or a time",
        )
    return written
