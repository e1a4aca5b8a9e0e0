"""Whether the rows of a write are what its table expects, through Spark.

Spark commits itself. So conditions of single rows are judged while it writes: the numbers are observed in passing, and
a row that must not be there fails the query. What needs all rows first is judged on rows that are stored apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import ExpectationError, Problem, RunError, listed
from dbxdec.io_managers.delta import judging
from dbxdec.io_managers.delta.expectations import FAILED, Expectation, Fraction, Unique
from dbxdec.io_managers.delta.spark import counting, predicates, unevaluated
from dbxdec.io_managers.delta.spark.fixed_conditions import refuse
from dbxdec.io_managers.delta.sql import SPARK_SQL
from dbxdec.io_managers.spark_errors import first_line
from dbxdec.io_managers.spark_frames import quoted, string_literal
from dbxdec.io_managers.spark_session import CHECK, said_by_check
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from dbxdec.io_managers.delta.judging import Outcome

_BROKEN = "expectations that a row does not meet: "


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
        """Whether each row can be judged alone, and nobody keeps those that are dropped."""
        return self.quarantine is None and all(one.is_of_rows for one in self.expectations)

    def marked(self, frame: Any, *, drops: bool = True) -> Marked:
        """Return `frame` with a column for each condition. Raises RunError, with all mistakes in them.

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
        free = "_" * (max(map(len, frame.columns), default=0) + 1)
        met = {one.name: f"{free}{i}" for i, one in enumerate(conditions)}
        # Null is a violation, as in a CHECK constraint that asks for it and in the platform's own expectations.
        told = {name: functions.coalesce(one.met, functions.lit(False)) for name, one in found.items()}
        musts = [one.name for one in conditions if one.action == "failed"] if drops and self.drops else []
        first = {met[name]: column for name, column in told.items() if name not in musts}
        frame = frame.withColumns(first) if first else frame
        if musts:  # of a row that is left out they may be an error, such as a division by zero
            kept = _all([functions.col(met[one.name]) for one in self.droppers])
            frame = frame.withColumns({met[name]: functions.when(kept, told[name]) for name in musts})
        return Marked(self, frame, met, drops and self.drops)

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
        if not said.startswith(_BROKEN):
            return self._unevaluated(error)
        numbers = [int(number) for number in said.removeprefix(_BROKEN).split(",") if number.isdecimal()]
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


