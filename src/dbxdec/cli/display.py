"""The display of a run in progress: the DAG, its progress, and the table at the end."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dbxdec.cli import tables
from dbxdec.cli.console import escape
from dbxdec.errors import counted
from dbxdec.local.interface import HANDLED, JobRun, Listener
from dbxdec.model import places
from dbxdec.model.dag import run_order
from dbxdec.model.variables import resolve
from dbxdec.platform.run_if import State, failed
from dbxdec.support import printing
from dbxdec.views import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console, RenderableType

    from dbxdec.local.interface import TaskRun
    from dbxdec.model.dag import Job, Task
    from dbxdec.model.manifest import Manifest

_LEAST_OF_A_KEY, _BESIDE_A_KEY = 20, 20
_TAIL, _SHOWN_FAILURES = 40, 5


def show_dag(out: Console, manifest: Manifest, job: Job, variables: Mapping[str, str]) -> None:
    """Print the job's tasks in the order they run, with the tasks that each waits for and the place of its result."""
    out.print(
        f"[bold]{escape(job.key)}[/] of {escape(manifest.project)} {manifest.version}, build {manifest.build_id[:12]}"
    )
    rows = [
        [task.key, ", ".join(map(texts.dependency, task.depends_on)), _result(task, variables)]
        for task in run_order(job)
    ]
    tables.show(out, ("task", "after", "result"), rows, broken=("after", "result"))
    out.print()


def _result(task: Task, variables: Mapping[str, str]) -> str:
    if task.kind != "python":
        return texts.kind(task)
    found = []
    for output in task.outputs.values():
        if output.target is not None:
            target = resolve(output.target, variables)
            there = places.place_here(target)
            found.append(target if there == target else f"{target} (here: {tables.short(there)})")
        elif output.type is not None:
            found.append(f"task value ({output.type})")
    return ", ".join(found)


@contextmanager
def following(out: Console, job: Job, *, verbose: bool, stopping: Callable[[], bool]) -> Iterator[Progress]:
    """Show a run in progress: a live table in a terminal, else a line for each event.

    `stopping` says whether the run has been asked to stop.
    """
    if not out.is_terminal or out.no_color or out.is_dumb_terminal:
        yield _Lines(out)
        return
    screen = _Screen(out, job, verbose, stopping)
    with Live(console=out, get_renderable=screen.render, refresh_per_second=8, transient=True):
        yield screen


