"""A backfill on this machine: the keys of a job that are missing, one run after another.

The tables say what is there, so nothing has to be remembered: the same command goes on where an earlier one ended.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

from dbxdec.errors import Problem, RunError, listed
from dbxdec.local import key_runs
from dbxdec.local.asked_keys import moment_of_key
from dbxdec.local.history import Run
from dbxdec.local.missing import absence, remedy
from dbxdec.platform.run_if import State
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from dbxdec.local.missing import Key, Keys, Table
    from dbxdec.model.dag import Job

Again = Literal["failed", "partial", "all"]


class Made(Protocol):
    """A run, wherever it was made."""

    @property
    def started(self) -> int:
        """The time at which it began, in ms since the epoch."""


Before = TypeVar("Before", bound=Made)
_MOST_SAID = 5


@dataclass(frozen=True)
class StepOf(Generic[Before]):
    """One run of the plan: of a key that is "missing", "partial" or "done"; `before` is the run that it resumes."""

    key: Key
    state: str
    before: Before | None = None


@dataclass(frozen=True)
class PlanOf(Generic[Before]):
    """The runs of a backfill in their order, and how many of the keys that were asked for are done."""

    steps: tuple[StepOf[Before], ...]
    done: int
    unfinished: int = 0
    """The number of done keys that have a run that has not succeeded and is not resumed."""
    lacking: int = 0
    """The number of done keys that are resumed since their run has ended before all was stored."""


Step = StepOf[Run]
"""A run on this machine."""
Plan = PlanOf[Run]
"""Runs on this machine."""


def thinned(job: Job, keys: Keys, every: str) -> Keys:
    """Return only keys that are at least `every` apart, such as "12h", "2d", "1w" or "1m", from the first one on.

    Raises RunError for another string, and where no key is a period.
    """
    found = _EVERY.fullmatch(every.strip())
    if found is None or not int(found["count"]):
        raise RunError(f"--every {every!r:.40} is no distance", hint="write `12h`, `2d`, `1w` or `1m`")
    place = next((i for i, one in enumerate(job.key_parameters) if one.key and one.key.is_period), None)
    if place is None:
        raise RunError(f"the job `{job.key}` has no key that is a day, a week, a month or an hour", hint="drop --every")
    key, count, unit = job.key_parameters[place].key, int(found["count"]), found["unit"]
    if unit == "h" and key is not None and key.is_period and key.type != "datetime":
        raise RunError(f"--every {every} is for keys that are hours", hint="write `2d`, `1w` or `1m`")
    kept: set[str] = set()
    texts = sorted({one[place] for one in keys.due})
    first, number = None, 0
    for text in texts:
        moment = moment_of_key(key, text)  # type: ignore[arg-type]  # it is a period
        first = first or moment
        if moment >= _later(first, number * count, unit):
            kept.add(text)
            while _later(first, number * count, unit) <= moment:
                number += 1
    return replace(keys, due=tuple(one for one in keys.due if one[place] in kept))


_EVERY = re.compile(r"(?P<count>\d{1,4})(?P<unit>[hdwm])")


def _later(moment: dt.date, count: int, unit: str) -> dt.date:
    if unit != "m":
        return moment + count * {"h": dt.timedelta(hours=1), "d": dt.timedelta(1), "w": dt.timedelta(7)}[unit]
    months = moment.month - 1 + count
    first = moment.replace(year=moment.year + months // 12, month=months % 12 + 1, day=1)
    return first + dt.timedelta(min(moment.day, calendar.monthrange(first.year, first.month)[1]) - 1)


def one_at_a_time(keys: Keys) -> list[str]:
    """Return the tables that each run replaces as a whole, so that only one key at a time can be written."""
    return [table.name for table in keys.tables if table.mode == "whole"]


def appended_twice(keys: Keys, plan: PlanOf[Before]) -> list[tuple[str, int]]:
    """Return the tables to which a plan appends keys that they have, and how many: `--again` asks for that."""
    anew = [step.key for step in plan.steps if step.before is None]
    counts = [
        (table.name, sum(key in table.done or key in table.begun for key in anew))
        for table in keys.tables
        if table.adds
    ]
    return [(name, count) for name, count in counts if count]


def run_anew(plan: PlanOf[Before]) -> list[Key]:
    """Return the keys of a plan that are not done, and of which no run is resumed."""
    return [step.key for step in plan.steps if step.state != "done" and step.before is None]


def run_inside(plan: Plan, *, done: bool) -> list[Key]:
    """Return the keys of which a resumed run has still to start another job: of done ones, or of all others."""
    resumed = ((step, step.before) for step in plan.steps if (step.state == "done") == done)
    return [step.key for step, run in resumed if run is not None and key_runs.has_inner_to_start(run)]


@dataclass(frozen=True)
class Earlier:
    """The work that a resumed backfill has done well, and its beginning, in ms since the epoch."""

    well: frozenset[Key]
    began: int


def planned(
    job: Job,
    keys: Keys,
    here: Path,
    *,
    again: Again | None,
    newest_first: bool,
    variables: Mapping[str, str] = MappingProxyType({}),
    others: Mapping[str, str] | None = None,
    earlier: Earlier | None = None,
    only_planned: bool = False,
    lacking: bool = True,
) -> Plan:
    """Return the runs that a backfill needs. Raises RunError with all reasons why it would do harm.

    `others` are the values of all other parameters of a job without keys: only runs that had them are the same. With
    `only_planned` nothing is run, so that runs at work are no matter.

    A key is resumed where its run has not succeeded and is kept here: it may have left more, or less, than the tables
    tell, such as rows of some iterations, below a branch, or of a job that it runs. So is one that all tables have,
    where it lacks more than a task that stores nothing, unless `lacking` says otherwise.
    """
    kept, running = key_runs.kept_runs(job, here, variables, others)
    running = {} if only_planned else running
    kept = {key: run for key, run in kept.items() if key not in keys.due or _agrees(run, key, keys)}
    if earlier is not None:
        since = key_runs.done_since(job, here, earlier.began, variables, others)
        earlier = replace(earlier, well=earlier.well | since)
    return plan_of(
        job,
        keys,
        kept,
        again=again,
        newest_first=newest_first,
        running=running,
        earlier=earlier,
        lacking={key for key, run in kept.items() if lacking and key_runs.lacks_something(run)},
        by_hand=lambda key: key_runs.by_hand(job, here, key, variables),
    )


def _agrees(run: Run, key: Key, keys: Keys) -> bool:
    """Return whether a kept run and the tables say the same of a key, so that resuming it does what is missing."""
    ended, known = run.tasks(), {task.key for task in run.dag.tasks}
    for table in keys.tables:
        if run.started <= table.forgotten.get(key, -1):
            return False  # its receipts would say that rows are there which a person has deleted
        there = key in table.done or key in table.begun
        if table.adds and there and table.task not in known:
            return False  # the task has another name now, and would append its rows again
        has_ended = ended.get(table.task, {}).get("state") == State.SUCCESS
        was_there = table.created is not None or key_runs.has_written(run, table.task)
        if has_ended and was_there and not there and not table.why:
            return False  # its rows, or the whole table, were taken away since
    return True


def plan_of(
    job: Job,
    keys: Keys,
    kept: Mapping[Key, Before],
    *,
    again: Again | None,
    newest_first: bool,
    running: Mapping[Key, Run] = MappingProxyType({}),
    earlier: Earlier | None = None,
    lacking: Collection[Key] = frozenset(),
    by_hand: Callable[[Key], str | None] = lambda _: None,
) -> PlanOf[Before]:
    """Return the runs that a backfill needs, wherever they are made; `kept` are runs that can be resumed, by key.

    Of `lacking` ones the run has ended before it had stored all, also where the tables that tell have the key.
    A key of which a run is `running` is refused. `by_hand` is the command that resumes a run of a key that is refused,
    where there is one. Raises RunError with all reasons why the backfill would do harm.
    """
    problems = [
        Problem(
            f"of {table.name} it can't be told which keys it has: {table.why}",
            hint=remedy(table, keys.job) or "read the table's log first",
        )
        for table in keys.unknown
        if table.is_delta and (not table.untold or _nobody_knows(table, kept).intersection(keys.due))
    ]
    steps: list[StepOf[Before]] = []
    done, unfinished, lacks, added = 0, 0, 0, []
    for key in keys.due:
        state, before = keys.state(key), kept.get(key)
        if earlier is not None and again is not None and key in earlier.well:
            done += state == "done"
            continue
        # The run that the resumed backfill has made for the key.
        own = earlier is not None and before is not None and before.started >= earlier.began
        if state == "done":
            done += 1
            is_lacking = before is not None and key in lacking and not _has_newer_rows(job, keys, key)
            if again == "all":
                steps.append(StepOf(key, state, before if own else None))
            elif before is not None and (again == "failed" or is_lacking):
                steps.append(StepOf(key, state, before))
                lacks += is_lacking
            else:
                unfinished += before is not None
            continue
        anew = not own and (again == "all" or (again == "partial" and state == "partial"))
        before = None if anew else before
        steps.append(StepOf(key, state, before))
        there = (table for table in keys.tables if key in table.done or key in table.begun)
        parts = [table for table in there if table.adds and key not in table.may_have_had_none]
        if parts and before is None and not anew:
            added.append((key, parts))
    problems += _of_running(job, steps, running)
    problems += _of_added(job, added, by_hand)
    problems += [absence(table, keys.job) for table in keys.absent] if added else []
    problems += of_strange_rows(keys) if steps and again != "all" else []
    problems += _of_whole_tables(job, keys, steps, newest_first=newest_first)
    if problems:
        raise RunError(problems)
    return PlanOf(tuple(reversed(steps) if newest_first else steps), done, unfinished, lacks)


def _nobody_knows(table: Table, kept: Collection[Key]) -> frozenset[Key]:
    """Return the keys of which it can't be told whether they are there, without those whose run can be resumed."""
    return table.untold - table.may_have_had_none.intersection(kept)


