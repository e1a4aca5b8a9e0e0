"""What is printed, and where: data on stdout, all else on stderr."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

_UNBROKEN = 10_000


def console(*, stderr: bool = False) -> Console:
    """Plain lines where there is no terminal, as long as they are: no text is cut off to fit a width."""
    from rich.console import Console

    found = Console(highlight=False, soft_wrap=True, stderr=stderr)
    return found if found.is_terminal else Console(highlight=False, soft_wrap=True, stderr=stderr, width=_UNBROKEN)


def say(text: str) -> None:
    """A message for the person in front of the screen."""
    click.echo(text if text.startswith("dbxdec: ") else f"dbxdec: {text}", err=True)


def print_json_list(items: Iterable[Any]) -> None:
    """A list for a program, an item at a time: all of them may be more than memory holds."""
    opened = False
    for item in items:
        click.echo(",\n" if opened else "[\n", nl=False)
        click.echo("  " + json.dumps(item, indent=2, ensure_ascii=False).replace("\n", "\n  "), nl=False)
        opened = True
    click.echo("\n]" if opened else "[]")


def print_json(data: Any) -> None:
    """Data for a program."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))
