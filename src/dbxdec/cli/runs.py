"""`dbxdec runs`: the records of earlier runs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from dbxdec.cli import completion, records, tables
from dbxdec.cli.app import FAILED, WRONG_USAGE, Subcommands
from dbxdec.cli.console import console, echo, escape, print_json, print_json_list, say
from dbxdec.cli.home import home
from dbxdec.errors import RunError, counted, did_you_mean, listed
from dbxdec.local import ledger
from dbxdec.local.history import damage, title_of
from dbxdec.local.parameters import parameters_shown
from dbxdec.views import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from rich.console import Console

    from dbxdec.local.history import Run

T = TypeVar("T")
_NEWEST = 50
_SAID = 5


class _Runs(Subcommands):
    hint_of_records = "`dbxdec runs show {}` shows the run"


@click.group("runs", cls=_Runs, invoke_without_command=True)
@click.option("--job", metavar="JOB", shell_complete=completion.jobs, help="Only runs of this job.")
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(min=1),
    default=_NEWEST,
    show_default=True,
    help="How many to list, of the newest.",
)
@click.option("--all", "everything", is_flag=True, help="List all of them.")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON.")
@click.pass_context
def command(context: click.Context, job: str | None, limit: int, everything: bool, as_json: bool) -> None:
    """List the runs that are kept in this folder, the newest first.

    \b
    Examples:
      dbxdec runs
      dbxdec runs --job daily_delays --all
      dbxdec runs show last
      dbxdec runs report last -o report.html
    """
    if context.invoked_subcommand is not None:
        return
    passed: list[str] = []
    jobs: dict[str, None] = {}
    found = _of(job, ledger.runs(home(), passed=lambda run: passed.append(str(run))), jobs)
    chosen = found if everything else islice(found, limit)
    if as_json:
        print_json_list(_each(chosen, records.as_json, passed))
    elif rows := list(_each(chosen, _row, passed)):
        titles = ("run", "job", "state", "started", "seconds", "tasks")
        tables.show(console(), titles, rows, right=titles[4:], broken=("job",))
    elif job is None:
        say("no run is kept here: `dbxdec run JOB` makes one")
    if not everything and next(found, None) is not None:
        say(f"these are the newest {limit:,}: `--limit N` or `--all` lists more")
    for sentence in passed[:_SAID]:
        say(sentence)
    if len(passed) > _SAID:
        say(f"{len(passed) - _SAID:,} others can't be read either")
    if job is not None and job not in jobs:
        near = did_you_mean(job, jobs)
        hint = near or f"those kept are of {listed(list(jobs))}" if jobs else "`dbxdec run` makes one"
        say(f"no run of `{job}` is kept here: {hint}")
        raise SystemExit(WRONG_USAGE if near else 0)


def _of(job: str | None, found: Iterable[Run], jobs: dict[str, None]) -> Iterator[Run]:
    """Yield the runs of `job`, or all; `jobs` gets the names of the jobs seen."""
    for run in found:
        jobs[run.job] = None
        if job in (None, run.job):
            yield run


def _each(found: Iterable[Run], make: Callable[[Run], T], passed: list[str]) -> Iterator[T]:
    """Yield the value of `make` for each run; an unreadable run doesn't affect the others."""
    for run in found:
        try:
            yield make(run)
        except RunError as error:
            passed.append(str(error))


def _row(run: Run) -> list[tables.Cell]:
    done, asked = run.counts
    inside = f" in {run.parent}" if run.is_inner else ""
    spent = f"{run.spent / 1000:.1f}" if run.ended is not None else ""
    return [
        run.id,
        run.job + inside,
        tables.styled(run.state),
        records.moment(run.started),
        spent,
        f"{done}/{asked}",
    ]


