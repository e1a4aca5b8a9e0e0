"""`dbxdec backfill`."""

from __future__ import annotations

import datetime as dt
import itertools
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbxdec.cli import completion, options
from dbxdec.cli.app import FAILED, INTERRUPTED
from dbxdec.cli.book import Book, ask, said_unfinished, show_given, show_left_out, show_states, show_twice, show_unknown
from dbxdec.cli.builds import find
from dbxdec.cli.console import console, escape, progressing, say
from dbxdec.cli.home import home
from dbxdec.errors import RunError, counted, listed
from dbxdec.local import backfills, ledger
from dbxdec.local.backfill_report import check_target
from dbxdec.local.backfills import Record
from dbxdec.local.variables import local_values
from dbxdec.platform.run_if import State

if TYPE_CHECKING:
    from rich.console import Console

    from dbxdec.local.alone import Alone
    from dbxdec.local.backfill import Plan, Step
    from dbxdec.local.backfilling import Ended
    from dbxdec.local.key_runs import Meanwhile
    from dbxdec.local.missing import Key, Keys
    from dbxdec.local.request import RunRequest

_LINES = 5
_MOST_FAILURES = 3


@click.command("backfill")
@click.argument("job", shell_complete=completion.jobs)
@click.argument("keys", nargs=-1, metavar="[KEY=A..B | KEY=A,B]...")
@options.parameters
@options.variables
@click.option(
    "--again",
    type=click.Choice(["failed", "partial", "all"]),
    help="Run more: done keys whose run here has failed, which is resumed; keys anew that only some tables have; all "
    "that were asked for anew, done ones too.",
)
@click.option("--every", metavar="DISTANCE", help="Only keys that are so far apart: 12h, 2d, 1w, 1m.")
@click.option("--newest-first", is_flag=True, help="Begin with the newest key.")
@options.at_once
@click.option(
    "--keys-at-once",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    show_default=True,
    help="How many keys run at once, by the same processes.",
)
@click.option("--report", metavar="PATH", help="Write the keys as a calendar, and how each run ended, as an HTML file.")
@click.option("--yes", "-y", is_flag=True, help="Begin without asking.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and run nothing.")
@options.place
@click.option("--resumes", type=int, hidden=True)
def command(
    job: str,
    keys: tuple[str, ...],
    parameters: dict[str, str],
    variables: dict[str, str],
    again: str | None,
    every: str | None,
    newest_first: bool,
    at_once: int,
    keys_at_once: int,
    report: str | None,
    yes: bool,
    dry_run: bool,
    target: str | None,
    job_id: int | None,
    host: str | None,
    profile: str | None,
    resumes: int | None,
) -> None:
    """Run JOB for each of its keys that is missing, on this machine or with --target on the platform.

    It takes all keys that are due, or those between A and B. A job without keys is run for all values that are given.

    The tables' logs tell what is there, so the same command goes on where an earlier one has ended, however it ended. A
    key that only some tables have is resumed where its run is kept here.

    The exit code is 0 where all runs have succeeded, 1 where one has not, 2 for wrong usage and for a plan that nobody
    has agreed to, 130 after Ctrl-C.

    \b
    Examples:
      dbxdec backfill delays
      dbxdec backfill delays day=2024-01-01..2024-01-31 --dry-run
      dbxdec backfill sales day=2024-03-01.. region=eu,us --yes
      dbxdec backfill delays -t prod
    """
    from dbxdec.local.alone import alone
    from dbxdec.local.asked_keys import asked_keys  # their imports take longer than `--help`
    from dbxdec.local.backfill import one_at_a_time, planned, run_anew, run_inside, thinned
    from dbxdec.local.given import keys_given, with_given
    from dbxdec.local.inside import check_inside
    from dbxdec.local.key_runs import Meanwhile, done_since
    from dbxdec.local.missing import keys_of, variables_of
    from dbxdec.local.parameters import check_names, check_parameters, check_variables, jobs_run_by, refuse_readers
    from dbxdec.local.parameters import variables_of as variables_of_run
    from dbxdec.local.question import Question
    from dbxdec.local.request import RunRequest

    here, out = home(), console()
    build, source = find(job, here, None, None)
    found = build.manifest.job(job)
    refuse_readers(build.manifest, found)
    check_variables(build.manifest, variables)
    given, values_given = options.selection(keys), None
    if not found.key_parameters:
        found, values_given = with_given(found, given)
    for parameter in found.parameters:
        if parameter.key is not None and parameter.name in parameters:
            if values_given is not None:
                raise click.UsageError(
                    f"`{parameter.name}` is given twice: `{parameter.name}={given[parameter.name][0]}` and "
                    f"`-p {parameter.name}={parameters[parameter.name]}`"
                )
            raise click.UsageError(
                f"`{parameter.name}` is a key: write `{parameter.name}={parameters[parameter.name]}` without -p"
            )
    if report is not None:
        check_target(Path(report))
    earlier = None if resumes is None else backfills.find(here, str(resumes))
    book = Book(here, job, target, found, sys_arguments(), earlier, None if report is None else Path(report))
    if target is not None:
        from dbxdec.cli import remote_backfill

        wanted = remote_backfill.Wanted(
            found, build, here, target, given, parameters, variables, values_given,
            again=again, every=every, newest_first=newest_first, agreed=yes, dry_run=dry_run,  # type: ignore[arg-type]
            keys_at_once=keys_at_once if _is_given("keys_at_once") else None, job_id=job_id, host=host, profile=profile,
        )  # fmt: skip
        remote_backfill.run(wanted, book)
        return
    if job_id is not None or host is not None or profile is not None:
        raise click.UsageError("--job-id, --host and --profile say where a target is: give its name by --target")
    check_names(found, parameters)  # their values belong to a run, and there may be none to make
    root = ledger.lake(here)
    names = variables_of(found) | variables_of_run(build.manifest, found, parameters)
    values = local_values(names, variables, here)
    question = Question(build, values, here, root)
    asked = asked_keys(found, given, question.now) if values_given is None else {}
    others = None
    if values_given is not None:  # any parameter may say what a run is for
        first = {name: texts[0] for name, texts in values_given.items()}
        everything = check_parameters(found, {**parameters, **first}, values, build.manifest)
        others = {name: text for name, text in everything.items() if name not in values_given}

    before = book.before
    made: frozenset[Key] = (
        frozenset() if before is None else before.well | done_since(found, here, before.began, values, others)
    )

    def look(question: Question, made: frozenset[Key]) -> Keys:
        if values_given is not None:
            return keys_given(found, values_given, made)
        return keys_of(found, question, asked)

    inner = [one.key for one in jobs_run_by(build.manifest, found)]
    with nullcontext() if dry_run else alone(here, job, inner) as lock:
        meanwhile = Meanwhile(found, here, values, others)
        all_due = look(question, made)
        there = all_due if every is None else thinned(found, all_due, every)
        plan_with = partial(
            planned,
            found,
            there,
            here,
            again=again,  # type: ignore[arg-type]  # one of the choices
            newest_first=newest_first,
            variables=values,
            others=others,
            earlier=before,
            only_planned=dry_run,
        )
        plan = plan_with()
        if again not in ("all", "partial"):
            try:
                check_inside(build.manifest, found, run_inside(plan, done=True), question)
            except RunError as error:  # a job inside has appended such a key by a run of its own
                if again == "failed":
                    raise
                say(f"not resumed: {error.problems[0].message}")
                plan = plan_with(lacking=False)
            check_inside(build.manifest, found, [*run_anew(plan), *run_inside(plan, done=False)], question)
        _show(out, all_due, plan)
        for step in plan.steps[:1]:
            check_parameters(found, {**parameters, **there.named(step.key)}, values, build.manifest)
        if lock is None:
            return
        if not plan.steps:
            book.nothing_left(all_due, plan)
            return
        if not yes:
            ask(plan)
        request = RunRequest(job, build, here, source, parameters=parameters, variables=variables, at_once=at_once)
        if keys_at_once > 1 and (whole := one_at_a_time(there)):
            say(f"one key at a time: each run replaces the whole of {listed(whole)}")
            keys_at_once = 1
        with book.opened(plan, values) as record:
            failed, cancelled, stopped = _run(out, request, there, plan, lock, keys_at_once, record, meanwhile)
            now = look(replace(question, now=dt.datetime.now(dt.UTC)), made | Record(record.path).well)
            now = replace(now, due=there.due)
            left = plan.unfinished + sum(now.state(key) == "done" for key in cancelled)
            book.summarize(out, found, now, failed, cancelled=len(cancelled), stopped=stopped, unfinished=left)
    if stopped:
        raise SystemExit(INTERRUPTED)
    if failed or cancelled:
        raise SystemExit(FAILED)


