"""`dbxdec backfill -t TARGET`: the runs are made on the platform."""

from __future__ import annotations

import datetime as dt
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dbxdec.cli.app import FAILED, INTERRUPTED
from dbxdec.cli.book import ask, show_given, show_left_out, show_states, show_twice, show_unknown
from dbxdec.cli.console import console, escape, say
from dbxdec.cli.missing import of_ranges
from dbxdec.errors import counted
from dbxdec.local import backfills, ledger
from dbxdec.local.variables import local_values
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from dbxdec.cli.book import Book
    from dbxdec.local.backfill import Again, PlanOf
    from dbxdec.local.backfills import Record
    from dbxdec.local.builds import Build
    from dbxdec.local.missing import Key, Keys
    from dbxdec.model.dag import Job
    from dbxdec.remote.backfilling import Event, Known
    from dbxdec.remote.states import Deployed, PlatformRun

_MOST_FAILURES = 20


@dataclass(frozen=True)
class Wanted:
    """A request for a backfill on the platform. `keys_at_once` is None for as many as the job admits.

    `values` are those that are given for a job without keys.
    """

    job: Job
    build: Build
    here: Path
    target: str
    given: Mapping[str, list[str]]
    parameters: dict[str, str]
    variables: dict[str, str]
    values: Mapping[str, tuple[str, ...]] | None = None
    again: Again | None = None
    every: str | None = None
    newest_first: bool = False
    keys_at_once: int | None = None
    agreed: bool = False
    dry_run: bool = False
    job_id: int | None = None
    host: str | None = None
    profile: str | None = None


def run(wanted: Wanted, book: Book) -> None:
    """Make the runs, and wait for them. Raises SystemExit as the local command does, and DbxdecError."""
    from dbxdec.local.alone import alone
    from dbxdec.local.asked_keys import asked_keys
    from dbxdec.local.backfill import one_at_a_time, plan_of, run_anew, thinned
    from dbxdec.local.given import keys_given
    from dbxdec.local.inside import check_inside
    from dbxdec.local.missing import keys_of, variables_of
    from dbxdec.local.parameters import check_parameters, jobs_run_by
    from dbxdec.local.question import Question
    from dbxdec.remote import place, states
    from dbxdec.remote.asking import keys_there
    from dbxdec.remote.backfilling import Backfill, known_runs
    from dbxdec.remote.started import Started, slug
    from dbxdec.remote.workspace import Workspace

    out, job, here = console(), wanted.job, wanted.here
    asked = asked_keys(job, wanted.given, dt.datetime.now(dt.UTC)) if wanted.values is None else {}
    found = place.find(
        job.key, wanted.target, here, job_id=wanted.job_id, host=wanted.host, profile=wanted.profile
    )  # fmt: skip
    workspace = Workspace.connect(found.host, found.profile)
    deployed = workspace.job(found.job_id)
    states.check(job, wanted.build.manifest.project, deployed, wanted.parameters)
    place.keep(job.key, wanted.target, here, found.job_id, workspace.host)
    _say_of_build(wanted, deployed)
    known = states.of_deployed(deployed, found.variables, wanted.variables)
    run_by = jobs_run_by(wanted.build.manifest, job)
    names = set().union(*map(variables_of, (job, *run_by)))
    values = local_values(names, {**known, **wanted.variables}, here, wanted.target)
    question = Question(wanted.build, values, here, None, elsewhere=partial(keys_there, deployed, workspace, _say_page))
    inner = [slug(one.key, wanted.target) for one in run_by]
    with nullcontext() if wanted.dry_run else alone(here, slug(job.key, wanted.target), inner):
        made: frozenset[Key] = frozenset() if book.before is None else book.before.well

        def look(question: Question, made: frozenset[Key]) -> Keys:
            return keys_of(job, question, asked) if wanted.values is None else keys_given(job, wanted.values, made)

        all_due = look(question, made)
        keys = all_due if wanted.every is None else thinned(job, all_due, wanted.every)
        record = Started.of(here, job.key, wanted.target, deployed.id)
        of_done = wanted.again in ("failed", "all")
        open_keys = [key for key in keys.due if of_done or keys.state(key) != "done"]
        runs = known_runs(job, keys, open_keys, deployed, wanted.parameters, workspace, record)
        plan = plan_of(job, keys, runs.kept, again=wanted.again, newest_first=wanted.newest_first, earlier=book.before)
        if wanted.again not in ("all", "partial"):
            check_inside(wanted.build.manifest, job, run_anew(plan), replace(question, elsewhere=None))
        for step in plan.steps[:1]:
            check_parameters(job, {**wanted.parameters, **keys.named(step.key)}, {**known, **values})
        slots = states.Slots.of(deployed, wanted.keys_at_once, one_by_one=bool(one_at_a_time(keys)))
        _show(out, all_due, plan, runs, slots.own)
        show_twice(out, keys, plan)
        show_given(out, keys, plan)
        if wanted.again == "failed" and (lost := [key for key in keys.due if _is_lost(key, keys, runs)]):
            say(
                f"the failed {'run' if len(lost) == 1 else 'runs'} of {of_ranges(lost, keys)} can't be repaired: the "
                "build, a variable or a parameter of the deployed job is another by now. The tables have the "
                f"{'key' if len(lost) == 1 else 'keys'}; `--again all` runs them anew"
            )
        if wanted.dry_run:
            return
        if not plan.steps:
            book.nothing_left(all_due, plan)
            return
        if not wanted.agreed:
            ask(plan)
        with book.opened(plan) as written:
            written.note("place", job_id=deployed.id, host=workspace.host, profile=found.profile)
            lines = _Lines(out, len(plan.steps), written)
            backfill = Backfill(
                job, keys, deployed, workspace, workspace.id(), record, slots, wanted.parameters, lines.tell
            )
            try:
                backfill.run(plan.steps, runs)
            except KeyboardInterrupt:
                written.note("over", stopped=True, time_ms=ledger.now_ms())
                say("no further run is started; those at work go on on the platform. The same command watches them")
                raise SystemExit(INTERRUPTED) from None
            now = look(replace(question, now=dt.datetime.now(dt.UTC)), made | backfills.Record(written.path).well)
            book.summarize(out, job, replace(now, due=keys.due), backfill.failed)
    if backfill.failed:
        raise SystemExit(FAILED)