@command.command("show", short_help="Show a run: its tasks, what they read and wrote, their logs.")
@click.argument("run", default="last", shell_complete=completion.runs)
@click.option(
    "--table",
    metavar="TASK",
    shell_complete=completion.results,
    help="Show the first rows of what this task has stored in the run; a/b is the task b of the job that a runs.",
)
@click.option("--rows", type=click.IntRange(min=1), default=10, show_default=True, help="How many, with --table.")
@click.option("--json", "as_json", is_flag=True, help="Print the run, or the rows, as JSON.")
def show(run: str, table: str | None, rows: int, as_json: bool) -> None:
    """Show RUN with its parameters and tasks, what these read and wrote, and where their logs are.

    With --table it shows the first rows of a result instead, as a downstream task would read them in that run.

    RUN is an id, a part of one, or "last", which is the default.

    \b
    Examples:
      dbxdec runs show
      dbxdec runs show last --table delays --rows 20
      dbxdec runs show 533249 --json | jq '.tasks[] | {task, state}'
    """
    found = _find(run)
    if table is not None:
        _show_rows(found, table, rows, as_json)
        return
    if as_json:
        print_json(records.as_json(found))
        return
    out = console()
    out.print(f"run [bold]{found.id}[/] of {escape(found.job)}: {tables.state(found.state)}")
    facts = [
        ("source", f"{found.head['source']}, build {found.head['build_id'][:12]}"),
        ("started", records.moment(found.started)),
        ("repairs", str(found.repairs) if found.repairs else ""),
        ("part of", f"the run {found.parent}, its task {found.head.get('task', '')}" if found.is_inner else ""),
        *((f"parameter {name}", text) for name, text in parameters_shown(found).items()),
        *((f"variable {name}", text) for name, text in found.head["variables"].items()),
    ]
    for name, text in facts:
        if text:
            out.print(f"  [dim]{escape(name)}[/] {escape(str(text))}")
    begun = found.unended()
    ended = found.tasks()
    for key in dict.fromkeys([*ended, *(event["task"] for event in begun)]):
        event = ended.get(key, {"state": found.state})
        out.print(f"\n[bold]{escape(key)}[/] {tables.state(event['state'])} {escape(event.get('said') or '')}".rstrip())
        if event.get("run"):
            out.print(f"  [dim]run[/] {event['run']}")
        for attempt in found.attempts(key):
            _print_attempt(out, found, attempt)
        for attempt in begun:
            if attempt["task"] == key:
                _print_attempt(out, found, {**attempt, "state": found.state, "facts": []})


def _show_rows(run: Run, task: str, rows: int, as_json: bool) -> None:
    from dbxdec.cli import results

    while "/" in task:  # `a/b` is the task `b` of the job that the task `a` runs
        key, _, task = task.partition("/")
        inner = run.inner(key)
        if inner is None:
            raise RunError(f"the task `{key}` has run no other job in the run {run.id}")
        run = _find(inner)
    found = results.of_task(run, task, rows)
    if as_json:
        print_json(results.as_json(found))
    else:
        results.show(console(), run, found)
    if any(one.why for one in found):
        raise SystemExit(FAILED)


def _print_attempt(out: Console, run: Run, attempt: Mapping[str, Any]) -> None:
    title = "" if attempt["iteration"] is None else f"{title_of(attempt)} "
    spent = f"{(attempt['ended_ms'] - attempt['started_ms']) / 1000:.2f} s, " if "ended_ms" in attempt else ""
    out.print(
        f"  {escape(title)}attempt {attempt['attempt']}: {tables.state(attempt['state'])}, {spent}"
        f"{escape(tables.short(str(run.folder / attempt['log'])))}"
    )
    for fact in attempt["facts"]:
        out.print(f"    [dim]{fact['kind']}[/] {escape(_fact(fact))}")


def _find(name: str) -> Run:
    """Return the run, and messages about its record."""
    found = ledger.find(home(), name, passed=lambda run: say(str(run)))
    if said := damage(found):
        say(said)
    return found


@command.command("report", short_help="Write the report of a run as one HTML file.")
@click.argument("run", default="last", shell_complete=completion.runs)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file; by default in the run's folder."
)
@click.option(
    "--rows",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="How many rows of each table to show, 0 for none; tables of Spark are left out.",
)
def report(run: str, output: Path | None, rows: int) -> None:
    """Write the report of RUN as one HTML file that needs nothing else, and print where it is.

    RUN is an id, a part of one, or "last", which is the default.

    \b
    Examples:
      dbxdec runs report
      dbxdec runs report 533249 -o report.html
    """
    from dbxdec.cli import results
    from dbxdec.local.report import check_target, write

    if output is not None:
        check_target(output)
    found = _find(run)
    echo(write(found, output, results.of_run(found, rows)))


def _fact(fact: Mapping[str, Any]) -> str:
    words = [f"{fact['name']}: {tables.short(str(fact.get('uri') or fact.get('value')))}"]
    words += [f"version {fact['version']}"] if fact.get("version") is not None else []
    words += [counted(fact["rows"], "row")] if fact.get("rows") is not None else []
    words += [fact["span"]] if fact.get("span") else []
    return "\n        ".join([", ".join(words), *texts.expectations(fact)])