@dataclass(frozen=True)
class Marked:
    """A frame with a column for each condition of a judge: `met` are their names, by those of the expectations.

    `drops` says whether rows may be left out: those have null where the others must be true.
    """

    judge: Judge
    frame: Any
    met: Mapping[str, str]
    drops: bool

    def at(self, frame: Any) -> Marked:
        """Return the same rows, as they are stored elsewhere."""
        return replace(self, frame=frame)

    @property
    def rows(self) -> Any:
        """All rows, without these columns."""
        return self._plain(self.frame)

    @property
    def kept(self) -> Any:
        """The rows that are not dropped."""
        return self._plain(self.frame.where(~self._bad)) if self.drops else self.rows

    @property
    def rejected(self) -> Any:
        """The rows that are dropped, with the names of the expectations that they don't meet."""
        from pyspark.sql import functions

        names = [
            functions.when(~functions.col(self.met[one.name]), functions.lit(one.name)) for one in self.judge.droppers
        ]
        told = functions.filter(functions.array(*names), lambda name: name.isNotNull())
        return self._plain(self.frame.where(self._bad).withColumn(FAILED, told))

    def _plain(self, frame: Any) -> Any:
        return frame.drop(*self.met.values()) if self.met else frame

    @property
    def _bad(self) -> Any:
        """Whether a row is dropped."""
        from pyspark.sql import functions

        return ~_all([functions.col(self.met[one.name]) for one in self.judge.droppers])

    def guarded(self) -> Any:
        """Return the rows that are not dropped; the query fails by one that does not meet what it must."""
        from pyspark.sql import functions

        musts = [(i, one) for i, one in enumerate(self.judge.expectations) if one.action == "failed"]
        if not musts:
            return self.kept
        columns = {i: functions.col(self.met[one.name]) for i, one in musts}
        numbers = [functions.when(~column, functions.lit(str(i))) for i, column in columns.items()]
        told = functions.concat(functions.expr(string_literal(CHECK + _BROKEN)), functions.concat_ws(",", *numbers))
        # The order of these counts: a row that is dropped need not meet anything.
        passes = functions.when(_all(list(columns.values())), functions.lit(True)).otherwise(
            functions.raise_error(told).cast("boolean")
        )
        if self.drops:
            passes = functions.when(self._bad, functions.lit(False)).otherwise(passes)
        return self._plain(self.frame.where(passes))

    def counts(self) -> list[Any]:
        """Return the aggregates that `came_out` takes, by their place as `c0`, `c1` and so on.

        Spark runs each of them for each row without compiling them: they are few and plain.
        """
        from pyspark.sql import functions

        one = functions.lit(1)

        def number(condition: Any) -> Any:
            return functions.count(functions.when(condition, one))

        found = [functions.count(one)]
        if self.drops:
            found.append(number(~self._bad))
        for expectation in self._conditions():
            met = functions.col(self.met[expectation.name])
            asked = met if isinstance(expectation.rule, Fraction) else ~met
            if self.drops and expectation.action == "failed":
                asked &= ~self._bad
            found.append(number(asked))
        return [column.alias(f"c{i}") for i, column in enumerate(found)]

    def _conditions(self) -> list[Expectation]:
        return [one for one in self.judge.expectations if one.condition is not None]

    def came_out(self, numbers: Sequence[int], shared: Callable[[Unique], int]) -> list[Outcome]:
        """Return how all expectations came out, by the values of `counts`."""
        total, *rest = map(int, numbers)
        kept = rest.pop(0) if self.drops else total
        counts = {one.name: number for one, number in zip(self._conditions(), rest, strict=True)}
        return self.judge.came_out(total, kept, counts, shared)

    def outcomes(self) -> list[Outcome]:
        """Return how all expectations came out, by a query. The frame must give the same rows each time."""
        (row,) = self.frame.agg(*self.counts()).collect()
        kept = self.kept
        return self.came_out(tuple(row), lambda rule: self._shared(kept, rule, row[0]))

    def shared(self, rule: Unique) -> tuple[int, int]:
        """Return how many of the rows that are kept have values that others have, too, and of how many."""
        kept = self.kept
        number = kept.count()
        return self._shared(kept, rule, number), number

    def _shared(self, kept: Any, rule: Unique, number: int) -> int:
        """Return how many rows, of about as many, have values that other rows have, too."""
        from pyspark.sql import functions

        keys = [f"c{i}" for i in range(len(rule.columns))]
        columns = [functions.col(quoted(name)).alias(key) for key, name in zip(keys, rule.columns, strict=True)]
        rows = kept.select(*columns, functions.lit(1).alias(counting.OWN))
        there = self.judge.there() if rule.of == "table" else None
        if there is not None:
            known = {name.lower() for name in there.columns}
            # A column that is new to the table is null in the rows that are there.
            others = [
                (functions.col(quoted(name)) if name.lower() in known else functions.lit(None)).alias(key)
                for key, name in zip(keys, rule.columns, strict=True)
            ]
            rows = rows.unionAll(there.select(*others, functions.lit(0).alias(counting.OWN)))
            number += there.count()
        return counting.sharing(rows, keys, number)

    def settled(self) -> list[Outcome]:
        """Return how the expectations came out, and store the dropped rows where they are kept.

        The frame must give the same rows each time. Raises RunError if rows are not what they must be.
        """
        found = self.outcomes()
        dropped = any(one.failed for one in found if one.expectation in self.judge.droppers)
        self.judge.settle(found, self.rejected if dropped else None)
        return found


def _all(columns: Sequence[Any]) -> Any:
    """Return whether all are true, in few levels: over Connect an expression may have a hundred."""
    if len(columns) == 1:
        return columns[0]
    half = len(columns) // 2
    return _all(columns[:half]) & _all(columns[half:])


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
        _ = frame.where(_all(met)).select(functions.lit(1)).schema
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
