"""Judges the rows of a write by the expectations of its table: the part that both engines share.

An engine counts. What the numbers mean, and whether the write fails by them, is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dbxdec.errors import ExpectationError, Problem, RunError, counted, listed
from dbxdec.io_managers.base import log
from dbxdec.io_managers.delta.expectations import DROPPING, OF_QUARANTINE, Expectation, Fraction, Rows, Unique
from dbxdec.model import outcomes
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection

    from dbxdec.io_managers.contracts.structure import RuleOutcome
    from dbxdec.io_managers.delta.merge import DeltaMerge


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one expectation: `failed` of `total` rows do not meet it; `why` is set if the write fails by it.

    Of `rows` that is no row, of `unique` those whose values are not theirs alone, of `fraction` those that fulfil it.
    """

    expectation: Expectation
    failed: int
    total: int
    why: str | None = None

    @property
    def name(self) -> str:
        return self.expectation.name

    def facts(self) -> dict[str, Any]:
        """Return what stands in the receipt."""
        found: dict[str, Any] = {"failed": self.failed, "rows": self.total, "action": self.expectation.action}
        if self.expectation.is_of_rows:
            return found
        found["rule"] = type(self.expectation.rule).__name__.lower()
        if self.why is not None and not isinstance(self.expectation.rule, Unique):
            found["broken"] = True  # its numbers alone don't tell, and no commit has it
        return found

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
            why = f"{counted(total, 'row')}, and there must be {bounds[0]}" if bounds else None
        case Fraction(_, part):
            # Divided, not multiplied: 0.29 * 100 is less than 29.
            share = failed / total if total else 0.0
            if share > part:
                why = f"{failed:,} of {total:,} rows ({share:.1%}) fulfil it, and at most {part:.4g} of them may"
        case Unique(columns):
            why = f"{failed:,} of {total:,} rows share their {listed(list(columns))} with others" if failed else None
        case _:
            why = f"{failed:,} of {total:,} rows do not meet it" if failed and expectation.action == "failed" else None
    return Outcome(expectation, failed, total, why)


def refuse_failed(found: Sequence[Outcome], *, task: str, uri: str) -> None:
    """Raise ExpectationError, with all of them, if rows are not what they must be."""
    if failed := _failed(found):
        raise ExpectationError(refusals(failed, task=task, uri=uri), expectations=facts(found))


def refusals(failed: Sequence[tuple[Expectation, str]], *, task: str, uri: str) -> list[Problem]:
    """Return the problems of a write by these expectations, each with what has failed it."""
    return [
        Problem(
            f'the task `{task}` can\'t write {uri}: the expectation "{one.name}" failed: {why}',
            hint="nothing was written to it; mend the rows in the task, or let the rule only count or drop them "
            "(`expect`, `expect_or_drop`)",
        )
        for one, why in failed
    ]


