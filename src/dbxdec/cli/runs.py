"""`dbxdec runs`: what is kept of earlier runs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbxdec.cli import completion, display
from dbxdec.cli.console import console, escape, print_json, say
from dbxdec.cli.home import home
from dbxdec.errors import did_you_mean, listed
from dbxdec.local import ledger
from dbxdec.local.parameters import parameters_shown

if TYPE_CHECKING:
    from dbxdec.local.ledger import Run


@click.group("runs", invoke_without_command=True)
@click.option("--job", metavar="JOB", shell_complete=completion.jobs, help="Only runs of this job.")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON.")
@click.pass_context
def command(context: click.Context, job: str | None, as_json: bool) -> None:
    """List the runs that are kept in this folder, the newest first.

    \b
    Examples:
      dbxdec runs
      dbxdec runs show last
      dbxdec runs report last -o report.html
    """
    if context.invoked_subcommand is not None:
        return
    found = ledger.runs(home(), job)
    if as_json:
        print_json([display.as_json(run) for run in found])
        return
    if not found:
        others = list(dict.fromkeys(run.job for run in ledger.runs(home())))
        hint = did_you_mean(job or "", others) or f"those kept are of {listed(others)}" if others else "none is"
        say(f"no run of `{job}` is kept here: {hint}" if job else "no run is kept here: `dbxdec run JOB` makes one")
        return
    shown = display.columns("run", "job", "state", "started", "seconds", "tasks", right=("seconds", "tasks"))
    for run in found:
        inside = f" in {run.head['parent']}" if run.is_inner else ""
        shown.add_row(
            run.id, escape(run.job + inside), display.state(run.state), _moment(run.started), _seconds(run), _tasks(run)
        )
    console().print(shown)


@command.command("show", short_help="Show a run: its tasks, what they read and wrote, their logs.")
@click.argument("run", default="last", shell_complete=completion.runs)
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON.")
def show(run: str, as_json: bool) -> None:
    """Show RUN with its parameters and tasks, what these read and wrote, and where their logs are.

    RUN is an id, a part of one, or "last", which is the default.

    \b
    Examples:
      dbxdec runs show
      dbxdec runs show 533249 --json | jq '.tasks[] | {task, state}'
    """
    found = ledger.find(home(), run)
    if as_json:
        print_json(display.as_json(found))
        return
    out = console()
    out.print(f"run [bold]{found.id}[/] of {escape(found.job)}: {display.state(found.state)}")
    facts = [
        ("source", f"{found.head['source']}, build {found.head['build_id'][:12]}"),
        ("started", _moment(found.started)),
        ("repairs", str(found.repairs) if found.repairs else ""),
        *((f"parameter {name}", text) for name, text in parameters_shown(found).items()),
        *((f"variable {name}", text) for name, text in found.head["variables"].items()),
    ]
    for name, text in facts:
        if text:
            out.print(f"  [dim]{escape(name)}[/] {escape(str(text))}")
    for key, event in found.tasks().items():
        out.print(f"\n[bold]{escape(key)}[/] {display.state(event['state'])} {escape(event.get('said', ''))}")
        for attempt in found.attempts(key):
            title = "" if attempt["iteration"] is None else f"[{attempt['iteration']}] "
            seconds = (attempt["ended_ms"] - attempt["started_ms"]) / 1000
            out.print(
                f"  {escape(title)}attempt {attempt['attempt']}: {display.state(attempt['state'])}, {seconds:.2f} s, "
                f"{escape(display.short(str(found.folder / attempt['log'])))}"
            )
            for fact in attempt["facts"]:
                out.print(f"    [dim]{fact['kind']}[/] {escape(_fact(fact))}")


@command.command("report", short_help="Write the report of a run as one HTML file.")
@click.argument("run", default="last", shell_complete=completion.runs)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file; by default in the run's folder."
)
def report(run: str, output: Path | None) -> None:
    """Write the report of RUN as one HTML file that needs nothing else, and print where it is.

    RUN is an id, a part of one, or "last", which is the default.

    \b
    Examples:
      dbxdec runs report
      dbxdec runs report 533249 -o report.html
    """
    from dbxdec.local.report import write

    click.echo(write(ledger.find(home(), run), output))


def _fact(fact: dict[str, object]) -> str:
    words = [f"{fact['name']}: {display.short(str(fact.get('uri') or fact.get('value')))}"]
    words += [f"version {fact['version']}"] if fact.get("version") is not None else []
    words += [f"{fact['rows']:,} rows"] if fact.get("rows") is not None else []
    return ", ".join(words)


def _moment(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _seconds(run: Run) -> str:
    return f"{(run.ended - run.started) / 1000:.1f}" if run.ended else ""


def _tasks(run: Run) -> str:
    ended = [event["state"] for event in run.tasks().values()]
    return f"{ended.count('success')}/{len(run.head['definition']['tasks'])}"
