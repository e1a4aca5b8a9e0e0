"""Options that several commands have."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeVar

import click

from dbxdec.cli import completion
from dbxdec.cli.app import INTERRUPTED, WRONG_USAGE
from dbxdec.cli.console import say

if TYPE_CHECKING:
    from collections.abc import Callable

_Command = TypeVar("_Command", bound="Callable[..., object]")


def assignments(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return strings `name=value` as a dict. A name may have only one value; all mistakes are refused at once."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    for value in values:
        name, equals, text = value.partition("=")
        if not name or not equals:
            wrong.append(f"{value!r} is not of the form {option.metavar or 'NAME=VALUE'}")
        elif found.setdefault(name, text) != text:
            wrong.append(f"`{name}` is given twice: {found[name]!r:.60} and {text!r:.60}")
    if wrong:
        raise click.BadParameter("; ".join(wrong), context, option)
    return found


parameters = click.option(
    "--param",
    "-p",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=assignments,
    shell_complete=completion.parameters,
    help="The value of a job parameter, as a string.",
)
"""Values of job parameters, as strings."""
variables = click.option(
    "--var",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    callback=assignments,
    shell_complete=completion.variables,
    help="The value of a bundle variable.",
)
"""Values of bundle variables."""
at_once = click.option(
    "--jobs",
    "-j",
    "at_once",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    help="How many tasks run at once; the default is the number of CPUs.",
)
"""The number of tasks that run at once."""


def selection(texts: tuple[str, ...]) -> dict[str, list[str]]:
    """Return arguments `KEY=A..B` by key, which may be given several times."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not name or not equals or not values:
            raise click.UsageError(f"{text!r} is not of the form KEY=A..B or KEY=A,B")
        found.setdefault(name, []).append(values)
    return found


def agree(question: str, otherwise: str, to: str) -> None:
    """Ask a person at a terminal, and end the command where the answer is no. Ctrl-C is as elsewhere.

    `otherwise` says what then becomes of it: "nothing is run". `to` says what `--yes` agrees to.
    """
    if not sys.stdin.isatty():
        say(f"{otherwise}: `--yes` agrees to {to}")
        raise SystemExit(WRONG_USAGE)
    try:
        if click.confirm(question, err=True):
            return
    except click.Abort:
        click.echo(err=True)
        say(f"interrupted: {otherwise}")
        raise SystemExit(INTERRUPTED) from None
    raise SystemExit(WRONG_USAGE)


def target(text: str) -> Callable[[_Command], _Command]:
    """Return the option that names a target of the bundle, with `text` for its help."""
    return click.option("--target", "-t", metavar="NAME", shell_complete=completion.targets, help=text)


def place(command: _Command) -> _Command:
    """Add the options that say which target of the bundle is meant, and where it is."""
    text = "Start the runs on the platform, of the job that is deployed to this target of the bundle."
    return target(text)(workspace(command))


def workspace(command: _Command) -> _Command:
    """Add the options that say where the job of a target is."""
    for option in reversed(
        [
            click.option(
                "--job-id",
                type=click.IntRange(min=1),
                metavar="ID",
                help="The id of the target's job; the bundle's CLI, `databricks`, tells it where it is installed.",
            ),
            click.option("--host", metavar="URL", help="The workspace of the target, where nothing else tells it."),
            click.option("--profile", metavar="NAME", help="The profile of the Databricks configuration to log in by."),
        ]
    ):
        command = option(command)
    return command