@dataclass(frozen=True)
class Judge:
    """The expectations of one write.

    `quarantine` stores rows that are dropped; it is None where nobody keeps them. `there` gives the rows of the table,
    for rules over all of them.
    """

    expectations: tuple[Expectation, ...]
    parameters: Mapping[str, Any]
    task: str
    uri: str
    quarantine: Callable[[Any], None] | None = None
    there: Callable[[], Any] = field(default=lambda: None, repr=False)

    @cached_property
    def droppers(self) -> list[Expectation]:
        """The expectations that leave rows out."""
        return [one for one in self.expectations if one.action in DROPPING]

    @property
    def of_table(self) -> list[tuple[Expectation, Unique]]:
        """The rules over the rows of the write and those that are there."""
        return [(one, one.rule) for one in self.expectations if isinstance(one.rule, Unique) and one.rule.of == "table"]

    @property
    def drops(self) -> bool:
        """True if rows may be left out."""
        return bool(self.droppers)

    def in_order(self, outcomes: Mapping[str, Any]) -> dict[str, Any]:
        """Return outcomes, which the receipt has by name, in the order of the expectations."""
        order = [one.name for one in self.expectations if one.name in outcomes]
        return {name: outcomes[name] for name in [*order, *outcomes]}

    def refuse_merge(self, merge: DeltaMerge) -> None:
        """Raise RunError if a row that is left out of a merge would be deleted from the table, or changed there.

        So it does for rules over the rows that are there: those that the merge updates would always break them.
        """
        for one, _ in self.of_table:
            raise RunError(
                f'the expectation "{one.name}" of {self.uri} is unique(..., of="table"), and the task '
                f"`{self.task}` returned a DeltaMerge, whose rows may be there",
                hint='leave `of="table"` out: then no two rows of the source are equal',
            )
        if self.drops and any(clause.kind == "not matched by source" for clause in merge.steps):
            raise RunError(
                f"the table {self.uri} leaves rows out (`expect_or_drop`), and the DeltaMerge of the task "
                f"`{self.task}` has a clause for rows that are not in the source: it would apply to them, too",
                hint="let the expectation fail the write (`expect_or_fail`), or filter the source in the task",
            )

    def refuse_unseen(self, kind: str) -> None:
        """Raise RunError for a merge of this kind, which the author made: nobody sees its rows."""
        raise RunError(
            f"the table {self.uri} has expectations, and the task `{self.task}` returns a {kind}, whose rows dbxdec "
            "doesn't see",
            hint="return a DeltaMerge, whose source is checked, or take the expectations from the table",
        )

    def refuse_stream(self) -> None:
        """Raise RunError for a stream, whose rows are stored batch by batch."""
        raise RunError(
            f"the table {self.uri} has expectations, and the task `{self.task}` returned a stream, whose rows are "
            "stored batch by batch",
            hint="store the stream in a table that expects nothing, and let a task that reads what is new there "
            "(`.changes()`) write this one",
        )

    def without(self, columns: Sequence[str], known: Callable[[str], bool]) -> list[Problem]:
        """Return a problem for each rule that names columns which rows of these columns don't have.

        Another one is for columns that rows have in quarantine besides their own: it would lose those of the rows.
        """
        lacking = (
            (one, [name for name in one.rule.columns if not known(name)])
            for one in self.expectations
            if isinstance(one.rule, Unique)
        )
        problems = [
            Problem(
                f'the expectation "{one.name}" of {self.uri} names {listed(missing)}, which the rows do not have',
                hint=f"their columns are {listed(list(columns)) or 'none'}",
            )
            for one, missing in lacking
            if missing
        ]
        if self.quarantine is not None and (taken := [name for name in columns if name.lower() in OF_QUARANTINE]):
            problems.append(
                Problem(
                    f"the rows for {self.uri} have {listed(taken)}, and its quarantine adds columns of these names",
                    hint="drop or rename them in the task",
                )
            )
        return problems

    def unfit(self, one: Expectation, said: Problem) -> Problem:
        """Return the problem of a condition that can't be evaluated."""
        return Problem(
            f'the expectation "{one.name}" of {self.uri} can\'t be evaluated: {said.message}', hint=said.hint
        )

    def came_out(
        self, total: int, kept: int, counts: Mapping[str, int], shared: Callable[[Unique], int]
    ) -> list[Outcome]:
        """Return how all expectations came out: those that fail a write, for the rows that are `kept` of `total`.

        `counts` has the rows that don't meet each condition, and for a fraction those that fulfil it. `shared` counts
        the rows whose values are not theirs alone.
        """
        found = []
        for one in self.expectations:
            seen = kept if one.action == "failed" else total
            match one.rule:
                case Unique():
                    found.append(judged(one, shared(one.rule), seen))
                case Rows():
                    found.append(judged(one, 0, seen))
                case _:
                    found.append(judged(one, counts[one.name], seen))
        return found

    def refuse_shared(self, shared: Callable[[Unique], tuple[int, int]]) -> None:
        """Raise RunError if rows that were judged before have values that the table has by now.

        `shared` counts those rows of all, for a rule.
        """
        refuse_failed([judged(one, *shared(rule)) for one, rule in self.of_table], task=self.task, uri=self.uri)

    def settle(
        self,
        found: Sequence[Outcome],
        dropped: Any,
        of_contract: Callable[[], tuple[Sequence[RuleOutcome], Sequence[Problem]]] = lambda: ((), ()),
    ) -> list[Outcome | RuleOutcome]:
        """Log how the expectations came out, and store the `dropped` rows where they are kept; None without any.

        Return them with the outcomes of the contract's rules; `of_contract` gives these, and what is wrong by them.
        Raises ExpectationError if rows are not what they must be: then nothing of the write is to be committed.
        """
        for one in found:
            log.info("expect %s", one.text())
        if self.quarantine is not None and dropped is not None:
            self.quarantine(dropped)
        rules, broken = of_contract()
        everything: list[Outcome | RuleOutcome] = [*found, *rules]
        if problems := [*refusals(_failed(found), task=self.task, uri=self.uri), *broken]:
            raise ExpectationError(problems, expectations=facts(everything))
        return everything


def _failed(found: Sequence[Outcome]) -> list[tuple[Expectation, str]]:
    """Return what fails a write, and why."""
    return [(one.expectation, one.why) for one in found if one.why is not None]


def named(found: Collection[Outcome | RuleOutcome]) -> dict[str, Outcome | RuleOutcome]:
    """Return outcomes by names that differ: an expectation may have that of a contract's rule."""
    told: dict[str, Outcome | RuleOutcome] = {}
    for one in found:
        told[f"contract {one.name}" if one.name in told else one.name] = one
    return told


def facts(found: Collection[Outcome | RuleOutcome]) -> dict[str, Any]:
    """Return outcomes as a commit states them, by their names."""
    return {name: one.facts() for name, one in named(found).items()}


@contextmanager
def told_of(one: Expectation) -> Iterator[None]:
    """Say whose function it is that raises an error."""
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        error.add_note(f'raised by the expectation "{one.name}"')
        raise
