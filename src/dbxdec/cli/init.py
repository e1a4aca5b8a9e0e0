"""`dbxdec init`."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

import dbxdec
from dbxdec.cli.console import echo, say
from dbxdec.cli.home import relative

if TYPE_CHECKING:
    from dbxdec.scaffold.plan import Plan


def _lake_root(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'{}\\]+", value):
        raise click.BadParameter(
            f"{value!r} is not a cloud path such as s3://bucket/folder or "
            "abfss://container@account.dfs.core.windows.net/folder (a volume has no atomic rename, which the commits "
            "of Delta need)",
            context,
            option,
        )
    return value


def _folder(context: click.Context, argument: click.Parameter, value: str) -> Path:
    if not value:  # as of a variable that is not set
        raise click.BadParameter("it is empty: name a folder, or leave it out for this one", context, argument)
    return Path(value)


@click.command("init")
@click.argument("folder", required=False, type=click.Path(file_okay=False), callback=_folder, default=".")
@click.option("--name", help="The name of a new project; by default that of the folder.")
@click.option(
    "--lake-root", callback=_lake_root, metavar="URL", help="Where deployed pipelines keep tables: URL/<target>."
)
@click.option("--pydabs", is_flag=True, help="Deploy the jobs through Python, by resources/__init__.py.")
@click.option("--use-hatchling", is_flag=True, help="Replace uv's build backend, which dbxdec can't hook into.")
@click.option("--dry-run", is_flag=True, help="Print what would change as a diff, and write nothing.")
def command(
    folder: Path, name: str | None, lake_root: str | None, pydabs: bool, use_hatchling: bool, dry_run: bool
) -> None:
    """Set dbxdec up in the project in FOLDER, or make a new one there. Without FOLDER it is this one.

    In a project it adds what is missing to pyproject.toml, databricks.yml and .gitignore, and a first pipeline with its
    test, unless it has one. It overwrites nothing, and run again it changes nothing. What it can't add safely it
    prints, to be added by hand.

    \b
    Examples:
      dbxdec init
      dbxdec init my-pipelines --lake-root s3://my-bucket/my-pipelines
      dbxdec init --dry-run
      dbxdec init --dry-run | git apply
    """
    from dbxdec.scaffold import writing
    from dbxdec.scaffold.plan import Asked, plan

    asked = Asked(dbxdec.__version__, name, pydabs, lake_root, bool(os.environ.get("UV")), use_hatchling)
    found = plan(folder, asked)
    if dry_run:
        _show(writing.diff(found.changes, found.repository or Path.cwd()))
    else:
        for change in found.changes:
            writing.write(change)
            say(f"{'made' if change.before is None else 'changed'} {relative(change.path)}")
    for note in found.notes:
        say(f"by hand: {note}")
    if not found.changes:
        say("nothing to do: this project is set up" if not found.notes else "nothing else to do")
    elif not dry_run:
        _next(found, folder)


def _show(text: str) -> None:
    """Print a diff: in colours for a terminal, else byte for byte."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8"))
        return
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in text.splitlines():
        click.secho(line, fg=colours.get(line[:1]), bold=line.startswith("diff "))


def _next(found: Plan, folder: Path) -> None:
    run = f"dbxdec run {found.hello}"
    run, build = (f"uv run {run}", "uv build --wheel") if found.uv else (run, "dbxdec bundle")
    made, both = ("the wheel", "it and the jobs") if found.pydabs else ("the wheel and the job definitions", "both")
    steps = [
        *([(f"cd {shlex.quote(folder.as_posix())}", "")] if folder != Path() else []),
        *([(run, "runs the first pipeline on this machine")] if found.hello else []),
        *([found.test] if found.test else []),
        (build, f"makes {made}"),
        ("databricks bundle deploy", f"deploys {both}; first put your storage into databricks.yml: lake_root"),
    ]
    width = max(len(step) for step, _ in steps)
    echo("next:", err=True)
    for step, why in steps:
        echo(f"  {step:<{width}}  {why}".rstrip(), err=True)
