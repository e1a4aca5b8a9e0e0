"""The report of a backfill: one HTML file with the calendar of the keys and how each run has ended."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from dbxdec.errors import counted
from dbxdec.support.files import check_report, deliver
from dbxdec.support.masking import Mask, of_this_machine
from dbxdec.views import calendar, page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.local.backfills import Record
    from dbxdec.local.missing import Key

KIND = "backfill"
_CLASSES = {"done": "good", "missing": "idle", "partial": "late", "failed": "bad"}
_CELLS = {
    mark: f'<span class="{_CLASSES[state]}" title="{state}">{mark}</span>' for state, mark in calendar.MARKS.items()
}


def check_target(path: Path) -> None:
    """Raise RunError if no report can be written to `path`, or if something else than an earlier one is there."""
    check_report(path, page.generator(KIND), "backfill", instead="name a file in it")


def write(
    path: Path, record: Record, periods: Sequence[str | None], states: Mapping[Key, str], names: Sequence[str]
) -> None:
    """Write the report of a backfill with the `states` of its keys. Raises OSError."""
    head, ended = record.head, record.ended
    done = sum(state == "done" for state in states.values())
    place = f" for the target {head['target']}" if head.get("target") else ""
    title = f"{head.get('job', '')}: {done} of {counted(len(states), 'key')} done"
    parts = [f"<h1>{escape(title)}</h1>", f"<p class=faint>backfill {record.id}{escape(place)}</p>", "<h2>Keys</h2>"]
    rows = [
        f"{escape(name)}  {''.join(_CELLS.get(letter, letter) for letter in text) if _is_marks(text) else escape(text)}"
        for name, text in calendar.rows(periods, states)
    ]
    parts.append(f"<pre>{chr(10).join(rows)}\n\n<span class=faint>{escape(calendar.legend())}</span></pre>")
    parts.append("<h2>Runs</h2><div class=wide><table><tr>")
    parts += [f"<th align=left>{escape(one)}</th>" for one in (*names, "state", "run", "seconds")]
    parts.append("</tr>")
    for key, line in sorted(ended.items()):
        seconds = line.get("seconds")
        spent = f"{seconds:.1f}" if isinstance(seconds, int | float) else ""
        cells = [*key, str(line.get("state", "")), str(line.get("run", "")), spent]
        parts.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    parts.append("</table></div>")
    html = page.document(title, Mask(of_this_machine()).text("\n".join(parts)), kind=KIND, style=_STYLE)
    path.parent.mkdir(parents=True, exist_ok=True)
    deliver(path, html.encode("utf-8", "backslashreplace"))


def _is_marks(text: str) -> bool:
    return not set(text) - {*calendar.MARKS.values(), " "}


_STYLE = "table { border-collapse: collapse } td, th { padding: .1rem 1rem .1rem 0 }\n"
