"""`dbxdec backfills`: those that were started in this folder."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from dbxdec.cli import backfill, records, tables
from dbxdec.cli.app import Subcommands
from dbxdec.cli.console import console, escape, print_json, say
from dbxdec.cli.home import home
from dbxdec.errors import counted
from dbxdec.local import backfills

if TYPE_CHECKING:
    from dbxdec.local.backfills import Record

_NEWEST = 50


class _Backfills(Subcommands):
    """A number in the place of a subcommand shows that backfill."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.commands["show"] if _is_backfill(cmd_name) else super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and _is_backfill(args[0]):
            return "show", self.commands["show"], args  # which takes the number itself
        return super().resolve_command(ctx, args)


def _is_backfill(name: str) -> bool:
    return name.isdecimal() or name == "last"


@click.group("backfills", cls=_Backfills, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the backfills that were started in this folder, the newest first.

    \b
    Examples:
      dbxdec backfills
      dbxdec backfills 3
      dbxdec backfills resume 3
      dbxdec backfills cancel 3
    """
    if context.invoked_subcommand is not None:
        return
    found = backfills.all_of(home())
    if as_json:
        print_json([_form(record) for record in found])
        return
    if not found:
        say("no backfill is kept here: `dbxdec backfill JOB` makes one")
        return
    titles = ("id", "job", "target", "state", "started", "keys")
    rows: list[list[tables.Cell]] = [_row(record) for record in found[:_NEWEST]]
    tables.show(console(), titles, rows, right=("id", "keys"), broken=("job",))
    if len(found) > _NEWEST:
        say(f"these are the newest {_NEWEST}: `--json` has all")


@command.command("show")
@click.argument("number", metavar="[ID]", default="last")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(number: str, as_json: bool) -> None:
    """Show the backfill ID, by default the last one: its keys, and how their runs have ended."""
    record = backfills.find(home(), number)
    if as_json:
        print_json(_form(record))
        return
    out, head, ended = console(), record.head, record.ended
    target = f" for {head['target']}" if head.get("target") else ""
    out.print(f"[bold]{escape(str(head.get('job', '')))}[/]{escape(target)}  backfill {record.id}: {record.state}")
    out.print(f"  dbxdec backfill {escape(shlex.join(record.arguments))}")
    rows: list[list[tables.Cell]] = []
    for key in record.plan:
        line = ended.get(key, {})
        spent = line.get("seconds")
        seconds = f"{spent:.1f}" if isinstance(spent, int | float) else ""
        rows.append(
            [" ".join(key), tables.styled(str(line.get("state", "not run"))), str(line.get("run", "")), seconds]
        )
    tables.show(out, ("key", "state", "run", "seconds"), rows, right=("seconds",))


@command.command("resume")
@click.argument("number", metavar="[ID]", default="last")
@click.option("--yes", "-y", is_flag=True, help="Begin without asking.")
def resume(number: str, yes: bool) -> None:
    """Go on with the backfill ID, by default the last one: the same command, without what it has done."""
    record = backfills.find(home(), number)
    arguments = [*record.arguments, "--resumes", str(record.id), *(["--yes"] if yes else [])]
    # `main` would turn Ctrl-C into click's own words and exit code.
    with backfill.command.make_context("dbxdec backfill", arguments) as context:
        backfill.command.invoke(context)


@command.command("cancel")
@click.argument("number", metavar="[ID]", default="last")
def cancel(number: str) -> None:
    """Stop the backfill ID, by default the last one. On the platform its runs that are at work are cancelled."""
    here = home()
    record = backfills.find(here, number)
    told = record.stop()
    if told:
        say(f"the backfill {record.id} is told to stop")
    if record.place:
        from dbxdec.remote.cancelling import cancel_runs

        record.wait()
        count = cancel_runs(record, here)
        say(f"{counted(count, 'run')} on the platform {'is' if count == 1 else 'are'} cancelled")
    elif not told:
        say(f"the backfill {record.id} is not at work")


def _form(record: Record) -> dict[str, Any]:
    head = record.head
    names = head.get("names", ())
    return {
        "id": record.id,
        "job": head.get("job"),
        "target": head.get("target"),
        "state": record.state,
        "arguments": head.get("arguments", []),
        "keys": [
            {**dict(zip(names, key, strict=False)), "state": None, "run": None, **_end(record, key)}
            for key in record.plan
        ],
    }


def _end(record: Record, key: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in record.ended.get(key, {}).items() if name in ("state", "run", "seconds")}


def _row(record: Record) -> list[tables.Cell]:
    head = record.head
    return [
        str(record.id),
        str(head.get("job", "")),
        str(head.get("target") or ""),
        tables.styled(record.state),
        records.moment(record.newest),
        f"{len(record.well)}/{len(record.plan)}",
    ]
