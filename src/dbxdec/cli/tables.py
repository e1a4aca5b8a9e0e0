"""Tables and words in colours; on a narrow screen each row has lines of its own, so that no name is broken."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.text import Text

from dbxdec.cli.console import escape
from dbxdec.cli.home import home, relative
from dbxdec.support import printing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

Cell = str | tuple[str, str]
"""A text, or one with its style."""
_COLOURS = {
    "success": "green",
    "succeeded with failures": "yellow",
    "failed": "red",
    "timed out": "red",
    "upstream failed": "yellow",
    "cancelled": "yellow",
    "skipped": "yellow",
    "interrupted": "yellow",
    "running": "cyan",
}
_BETWEEN = (5, 2)
_LEAST = 16
"""Columns that what may be broken is given, at least."""


def show(
    out: Console,
    titles: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    right: Sequence[str] = (),
    broken: Sequence[str] = (),
) -> None:
    """Print a table without lines; `right` are numbers, `broken` are columns that may go over several lines.

    When the other columns don't fit on the screen, each row is a line with its first two cells, and one with the rest.
    """
    rows = [[_safe(cell) for cell in row] for row in rows]
    texts = [[_plain(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(titles, *texts, strict=True)]
    gaps = len(titles) - 1
    between = next((gap for gap in _BETWEEN if sum(widths) + gap * gaps <= out.width), None)
    least = sum(min(w, _LEAST) if title in broken else w for title, w in zip(titles, widths, strict=True))
    if between is not None:
        lines = [[(title, "dim") for title in titles], *rows]
        out.print(Text("\n").join(_line(row, widths, [t in right for t in titles], " " * between) for row in lines))
    elif least + _BETWEEN[-1] * gaps <= out.width:
        out.print(_folding(titles, rows, right, broken))
    else:
        for row in rows:
            out.print(_own_lines(titles, row, out.width))


def _line(row: Sequence[Cell], widths: Sequence[int], right: Sequence[bool], between: str) -> Text:
    found = Text()
    for i, (cell, width, is_right) in enumerate(zip(row, widths, right, strict=True)):
        room = " " * (width - cell_len(_plain(cell)))
        found.append(f"{between if i else ''}{room if is_right else ''}").append(_text(cell))
        found.append("" if is_right else room)
    found.rstrip()
    return found


def _folding(
    titles: Sequence[str], rows: Sequence[Sequence[Cell]], right: Sequence[str], broken: Sequence[str]
) -> Table:
    from rich.table import Table

    found = Table(box=None, pad_edge=False, padding=(0, _BETWEEN[-1], 0, 0))
    for title in titles:
        side: Any = "right" if title in right else "left"
        found.add_column(title, header_style="dim", justify=side, overflow="fold", no_wrap=title not in broken)
    for row in rows:
        found.add_row(*map(_text, row))
    return found


def _own_lines(titles: Sequence[str], row: Sequence[Cell], width: int) -> Text:
    first, second = _text(row[0]), _text(row[1])
    first.truncate(max(width - second.cell_len - 1, 8), overflow="ellipsis")
    rest = [
        Text.assemble((title, "dim"), " ", _text(cell))
        for title, cell in zip(titles[2:], row[2:], strict=True)
        if _plain(cell)
    ]
    found = Text.assemble(first, " ", second)
    return Text.assemble(found, "\n  ", Text(", ").join(rest)) if rest else found


def _safe(cell: Cell) -> Cell:
    """Return a cell of external strings without control characters."""
    return printing.safe(cell) if isinstance(cell, str) else (printing.safe(cell[0]), cell[1])


def _text(cell: Cell) -> Text:
    return Text(cell) if isinstance(cell, str) else Text(*cell)


def _plain(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def styled(name: str, more: str = "") -> Cell:
    """Return a state in its colour, as a cell of a table."""
    return name + more, _COLOURS.get(name, "")


def state(name: str) -> str:
    """Return a state in its colour, as markup."""
    return f"[{_COLOURS.get(name, 'default')}]{escape(name)}[/]"


def short(place: str) -> str:
    """Return a path in the project relative to the working directory; other places as they are."""
    return relative(place) if place.startswith(f"{home()}{os.sep}") else place
