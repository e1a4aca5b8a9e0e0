"""The output of commands: data on stdout, all else on stderr."""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from dbxdec.support import printing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import Console

_UNBROKEN = 10_000
_CONTROL = re.compile("[\x7f-\x9f]")


def console(*, stderr: bool = False) -> Console:
    """Return a console. Without a terminal it prints plain lines of any length: no string is cut off to fit a width."""
    from rich.console import Console

    found = Console(highlight=False, emoji=False, soft_wrap=True, stderr=stderr)
    if found.is_terminal:
        return found
    return Console(highlight=False, emoji=False, soft_wrap=True, stderr=stderr, width=_UNBROKEN)


def escape(text: str) -> str:
    """Return an external string as markup of rich that prints exactly that string."""
    from rich.markup import escape as escaped

    return escaped(printing.safe(text))


@contextmanager
def progressing(out: Console, count: int) -> Iterator[tuple[Callable[[str], None], Callable[[str], None]]]:
    """Show on a terminal, below what is printed, which of `count` steps are at work.

    Yields what to call with the name of a step that begins, and of one that is over.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    at_work: list[str] = []
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as shown:
        task = shown.add_task("", total=count)

        def began(name: str) -> None:
            at_work.append(name)
            shown.update(task, description=escape(", ".join(at_work)))

        def over(name: str) -> None:
            at_work.remove(name)
            shown.update(task, advance=1, description=escape(", ".join(at_work)))

        yield began, over


def echo(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print a line as it is. `support.streams` made the streams safe; click would use others, in another encoding."""
    click.echo(text, file=sys.stderr if err else sys.stdout, nl=nl)


def say(text: str) -> None:
    """Print a message for the user at the screen."""
    echo(printing.message(text if text.startswith("dbxdec: ") else f"dbxdec: {text}"), err=True)


def print_json_list(items: Iterable[Any]) -> None:
    """Print a list for a program, an item at a time: all of them may be more than memory holds."""
    opened = False
    for item in items:
        echo(",\n" if opened else "[\n", nl=False)
        echo("  " + _json(item).replace("\n", "\n  "), nl=False)
        opened = True
    echo("\n]" if opened else "[]")


def print_json(data: Any) -> None:
    """Print data for a program."""
    echo(_json(data))


def _json(data: Any) -> str:
    """Return JSON that the stream can write; when it can't, all but ASCII is escaped by JSON's own rules."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(data, indent=2)
    # JSON leaves some control characters as they are; a workflow would find a command inside a string.
    text = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.replace("##[", "#\\u0023[") if printing.in_workflow() else text