class Progress:
    """The events of a run, and the last lines of failed tasks, their tracebacks among them."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._last: dict[str, deque[str]] = {}
        self.failures: list[tuple[TaskRun, list[str]]] = []

    @property
    def listener(self) -> Listener:
        return Listener(self.started, self.printed, self.ended)

    def started(self, key: str) -> None:
        """Note that an attempt of a task, or of an iteration, begins."""
        self._last[key] = deque(maxlen=_TAIL)

    def printed(self, key: str, line: str) -> None:
        """Note that it has printed a line."""
        self._last.setdefault(key, deque(maxlen=_TAIL)).append(line)

    def ended(self, task: TaskRun) -> None:
        """Note that a task, or an iteration, has ended."""
        lines = self._last.pop(task.key, None)
        if task.state in (State.FAILED, State.TIMED_OUT) and task.said != HANDLED and lines:
            self.failures.append((task, [*lines]))


class _Lines(Progress):
    """The output for a log file or a pipe."""

    def started(self, key: str) -> None:
        super().started(key)
        self._write(f"{key} started")

    def printed(self, key: str, line: str) -> None:
        super().printed(key, line)
        self._write(f"{key} | {line}")

    def ended(self, task: TaskRun) -> None:
        super().ended(task)
        self._write(f"{task.key} {' '.join(_words(task))}")

    def _write(self, line: str) -> None:
        click.echo(printing.safe(line), file=self._out.file)


class _Screen(Progress):
    """The output for a terminal: the running tasks, with their time and last lines; the ended ones above."""

    def __init__(self, out: Console, job: Job, verbose: bool, stopping: Callable[[], bool]) -> None:
        super().__init__(out)
        self._verbose, self._stopping = verbose, stopping
        self._total = len(job.tasks)
        self._done = 0
        self._keys = {task.key for task in job.tasks}
        self._running: dict[str, float] = {}
        self._began = time.monotonic()

    def started(self, key: str) -> None:
        super().started(key)
        self._running[key] = time.monotonic()

    def printed(self, key: str, line: str) -> None:
        super().printed(key, line)
        if self._verbose:
            self._out.print(f"[dim]{escape(key)} |[/] {escape(line)}")

    def ended(self, task: TaskRun) -> None:
        super().ended(task)
        self._running.pop(task.key, None)
        self._done += task.key in self._keys
        # The terminal would break a longer line anywhere.
        room = max(_LEAST_OF_A_KEY, self._out.width - _BESIDE_A_KEY)
        key = task.key if len(task.key) <= room else f"{task.key[: room - 1]}…"
        self._out.print(f"{_mark(task.state)} {escape(key)} {_outcome(task)}")

    def render(self) -> RenderableType:
        """Return the running tasks, no more than the screen holds."""
        now, table = time.monotonic(), Table.grid(padding=(0, 1))
        for name in ("mark", "task", "time"):
            table.add_column(name, no_wrap=True, justify="right" if name == "time" else "left")
        table.add_column("words", no_wrap=True, overflow="ellipsis")
        running = list(self._running.items())
        room = max(3, self._out.height - 4)
        for key, since in running[:room]:
            last = self._last.get(key)
            words = Text(printing.safe(last[-1]) if last else "", "dim")
            table.add_row(Text("•", "cyan"), Text(key, "bold"), Text(f"{now - since:.0f} s"), words)
        hidden = f", {len(running) - room} more running" if len(running) > room else ""
        text = f"{self._done} of {self._total} tasks, {now - self._began:.0f} s{hidden}"
        stop = [Text("stopping: Ctrl-C again ends them at once", "yellow")] if self._stopping() and running else []
        return Group(table, Text(text, "dim"), *stop)


def _outcome(task: TaskRun) -> str:
    _, *words = _words(task)
    return " ".join([tables.state(str(task.state)), *map(escape, words)])


def _words(task: TaskRun) -> list[str]:
    words = [str(task.state)]
    words += ["(kept)"] if task.kept else [f"{task.seconds:.2f} s"] if task.started_ms else []
    return [*words, *([task.said] if task.said else [])]


def _more(task: TaskRun) -> str:
    return " (kept)" if task.kept else f" ({HANDLED})" if task.said == HANDLED else ""


def show_run(out: Console, run: JobRun, failures: Sequence[tuple[TaskRun, Sequence[str]]]) -> None:
    """Print state, attempts, time, rows and place of each task; the failures, where the logs are, and how to resume."""
    out.print()
    shown: list[list[tables.Cell]] = []
    for task in run.tasks:
        rows = [fact["rows"] for fact in task.wrote if fact.get("rows") is not None]
        results = dict.fromkeys(tables.short(str(fact.get("uri") or fact.get("value"))) for fact in task.wrote)
        shown.append(
            [
                task.key,
                tables.styled(str(task.state), _more(task)),
                str(task.attempts or ""),
                f"{task.seconds:.2f}" if task.started_ms else "",
                f"{sum(rows):,}" if rows else "",
                ", ".join([*list(results)[:3], *(["…"] if len(results) > 3 else [])]),
            ]
        )
    numbers = ("attempts", "seconds", "rows")
    tables.show(out, ("task", "state", *numbers, "result"), shown, right=numbers, broken=("result",))
    for task, lines in failures[:_SHOWN_FAILURES]:
        out.print(f"\n[red bold]{escape(task.key)}[/] {task.state}:")
        for line in lines:
            out.print(f"  {escape(line)}")
    if len(failures) > _SHOWN_FAILURES:
        out.print(f"\n{counted(len(failures) - _SHOWN_FAILURES, 'more failure')}: see the logs")
    out.print()
    verdict = {
        State.SUCCESS: "[green]succeeded[/]",
        State.SUCCESS_WITH_FAILURES: "[yellow]succeeded with failures[/], as on the platform: no last task has failed",
        State.CANCELLED: "[yellow]was cancelled[/]",
    }.get(run.state, f"[red]{'timed out' if run.timed_out else 'failed'}[/]")
    out.print(
        f"run {run.id} of {escape(run.job)} {verdict}; logs are in {escape(tables.short(str(run.folder / 'logs')))}"
    )
    if run.state is not State.SUCCESS:
        out.print(f"resume with: dbxdec run {escape(run.job)} --resume {run.id}")


def _mark(state: State) -> str:
    if state is State.SUCCESS:
        return "[green]✓[/]"
    return "[red]✗[/]" if failed(state) else "[dim]-[/]"