def _is_lost(key: Key, keys: Keys, runs: Known) -> bool:
    """Return whether a done key has a failed run that can't be repaired."""
    run = runs.newest.get(key)
    return keys.state(key) == "done" and run is not None and run.state == "failed" and key not in runs.resumable


def _say_page(url: str) -> None:
    say(f"a task on the platform reads the tables that this machine can't read: {url}")


def _say_of_build(wanted: Wanted, deployed: Deployed) -> None:
    if deployed.builds != {wanted.build.manifest.build_id}:
        say(
            f"the deployed job `{wanted.job.key}` is of another build than the tree: its runs do what was deployed to "
            f"{wanted.target}"
        )


def _show(out: Console, keys: Keys, plan: PlanOf[PlatformRun], runs: Known, at_once: int) -> None:
    watched = [step.key for step in plan.steps if step.key in runs.active]
    repaired = [step.key for step in plan.steps if step.before is not None and step.key not in runs.active]
    made = len(plan.steps) - len(watched)
    out.print(
        f"[bold]{escape(keys.job)}[/]  {plan.done} done, {counted(made, 'run')} to make, {at_once} at once"
        + (f", {len(watched)} at work" if watched else "")
    )
    show_states(out, keys, plan, but=runs.active)
    if watched:
        out.print(f"  {'at work':<8} {escape(of_ranges(keys.sorted(watched), keys))}")
    show_left_out(out, keys)
    show_unknown(keys)
    if repaired:
        out.print(f"  {counted(len(repaired), 'run')} of them {'is' if len(repaired) == 1 else 'are'} repaired")


class _Lines:
    """The lines for each key: beginnings on stderr, ends on stdout."""

    def __init__(self, out: Console, count: int, record: Record) -> None:
        self._out, self._count, self._record = out, count, record
        self._ended, self._failures = 0, 0
        self._repaired: set[Key] = set()

    def tell(self, event: Event) -> None:
        """Print what has become of a key."""
        key, run = " ".join(event.key), event.run
        if event.what == "repaired":
            self._repaired.add(event.key)
        if event.what == "ended":
            self._end(event, key)
        elif event.what == "waiting":
            say("the job admits no further run now: it is waited until one of those that others have started has ended")
        else:
            words = {"started": "is started", "repaired": "is repaired", "watched": "is at work"}
            words["found"] = "that this backfill did not start was at work meanwhile"
            words["skipped"] = f"was skipped ({run.said}), and is tried again"
            say(f"{key}: the run {run.id} {words[event.what]}")

    def _end(self, event: Event, key: str) -> None:
        self._ended += 1
        run = event.run
        self._record.note_end(event.key, run.state, str(run.id), run.seconds)
        words = "repaired, " if event.key in self._repaired else ""
        self._out.print(f"{self._ended}/{self._count}  {escape(key)}  {words}{run.state}, {run.seconds:.1f} s")
        if run.state != "success":
            self._failures += 1
            if self._failures <= _MOST_FAILURES:
                for line in filter(None, (run.said, run.url)):
                    self._out.print(f"  {escape(line)}")
