"""The jobs of a project as an HTML page: a picture of each job, and its tasks in detail below."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from dbxdec.errors import counted
from dbxdec.model.dag import run_order
from dbxdec.views import graph, page, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dbxdec.model.dag import Job, JobParameter, Task


def html(jobs: Sequence[Job], title: str) -> str:
    """Return the page, which needs no other file."""
    links = "".join(f'<li><a href="#{escape(job.key)}">{escape(job.key)}</a></li>' for job in jobs)
    index = f"<ul>{links}</ul>\n" if len(jobs) > 1 else ""
    head = f'<div class="head"><h1>{escape(title)}</h1><button type="button">open or close all</button></div>\n'
    return page.document(title, head + index + "\n".join(map(_job, jobs)), kind="jobs")


def _job(job: Job) -> str:
    def place(task: Task) -> str:
        return f"{job.key}/{task.key}"

    picture = graph.svg(job, link=lambda task: f"#{place(task)}")
    facts = [*texts.settings(job.settings), *((f"parameter {p.name}", _parameter(p)) for p in job.parameters)]
    tasks = "\n".join(
        f'<details id="{escape(place(task))}"><summary><b>{escape(task.key)}</b> '
        f'<span class="faint">{escape(texts.kind(task))}, {escape(str(task.source))}</span></summary>'
        f"{_about(task.doc)}{_list(texts.facts(task, job))}</details>"
        for task in run_order(job)
    )
    return (
        f'<h2 id="{escape(job.key)}">{escape(job.key)} <span class="faint">{counted(len(job.tasks), "task")}, '
        f"{escape(str(job.source))}</span></h2>\n{_about(job.doc)}{_list(facts)}\n"
        f'<div class="wide">{picture}</div>\n{tasks}'
    )


def _about(doc: str | None) -> str:
    """Return a docstring as a paragraph that keeps the author's line breaks."""
    return f'<p class="about">{escape(doc)}</p>\n' if doc else ""


def _parameter(parameter: JobParameter) -> str:
    return f"{parameter.type}, {texts.parameter(parameter)}"


def _list(facts: Iterable[tuple[str, str]]) -> str:
    found = "".join(f"<dt>{escape(page.arrows(name))}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    return f"<dl>{found}</dl>" if found else ""