def _is_given(option: str) -> bool:
    """Return whether a person has given an option, whatever its default is."""
    source = click.get_current_context().get_parameter_source(option)
    return source is not click.core.ParameterSource.DEFAULT


def _show(out: Console, keys: Keys, plan: Plan) -> None:
    out.print(f"[bold]{escape(keys.job)}[/]  {plan.done} done, {counted(len(plan.steps), 'run')} to make")
    show_states(out, keys, plan)
    show_left_out(out, keys)
    show_given(out, keys, plan)
    show_unknown(keys)
    if plan.lacking:
        keys_, has = counted(plan.lacking, "done key"), "has" if plan.lacking == 1 else "have"
        out.print(f"  {keys_} {has} a run here that ended before it had stored what no table with keys tells")
    if plan.unfinished:
        out.print(f"  {said_unfinished(plan.unfinished)}")
    resumed = sum(step.before is not None for step in plan.steps)
    if resumed:
        out.print(f"  {counted(resumed, 'run')} of them {'is' if resumed == 1 else 'are'} resumed")
    show_twice(out, keys, plan)


def _run(
    out: Console,
    request: RunRequest,
    keys: Keys,
    plan: Plan,
    lock: Alone,
    keys_at_once: int,
    record: Record,
    meanwhile: Meanwhile,
) -> tuple[list[Key], list[Key], bool]:
    """Make the runs. Return the keys that have failed, those that were cancelled, and if a person has ended it."""
    from dbxdec.local.backfilling import run_plan

    failed: list[Key] = []
    cancelled: list[Key] = []
    count = itertools.count(1)

    def ended(one: Ended) -> None:
        record.note_end(one.step.key, one.state, one.run.id if one.run is not None else "", one.seconds)
        words = "resumed, " if one.step.before is not None else ""
        number = f"{next(count)}/{len(plan.steps)}"
        out.print(f"{number}  {escape(' '.join(one.step.key))}  {words}{one.state}, {one.seconds:.1f} s")
        for line in _said(one) if len(failed) < _MOST_FAILURES else ():
            out.print(f"  {escape(line)}")
        if not one.well:
            (cancelled if one.state is State.CANCELLED else failed).append(one.step.key)

    with progressing(out, len(plan.steps)) as (began, over):

        def told(one: Ended) -> None:
            over(" ".join(one.step.key))
            ended(one)

        def started(step: Step) -> None:
            began(" ".join(step.key))

        stopped = run_plan(
            request, keys, plan, lock, keys_at_once=keys_at_once, meanwhile=meanwhile, began=started, ended=told
        )
    return failed, cancelled, stopped


def _said(ended: Ended) -> list[str]:
    """Return the last lines of what failed, and where all of it is."""
    lines = [f"{task.key}: {line}" for task, said in ended.failures for line in said[-_LINES:]]
    lines += ended.why.splitlines()
    return [*lines, *([f"logs: {ended.run.folder}"] if lines and ended.run is not None else [])]


def sys_arguments() -> list[str]:
    """Return the arguments of this command as a person has given them, to be given again."""
    context = click.get_current_context()
    found: list[str] = []
    for option in context.command.params:
        value = context.params.get(str(option.name))
        if option.name in _NOT_AGAIN or value is None or not _is_given(str(option.name)):
            continue
        if isinstance(option, click.Argument):
            found += [value] if isinstance(value, str) else list(value)
        elif isinstance(value, dict):
            found += [part for name, text in value.items() for part in (option.opts[-1], f"{name}={text}")]
        else:
            found += [option.opts[0]] if option.is_flag else [option.opts[0], str(value)]  # type: ignore[attr-defined]
    return found


_NOT_AGAIN = ("yes", "dry_run", "resumes")
