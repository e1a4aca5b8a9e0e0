"""`dbxdec backfill`."""

from __future__ import annotations

import datetime as dt
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from dbxdec.cli import completion, options
from dbxdec.cli.app import FAILED, INTERRUPTED, WRONG_USAGE
from dbxdec.cli.builds import find
from dbxdec.cli.console import console, escape, say
from dbxdec.cli.home import home
from dbxdec.cli.missing import of_ranges
from dbxdec.errors import DbxdecError, RunError, counted
from dbxdec.local import ledger
from dbxdec.local.variables import local_values
from dbxdec.platform.run_if import State

if TYPE_CHECKING:
    from rich.console import Console

    from dbxdec.local.backfill import Plan, Step
    from dbxdec.local.missing import Key, Keys
    from dbxdec.local.request import RunRequest
    from dbxdec.model.dag import Job

_LINES = 5
_MOST_FAILURES = 3


@click.command("backfill")
@click.argument("job", shell_complete=completion.jobs)
@click.argument("keys", nargs=-1, metavar="[KEY=A..B | KEY=A,B]...")
@options.parameters
@options.variables
@click.option(
    "--again",
    type=click.Choice(["partial", "all"]),
    help="Run keys anew that only some tables have, or all that were asked for, done ones too.",
)
@click.option("--newest-first", is_flag=True, help="Begin with the newest key.")
@options.at_once
@click.option("--yes", "-y", is_flag=True, help="Begin without asking.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and run nothing.")
@options.place
def command(
    job: str,
    keys: tuple[str, ...],
    parameters: dict[str, str],
    variables: dict[str, str],
    again: str | None,
    newest_first: bool,
    at_once: int,
    yes: bool,
    dry_run: bool,
    target: str | None,
    job_id: int | None,
    host: str | None,
    profile: str | None,
) -> None:
    """Run JOB for each of its keys that is missing, on this machine or with --target on the platform.

    It takes all keys that are due, or those between A and B.

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
    from dbxdec.local.backfill import alone, asked_keys, planned  # their imports take longer than `--help`
    from dbxdec.local.missing import Question, keys_of, variables_of
    from dbxdec.local.parameters import check_parameters
    from dbxdec.local.parameters import variables_of as variables_of_run
    from dbxdec.local.request import RunRequest

    here, out = home(), console()
    build, source = find(job, here, None, None)
    found = build.manifest.job(job)
    if not any(parameter.key for parameter in found.parameters):
        raise RunError(f"the job `{job}` has no key", hint="give it one: `day: dt.date = daily(since=...)`")
    given = _selection(keys)
    for parameter in found.parameters:
        if parameter.key is not None and parameter.name in parameters:
            raise click.UsageError(
                f"`{parameter.name}` is a key: write `{parameter.name}={parameters[parameter.name]}` without -p"
            )
    if target is not None:
        from dbxdec.cli import remote_backfill

        wanted = remote_backfill.Wanted(
            found, build, here, target, given, parameters, variables,
            again=again, newest_first=newest_first, agreed=yes, dry_run=dry_run,  # type: ignore[arg-type]
            job_id=job_id, host=host, profile=profile,
        )  # fmt: skip
        remote_backfill.run(wanted, remote_backfill.Words(_ask, _summarize))
        return
    if job_id is not None or host is not None or profile is not None:
        raise click.UsageError("--job-id, --host and --profile say where a target is: give its name by --target")
    root = str((ledger.state_folder(here) / "lake").absolute())
    names = variables_of(found) | variables_of_run(build.manifest, found, parameters)
    values = local_values(names, variables, here)
    question = Question(build, values, here, root)
    asked = asked_keys(found, given, question.now)
    with alone(here, job):
        there = keys_of(found, question, asked)
        plan = planned(found, there, here, again=again, newest_first=newest_first)  # type: ignore[arg-type]
        _show(out, there, plan)
        for step in plan.steps[:1]:
            check_parameters(found, {**parameters, **there.named(step.key)}, values, build.manifest)
        if not plan.steps or dry_run:
            return
        if not yes:
            _ask(plan)
        request = RunRequest(job, build, here, source, parameters=parameters, variables=variables, at_once=at_once)
        failed, stopped = _run(out, request, there, plan)
        _summarize(out, found, keys_of(found, replace(question, now=dt.datetime.now(dt.UTC)), asked), failed)
    if stopped:
        raise SystemExit(INTERRUPTED)
    if failed:
        raise SystemExit(FAILED)


def _selection(texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not name or not equals or not values:
            raise click.UsageError(f"{text!r} is not of the form KEY=A..B or KEY=A,B")
        if name in found:
            raise click.UsageError(f"the key `{name}` is given twice")
        found[name] = values
    return found


def _show(out: Console, keys: Keys, plan: Plan) -> None:
    out.print(f"[bold]{escape(keys.job)}[/]  {plan.done} done, {counted(len(plan.steps), 'run')} to make")
    for state in ("missing", "partial", "done"):
        some = [step.key for step in plan.steps if step.state == state]
        if some:
            ordered = sorted(some, key=keys.due.index)
            out.print(f"  {state:<8} {escape(of_ranges(ordered, keys))}")
    for table in keys.unknown:
        say(f"of {table.name} it can't be told which keys it has: {table.why}")
    resumed = sum(step.before is not None for step in plan.steps)
    if resumed:
        out.print(f"  {counted(resumed, 'run')} of them {'is' if resumed == 1 else 'are'} resumed")


def _ask(plan: Plan) -> None:
    if not sys.stdin.isatty():
        say("nothing is run: `--yes` agrees to the plan")
        raise SystemExit(WRONG_USAGE)
    if not click.confirm(f"make {counted(len(plan.steps), 'run')}?", err=True):
        raise SystemExit(WRONG_USAGE)


def _run(out: Console, request: RunRequest, keys: Keys, plan: Plan) -> tuple[list[Key], bool]:
    """Make the runs one after another. Return the keys that have failed, and whether a person has ended it."""
    failed: list[Key] = []
    for number, step in enumerate(plan.steps, 1):
        began = time.monotonic()
        state, said, stopped = _one(request, keys, step)
        words = "resumed, " if step.before is not None else ""
        seconds = f"{time.monotonic() - began:.1f} s"
        out.print(f"{number}/{len(plan.steps)}  {escape(' '.join(step.key))}  {words}{state}, {seconds}")
        for line in said if len(failed) < _MOST_FAILURES else ():
            out.print(f"  {escape(line)}")
        if state not in (State.SUCCESS, State.SUCCESS_WITH_FAILURES):
            failed.append(step.key)
        if stopped:
            return failed, True
    return failed, False


def _one(request: RunRequest, keys: Keys, step: Step) -> tuple[State, list[str], bool]:
    """Run one key. Return how it ended, the last lines of what failed, and whether a person has ended it."""
    from dbxdec.cli.display import Progress
    from dbxdec.local.pool import interruptible
    from dbxdec.local.request import prepared

    own = {**request.parameters, **keys.named(step.key)}
    if step.before is not None:
        own = {**request.parameters, **{name: step.before.head["parameters"][name] for name in keys.names}}
    try:
        ready = prepared(replace(request, parameters=own, before=step.before))
    except DbxdecError as error:  # such as a run to resume that had other parameters: it costs no other key
        return State.FAILED, str(error).splitlines(), False
    progress = Progress(console(stderr=True))
    with interruptible(ready.setting.pool):
        run = ready.run(progress.listener)
    lines = [f"{task.key}: {line}" for task, said in progress.failures for line in said[-_LINES:]]
    # A signal after the last task has not cancelled it.
    stopped = ready.setting.pool.stopping
    return run.state, [*lines, *([f"logs: {run.folder}"] if lines else [])], stopped


def _summarize(out: Console, job: Job, keys: Keys, failed: list[Key]) -> None:
    """Print what is there now: for days as a calendar."""
    from dbxdec.views import calendar

    (first, *others) = [parameter for parameter in job.parameters if parameter.key is not None]
    if not others and first.key is not None and first.key.is_period and first.key.period == "daily":
        states = {dt.date.fromisoformat(key[0]): keys.state(key) for key in keys.due}
        states |= {dt.date.fromisoformat(key[0]): "failed" for key in failed}
        out.print()
        for row in calendar.months(states):
            out.print(escape(row))
        out.print(f"[dim]{calendar.legend()}[/]")
    left = sum(keys.state(key) != "done" for key in keys.due)
    out.print(f"{len(keys.due) - left} of {counted(len(keys.due), 'key')} done")
