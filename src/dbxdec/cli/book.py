"""Records and output of a backfill, wherever its runs are made."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING

from dbxdec.cli import options
from dbxdec.cli.console import escape, say
from dbxdec.cli.missing import of_ranges, word_of
from dbxdec.errors import counted
from dbxdec.local import backfill_report, backfills, ledger
from dbxdec.local.backfills import Record
from dbxdec.platform.run_if import State
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from rich.console import Console

    from dbxdec.local.backfill import Earlier, PlanOf
    from dbxdec.local.missing import Key, Keys
    from dbxdec.model.dag import Job


def show_states(out: Console, keys: Keys, plan: PlanOf[Any], *, but: Collection[Key] = ()) -> None:
    """Print the keys of a plan by what is there of them."""
    for state in ("missing", "partial", "done"):
        some = [step.key for step in plan.steps if step.state == state and step.key not in but]
        if some:
            out.print(f"  {word_of(state, keys):<8} {escape(of_ranges(keys.sorted(some), keys))}")


def show_unknown(keys: Keys) -> None:
    """Print of which tables nobody can tell which keys they have."""
    for table in keys.unknown:
        say(f"of {table.name} it can't be told which keys it has: {table.why}")


def said_unfinished(count: int) -> str:
    """Return what it means that done keys have runs which have not succeeded, and are not resumed."""
    keys, has = counted(count, "done key"), "has" if count == 1 else "have"
    return f"{keys} {has} a run that has not succeeded: `--again failed` resumes it"


def show_twice(out: Console, keys: Keys, plan: PlanOf[Any]) -> None:
    """Print which tables will have rows of keys twice, since a person wants done keys again."""
    from dbxdec.local.backfill import appended_twice

    for name, count in appended_twice(keys, plan):
        rows = f"the rows of {counted(count, 'key')} twice, unless you delete them first"
        out.print(f"  {escape(name)} appends: it will have {rows}")


def show_given(out: Console, keys: Keys, plan: PlanOf[Any]) -> None:
    """Print what a job without keys means for a plan: it runs all values that are given, each time."""
    from dbxdec.local.given import said_of

    if keys.made is not None and plan.steps:
        for words in said_of(keys, done=plan.done):
            out.print(f"  {escape(words)}")


def show_left_out(out: Console, keys: Keys) -> None:
    """Print what was asked for and is no key that there should be."""
    for words in keys.left_out:
        out.print(f"  left out {escape(words)}")


def ask(plan: PlanOf[Any]) -> None:
    """Ask a person whether to make the runs. Raises SystemExit where nobody agrees."""
    options.agree(f"make {counted(len(plan.steps), 'run')}?", "nothing is run", "the plan")


@dataclass(frozen=True)
class Book:
    """The records and the output of a backfill, wherever its runs are made. It may resume an `earlier` one."""

    here: Path
    job: str
    target: str | None
    dag: Job
    arguments: Sequence[str]
    earlier: Record | None
    report: Path | None
    records: list[Record] = field(default_factory=list)

    @property
    def before(self) -> Earlier | None:
        """The work that the resumed backfill has done."""
        from dbxdec.local.backfill import Earlier

        return None if self.earlier is None else Earlier(frozenset(self.earlier.well), self.earlier.began)

    @contextmanager
    def opened(self, plan: PlanOf[Any], variables: Mapping[str, str] = MappingProxyType({})) -> Iterator[Record]:
        """Keep a record while the runs are made."""
        record = self.earlier or backfills.new(self.here)
        self.records.append(record)
        keys = [step.key for step in plan.steps]
        names = [parameter.name for parameter in self.dag.key_parameters]
        with record.working(
            job=self.job,
            target=self.target,
            arguments=self.arguments,
            names=names,
            plan=keys,
            variables=variables,
        ):
            yield record

    def nothing_left(self, keys: Keys, plan: PlanOf[Any]) -> None:
        """Note that a resumed backfill is done, if all its keys are: its last runs have ended well after it."""
        if self.earlier is None or plan.unfinished or self.earlier.state == "success":
            return
        due = self.earlier.plan
        if all(keys.state(key) == "done" for key in due):
            for key in due:
                if key not in self.earlier.well:
                    self.earlier.note_end(key, State.SUCCESS, "", 0)
            self.earlier.note("over", done=len(due), due=len(due), stopped=False, time_ms=ledger.now_ms())

    def summarize(
        self,
        out: Console,
        job: Job,
        keys: Keys,
        failed: list[Key],
        *,
        cancelled: int = 0,
        stopped: bool = False,
        unfinished: int = 0,
    ) -> None:
        """Print what is there now as a calendar, and write the report.

        `unfinished` is the number of done keys, besides failed ones, that have a run which has not succeeded.
        """
        from dbxdec.local.missing import absence
        from dbxdec.views import calendar

        periods = [one.key.period if one.key is not None and one.key.is_period else None for one in job.key_parameters]
        states = {**{key: keys.state(key) for key in keys.due}, **dict.fromkeys(failed, "failed")}
        out.print()
        for row in calendar.lines(periods, states):
            out.print(escape(row))
        out.print(f"[dim]{calendar.legend()}[/]")
        left = sum(keys.state(key) != "done" for key in keys.due)
        done = len(keys.due) - left
        broken = f", {counted(len(failed), 'run')} failed" if failed else ""
        broken += f", {counted(cancelled, 'run')} cancelled" if cancelled else ""
        out.print(f"{done} of {counted(len(keys.due), 'key')} done{broken}")
        unfinished += sum(keys.state(key) == "done" for key in set(failed))
        if unfinished and keys.made is None:
            out.print(said_unfinished(unfinished))
        well = {key for record in self.records for key in Record(record.path).well}
        for table in keys.absent if any(keys.state(key) != "done" for key in well) else ():
            say(str(absence(table, job.key)))
        for record in self.records:
            record.note("over", done=done, due=len(keys.due), stopped=stopped, time_ms=ledger.now_ms())
            if self.report is not None:
                backfill_report.write(self.report, Record(record.path), periods, states, keys.names)
                say(f"the report is in {self.report}")
