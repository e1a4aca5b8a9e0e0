"""`dbxdec keys`: what a person knows better than the logs of the tables."""

from __future__ import annotations

import click

from dbxdec.cli import completion, options
from dbxdec.cli.app import FAILED, Subcommands
from dbxdec.cli.book import show_left_out
from dbxdec.cli.builds import find
from dbxdec.cli.console import console, escape, say
from dbxdec.cli.home import home
from dbxdec.cli.missing import of_ranges
from dbxdec.errors import RunError, counted

_target = options.target("The tables of this target of the bundle, where they are; by default those of local runs.")
_yes = click.option("--yes", "-y", is_flag=True, help="Change the logs without asking.")
_dry = click.option("--dry-run", is_flag=True, help="Show what would be changed.")
_job = click.argument("job", shell_complete=completion.jobs)
_tasks = click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    shell_complete=completion.tasks,
    help="Only the tables of this task; may be repeated.",
)
_keys = click.argument("keys", nargs=-1, metavar="[KEY=A..B | KEY=A,B]...")


@click.group("keys", cls=Subcommands)
def command() -> None:
    """Say which keys the tables of a job have, where their logs can't know it.

    \b
    Examples:
      dbxdec keys mark delays day=2023-01-01..2024-12-31
      dbxdec keys mark delays --from-partitions
      dbxdec keys forget delays day=2024-03-05
    """


@command.command("mark")
@_job
@_keys
@click.option(
    "--from-partitions", is_flag=True, help="Only keys of which a table has a partition; other tables are left alone."
)
@_tasks
@_target
@options.variables
@_yes
@_dry
def mark(
    job: str,
    keys: tuple[str, ...],
    from_partitions: bool,
    tasks: tuple[str, ...],
    target: str | None,
    variables: dict[str, str],
    yes: bool,
    dry_run: bool,
) -> None:
    """Say that the tables of JOB have these keys: of runs before the job had keys, or that another program made.

    It adds an identifier for each key to the log of each table, and no rows. The exit code is 0, 1 where a table can't
    be marked, 2 for wrong usage and where nobody has agreed.
    """
    if not keys and not from_partitions:
        raise click.UsageError("say which keys: KEY=A..B, or --from-partitions for those that the tables have")
    _change(job, keys, tasks, target, variables, forget=False, from_partitions=from_partitions, yes=yes, dry=dry_run)


@command.command("forget")
@_job
@_keys
@_tasks
@_target
@options.variables
@_yes
@_dry
def forget(
    job: str,
    keys: tuple[str, ...],
    tasks: tuple[str, ...],
    target: str | None,
    variables: dict[str, str],
    yes: bool,
    dry_run: bool,
) -> None:
    """Take back that the tables of JOB have these keys, so that they are missing until they are written again.

    Rows stay as they are: delete those of a table that is appended to before you run its keys again. The exit code is
    0, 1 where a table's log can't be changed, 2 for wrong usage and where nobody has agreed.
    """
    if not keys:
        raise click.UsageError("say which keys: KEY=A..B or KEY=A,B")
    _change(job, keys, tasks, target, variables, forget=True, from_partitions=False, yes=yes, dry=dry_run)


def _change(
    name: str,
    keys: tuple[str, ...],
    tasks: tuple[str, ...],
    target: str | None,
    given: dict[str, str],
    *,
    forget: bool,
    from_partitions: bool,
    yes: bool,
    dry: bool,
) -> None:
    from dataclasses import replace

    from dbxdec.local.asked_keys import asked_keys
    from dbxdec.local.missing import change_of, keys_of, variables_of
    from dbxdec.local.question import Question
    from dbxdec.model import run_keys
    from dbxdec.runtime.marking import Change

    here, out = home(), console()
    build, _ = find(name, here, None, None)
    job = build.manifest.job(name)
    if not job.key_parameters:
        raise RunError(f"the job `{name}` has no key", hint="give it one: `day: dt.date = daily(since=...)`")
    question = Question.of(build, variables_of(job), given, here, target)
    due = keys_of(job, question, asked_keys(job, options.selection(keys), question.now))
    show_left_out(out, due)
    texts = [run_keys.written(due.named(key)) for key in due.due]
    change = Change(texts, forget=forget, from_partitions=from_partitions, dry=True)
    planned = change_of(job, question, change, tasks)
    count = 0
    for table, some, why in planned:
        count += len(some)
        if some:
            out.print(f"{escape(table)}  {escape(of_ranges(due.sorted(some), due))}")
        if why:
            say(f"{table} is left as it is: {why}")
    wrong = any(why for _, _, why in planned)
    if count and not dry:
        if not yes:
            wanted = f"{'forget' if forget else 'mark'} {counted(count, 'key')} in the logs?"
            options.agree(wanted, "nothing is changed", "it")
        done = change_of(job, question, replace(change, dry=False), tasks)
        for (table, _, why), (_, _, before) in zip(done, planned, strict=True):
            if why and why != before:
                say(f"{table} is left as it is: {why}")
        wrong = any(why for _, _, why in done)
        out.print(f"{counted(sum(len(some) for _, some, _ in done), 'key')} {'forgotten' if forget else 'marked'}")
    elif not count:
        out.print("nothing to change")
    if wrong:
        raise SystemExit(FAILED)
