"""What a run looks like in a terminal: the DAG, the lines of its tasks, and the table at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from dbxdec.dag import run_order
from dbxdec.variables import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from dbxdec.dag import Job, Task
    from dbxdec.local.runner import JobRun, TaskRun
    from dbxdec.manifest import Manifest

_COLOURS = {
    "success": "green",
    "failed": "red",
    "timed out": "red",
    "upstream failed": "yellow",
    "cancelled": "yellow",
    "skipped": "yellow",
}


def show_dag(out: Console, manifest: Manifest, job: Job, variables: Mapping[str, str]) -> None:
    """The job's tasks in the order they run, with what each waits for and where its result goes."""
    out.print(
        f"[bold]{escape(job.key)}[/] of {escape(manifest.project)} {manifest.version}, build {manifest.build_id[:12]}"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 2))
    for title in ("task", "after", "result"):
        table.add_column(title, header_style="dim", overflow="fold")
    for task in run_order(job):
        after = ", ".join(d.task if d.outcome is None else f"{d.task} is {d.outcome}" for d in task.depends_on)
        table.add_row(escape(task.key), escape(after), escape(_result(task, variables)))
    out.print(table)
    out.print()


def _result(task: Task, variables: Mapping[str, str]) -> str:
    texts = [] if task.kind == "python" else [next((n for n in task.settings if n.endswith("_task")), "")]
    for output in task.outputs.values():
        if output.target is not None:
            texts.append(resolve(output.target, variables))
        elif output.type is not None:
            texts.append(f"task value ({output.type})")
    return ", ".join(texts)


def show_start(out: Console, key: str) -> None:
    out.print(f"[cyan]{escape(key)}[/] started")


def show_line(out: Console, key: str, line: str) -> None:
    out.print(f"[dim]{escape(key)} |[/] {escape(line)}")


def show_end(out: Console, task: TaskRun) -> None:
    out.print(f"[cyan]{escape(task.key)}[/] {_state(task)} {task.seconds:.2f} s")


def show_run(out: Console, run: JobRun) -> None:
    """State, attempts and time of each task, and where the run's logs are."""
    out.print()
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 2))
    for title, side in (("task", "left"), ("state", "left"), ("attempts", "right"), ("seconds", "right")):
        table.add_column(title, header_style="dim", justify=side, no_wrap=True)  # type: ignore[arg-type]
    for task in run.tasks:
        table.add_row(escape(task.key), _state(task), str(task.attempts or ""), f"{task.seconds:.2f}")
    out.print(table)
    verdict = "[green]succeeded[/]" if run.succeeded else "[red]failed[/]"
    out.print(f"run {run.id} of {escape(run.job)} {verdict}; logs are in {escape(str(run.folder / 'logs'))}")


def _state(task: TaskRun) -> str:
    colour = _COLOURS.get(str(task.state), "default")
    return f"[{colour}]{task.state}[/]"
