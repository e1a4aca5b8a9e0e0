"""A job's DAG as source for Mermaid and Graphviz, and as an SVG picture."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from dbxdec.model.dag import RESULT, TaskOutput, summary
from dbxdec.views import texts
from dbxdec.views.layout import Box, Drawing, place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dbxdec.model.dag import Dependency, Job, Task

_LETTER = 7.6
_SMALL_LETTER = 6.1
_HEIGHT = 44.0
_MARGIN = 12.0
_LEAST = 0.65  # of its size on a narrow screen: anything smaller is unreadable
_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 8 4 0 8Z"/></marker></defs>'
)

# Colours for light and dark in one style: the page around the picture may be in dark mode.
STYLE = """\
.dag { --line: #8a94a6; --box: #f5f7fb; --edge: #c3cad6; --text: #1d2433; --faint: #5b667a }
.dag { font: 13px system-ui, sans-serif }
@media (prefers-color-scheme: dark) {
  .dag { --line: #75809a; --box: #232a38; --edge: #46506a; --text: #e7ebf3; --faint: #a3adc2 }
}
.dag rect { fill: var(--box); stroke: var(--edge) }
.dag .condition rect, .dag .native rect, .dag .run_job rect { stroke-dasharray: 5 3 }
.dag text { fill: var(--text) }
.dag .small { fill: var(--faint); font-size: 11px }
.dag path { fill: none; stroke: var(--line); stroke-width: 1.4 }
.dag marker path { fill: var(--line); stroke: none }
.dag a:hover rect, .dag a:focus rect { stroke: var(--text) }
"""


_LABELS = {"run": "rows", "table": "table", "newest": "newest", "changed": "changed"}


def _label(found: Dependency, task: Task, job: Job) -> str:
    """Return the label of an edge: its branch, or the rows that are read if the table may have more."""
    if found.outcome is not None:
        return found.outcome
    rows = [
        "new" if leaf.changes is not None else _LABELS[leaf.rows]
        for leaf in task.leaves
        if isinstance(leaf, TaskOutput) and leaf.task == found.task and texts.rows_of(leaf, job)
    ]
    return ", ".join(dict.fromkeys(rows))


def mermaid(job: Job) -> str:
    """Return a flowchart for Markdown (mermaid.js.org)."""
    names = {task.key: f"t{i}" for i, task in enumerate(job.tasks)}
    lines = ["flowchart TD"]
    for task in job.tasks:
        open_, close = (
            ("{{", "}}") if task.kind == "condition" else ("(", ")") if task.kind == "python" else ("[[", "]]")
        )
        label = task.key.replace('"', "#quot;")
        if about := summary(task.doc):
            label += f"<br/>{_in_mermaid(texts.shortened(about))}"
        lines.append(f'    {names[task.key]}{open_}"{label}"{close}')
    for task in job.tasks:
        for found in task.depends_on:
            label = _label(found, task, job)
            arrow = f"-->|{label}|" if label else "-->"
            lines.append(f"    {names[found.task]} {arrow} {names[task.key]}")
    return "\n".join(lines) + "\n"


def _in_mermaid(text: str) -> str:
    """Escape a label, in which Markdown, HTML entities and HTML tags would be interpreted."""
    return "".join(f"#{ord(letter)};" if letter in '"#<>&`*_\\' else letter for letter in text)


def dot(job: Job) -> str:
    """Return a digraph for Graphviz."""
    lines = [f"digraph {json.dumps(job.key)} {{", "    node [shape=box, style=rounded];"]
    for task in job.tasks:
        shape = {"condition": " [shape=diamond]", "native": " [style=dashed]", "run_job": " [style=dashed]"}
        tooltip = f" [tooltip={json.dumps(about, ensure_ascii=False)}]" if (about := summary(task.doc)) else ""
        lines.append(f"    {json.dumps(task.key)}{shape.get(task.kind, '')}{tooltip};")
    for task in job.tasks:
        for found in task.depends_on:
            said = _label(found, task, job)
            label = f" [label={json.dumps(said)}]" if said else ""
            lines.append(f"    {json.dumps(found.task)} -> {json.dumps(task.key)}{label};")
    return "\n".join([*lines, "}"]) + "\n"


def svg(
    job: Job,
    *,
    link: Callable[[Task], str] | None = None,
    marks: Mapping[str, str] | None = None,
    small: Callable[[Task], str] | None = None,
) -> str:
    """Return the picture of a job for a page that contains `STYLE`.

    `link` returns the address of a task, `marks` has more CSS classes by task, `small` returns a box's second line.
    """
    second = small or second_line
    lines = {task.key: texts.shortened(second(task)) for task in job.tasks}
    sizes = {task.key: (_width(task.key, lines[task.key]), _HEIGHT) for task in job.tasks}
    edges = [(d.task, task.key) for task in job.tasks for d in task.depends_on]
    labels = [_label(d, task, job) for task in job.tasks for d in task.depends_on]
    drawing = place(sizes, edges)
    width, height = drawing.width + 2 * _MARGIN, drawing.height + 2 * _MARGIN
    head = (
        f'<svg class="dag" xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-_MARGIN:.0f} {-_MARGIN:.0f} {width:.0f} {height:.0f}" style="min-width:{width * _LEAST:.0f}px" '
        f'role="img" aria-label="{escape(job.key)}">'
    )
    boxes = (
        _box(task, drawing.boxes[task.key], lines[task.key], link, (marks or {}).get(task.key, ""))
        for task in job.tasks
    )
    return "\n".join([head, _ARROW, *_edges(drawing, labels), *boxes, "</svg>"]) + "\n"


def standalone_svg(job: Job) -> str:
    """Return the picture of a job as a standalone file."""
    head, tag, rest = svg(job).partition(">")
    return f"{head}{tag}<style>{STYLE}</style>{rest}"


def second_line(task: Task) -> str:
    """Return the line below the task's key in its box: the place of its result, or its kind."""
    if task.kind != "python":
        return texts.kind(task)
    if task.each is not None:
        return texts.each(task.each)
    result = task.outputs.get(RESULT)
    if result is None:
        return ", ".join(task.outputs)
    return result.target or f"task value ({result.type})"


def _width(title: str, second: str) -> float:
    return max(len(title) * _LETTER, len(second) * _SMALL_LETTER, 60.0) + 24


def _edges(drawing: Drawing, labels: list[str]) -> list[str]:
    parts = []
    for points, label in zip(drawing.edges, labels, strict=True):
        (x, y), *others = points
        path = f"M{x:.1f} {y:.1f}"
        for next_x, next_y in others:
            middle = (y + next_y) / 2
            path += f"C{x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {next_y:.1f}"
            x, y = next_x, next_y
        parts.append(f'<path d="{path}" marker-end="url(#arrow)"/>')
        if label:
            (x, y), (next_x, next_y) = points[0], points[1]
            parts.append(
                f'<text class="small" x="{(x + next_x) / 2 + 5:.1f}" y="{(y + next_y) / 2:.1f}">{label}</text>'
            )
    return parts


def _box(task: Task, box: Box, second: str, link: Callable[[Task], str] | None, mark: str) -> str:
    middle = box.x + box.width / 2
    inside = (
        f"<title>{escape(task.key)}: {escape(texts.kind(task))}, {escape(str(task.source))}{_about(task)}</title>"
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="7"/>'
        + _text(middle, box.y + (18 if second else 27), task.key)
    )
    if second:
        inside += (
            f'<text class="small" x="{middle:.1f}" y="{box.y + 34:.1f}" text-anchor="middle">{escape(second)}</text>'
        )
    drawn = f'<g class="{task.kind}{" " if mark else ""}{mark}">{inside}</g>'
    return f'<a href="{escape(link(task))}">{drawn}</a>' if link else drawn


def _about(task: Task) -> str:
    return f"\n\n{escape(task.doc)}" if task.doc else ""


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(text)}</text>'