def _of_running(job: Job, steps: Sequence[StepOf[Before]], running: Mapping[Key, Run]) -> Iterator[Problem]:
    for step in steps:
        if (run := running.get(step.key)) is not None:
            yield Problem(
                f"the run {run.id} of the job `{job.key}` for {' '.join(step.key)} is at work",
                hint="wait for it, or end it",
            )


def _of_added(
    job: Job, added: Sequence[tuple[Key, Sequence[Table]]], by_hand: Callable[[Key], str | None]
) -> Iterator[Problem]:
    """Yield keys of which rows have been appended, and that can't be resumed; `by_hand` says what a person can run."""
    otherwise = (
        "with `--again partial` it is run anew, after its rows have been deleted; "
        f"`dbxdec keys mark {job.key} KEY=A..B` says that it is there"
    )
    for number, (key, tables) in enumerate(added[:_MOST_SAID]):
        names = listed([table.name for table in tables])
        command = by_hand(key)
        hints = [] if command is None else [f"resume the run that wrote it: `{command}`"]
        hints += [otherwise] if number == min(len(added), _MOST_SAID) - 1 else []
        yield Problem(
            f"{' '.join(key)} is in {names} and not in all tables: a new run would append it again",
            hint="; ".join(hints) or None,
        )
    if len(added) > _MOST_SAID:
        yield Problem(f"and so are {len(added) - _MOST_SAID} other keys")


def of_strange_rows(keys: Keys) -> Iterator[Problem]:
    """Yield appended tables with rows of which no log says which keys they are."""
    for table in keys.tables:
        if table.adds and table.created is not None and table.strange:
            yield Problem(
                f"{table.name} has rows of which no log says the keys: of runs before the job had keys, of another "
                "program, or of a task that has another name now; a backfill would append to them",
                hint=f"say which keys they are: `dbxdec keys mark {keys.job} KEY=A..B --task {table.task}`; or move "
                "the table away",
            )


def _of_whole_tables(job: Job, keys: Keys, steps: Sequence[StepOf[Before]], *, newest_first: bool) -> Iterator[Problem]:
    """Yield tables that would end with the rows of an older period, since each run replaces them as a whole."""
    age = _age_in(job)
    if not steps or age is None:
        return
    last = age(steps[0].key if newest_first else steps[-1].key)
    for table in keys.tables:
        if table.mode != "whole":
            continue
        newest = max([*map(age, table.done), *(age(step.key) for step in steps)])
        if newest > last:
            yield Problem(
                f"each run replaces the whole of {table.name}, so it would end with the rows of {' '.join(last)}, "
                f"and not with those of {' '.join(newest)}",
                hint='write each key into its own part: `mode="overwrite", partition_by=...`; or end with the newest '
                "key" + (", without `--newest-first`" if newest_first else ""),
            )


def _has_newer_rows(job: Job, keys: Keys, key: Key) -> bool:
    """Return whether a table that each run replaces as a whole has been written for a newer key."""
    age = _age_in(job)
    wholes = [table for table in keys.tables if table.mode == "whole"]
    return age is not None and any(age(other) > age(key) for table in wholes for other in table.done)


def _age_in(job: Job) -> Callable[[Key], Key] | None:
    """Return what tells of two keys which is newer; None for a job without periods."""
    periods = [i for i, parameter in enumerate(job.key_parameters) if parameter.key and parameter.key.is_period]
    # Days, and moments in UTC, sort as their strings do.
    return (lambda key: tuple(key[i] for i in periods)) if periods else None
